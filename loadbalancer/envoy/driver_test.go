package envoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
	"github.com/opnfv/clover/loadbalancer"
)

// origin is a server that says its name.
func origin(t testing.TB, name string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// simple is a load balancer with one server.
func simple(listen, server string) loadbalancer.Config {
	return loadbalancer.Config{
		Listeners: []loadbalancer.Listener{{Address: listen}},
		Groups:    []loadbalancer.Group{{Name: "g", Servers: []loadbalancer.Server{{Address: server}}}},
		Routes:    []loadbalancer.Route{{Group: "g"}},
	}
}

func apply(t testing.TB, d *Driver, c loadbalancer.Config) loadbalancer.Result {
	t.Helper()
	r, err := d.Apply(t.Context(), c)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	return r
}

// answer asks once and returns what the server said.
func answer(ctx context.Context, client *http.Client, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, body)
	}
	return string(body), err
}

// plainClient makes a connection for each request.
func plainClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

func served(t *testing.T, addr, name string) {
	t.Helper()
	if got, err := answer(t.Context(), plainClient(), "http://"+addr+"/"); err != nil || got != name {
		t.Errorf("%q, %v, want %q", got, err, name)
	}
}

// TestApplyAfterRun: nobody waits for an Envoy that cannot come any more.
func TestApplyAfterRun(t *testing.T) {
	dir, err := os.MkdirTemp("", "clover-envoy-") // a short path, for sockets
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	d, err := New(t.Context(), Options{Dir: dir, ApplyTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Run(ctx); err != nil {
		t.Fatal(err)
	}
	limited, cancelLimited := context.WithTimeout(t.Context(), time.Minute)
	defer cancelLimited()
	if _, err := d.Apply(limited, simple("127.0.0.1:1", "127.0.0.1:2")); !errors.Is(err, ErrNotRunning) {
		t.Errorf("%v, want %v", err, ErrNotRunning)
	}
}

func TestRefusalLeavesAll(t *testing.T) {
	d := running(t, Options{Concurrency: 2})
	addr := testutil.FreeAddr(t)
	good := simple(addr, origin(t, "good"))
	apply(t, d, good)
	before := d.current

	// Everything about it is new, and Envoy refuses one part: there is no such
	// certificate.
	bad := simple(addr, origin(t, "bad"))
	bad.Groups[0].Method = loadbalancer.LeastConnections
	bad.Listeners = append(bad.Listeners, loadbalancer.Listener{
		Address: testutil.FreeAddr(t), CertFile: "/nowhere/cert.pem", KeyFile: "/nowhere/key.pem",
	})
	_, err := d.Apply(t.Context(), bad)
	var e *loadbalancer.ApplyError
	if !errors.As(err, &e) || !errors.Is(err, loadbalancer.ErrRejected) || e.Step != "LDS" || !strings.Contains(e.Output, "/nowhere/") {
		t.Errorf("error is %v", err)
	}
	served(t, addr, "good")
	for _, k := range []kind{clusters, endpoints, listeners} {
		if !d.xds.has(k).equal(before[k]) {
			t.Errorf("%s is not as before", k)
		}
	}
	if r := apply(t, d, good); r.Changed {
		t.Error("what is in effect is a change")
	}
	apply(t, d, simple(addr, origin(t, "next")))
	served(t, addr, "next")
	if v := d.Describe().Version; v != components.Envoy().Version {
		t.Errorf("version is %q", v)
	}
}

// TestServersByName are resolved by Envoy.
func TestServersByName(t *testing.T) {
	d := running(t, Options{})
	addr := testutil.FreeAddr(t)
	apply(t, d, simple(addr, strings.Replace(origin(t, "one"), "127.0.0.1", "localhost", 1)))
	served(t, addr, "one")
	apply(t, d, simple(addr, strings.Replace(origin(t, "two"), "127.0.0.1", "localhost", 1)))
	served(t, addr, "two")
	apply(t, d, simple(addr, origin(t, "three")))
	served(t, addr, "three")
}

func TestTLS(t *testing.T) {
	d := running(t, Options{})
	addr := testutil.FreeAddr(t)
	c := simple(addr, origin(t, "one"))
	authority := testutil.NewAuthority(t)
	c.Listeners[0].CertFile, c.Listeners[0].KeyFile = authority.Server(t)
	apply(t, d, c)
	for _, h2 := range []bool{false, true} {
		transport := &http.Transport{
			DisableKeepAlives: true, ForceAttemptHTTP2: h2,
			TLSClientConfig: authority.ClientConfig(t),
		}
		if got, err := answer(t.Context(), &http.Client{Transport: transport}, "https://"+addr+"/"); err != nil || got != "one" {
			t.Errorf("HTTP/2 %v: %q, %v", h2, got, err)
		}
	}
}

// TestSomebodyElsesEnvoy is started by its bootstrap and comes back with what
// it had.
func TestSomebodyElsesEnvoy(t *testing.T) {
	path := testutil.Require(t, components.Envoy())
	dir, err := os.MkdirTemp("", "clover-envoy-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d, err := New(t.Context(), Options{Dir: dir, ApplyTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	addr := testutil.FreeAddr(t)
	c := simple(addr, origin(t, "one"))
	if _, err := d.Apply(t.Context(), c); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, loadbalancer.ErrRejected) {
		t.Errorf("without an Envoy: %v", err)
	}
	d.options.ApplyTimeout = 2 * time.Minute
	file := filepath.Join(dir, "bootstrap.json")
	if err := os.WriteFile(file, d.Bootstrap(), 0o600); err != nil {
		t.Fatal(err)
	}
	command := testutil.Command{Name: "envoy", Path: path, Args: []string{
		"--config-path", file, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning",
	}}
	process := testutil.Start(t, command)
	apply(t, d, c)
	served(t, addr, "one")
	process.Kill()
	testutil.Start(t, command)
	testutil.Eventually(t, 20*time.Second, func() (bool, string) {
		got, err := answer(t.Context(), plainClient(), "http://"+addr+"/")
		return err == nil && got == "one", fmt.Sprint(got, err)
	})
	apply(t, d, simple(addr, origin(t, "two")))
	served(t, addr, "two")
}

func TestEnvoyEndsByItself(t *testing.T) {
	path := testutil.Require(t, components.Envoy())
	dir, err := os.MkdirTemp("", "clover-envoy-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d, err := New(t.Context(), Options{Dir: dir, Program: path, ApplyTimeout: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.Run(t.Context()) }()
	apply(t, d, loadbalancer.Config{})
	if err := d.endOther(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "ended by itself") {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("Run goes on")
	}
}
