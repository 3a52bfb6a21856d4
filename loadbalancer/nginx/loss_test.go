package nginx

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/loadbalancer"
)

// strictClient keeps one connection to addr and asks again and again, with a
// pause between. It counts each request that gets no whole answer of status
// 200, and never repeats one. Unlike net/http it does not look whether the
// connection was ended meanwhile.
func strictClient(ctx context.Context, addr string, pause time.Duration, closes bool, sent, failed *atomic.Int64) {
	var conn net.Conn
	var r *bufio.Reader
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	header := "Host: x\r\n"
	if closes {
		header += "Connection: close\r\n"
	}
	for ctx.Err() == nil {
		if conn == nil {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				sent.Add(1)
				failed.Add(1)
				continue
			}
			conn, r = c, bufio.NewReader(c)
		}
		sent.Add(1)
		keep, err := exchange(conn, r, header)
		if err != nil {
			failed.Add(1)
		}
		if err != nil || !keep {
			conn.Close()
			conn = nil
		}
		if pause > 0 {
			time.Sleep(pause)
		}
	}
}

// exchange sends a request that must not be repeated and reads its answer.
func exchange(conn net.Conn, r *bufio.Reader, header string) (keep bool, err error) {
	if _, err := io.WriteString(conn, "POST /x HTTP/1.1\r\n"+header+"Content-Length: 1\r\n\r\nx"); err != nil {
		return false, err
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return false, err
	}
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %.100s", res.StatusCode, body)
	}
	return !res.Close, err
}

// plainOrigin answers every request with its own name, without net/http, to be
// cheap.
func plainOrigin(t testing.TB, name string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.Map
	t.Cleanup(func() {
		l.Close()
		open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
	})
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(name)) + "\r\n\r\n" + name)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(c, nil)
			go func() {
				defer c.Close()
				buf := make([]byte, 64<<10)
				had := 0
				for {
					n, err := c.Read(buf[had:])
					if err != nil {
						return
					}
					had += n
					if bytes.HasSuffix(buf[:had], []byte("\r\n\r\nx")) {
						had = 0
						if _, err := c.Write(answer); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// losses makes changes under load and returns what clients saw.
func losses(t testing.TB, dr *Driver, changes int) (sent, failed int64, slowest time.Duration) {
	addr := testutil.FreeAddr(t)
	origins := []string{plainOrigin(t, "one"), plainOrigin(t, "two"), plainOrigin(t, "three")}
	with := func(i int) loadbalancer.Config {
		return loadbalancer.Config{
			Listeners: []loadbalancer.Listener{{Address: addr}},
			Groups: []loadbalancer.Group{{Name: "g", Servers: []loadbalancer.Server{
				{Address: origins[i%3]}, {Address: origins[(i+1)%3], Weight: 1 + i%7},
			}}},
			Routes: []loadbalancer.Route{{Group: "g"}},
		}
	}
	apply(t, dr, with(0))
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var s, f atomic.Int64
	for i := range 32 {
		clients.Go(func() { strictClient(ctx, addr, 0, false, &s, &f) })
		clients.Go(func() { strictClient(ctx, addr, time.Duration(5+i)*time.Millisecond, false, &s, &f) })
		if i%4 == 0 {
			clients.Go(func() { strictClient(ctx, addr, time.Millisecond, true, &s, &f) })
		}
	}
	for i := range changes {
		r := apply(t, dr, with(i+1))
		slowest = max(slowest, r.Took)
	}
	cancel()
	clients.Wait()
	return s.Load(), f.Load(), slowest
}

func TestReloadLosesNothing(t *testing.T) {
	changes := 3
	if n, err := strconv.Atoi(os.Getenv("CLOVER_NGINX_CHANGES")); err == nil {
		changes = n
	}
	eachProgram(t, func(t *testing.T, path string) {
		dr := running(t, Options{Program: path, Workers: 2, KeepAlive: 4 * time.Second, DrainTime: 4 * time.Second})
		sent, failed, slowest := losses(t, dr, changes)
		t.Logf("nginx %s: %d requests, %d failed in %d changes, slowest %s", dr.Describe().Version, sent, failed, changes, slowest)
		if failed > 0 || !dr.Describe().Promise.LosesNone {
			t.Errorf("%d of %d failed", failed, sent)
		}
	})
}
