package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/loadbalancer"
)

// front holds the listeners.
type front struct {
	proxy   *Proxy
	opts    Options
	running chan struct{} // closed when run has begun

	mu    sync.Mutex
	ctx   context.Context // of requests; nil: run does not run
	ports map[string]*port
	work  sync.WaitGroup // of serving, and of closing
}

func newFront(p *Proxy, opts Options) *front {
	return &front{proxy: p, opts: opts, running: make(chan struct{}), ports: map[string]*port{}}
}

// run serves until ctx ends.
func (f *front) run(ctx context.Context) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	f.mu.Lock()
	if f.ctx != nil {
		f.mu.Unlock()
		return errors.New("proxy: Run runs already")
	}
	f.ctx = requests
	close(f.running)
	f.mu.Unlock()

	<-ctx.Done()
	f.mu.Lock()
	for _, p := range f.ports {
		f.work.Go(func() { p.close(requests, f.opts.ShutdownTimeout) })
	}
	clear(f.ports)
	f.ctx, f.running = nil, make(chan struct{})
	f.mu.Unlock()
	f.work.Wait()
	return nil
}

// prepare opens the listeners that are new. Nothing is accepted from them
// before commit, which also closes those that are gone, and returns their
// number. Only one preparation is under way at a time.
func (f *front) prepare(ctx context.Context, want []loadbalancer.Listener) (commit func() int, err error) {
	if len(want) > 0 {
		if err := f.wait(ctx); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	opened, modes, wanted := map[string]*port{}, map[*port]*mode{}, map[string]bool{}
	fail := func(err error) (func() int, error) {
		for _, p := range opened {
			p.listener.Close()
		}
		return nil, err
	}
	for _, l := range want {
		wanted[l.Address] = true
		m, err := newMode(l)
		if err != nil {
			return fail(err)
		}
		p := f.ports[l.Address]
		if p == nil {
			if p, err = f.open(ctx, l.Address); err != nil {
				return fail(err)
			}
			opened[l.Address] = p
		}
		modes[p] = m
	}
	return func() int { return f.commit(opened, modes, wanted) }, nil
}

// wait waits until run runs.
func (f *front) wait(ctx context.Context) error {
	f.mu.Lock()
	running := f.running
	f.mu.Unlock()
	select {
	case <-running:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errNotRunning, ctx.Err())
	}
}

func (f *front) commit(opened map[string]*port, modes map[*port]*mode, wanted map[string]bool) (closed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx == nil { // run has ended since, and nobody would close them
		for _, p := range opened {
			p.listener.Close()
		}
		return 0
	}
	for p, m := range modes {
		p.mode.Store(m)
	}
	for address, p := range opened {
		f.ports[address] = p
		f.work.Go(p.accept)
	}
	for address, p := range f.ports {
		if !wanted[address] {
			delete(f.ports, address)
			ctx := f.ctx
			f.work.Go(func() { p.close(ctx, f.opts.ShutdownTimeout) })
			closed++
		}
	}
	return closed
}

// mode is how connections of a port begin. It may change while the port is
// open.
type mode struct {
	tls *tls.Config // nil: none
	h2c bool
}

func newMode(l loadbalancer.Listener) (*mode, error) {
	m := &mode{h2c: l.H2C}
	if l.CertFile == "" {
		return m, nil
	}
	cert, err := tls.LoadX509KeyPair(l.CertFile, l.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", l.Address, err)
	}
	m.tls = &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"},
	}
	return m, nil
}

// port is a listener with a server for each way that its connections begin.
type port struct {
	listener net.Listener
	mode     atomic.Pointer[mode]
	servers  map[bool]*http.Server // with HTTP/2 without TLS, and without
	conns    map[bool]*connQueue
	cancel   context.CancelFunc // of requests
	upgraded sync.WaitGroup
	serving  sync.WaitGroup
	logger   *slog.Logger

	proxy   *Proxy
	ctx     context.Context // of requests
	closing atomic.Bool
	// accepted is closed when no more connections come.
	accepted chan struct{}
	mu       sync.Mutex
	raw      map[*rawConn]bool
	rawEnd   sync.WaitGroup
}

