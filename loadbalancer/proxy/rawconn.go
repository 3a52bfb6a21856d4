package proxy

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/loadbalancer"
)

// rawConn is a client's connection as long as its requests are plain, see
// rawRequest.parse. net/http, which serves all others, reads beside each
// request from the connection in a goroutine of its own to see whether the
// client is there, and makes maps of what is passed on as it is. The first
// request that is not plain goes with the connection to net/http, unread.
type rawConn struct {
	net.Conn
	proxy   *Proxy
	port    *port
	client  netip.Addr
	ip      string // client
	r       *bufio.Reader
	head    []byte // of the request, copied: r may move what it holds
	request rawRequest
	out     []byte               // space for the head of a response
	server  atomic.Pointer[conn] // where the request is
}

// Bounds of a client's connection.
const (
	idleClient = 5 * time.Minute
	// watchAfter is how long a server may take before the client is watched.
	watchAfter = 50 * time.Millisecond
	// refusedWait and refusedBytes bound what is read after a refused head.
	refusedWait  = 200 * time.Millisecond
	refusedBytes = 256 << 10
)

// serve answers requests until the connection ends, or is given to net/http.
func (c *rawConn) serve(ctx context.Context) {
	keep := true
	for keep {
		if c.SetReadDeadline(time.Now().Add(idleClient)) != nil || c.port.closing.Load() {
			break
		}
		if _, err := c.r.Peek(1); err != nil {
			break // idle for too long, closed, or the port closes
		}
		g := c.plain(c.proxy.current.Load())
		if g == nil && twoLengths(c.head) {
			c.refuseHead()
			break
		}
		if g == nil {
			c.handOver()
			return
		}
		if _, err := c.r.Discard(len(c.head)); err != nil {
			break
		}
		keep = c.answer(ctx, g) && !c.request.close
	}
	c.Close()
}

// plain returns the group that the request at hand goes to; nil if net/http
// shall read it.
func (c *rawConn) plain(s *snapshot) *group {
	c.head = c.head[:0]
	buffered, err := c.r.Peek(c.r.Buffered())
	if err != nil {
		return nil
	}
	end := bytes.Index(buffered, []byte("\r\n\r\n"))
	if end < 0 {
		return nil
	}
	c.head = append(c.head, buffered[:end+4]...)
	if c.proxy.opts.Transport != nil || s.access.named() || s.mirror.Address != "" || !c.request.parse(c.head) {
		return nil
	}
	if !c.client.IsValid() || !s.access.admits(c.client) || c.proxy.opts.Refuse != nil && c.proxy.opts.Refuse(c.client) {
		return nil
	}
	host := ""
	if s.router.byHost() {
		host = string(c.request.host)
	}
	t := s.router.find(host, c.request.path)
	if t == nil || t.group == nil || t.group.conf.Protocol != loadbalancer.HTTP1 {
		return nil
	}
	if k := t.group.conf.Hash.Source; k == loadbalancer.HashHeader || k == loadbalancer.HashCookie {
		return nil
	}
	return t.group
}

// refuseHead answers a request that is understood in two ways.
func (c *rawConn) refuseHead() {
	const text = "400 Bad Request: Content-Length beside Transfer-Encoding\n"
	if _, err := fmt.Fprintf(c, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"+
		"Content-Length: %d\r\nConnection: close\r\n\r\n%s", len(text), text); err != nil {
		return
	}
	// What is not read when the connection is closed would take the answer
	// away from the client.
	if c.SetReadDeadline(time.Now().Add(refusedWait)) == nil {
		_, _ = io.CopyN(io.Discard, c.r, refusedBytes)
	}
}

// handOver gives the connection with all that was read of it to net/http.
func (c *rawConn) handOver() {
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		c.Close()
		return
	}
	read, err := c.r.Peek(c.r.Buffered())
	if err != nil {
		c.Close()
		return
	}
	c.port.give(&replayConn{Conn: c.Conn, read: bytes.Clone(read)})
}

// replayConn is a connection of which something was read before.
type replayConn struct {
	net.Conn
	read []byte
}

// Read implements net.Conn.
func (c *replayConn) Read(p []byte) (int, error) {
	if len(c.read) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.read)
	c.read = c.read[n:]
	return n, nil
}

