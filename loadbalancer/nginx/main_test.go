package nginx

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/loadbalancer"
)

func TestMain(m *testing.M) { leak.Main(m) }

// programs are the versions of nginx that the driver is tested with.
func programs() []components.Component {
	return []components.Component{components.Nginx(), components.NginxStable(), components.NginxMainline()}
}

// eachProgram runs a test with each version.
func eachProgram(t *testing.T, test func(t *testing.T, path string)) {
	for _, c := range programs() {
		t.Run(c.Name, func(t *testing.T) { test(t, testutil.Require(t, c)) })
	}
}

// folder makes a folder that workers of another user may read, as the test's
// own is not.
func folder(t testing.TB) string {
	dir, err := os.MkdirTemp("", "clover-nginx-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// running starts a driver until the end of the test.
func running(t testing.TB, o Options) *Driver {
	t.Helper()
	if o.Dir == "" {
		o.Dir = folder(t)
	}
	o.ApplyTimeout = cmp.Or(o.ApplyTimeout, 2*time.Minute) // the machine may be busy
	dr, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	start(t, dr)
	return dr
}

// start runs a driver; the returned function ends it.
func start(t testing.TB, dr *Driver) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- dr.Run(ctx) }()
	stop = func() {
		if cancel == nil {
			return
		}
		cancel()
		cancel = nil
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if t.Failed() {
			text, _ := os.ReadFile(dr.file(logFile))
			t.Logf("log of nginx:\n%.8000s", text)
		}
	}
	t.Cleanup(func() { stop() })
	return stop
}

func apply(t testing.TB, dr *Driver, c loadbalancer.Config) loadbalancer.Result {
	t.Helper()
	r, err := dr.Apply(t.Context(), c)
	if err != nil {
		text, _ := os.ReadFile(dr.file(confFile))
		t.Fatalf("Apply: %v\n%s", err, text)
	}
	return r
}

// origin is a server that says its name and what it was asked.
func origin(t testing.TB, name string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Logf("origin %s: %v", name, err)
		}
		w.Header().Set("X-Origin", name)
		fmt.Fprintf(w, "%s %s %s host=%s xff=%s body=%s", name, r.Method, r.RequestURI, r.Host, r.Header.Get("X-Forwarded-For"), body)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// get asks once, on a connection of its own.
func get(t testing.TB, method, url string, set func(r *http.Request)) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	if set != nil {
		set(r)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// ask sends a path as it is, which net/http would change.
func ask(t testing.TB, addr, path, host, xff string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text := "GET " + path + " HTTP/1.1\r\nHost: " + cmp.Or(host, "127.0.0.1") + "\r\nConnection: close\r\n"
	if xff != "" {
		text += "X-Forwarded-For: " + xff + "\r\n"
	}
	if _, err := io.WriteString(conn, text+"\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(all)
}

// dialer reports whether an address can be connected to.
func dialer(addr string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}
