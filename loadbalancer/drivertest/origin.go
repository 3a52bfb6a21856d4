package drivertest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// The headers by which a test tells an origin what to do, and learns which
// one has answered.
const (
	doHeader   = "X-Do"
	nameHeader = "X-Origin"
)

// origin is a server behind the load balancer. It speaks HTTP/1.1 and, with
// prior knowledge, HTTP/2. By X-Do a request asks it to
//
//	hold    answer when the test says so
//	slow    answer in pieces
//	echo    answer with the body as it comes
//	fail    answer 500
//
// A request with Upgrade gets its bytes back. Everything else is answered with
// what the request was.
type origin struct {
	name, addr string
	server     *http.Server

	mu      sync.Mutex
	hits    int
	holding int
	sick    bool
	last    *http.Request
	let     chan struct{} // closed when those that hold may go
}

// origins starts n origins named "a", "b" and so on.
func origins(t *testing.T, n int) []*origin {
	list := make([]*origin, n)
	for i := range list {
		list[i] = newOrigin(t, string(rune('a'+i)), "127.0.0.1:0")
	}
	return list
}

func newOrigin(t *testing.T, name, addr string) *origin {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatalf("origin: %v", err)
	}
	o := &origin{name: name, addr: l.Addr().String(), let: make(chan struct{})}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	ctx, cancel := context.WithCancel(context.Background())
	o.server = &http.Server{
		Handler: o, Protocols: protocols, BaseContext: func(net.Listener) context.Context { return ctx },
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1000},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = o.server.Serve(l) // ends with ErrServerClosed
	}()
	t.Cleanup(func() {
		cancel()
		o.stop()
		<-done
	})
	return o
}

// stop ends the origin at once.
func (o *origin) stop() { _ = o.server.Close() }

// ServeHTTP implements http.Handler.
func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	sick, release := o.sick, o.let
	if r.URL.Path != "/healthz" {
		o.hits++
		o.last = r
	}
	o.mu.Unlock()
	w.Header().Set(nameHeader, o.name)
	switch do := r.Header.Get(doHeader); {
	case r.URL.Path == "/healthz" && sick, do == "fail":
		w.WriteHeader(http.StatusInternalServerError)
	case r.Header.Get("Upgrade") != "":
		o.upgrade(w)
	case do == "hold":
		o.hold(w, r, release)
	case do == "slow":
		slow(w, r)
	case do == "echo":
		echo(w, r)
	default:
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %s\n", o.name, r.Method, r.RequestURI)
	}
}

func (o *origin) hold(w http.ResponseWriter, r *http.Request, release chan struct{}) {
	o.count(&o.holding, 1)
	defer o.count(&o.holding, -1)
	select {
	case <-release:
		_, _ = fmt.Fprintln(w, o.name)
	case <-r.Context().Done():
	}
}

func (o *origin) count(n *int, by int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	*n += by
}

// held is the number of requests that wait.
func (o *origin) held() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.holding
}

// release lets those that wait go.
func (o *origin) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.let)
	o.let = make(chan struct{})
}

// taken returns the number of requests since it was called last.
func (o *origin) taken() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.hits
	o.hits = 0
	return n
}

func (o *origin) setSick(sick bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sick = sick
}

func (o *origin) lastRequest() *http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// slow answers in pieces, once the whole body is there.
func slow(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	for range slowPieces {
		_, _ = io.WriteString(w, slowPiece)
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-time.After(slowPause):
		case <-r.Context().Done():
			return
		}
	}
}

const (
	slowPieces = 5
	slowPause  = 10 * time.Millisecond
	slowPiece  = "a piece of a slow body\n"
)

// echo answers with the body while it comes, and ends as gRPC does.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	w.Header().Set("Trailer", "Grpc-Status")
	w.WriteHeader(http.StatusOK)
	rc := http.NewResponseController(w)
	_ = rc.EnableFullDuplex() // HTTP/2 always is
	if rc.Flush() != nil {
		return
	}
	buf := make([]byte, 4096)
	for {
		n, err := r.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil || rc.Flush() != nil {
				return
			}
		}
		if err != nil {
			break
		}
	}
	w.Header().Set("Grpc-Status", "0")
}

// upgrade gives bytes back until the client closes.
func (o *origin) upgrade(w http.ResponseWriter) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n%s: %s\r\n\r\n", nameHeader, o.name)
	_, _ = io.Copy(conn, rw)
}

// server is a raw server that treats each connection as the test wants.
func rawServer(t *testing.T, serve func(net.Conn)) (addr string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("raw server: %v", err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { c.Close() })
			conns.Go(func() {
				defer stop()
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	return l.Addr().String()
}

// readHead reads a request's head and returns its first line.
func readHead(c net.Conn) string {
	r := bufio.NewReader(c)
	first := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return first
		}
		if first == "" {
			first = strings.TrimSpace(line)
		}
		if strings.TrimSpace(line) == "" {
			return first
		}
	}
}
