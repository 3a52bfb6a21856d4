package builtin

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// maxRedirects is how many redirects of one request are followed, as JMeter does.
const maxRedirects = 20

// client has the connections of one user, one for each server.
type client struct {
	user   *user
	mu     sync.Mutex // guards conns; the run's end closes them
	conns  map[string]*conn
	ended  bool
	unhook func() bool
	h2     *http.Transport
	random *rand.ChaCha8
	buf    []byte
}

func (c *client) init(u *user) {
	c.user, c.conns = u, map[string]*conn{}
	var seed [32]byte
	for i := range 4 {
		v := rand.Uint64()
		for j := range 8 {
			seed[8*i+j] = byte(v >> (8 * j))
		}
	}
	c.random = rand.NewChaCha8(seed)
	c.unhook = context.AfterFunc(u.ctx, c.end)
}

// end closes what is open; a request that waits fails.
func (c *client) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for _, k := range c.conns {
		k.Close()
	}
}

func (c *client) close() {
	if c.unhook != nil {
		c.unhook()
	}
	c.end()
	if c.h2 != nil {
		c.h2.CloseIdleConnections()
	}
}

// send sends a request with the redirects that follow, checks the answer and
// fills the sample.
func (u *user) send(q *request, x *jmeter.Sample) {
	t := q.static
	var err error
	if t == nil {
		t, err = q.target(u)
	}
	if err != nil {
		x.Elapsed = time.Since(x.Start)
		u.failed(x, err)
		return
	}
	r := response{}
	kept := bodies.Get().(*[]byte)
	r.body = (*kept)[:0]
	err = u.follow(q, t, x, &r)
	x.Elapsed = time.Since(x.Start)
	if err != nil {
		u.failed(x, err)
	} else {
		u.judge(q, x, &r)
	}
	if cap(r.body) <= 64<<10 {
		*kept = r.body[:0]
		bodies.Put(kept)
	}
}

