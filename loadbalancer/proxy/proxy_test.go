package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// front serves a proxy that has the configuration, as a handler.
func front(t *testing.T, p *proxy.Proxy, c loadbalancer.Config) *httptest.Server {
	t.Helper()
	apply(t, p, c)
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	return s
}

func apply(t *testing.T, p *proxy.Proxy, c loadbalancer.Config) loadbalancer.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	res, err := p.Apply(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func to(addresses ...string) loadbalancer.Config {
	c := benchConfig(append([]string{""}, addresses...))
	c.Listeners = nil
	return c
}

func origin(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// scripted is a server that does with each connection what the test says.
func scripted(t *testing.T, serve func(n int, c net.Conn, r *bufio.Reader)) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(n, c, bufio.NewReader(c))
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func do(t *testing.T, method, url, body string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body == "" {
		r.Body = http.NoBody
	}
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header
}

// TestRetries: a request that a server may have acted on is not sent again,
// unless it is idempotent and has no body.
func TestRetries(t *testing.T) {
	var seen atomic.Int32
	cut := scripted(t, func(_ int, _ net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			seen.Add(1)
		}
	})
	good := origin(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "good") })
	dead := "127.0.0.1:1"
	for _, test := range []struct {
		method, body string
		servers      []string
		status       int
	}{
		{"GET", "", []string{cut, good}, 200},
		{"GET", "", []string{cut}, 502},
		{"POST", "body", []string{cut, good}, 502},
		{"POST", "", []string{cut, good}, 502},
		{"PUT", "body", []string{cut, good}, 502},
		{"DELETE", "", []string{cut, good}, 200},
		{"POST", "body", []string{dead, good}, 200},
		{"GET", "", []string{dead, "127.0.0.1:2"}, 502},
		{"GET", "", nil, 503},
	} {
		seen.Store(0)
		c := to(test.servers...)
		c.Groups[0].Failures.Max = -1
		s := front(t, proxy.New(proxy.Options{}), c)
		if status, body, _ := do(t, test.method, s.URL, test.body); status != test.status {
			t.Errorf("%s %q to %v: %d %q, want %d", test.method, test.body, test.servers, status, body, test.status)
		}
		if n := seen.Load(); n > 1 {
			t.Errorf("%s %q: the server that cuts has seen it %d times", test.method, test.body, n)
		}
	}
}

// TestStaleConnections: a server that closes idle connections costs nothing.
func TestStaleConnections(t *testing.T) {
	addr := scripted(t, func(n int, c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", n%10)
		}
	})
	s := front(t, proxy.New(proxy.Options{}), to(addr))
	for i := range 20 {
		if status, body, _ := do(t, "GET", s.URL, ""); status != http.StatusOK {
			t.Fatalf("request %d: %d %q", i, status, body)
		}
	}
}

// TestResponses: what servers answer comes through, and on each way that
// requests go the same.
func TestResponses(t *testing.T) {
	for name, raw := range map[string]string{
		"length":        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A: 1\r\nX-A: 2\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\nbody",
		"chunked":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
		"until the end": "HTTP/1.1 200 OK\r\n\r\nbody",
		"HTTP/1.0":      "HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nbody",
		"interim":       "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
		"no content":    "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
		"not modified":  "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\nEtag: \"1\"\r\n\r\n",
		"error":         "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\nbody",
		"cut":           "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbody",
		"nonsense":      "SSH-2.0-server\r\n\r\n",
		"much too long": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nbody",
	} {
		t.Run(name, func(t *testing.T) {
			addr := scripted(t, func(_ int, c net.Conn, r *bufio.Reader) {
				if _, err := http.ReadRequest(r); err == nil {
					_, _ = io.WriteString(c, raw)
				}
			})
			c := to(addr)
			c.Groups[0].Failures.Max = -1
			listen := testutil.FreeAddr(t)
			c.Listeners = []loadbalancer.Listener{{Address: listen}}
			apply(t, start(t, proxy.Options{}), c)
			get := func(header string) string {
				conn, err := net.Dial("tcp", listen)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: h\r\n%sConnection: close\r\n\r\n", header)
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					return err.Error()
				}
				defer res.Body.Close()
				body, err := io.ReadAll(res.Body)
				return fmt.Sprintln(res.StatusCode, res.Header["X-A"], res.Header["X-Hop"], res.Header["Etag"], string(body), err)
			}
			// A plain request goes the raw way, one with a header about the
			// connection through net/http, and one whose TE has a meaning
			// there through httputil.ReverseProxy.
			raw, short, long := get(""), get("Keep-Alive: x\r\n"), get("Te: trailers\r\n")
			if name == "interim" {
				long = short // only the last passes 103 on
			}
			if name == "cut" {
				raw = strings.TrimPrefix(raw, "200 [] [] [] body ") // only the first has sent what there was
				raw = strings.TrimSuffix(raw, "\n")
			}
			if raw != short || short != long {
				t.Errorf("raw %q, short %q, long %q", raw, short, long)
			}
			t.Log(strings.TrimSpace(raw))
		})
	}
}

// TestRequestHeads: what is about the connection stays there, and nobody gets
// a second request into one.
func TestRequestHeads(t *testing.T) {
	heads := make(chan http.Header, 1)
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) {
		h := r.Header.Clone()
		h.Set("Uri", r.RequestURI)
		heads <- h
	})
	s := front(t, proxy.New(proxy.Options{}), to(addr))
	for _, test := range []struct{ head, want string }{
		{"GET /a?b=%20;c HTTP/1.1\r\nHost: h\r\nX-Own: 1\r\nKeep-Alive: x\r\nProxy-Connection: x\r\n", "/a?b=%20;c"},
		{"GET /a HTTP/1.1\r\nHost: h\r\nX-Own: 1\r\nConnection: X-Secret\r\nX-Secret: 1\r\n", "/a"},
		{"OPTIONS * HTTP/1.1\r\nHost: h\r\nX-Own: 1\r\n", ""},
		{"GET http://other/a HTTP/1.1\r\nHost: h\r\nX-Own: 1\r\n", "/a"},
		{"POST / HTTP/1.1\r\nHost: h\r\nX-Own: 1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", "refused or one body"},
		{"GET / HTTP/1.1\r\nHost: h\r\nX-Own: a\rX-Injected: 1\r\n", "refused"},
		{"GET / HTTP/1.1\r\nHost: h\r\nX-Own : 1\r\n", "refused"},
	} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s\r\n0\r\n\r\n", test.head)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		conn.Close()
		if err != nil {
			t.Errorf("%q: %v", test.head, err)
			continue
		}
		res.Body.Close()
		select {
		case h := <-heads:
			if test.want == "refused" || strings.HasPrefix(test.want, "/") && h.Get("Uri") != test.want {
				t.Errorf("%q came as %q", test.head, h)
			}
			for _, name := range []string{"Keep-Alive", "Proxy-Connection", "X-Secret", "X-Injected", "Connection"} {
				if h.Get(name) != "" {
					t.Errorf("%q: %s came through", test.head, name)
				}
			}
			if h.Get("X-Own") != "1" {
				t.Errorf("%q: X-Own is %q", test.head, h["X-Own"])
			}
		default:
			if res.StatusCode < 400 && test.want != "" {
				t.Errorf("%q: %d without the server", test.head, res.StatusCode)
			}
		}
	}
}
