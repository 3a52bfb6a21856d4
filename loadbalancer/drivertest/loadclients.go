package drivertest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// start starts clients of all kinds, which end with ctx.
func (l *load) start(ctx context.Context) *sync.WaitGroup {
	clients := new(sync.WaitGroup)
	begin := func(n int, kind string, run func(ctx context.Context, kind string)) {
		l.mu.Lock()
		l.of(kind) // is told of also if it sends nothing
		l.mu.Unlock()
		for range n {
			clients.Go(func() { run(ctx, kind) })
		}
	}
	begin(3, "keep-alive", func(ctx context.Context, kind string) { l.keepAlive(ctx, kind, time.Millisecond) })
	begin(8, "keep-alive, think time", func(ctx context.Context, kind string) { l.keepAlive(ctx, kind, 40*time.Millisecond) })
	begin(2, "connection: close", l.closing)
	begin(3, "slow bodies", l.slowBodies)
	begin(4, "websocket", l.webSockets)
	if l.h2c {
		begin(2, "http/2", l.overHTTP2)
		begin(4, "grpc streams", l.streams)
	}
	return clients
}

// rest waits for a random time up to limit.
func rest(ctx context.Context, limit time.Duration) {
	if limit == 0 {
		return
	}
	t := time.NewTimer(rand.N(limit))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// keepAlive sends one request after another on one connection. When the
// server has closed it, which it may say or which the client sees before it
// sends, a new one is opened; a request that was sent is never sent again.
func (l *load) keepAlive(ctx context.Context, kind string, think time.Duration) {
	var c *conn
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	for i := 0; ctx.Err() == nil; i++ {
		rest(ctx, think)
		if c != nil && c.closedIdle() {
			l.reopened(kind)
			c.close()
			c = nil
		}
		l.once(ctx, kind, func(ctx context.Context) (string, error) {
			var err error
			if c == nil {
				if c, err = dial(ctx, l.k.Addr); err != nil {
					return "", err
				}
			}
			r, err := c.do(call{path: fmt.Sprintf("/%d", i)}, "")
			if err != nil || r.close {
				c.close()
				c = nil
			}
			return r.origin, statusError(r, err)
		})
	}
}

func (l *load) closing(ctx context.Context, kind string) {
	for i := 0; ctx.Err() == nil; i++ {
		rest(ctx, time.Millisecond)
		l.once(ctx, kind, func(ctx context.Context) (string, error) {
			r, err := l.k.send(ctx, call{path: fmt.Sprintf("/%d", i)})
			return r.origin, statusError(r, err)
		})
	}
}

// slowBodies sends a body in pieces and gets one in pieces.
func (l *load) slowBodies(ctx context.Context, kind string) {
	piece := strings.Repeat("x", 1000)
	for ctx.Err() == nil {
		l.once(ctx, kind, func(ctx context.Context) (string, error) {
			c, err := dial(ctx, l.k.Addr)
			if err != nil {
				return "", err
			}
			defer c.close()
			req := call{method: http.MethodPost, path: "/slow", header: http.Header{doHeader: {"slow"}}}
			if _, err := io.WriteString(c, c.head(req, "close", int64(slowPieces*len(piece)))); err != nil {
				return "", err
			}
			for range slowPieces {
				if _, err := io.WriteString(c, piece); err != nil {
					return "", err
				}
				rest(ctx, 2*slowPause)
			}
			r, err := c.read(req)
			if err == nil && r.status == http.StatusOK && r.body != strings.Repeat(slowPiece, slowPieces) {
				err = fmt.Errorf("%d bytes of %d came", len(r.body), slowPieces*len(slowPiece))
			}
			return r.origin, statusError(r, err)
		})
	}
}

// long runs a connection or stream with messages now and then, over many
// changes. What counts as misrouted is where it was sent when it was opened.
func (l *load) long(ctx context.Context, kind string, open func(context.Context) (origin string, exchange func(string) error, end func() error, err error)) {
	for ctx.Err() == nil {
		from := l.done.Load()
		origin, exchange, end, err := open(ctx)
		v := l.verdict(from, origin, err)
		for i := 0; err == nil && i < 10; i++ {
			rest(ctx, 40*time.Millisecond)
			err = exchange(fmt.Sprintf("message %d", i))
		}
		if end != nil {
			if endErr := end(); err == nil {
				err = endErr
			}
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			v = failed
		}
		l.count(kind, v, err)
	}
}

func (l *load) webSockets(ctx context.Context, kind string) {
	l.long(ctx, kind, func(ctx context.Context) (string, func(string) error, func() error, error) {
		w, err := openWebSocket(ctx, l.k.Addr)
		if err != nil {
			return "", nil, nil, err
		}
		return w.origin, w.exchange, w.Close, nil
	})
}

func (l *load) overHTTP2(ctx context.Context, kind string) {
	client := l.k.http2()
	for ctx.Err() == nil {
		rest(ctx, 2*time.Millisecond)
		l.once(ctx, kind, func(ctx context.Context) (string, error) { return l.k.getHTTP2(ctx, client) })
	}
}

func (l *load) streams(ctx context.Context, kind string) {
	client := l.k.http2()
	l.long(ctx, kind, func(ctx context.Context) (string, func(string) error, func() error, error) {
		s, err := openStream(ctx, client, "http://"+l.k.H2CAddr+"/echo.Echo/Talk")
		if err != nil {
			return "", nil, nil, err
		}
		return s.origin, s.exchange, func() error { defer s.close(); return s.end() }, nil
	})
}
