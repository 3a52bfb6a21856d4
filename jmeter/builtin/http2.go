package builtin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// exchange2 is exchange over HTTP/2, with a connection of the user's own.
func (c *client) exchange2(q *request, t *target, method string, extra []jmeter.Pair, x *jmeter.Sample, r *response) (answer, error) {
	if c.h2 == nil {
		c.h2 = c.transport()
	}
	ctx, cancel := context.WithTimeout(c.user.ctx, orDefault(q.Timeout, jmeter.DefaultTimeout))
	defer cancel()
	// The transport's goroutines may call these after it has given up.
	var connect, latency atomic.Int64
	began, start := time.Now(), x.Start
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			if !i.Reused {
				connect.Store(int64(time.Since(began)))
			}
		},
		GotFirstResponseByte: func() { latency.Store(int64(time.Since(start))) },
	})
	req, err := http.NewRequestWithContext(context.WithValue(ctx, dialKey{}, dialFor{t, q.ConnectTimeout}), method, t.url.String(), bytes.NewReader(t.body))
	if err != nil {
		return answer{}, err
	}
	req.Header["User-Agent"] = nil // none of its own
	for _, h := range append(append([]jmeter.Pair{}, t.header...), extra...) {
		if http.CanonicalHeaderKey(h.Name) == "Host" {
			req.Host = h.Value
			continue
		}
		if http.CanonicalHeaderKey(h.Name) == "User-Agent" {
			req.Header["User-Agent"] = []string{h.Value}
			continue
		}
		req.Header.Add(h.Name, h.Value)
	}
	resp, err := c.h2.RoundTrip(req)
	x.SentBytes += int64(len(t.body))
	x.Connect, x.Latency = x.Connect+time.Duration(connect.Load()), time.Duration(latency.Load())
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	r.status, r.header = resp.StatusCode, ""
	for name, values := range resp.Header {
		for _, v := range values {
			x.Bytes += int64(len(name) + len(v) + 4)
			if len(q.extract) > 0 {
				r.header += name + ": " + v + "\n"
			}
		}
	}
	a := answer{location: resp.Header.Get("Location"), cookies: resp.Header["Set-Cookie"], gzip: resp.Header.Get("Content-Encoding") == "gzip"}
	limit := c.user.run.options.MaxBodyBytes
	if r.body, r.size = r.body[:0], 0; hasBody(method, r.status) {
		if err := r.read(resp.Body, q.keepBody, limit); err != nil {
			return a, err
		}
	}
	x.Bytes += r.size
	_, _ = io.Copy(io.Discard, resp.Body) // it is at its end
	return a, r.unpack(a.gzip && q.keepBody, limit)
}

// dialFor is what a connection is for, dialKey its key in a context.
type (
	dialFor struct {
		target  *target
		timeout time.Duration // 0: the default
	}
	dialKey struct{}
)

func (c *client) transport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		Protocols: protocols, DisableCompression: true, TLSClientConfig: c.user.run.tls.Clone(), ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: jmeter.DefaultConnectTimeout,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			q, _ := ctx.Value(dialKey{}).(dialFor)
			if q.target == nil {
				return nil, errors.New("dial " + addr + ": for no request")
			}
			plain := *q.target
			plain.secure = false // TLS is made by the transport
			return c.dial(ctx, &plain, orDefault(q.timeout, jmeter.DefaultConnectTimeout))
		},
	}
}
