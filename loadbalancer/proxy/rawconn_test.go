package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// listening starts a proxy with a listener, and returns a connection to it.
func listening(t *testing.T, p *proxy.Proxy, servers ...string) net.Conn {
	t.Helper()
	c := to(servers...)
	c.Listeners = []loadbalancer.Listener{{Address: testutil.FreeAddr(t)}}
	apply(t, p, c)
	conn, err := net.Dial("tcp", c.Listeners[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestPipeline: requests that come at once, of all kinds, are answered in
// their order, though the connection changes hands between them.
func TestPipeline(t *testing.T) {
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, body)
		if r.URL.Path == "/late" {
			time.Sleep(100 * time.Millisecond) // longer than the client is not watched
		}
	})
	conn := listening(t, start(t, proxy.Options{}), addr)
	const head = " HTTP/1.1\r\nHost: h\r\n"
	fmt.Fprint(conn, "GET /1"+head+"\r\nGET /late"+head+"\r\nGET /2?x="+strings.Repeat("y", 3000)+head+"\r\nPOST /3"+head+"Content-Length: 4\r\n\r\nbodyGET /4"+head+"Connection: close\r\n\r\n")
	r := bufio.NewReader(conn)
	for _, want := range []string{"GET /1 ", "GET /late ", "GET /2?x=", "POST /3 body", "GET /4 "} {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || !strings.HasPrefix(string(body), want) {
			t.Errorf("%q, %v; want %q", body, err, want)
		}
		res.Body.Close()
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("after Connection: close: %v, want EOF", err)
	}
}

// TestSplitHeads: a head that comes in pieces is one request.
func TestSplitHeads(t *testing.T) {
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RequestURI, r.Header.Get("X-Own")) })
	conn := listening(t, start(t, proxy.Options{}), addr)
	for _, piece := range []string{"GE", "T /split HT", "TP/1.1\r\nHost: h\r\nX-O", "wn: 1\r", "\n\r\n"} {
		fmt.Fprint(conn, piece)
		time.Sleep(5 * time.Millisecond) // so that the pieces come apart
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); string(body) != "/split1" {
		t.Errorf("%q, %v", body, err)
	}
}

// TestClientGoes: a client that goes away while the server takes its time
// gives the server free, before the response and in the middle of it.
func TestClientGoes(t *testing.T) {
	ended := make(chan string, 1)
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/middle" {
			fmt.Fprint(w, "beginning")
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
		ended <- r.URL.Path
	})
	p := start(t, proxy.Options{})
	for _, path := range []string{"/before", "/middle"} {
		conn := listening(t, p, addr)
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
		if path == "/middle" {
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		testutil.Eventually(t, 10*time.Second, func() (bool, string) {
			n := p.Stats().Groups[0].Servers[0].InFlight
			return n == 1, fmt.Sprint(n)
		})
		conn.Close()
		if got := <-ended; got != path {
			t.Errorf("%s ended, want %s", got, path)
		}
		testutil.Eventually(t, 10*time.Second, func() (bool, string) {
			n := p.Stats().Groups[0].Servers[0].InFlight
			return n == 0, fmt.Sprint(n)
		})
	}
	if f := p.Stats().Groups[0].Servers[0].Failures; f != 0 {
		t.Errorf("%d failures; the server has not failed", f)
	}
}

// TestShutdownCuts: a response that does not end does not keep Run.
func TestShutdownCuts(t *testing.T) {
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "beginning")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	p := proxy.New(proxy.Options{ShutdownTimeout: 50 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	idle, busy := listening(t, p, addr), listening(t, p, addr)
	fmt.Fprint(busy, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, err := busy.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("Run does not end")
	}
	for _, conn := range []net.Conn{idle, busy} {
		if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Error(err)
		}
	}
}