func (u *user) follow(q *request, t *target, x *jmeter.Sample, r *response) error {
	method := q.method
	headers := u.correlation(q)
	for n := 0; ; n++ {
		answer, err := u.exchange(q, t, method, headers, x, r)
		if err != nil {
			return err
		}
		if q.NoRedirects || answer.location == "" || !isRedirect(r.status) {
			return nil
		}
		if n == maxRedirects {
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		next, err := t.url.Parse(answer.location)
		if err != nil {
			return fmt.Errorf("redirect: %w", err)
		}
		onward := &target{header: t.header, body: t.body}
		if r.status != http.StatusTemporaryRedirect && r.status != http.StatusPermanentRedirect && method != http.MethodHead {
			method, onward.body = http.MethodGet, nil
			onward.header = without(t.header, "Content-Type")
		}
		if next.Host != t.url.Host { // a password is for one server
			onward.header = without(without(onward.header, "Authorization"), "Cookie")
		}
		if err := onward.setURL(next); err != nil {
			return fmt.Errorf("redirect: %w", err)
		}
		t = onward
	}
}

func isRedirect(status int) bool {
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308
}

func without(header []jmeter.Pair, name string) []jmeter.Pair {
	var out []jmeter.Pair
	for _, h := range header {
		if !strings.EqualFold(h.Name, name) {
			out = append(out, h)
		}
	}
	return out
}

// correlation returns the headers that join a request to its run and trace.
func (u *user) correlation(q *request) []jmeter.Pair {
	if u.run.program.plan.Uncorrelated {
		return nil
	}
	var out [2]jmeter.Pair
	list := out[:0]
	if !q.traced {
		var id [18]byte
		_, _ = u.client.random.Read(id[:]) // never fails
		b := append(append(make([]byte, 0, 55), "00-"...), u.run.prefix...)
		b = append(hex.AppendEncode(b, id[:10]), '-')
		b = append(hex.AppendEncode(b, id[10:]), "-01"...)
		list = append(list, jmeter.Pair{Name: jmeter.TraceparentHeader, Value: string(b)})
	}
	if !q.identified {
		list = append(list, jmeter.Pair{Name: jmeter.RunIDHeader, Value: u.run.runID})
	}
	return list
}

// exchange sends one request and reads its answer.
func (u *user) exchange(q *request, t *target, method string, extra []jmeter.Pair, x *jmeter.Sample, r *response) (answer, error) {
	if u.jar != nil {
		for _, c := range u.jar.Cookies(t.url) {
			extra = append(extra, jmeter.Pair{Name: "Cookie", Value: c.Name + "=" + c.Value})
		}
		extra = joinCookies(extra)
	}
	a, err := u.client.exchange(q, t, method, extra, x, r)
	if err == nil && u.jar != nil && len(a.cookies) > 0 {
		h := http.Header{"Set-Cookie": a.cookies}
		u.jar.SetCookies(t.url, (&http.Response{Header: h}).Cookies())
	}
	return a, err
}

// joinCookies makes one header of those of each cookie.
func joinCookies(list []jmeter.Pair) []jmeter.Pair {
	var out []jmeter.Pair
	at := -1
	for _, h := range list {
		switch {
		case h.Name != "Cookie":
			out = append(out, h)
		case at < 0:
			at = len(out)
			out = append(out, h)
		default:
			out[at].Value += "; " + h.Value
		}
	}
	return out
}

// failed fills the sample of a request that got no answer.
func (u *user) failed(x *jmeter.Sample, err error) {
	x.Success, x.DataType = false, "text"
	x.Code, x.Message = "Non HTTP response code: "+cause(err), "Non HTTP response message: "+reason(err)
}

// reason is the text of an error without the client's own port, which would
// make each failure one of its kind.
func reason(err error) string {
	text := err.Error()
	var op *net.OpError
	if errors.As(err, &op) && op.Source != nil {
		plain := *op
		plain.Source = nil
		text = strings.Replace(text, op.Error(), plain.Error(), 1)
	}
	return text
}

// cause is a short name of what went wrong.
func cause(err error) string {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return "name not found"
	case errors.Is(err, jmeter.ErrDenied):
		return "not allowed"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection closed"
	}
	return "error"
}

// judge extracts and asserts.
func (u *user) judge(q *request, x *jmeter.Sample, r *response) {
	x.Code, x.Message = code(r.status), http.StatusText(r.status)
	x.Success = r.status >= 200 && r.status < 400
	for i := range q.extract {
		q.extract[i].apply(u, r)
	}
	for i := range q.assert {
		if q.assert[i].Kind == jmeter.StatusIs {
			x.Success = true // it says which are right
		}
	}
	for i := range q.assert {
		if why := q.assert[i].failure(u, x, r); why != "" {
			x.Success = false
			if x.Failure == "" {
				x.Failure = why
			}
		}
	}
}

// code is strconv.Itoa without the memory for what comes all the time.
func code(status int) string {
	switch status {
	case 200:
		return "200"
	case 404:
		return "404"
	case 503:
		return "503"
	}
	return strconv.Itoa(status)
}

// dial connects, after the policy has seen the address.
func (c *client) dial(ctx context.Context, t *target, timeout time.Duration) (net.Conn, error) {
	o := &c.user.run.options
	d := net.Dialer{Timeout: timeout}
	if o.Allow != nil {
		d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return err
			}
			return o.Allow(t.url.Hostname(), net.ParseIP(host))
		}
	}
	raw, err := d.DialContext(ctx, "tcp", t.addr)
	if err != nil || !t.secure {
		return raw, err
	}
	config := c.user.run.tls.Clone()
	config.ServerName = t.url.Hostname()
	config.NextProtos = []string{"http/1.1"}
	secure := tls.Client(raw, config)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return secure, nil
}

// unpack decodes what is kept of a body.
func unpack(body []byte, limit int64) ([]byte, error) {
	in, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(in, limit))
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