// answer forwards the request, and reports whether the connection can go on.
func (c *rawConn) answer(ctx context.Context, g *group) (keep bool) {
	c.proxy.stats.requests.Add(1)
	var key uint64
	if g.conf.Method == loadbalancer.Hash {
		if g.conf.Hash.Source == loadbalancer.HashURI {
			key = hashText(string(c.request.target))
		} else {
			key = hashText(c.ip)
		}
	}
	var tried []*server
	var failed error // of the last server that was tried
	for {
		s, err := g.acquire(ctx, key, tried)
		if err != nil {
			return c.refuse(ctx, g, cmp.Or(failed, err))
		}
		keep, err := c.sendTo(g, s)
		if err == nil {
			return keep
		}
		if errors.Is(err, errClientGone) {
			return false
		}
		g.pool.failed(s, g.conf.Failures, time.Now())
		failed = fmt.Errorf("%w: %s: %w", errServer, s.address, err)
		if tried = append(tried, s); len(tried) >= g.conf.Tries {
			return c.refuse(ctx, g, failed)
		}
		g.pool.stats.retries.Add(1)
	}
}

var errClientGone = errors.New("the client is gone")

// sendTo sends the request to a server, which it gives back, and the response
// to the client. With an error nothing was sent to the client.
func (c *rawConn) sendTo(g *group, s *server) (keep bool, err error) {
	defer g.pool.release(s)
	s.stats.requests.Add(1)
	wire := s.wire.Load()
	to, res, err := c.roundTrip(g, s, wire) //nolint:bodyclose // what is not read goes with the connection
	if err != nil {
		return false, err
	}
	s.stats.count(res.StatusCode)
	w := &watch{}
	if !c.request.head && res.Body != http.NoBody && (res.ContentLength < 0 || int64(to.r.Buffered()) < res.ContentLength) {
		w.start(c, to) // the body may take its time
	}
	keep = c.respond(res)
	if w.stop(c) {
		keep = false
	}
	c.server.Store(nil)
	if keep && !res.Close && to.r.Buffered() == 0 {
		wire.conns.put(to)
	} else {
		to.Close()
	}
	return keep, nil
}

// cut ends the connection in the middle of whatever it does.
func (c *rawConn) cut() {
	c.Close()
	if to := c.server.Load(); to != nil {
		to.Close()
	}
}

// roundTrip sends the request and reads the head of the response, see
// exchange.roundTrip.
func (c *rawConn) roundTrip(g *group, s *server, wire *wire) (*conn, *http.Response, error) {
	host := ""
	if g.conf.Host == loadbalancer.HostOfServer {
		host = s.address
	}
	for {
		to, err := wire.conns.get(context.Background()) // bounded by the connect timeout
		if err != nil {
			return nil, nil, err
		}
		to.head = c.request.appendTo(to.head[:0], host, c.ip)
		c.server.Store(to)
		w := &watch{}
		res, begun, err := to.roundTrip(c.method(), wire.options.response, func() { w.start(c, to) })
		if w.stop(c) {
			err = errClientGone
		}
		if err == nil {
			to.piece = wire.options.piece
			return to, res, nil
		}
		c.server.Store(nil)
		to.Close()
		if !to.reused || begun || isTimeout(err) || errors.Is(err, errClientGone) {
			return nil, nil, err
		}
	}
}

// What ReadResponse has to know of a request.
var (
	methodGet  = &http.Request{Method: http.MethodGet}
	methodHead = &http.Request{Method: http.MethodHead}
)

func (c *rawConn) method() *http.Request {
	if c.request.head {
		return methodHead
	}
	return methodGet
}

// watch looks whether the client goes away while a server takes its time.
type watch struct {
	done chan struct{} // nil: it was not started
	gone bool
}

func (w *watch) start(c *rawConn, to *conn) {
	if w.done != nil {
		return
	}
	w.done = make(chan struct{})
	go func() {
		defer close(w.done)
		// What is there already belongs to the next request.
		_, err := c.r.Peek(c.r.Buffered() + 1)
		if err != nil && !isTimeout(err) && !errors.Is(err, bufio.ErrBufferFull) {
			w.gone = true
			to.Close()
		}
	}()
}

// stop ends the watch, and reports whether the client has gone.
func (w *watch) stop(c *rawConn) bool {
	if w.done == nil {
		return false
	}
	if c.SetReadDeadline(time.Now()) != nil {
		return true
	}
	<-w.done
	return w.gone
}

// refuse answers a request that no server has answered.
func (c *rawConn) refuse(ctx context.Context, g *group, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	status := c.proxy.refusal(g, err)
	text := fmt.Sprintf("%d %s\n", status, http.StatusText(status))
	res := &http.Response{
		StatusCode: status, ContentLength: int64(len(text)), Body: io.NopCloser(bytes.NewReader([]byte(text))),
		Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Content-Length": {fmt.Sprint(len(text))}},
	}
	if c.request.head {
		res.Body = http.NoBody
	}
	return c.respond(res)
}
