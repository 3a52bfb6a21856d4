package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

func TestListeners(t *testing.T) {
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "good") })
	authority := testutil.NewAuthority(t)
	cert, key := authority.Server(t)
	listen := testutil.FreeAddr(t)
	p := proxy.New(proxy.Options{Logger: testutil.Logger(t)})
	c := to(addr)
	c.Listeners = []loadbalancer.Listener{{Address: listen}}
	early, cancelEarly := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancelEarly()
	if _, err := p.Apply(early, c); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, loadbalancer.ErrRejected) {
		t.Errorf("Apply with listeners before Run: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	apply(t, p, c)

	get := func(client *http.Client, url string) string {
		t.Helper()
		defer client.CloseIdleConnections()
		res, err := client.Get(url)
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		return fmt.Sprintf("%s %d", res.Proto, res.StatusCode)
	}
	if got := get(&http.Client{Transport: &http.Transport{}}, "http://"+listen); got != "HTTP/1.1 200" {
		t.Error(got)
	}
	// The same address with TLS, and back, while it stays open.
	c.Listeners[0].CertFile, c.Listeners[0].KeyFile = cert, key
	apply(t, p, c)
	overTLS := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool()}, ForceAttemptHTTP2: true}
	if got := get(&http.Client{Transport: overTLS}, "https://"+listen); got != "HTTP/2.0 200" {
		t.Error(got)
	}
	c.Listeners[0] = loadbalancer.Listener{Address: listen, H2C: true}
	apply(t, p, c)
	h2c := &http.Transport{Protocols: new(http.Protocols)}
	h2c.Protocols.SetUnencryptedHTTP2(true)
	for want, transport := range map[string]*http.Transport{"HTTP/2.0 200": h2c, "HTTP/1.1 200": {}} {
		if got := get(&http.Client{Transport: transport}, "http://"+listen); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	c.Listeners[0].CertFile, c.Listeners[0].KeyFile, c.Listeners[0].H2C = key, key, false
	if _, err := p.Apply(t.Context(), c); !errors.Is(err, loadbalancer.ErrRejected) {
		t.Errorf("a certificate that is none: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", listen); err == nil {
		t.Error("the listener is open after Run has ended")
	}
}

// TestShutdown: requests under way end before Run does.
func TestShutdown(t *testing.T) {
	begun, proceed := make(chan bool), make(chan bool)
	addr := origin(t, func(w http.ResponseWriter, _ *http.Request) {
		begun <- true
		<-proceed
		fmt.Fprint(w, "late")
	})
	listen := testutil.FreeAddr(t)
	p := proxy.New(proxy.Options{ShutdownTimeout: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	c := to(addr)
	c.Listeners = []loadbalancer.Listener{{Address: listen}}
	apply(t, p, c)
	result := make(chan string)
	go func() {
		_, body, _ := do(t, "GET", "http://"+listen, "")
		result <- body
	}()
	<-begun
	if s := p.Stats(); s.Requests != 1 || s.Groups[0].Servers[0].InFlight != 1 {
		t.Errorf("%+v", s)
	}
	cancel()
	proceed <- true
	if body := <-result; body != "late" {
		t.Errorf("a request under way at the end: %q", body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestShutdownOfUpgraded: a connection with Upgrade ends when the time for the
// end is over.
func TestShutdownOfUpgraded(t *testing.T) {
	addr := origin(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		_, _ = io.Copy(conn, conn)
		conn.Close()
	})
	p := proxy.New(proxy.Options{ShutdownTimeout: 50 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	upgraded := listening(t, p, addr)
	fmt.Fprint(upgraded, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(upgraded), nil); err != nil || res.StatusCode != 101 {
		t.Fatal(res, err)
	}
	if s := p.Stats(); s.Requests != 1 || s.Groups[0].Servers[0].InFlight != 1 {
		t.Errorf("%+v", s)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n, err := upgraded.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes from a connection that is over", n)
	}
}

func TestRefuse(t *testing.T) {
	var out atomic.Bool
	p := proxy.New(proxy.Options{Refuse: func(a netip.Addr) bool { return out.Load() && a.IsLoopback() }})
	s := front(t, p, to(origin(t, func(http.ResponseWriter, *http.Request) {})))
	for _, want := range []int{200, 403} {
		if status, _, _ := do(t, "GET", s.URL, ""); status != want {
			t.Errorf("%d, want %d", status, want)
		}
		out.Store(true)
	}
	do(t, "GET", s.URL+"/", "")
	if got := p.Stats(); got.Requests != 3 || got.Refused != 2 || got.Groups[0].Servers[0].Statuses[2] != 1 {
		t.Errorf("%+v", got)
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransport(t *testing.T) {
	var seen atomic.Int32
	p := start(t, proxy.Options{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
		seen.Add(1)
		r.Header.Set("X-Trace", "1")
		return http.DefaultTransport.RoundTrip(r)
	})})
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	conn := listening(t, p, origin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Trace")) }))
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); string(body) != "1" || seen.Load() != 1 {
		t.Errorf("%q, %v, seen %d times", body, err, seen.Load())
	}
}

// TestMirrorLedger: every copy is accounted for.
func TestMirrorLedger(t *testing.T) {
	var bytes atomic.Int64
	block := make(chan struct{})
	mirror := origin(t, func(_ http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		bytes.Add(n)
		if r.URL.Path == "/block" {
			<-block
		}
	})
	p := start(t, proxy.Options{})
	c := to(origin(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	c.Mirror = loadbalancer.Mirror{Address: mirror, MaxBodyBytes: 100, Timeout: 10 * time.Minute}
	s := front(t, p, c)
	do(t, "POST", s.URL+"/a", strings.Repeat("x", 1000))
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		m := p.Stats().Mirror
		return m.Sent == 1 && m.Truncated == 1 && bytes.Load() == 100, fmt.Sprintf("%+v, %d bytes", m, bytes.Load())
	})
	const n = 700 // more than are sent at once and wait
	for range n {
		if status, _, _ := do(t, "GET", s.URL+"/block", ""); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	close(block)
	testutil.Eventually(t, 20*time.Second, func() (bool, string) {
		m := p.Stats().Mirror
		return m.Seen == n+1 && m.Seen == m.Sent+m.Failed+m.Dropped && m.Dropped > 0, fmt.Sprintf("%+v", m)
	})
}

// TestFailuresTakeOut: a server that fails is asked again when its time is
// over.
func TestFailuresTakeOut(t *testing.T) {
	good := origin(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "good") })
	back := testutil.FreeAddr(t)
	p := proxy.New(proxy.Options{})
	c := to(good, back)
	c.Groups[0].Failures.Window = 300 * time.Millisecond
	s := front(t, p, c)
	began := time.Now()
	for range 10 {
		if status, _, _ := do(t, "GET", s.URL, ""); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	windows := 1 + uint64(time.Since(began)/c.Groups[0].Failures.Window)
	if f := p.Stats().Groups[0].Servers; f[0].Failures+f[1].Failures > 3*windows {
		t.Errorf("%+v in %d windows; a server that fails is out for a while", f, windows)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", back)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "back") })}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	defer func() { server.Close(); <-done }()
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		_, body, _ := do(t, "GET", s.URL, "")
		return body == "back", body
	})
}

// TestRunAgain: a second Run keeps connections to servers as the first does.
func TestRunAgain(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "good") }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	p := proxy.New(proxy.Options{})
	server := s.Listener.Addr().String()
	for run := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		conns.Store(0)
		conn := listening(t, p, server)
		r := bufio.NewReader(conn)
		for range 5 {
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
		}
		if n := conns.Load(); n != 1 {
			t.Errorf("run %d: %d connections for 5 requests in turn, want 1", run+1, n)
		}
		conn.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
