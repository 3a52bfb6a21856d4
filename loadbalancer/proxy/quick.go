package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/opnfv/clover/loadbalancer"
)

// quick reports whether a request can go the short way: it is idempotent, has
// no body, and nothing about its connection that a proxy has to understand.
// That is most requests, and saves a third of the work.
func quick(r *http.Request, g *group) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
	default:
		return false
	}
	if g.conf.Protocol != loadbalancer.HTTP1 || r.Body != nil && r.Body != http.NoBody || r.RequestURI == "" || r.RequestURI[0] != '/' {
		return false
	}
	h := r.Header
	if len(h["Upgrade"]) > 0 || len(h["Expect"]) > 0 || len(h["Te"]) > 0 || len(h["Trailer"]) > 0 {
		return false
	}
	c := h["Connection"]
	return len(c) == 0 || len(c) == 1 && (strings.EqualFold(c[0], "keep-alive") || strings.EqualFold(c[0], "close"))
}

// sendQuick forwards a request the short way.
func (p *Proxy) sendQuick(w http.ResponseWriter, r *http.Request, x *exchange) {
	var tried []*server
	var failed error // of the last server that was tried
	for {
		s, err := x.group.acquire(r.Context(), x.key, tried)
		if err != nil {
			p.refuse(w, r, x.group, cmp.Or(failed, err))
			return
		}
		if tried, err = x.sendTo(w, r, s, tried); err == nil {
			return
		}
		failed = err
		if r.Context().Err() != nil || len(tried) >= x.group.conf.Tries {
			p.refuse(w, r, x.group, err)
			return
		}
		x.group.pool.stats.retries.Add(1)
	}
}

// sendTo sends a request to a server, which it gives back, and the response to
// the client. With an error nothing was sent to the client.
func (x *exchange) sendTo(w http.ResponseWriter, r *http.Request, s *server, tried []*server) ([]*server, error) {
	defer x.group.pool.release(s)
	s.stats.requests.Add(1)
	wire := s.wire.Load()
	c, res, stop, err := x.roundTrip(r, s, wire)
	if err != nil {
		if r.Context().Err() == nil {
			x.group.pool.failed(s, x.group.conf.Failures, time.Now())
		}
		return append(tried, s), fmt.Errorf("%w: %s: %w", errServer, s.address, err)
	}
	s.stats.count(res.StatusCode)
	whole := false
	defer func() {
		// A connection on which something is left cannot be used again.
		if stop() && whole && !res.Close && c.r.Buffered() == 0 {
			wire.conns.put(c)
		} else {
			c.Close()
		}
	}()
	copyHead(w, res)
	if err := copyBody(w, r, res); err != nil {
		panic(http.ErrAbortHandler) // so that the client sees that the end is missing
	}
	whole = true
	return tried, nil
}

// roundTrip sends a request and reads the head of the response. stop ends the
// watch for the client's going away, and reports whether it was there all
// the time. An idle connection may have been closed by the server just now:
// the next one is tried then, in the end a new one.
func (x *exchange) roundTrip(r *http.Request, s *server, wire *wire) (c *conn, res *http.Response, stop func() bool, err error) {
	for {
		if c, err = wire.conns.get(r.Context()); err != nil {
			return nil, nil, nil, err
		}
		c.head = x.appendHead(c.head[:0], r, s)
		stop = context.AfterFunc(r.Context(), func() { c.Close() })
		res, begun, err := c.roundTrip(r, wire.options.response, nil)
		if err == nil {
			c.piece = wire.options.piece
			return c, res, stop, nil
		}
		stop()
		c.Close()
		if !c.reused || begun || r.Context().Err() != nil || isTimeout(err) {
			return nil, nil, nil, err
		}
	}
}

// roundTrip writes c.head and reads the head of the response. begun says
// whether anything of a response came. slow, if it is not nil, is called when
// the server takes its time.
func (c *conn) roundTrip(r *http.Request, timeout time.Duration, slow func()) (res *http.Response, begun bool, err error) {
	if _, err := c.Write(c.head); err != nil {
		return nil, false, err
	}
	if slow != nil && timeout > watchAfter {
		if err := c.await(watchAfter); isTimeout(err) {
			slow()
			err = c.await(timeout - watchAfter)
			if err != nil {
				return nil, false, err
			}
		} else if err != nil {
			return nil, false, err
		}
	} else if err := c.await(timeout); err != nil {
		return nil, false, err
	}
	if err := c.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, false, err
	}
	c.in.N = maxResponseHead
	defer func() { c.in.N = math.MaxInt64 }()
	for {
		if res, err = http.ReadResponse(c.r, r); err != nil {
			return nil, true, err
		}
		if res.StatusCode == http.StatusSwitchingProtocols {
			return nil, true, errors.New("the server switches protocols without being asked to")
		}
		if res.StatusCode >= 200 {
			return res, true, nil
		}
		// An interim response is not for the client.
	}
}

// maxResponseHead bounds the head of a response and of the interim ones before
// it.
const maxResponseHead = 1 << 20

// await waits for the first byte of a response.
func (c *conn) await(timeout time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	_, err := c.r.Peek(1)
	return err
}

// hop reports whether a header is about the connection only.
func hop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authorization":
		return true
	}
	return false
}

// appendHead appends the head of a request. The server that read it has
// checked that no name, value or URI holds a line's end.
func (x *exchange) appendHead(b []byte, r *http.Request, s *server) []byte {
	b = append(append(append(b, r.Method...), ' '), r.RequestURI...)
	host := r.Host
	if x.group.conf.Host == loadbalancer.HostOfServer {
		host = s.address
	}
	b = append(append(b, " HTTP/1.1\r\nHost: "...), host...)
	for name, values := range r.Header {
		if hop(name) || name == "Content-Length" || name == "X-Forwarded-For" {
			continue
		}
		for _, v := range values {
			b = append(append(append(append(b, "\r\n"...), name...), ": "...), v...)
		}
	}
	return append(appendForwarded(b, r.Header["X-Forwarded-For"], x.client), "\r\n\r\n"...)
}

// appendForwarded appends X-Forwarded-For with the client as its last entry.
func appendForwarded(b []byte, before []string, client netip.Addr) []byte {
	if len(before) == 0 && !client.IsValid() {
		return b
	}
	b = append(b, "\r\nX-Forwarded-For: "...)
	for i, v := range before {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, v...)
	}
	if client.IsValid() {
		if len(before) > 0 {
			b = append(b, ", "...)
		}
		b = client.AppendTo(b)
	}
	return b
}

// copyHead passes the head of a response on.
func copyHead(w http.ResponseWriter, res *http.Response) {
	h := w.Header()
	for name, values := range res.Header {
		if !hop(name) {
			h[name] = values
		}
	}
	for _, list := range res.Header["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for name := range res.Trailer {
		h.Add("Trailer", name)
	}
	w.WriteHeader(res.StatusCode)
}

// copyBody passes the body and the trailer of a response on; each piece at
// once, where its length is not known.
func copyBody(w http.ResponseWriter, r *http.Request, res *http.Response) error {
	if r.Method == http.MethodHead || res.ContentLength == 0 {
		return res.Body.Close()
	}
	flush := res.ContentLength < 0
	rc := http.NewResponseController(w)
	if flush {
		if err := rc.Flush(); err != nil {
			return err
		}
	}
	buf := buffers{}.Get()
	defer buffers{}.Put(buf)
	for {
		n, err := res.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			if flush {
				if err := rc.Flush(); err != nil {
					return err
				}
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	for name, values := range res.Trailer {
		w.Header()[name] = values
	}
	return res.Body.Close()
}