// open opens a port. f.mu is held.
func (f *front) open(ctx context.Context, address string) (*port, error) {
	if f.ctx == nil {
		return nil, errNotRunning
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	p := &port{
		listener: l, servers: map[bool]*http.Server{}, conns: map[bool]*connQueue{}, logger: f.opts.Logger,
		proxy: f.proxy, raw: map[*rawConn]bool{}, accepted: make(chan struct{}),
	}
	requests, cancel := context.WithCancel(f.ctx)
	p.ctx, p.cancel = requests, cancel
	for _, h2c := range []bool{false, true} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
		protocols.SetUnencryptedHTTP2(h2c)
		p.servers[h2c] = &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Upgrade") != "" {
					p.upgraded.Add(1)
					defer p.upgraded.Done()
				}
				f.proxy.ServeHTTP(w, r)
			}),
			Protocols: protocols, BaseContext: func(net.Listener) context.Context { return requests },
			ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 64 << 10,
			HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 1000},
			ErrorLog: slog.NewLogLogger(f.opts.Logger.Handler(), slog.LevelDebug),
		}
		p.conns[h2c] = &connQueue{addr: l.Addr(), conns: make(chan net.Conn), closed: make(chan struct{})}
	}
	return p, nil
}

// accept takes connections until the listener is closed.
func (p *port) accept() {
	for h2c, s := range p.servers {
		p.serving.Go(func() { _ = s.Serve(p.conns[h2c]) }) // ends with ErrServerClosed
	}
	for {
		conn, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if err != nil {
			p.logger.Warn("proxy: accept", "error", err)
			time.Sleep(10 * time.Millisecond) // out of descriptors: some will be free
			continue
		}
		conn = &pacedConn{Conn: conn, timeout: p.proxy.piece}
		if m := p.mode.Load(); m.tls != nil {
			p.conns[m.h2c].give(tls.Server(conn, m.tls))
			continue
		}
		p.serveRaw(conn)
	}
	close(p.accepted)
	p.serving.Wait()
}

// serveRaw serves a connection without TLS, at first without net/http.
func (p *port) serveRaw(conn net.Conn) {
	client := peerOf(conn.RemoteAddr().String())
	c := &rawConn{Conn: conn, proxy: p.proxy, port: p, client: client, ip: client.String(), r: bufio.NewReader(conn)}
	p.mu.Lock()
	p.raw[c] = true
	p.mu.Unlock()
	p.rawEnd.Go(func() {
		c.serve(p.ctx)
		p.mu.Lock()
		delete(p.raw, c)
		p.mu.Unlock()
	})
}

// give gives a connection to net/http.
func (p *port) give(c net.Conn) { p.conns[p.mode.Load().h2c].give(c) }

// endRaw lets the connections that net/http does not have end: idle ones at
// once, others after the response under way.
func (p *port) endRaw(ctx context.Context) {
	p.closing.Store(true)
	<-p.accepted
	each := func(do func(*rawConn)) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for c := range p.raw {
			do(c)
		}
	}
	each(func(c *rawConn) { _ = c.SetReadDeadline(time.Now()) }) // one that is closed needs none
	stop := context.AfterFunc(ctx, func() { each((*rawConn).cut) })
	defer stop()
	p.rawEnd.Wait()
}

// close takes no more connections and lets requests end.
func (p *port) close(ctx context.Context, timeout time.Duration) {
	p.listener.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var ending sync.WaitGroup
	ending.Go(func() { p.endRaw(ctx) })
	for _, s := range p.servers {
		ending.Go(func() {
			if s.Shutdown(ctx) != nil {
				p.cancel()
				_ = s.Close() // what is left is cut
			}
		})
	}
	ending.Wait()
	// Connections with Upgrade are not the servers' any more.
	stop := context.AfterFunc(ctx, p.cancel)
	p.upgraded.Wait()
	stop()
	p.cancel()
}

// connQueue hands accepted connections to a server, as its listener.
type connQueue struct {
	addr   net.Addr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (q *connQueue) give(c net.Conn) {
	select {
	case q.conns <- c:
	case <-q.closed:
		c.Close()
	}
}

// Accept implements net.Listener.
func (q *connQueue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (q *connQueue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

// Addr implements net.Listener.
func (q *connQueue) Addr() net.Addr { return q.addr }
