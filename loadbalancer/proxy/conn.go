package proxy

import (
	"bufio"
	"context"
	"io"
	"math"
	"net"
	"sync"
	"syscall"
	"time"
)

// conns are connections of HTTP/1.1 to one server for requests without a
// body. http.Transport, which serves all others, hands each request from one
// goroutine to another and back; here the one that has the request does all.
type conns struct {
	address string
	dialer  net.Dialer

	mu      sync.Mutex
	idle    []*conn // the one that was used last is at the end
	retired bool
	reaper  *time.Timer // set while there are idle ones
}

// conn is a connection to a server.
type conn struct {
	net.Conn
	r      *bufio.Reader
	in     *io.LimitedReader // of r: bounds the head of a response
	raw    syscall.RawConn
	head   []byte // space for the head of a request
	reused bool
	piece  time.Duration // for what is read; 0: what reads has set a deadline
	since  time.Time     // idle since
}

func newConns(address string, connect time.Duration) *conns {
	return &conns{address: address, dialer: net.Dialer{Timeout: connect}}
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if c.piece > 0 {
		if err := c.SetReadDeadline(time.Now().Add(c.piece)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

// get returns an idle connection, or a new one.
func (p *conns) get(ctx context.Context) (*conn, error) {
	if c := p.takeIdle(); c != nil {
		c.reused = true
		return c, nil
	}
	c, err := p.dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	raw, err := c.(syscall.Conn).SyscallConn() // TCP has it
	if err != nil {
		c.Close()
		return nil, err
	}
	to := &conn{Conn: c, raw: raw}
	to.in = &io.LimitedReader{R: to, N: math.MaxInt64}
	to.r = bufio.NewReader(to.in)
	return to, nil
}

// takeIdle returns an idle connection on which nothing has come: what a server
// sends without being asked, its end or a response such as 408, would be taken
// for the answer to the next request.
func (p *conns) takeIdle() *conn {
	for {
		c := p.popIdle()
		if c == nil || quiet(c.raw) {
			return c
		}
		c.Close()
	}
}

func (p *conns) popIdle() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// put gives a connection back on which a request has ended.
func (p *conns) put(c *conn) {
	c.piece = 0
	err := c.SetReadDeadline(time.Time{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retired || err != nil {
		c.Close()
		return
	}
	c.since = time.Now()
	p.idle = append(p.idle, c)
	if p.reaper == nil {
		p.reaper = time.AfterFunc(idleTimeout, p.reap)
	}
}

// reap closes what has been idle for too long.
func (p *conns) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 && time.Since(p.idle[0].since) >= idleTimeout {
		p.idle[0].Close()
		p.idle = p.idle[1:]
	}
	p.reaper = nil
	if len(p.idle) > 0 && !p.retired {
		p.reaper = time.AfterFunc(idleTimeout, p.reap)
	}
}

// retire closes what is idle, and from now on what is given back.
func (p *conns) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	for _, c := range p.idle {
		c.Close()
	}
	p.idle = nil
	if p.reaper != nil {
		p.reaper.Stop()
		p.reaper = nil
	}
}
