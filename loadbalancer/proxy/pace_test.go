package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/proxy"
)

// The header that makes a request go each way, see TestResponses.
var ways = map[string]string{"raw": "", "quick": "Keep-Alive: x\r\n", "long": "Te: trailers\r\n"}

func paced(t *testing.T, piece time.Duration) *proxy.Proxy {
	t.Helper()
	p := proxy.New(proxy.Options{})
	p.SetPieceTimeout(piece)
	run(t, p)
	return p
}

func released(t *testing.T, p *proxy.Proxy, way string) {
	t.Helper()
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		n := p.Stats().Groups[0].Servers[0].InFlight
		return n == 0, fmt.Sprintf("%s: %d requests at the server", way, n)
	})
}

// endless answers with a body that does not end.
func endless(w http.ResponseWriter, _ *http.Request) {
	for piece := make([]byte, 32<<10); ; {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

// busyPiece is more than a machine that is busy with others takes for a piece.
const busyPiece = 3 * time.Second

// TestClientDoesNotRead: a client that takes nothing does not keep its server.
func TestClientDoesNotRead(t *testing.T) {
	addr := origin(t, endless)
	proxies := map[string]*proxy.Proxy{}
	for way, header := range ways {
		p := paced(t, busyPiece)
		conn := listening(t, p, addr)
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", header)
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		proxies[way] = p
	}
	for way, p := range proxies {
		released(t, p, way)
	}
}

// TestServerStops: a server that stops in the middle of a body is given up.
func TestServerStops(t *testing.T) {
	for name, head := range map[string]string{"length": "Content-Length: 10", "chunked": "Transfer-Encoding: chunked"} {
		for way := range ways {
			ended := make(chan bool)
			addr := scripted(t, func(_ int, c net.Conn, r *bufio.Reader) {
				if _, err := http.ReadRequest(r); err != nil {
					return
				}
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%s\r\n\r\n4\r\nhalf\r\n", head)
				<-ended
			})
			t.Cleanup(func() { close(ended) })
			p := paced(t, 100*time.Millisecond)
			conn := listening(t, p, addr)
			fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", ways[way])
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil {
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s, %s: %v, want no end", name, way, err)
			}
			released(t, p, way)
		}
	}
}

// TestStreamDoesNotRead: a client of HTTP/2 that takes nothing of one stream
// loses that stream, also when it reads from others.
func TestStreamDoesNotRead(t *testing.T) {
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/endless" {
			endless(w, r)
		}
	})
	for _, method := range []string{http.MethodGet, http.MethodPut} { // the quick way and the long one
		p := paced(t, busyPiece) // the other streams must never be the ones that end
		c := to(addr)
		c.Listeners = []loadbalancer.Listener{{Address: testutil.FreeAddr(t), H2C: true}}
		apply(t, p, c)
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: protocols}
		t.Cleanup(transport.CloseIdleConnections)
		ask := func(path string) *http.Response {
			r, err := http.NewRequestWithContext(t.Context(), method, "http://"+c.Listeners[0].Address+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
		stalled := ask("/endless")
		defer stalled.Body.Close()
		testutil.Eventually(t, 10*time.Second, func() (bool, string) {
			other := ask("/other") // goes on meanwhile
			other.Body.Close()
			n := p.Stats().Groups[0].Servers[0].InFlight
			return other.StatusCode == http.StatusOK && n == 0, fmt.Sprintf("%s, %d requests at the server", other.Status, n)
		})
		if _, err := io.Copy(io.Discard, stalled.Body); err == nil {
			t.Errorf("%s: the response is said to be complete", method)
		}
	}
}

// TestSlowBody: a body as a whole may take longer than a piece of it.
func TestSlowBody(t *testing.T) {
	const pieces, pause, piece = 24, 500 * time.Millisecond, 10 * time.Second
	addr := origin(t, func(w http.ResponseWriter, r *http.Request) {
		for range pieces {
			fmt.Fprint(w, "x")
			_ = http.NewResponseController(w).Flush()
			if r.URL.Path == "/slow" {
				time.Sleep(pause)
			}
		}
	})
	var all sync.WaitGroup
	defer all.Wait()
	for way := range ways {
		conn := listening(t, paced(t, piece), addr)
		all.Go(func() { // they mostly wait
			r := bufio.NewReader(conn)
			for _, path := range []string{"/slow", "/again"} { // the connections are used again after that
				fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n", path, ways[way])
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Errorf("%s: %v", way, err)
					return
				}
				if body, err := io.ReadAll(res.Body); err != nil || len(body) != pieces {
					t.Errorf("%s: %q, %v", way, body, err)
				}
				res.Body.Close()
			}
		})
	}
}

// TestRefusedRequests: what the proxy answers itself, without the server.
func TestRefusedRequests(t *testing.T) {
	asked := make(chan string, 10)
	addr := origin(t, func(_ http.ResponseWriter, r *http.Request) { asked <- r.Method + " " + r.RequestURI })
	p := start(t, proxy.Options{})
	for _, test := range []struct {
		request string
		status  int
	}{
		{"CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n", 405},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /second HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: h\r\ntransfer-encoding: chunked\r\nContent-length: 5\r\n\r\n0\r\n\r\n", 400},
	} {
		conn := listening(t, p, addr)
		fmt.Fprint(conn, test.request)
		r := bufio.NewReader(conn)
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%q: %v", test.request, err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Errorf("%q: %v", test.request, err)
		}
		res.Body.Close()
		if res.StatusCode != test.status || res.StatusCode == 400 && !res.Close {
			t.Errorf("%q: %s, close %v; want %d", test.request, res.Status, res.Close, test.status)
		}
		if res.StatusCode == 400 {
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("%q: after the answer: %v, want EOF", test.request, err)
			}
		}
	}
	select {
	case got := <-asked:
		t.Errorf("the server was asked: %s", got)
	default:
	}
}
