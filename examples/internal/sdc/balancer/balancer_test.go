package balancer_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/opnfv/clover/examples/internal/sdc/balancer"
	"github.com/opnfv/clover/examples/internal/sdc/control"
	"github.com/opnfv/clover/internal/testutil"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counted is a server that answers with what it was sent.
type counted struct {
	n    atomic.Int64
	addr string
}

func newCounted(t *testing.T) *counted {
	t.Helper()
	c := &counted{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.n.Add(1)
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(server.Close)
	c.addr = server.Listener.Addr().String()
	return c
}

func start(t *testing.T, servers ...string) (*balancer.Balancer, string) {
	t.Helper()
	transport := &http.Transport{}
	b, err := balancer.New(balancer.Options{Servers: servers, Transport: transport, Port: "9180", Logger: testutil.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(b)
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return b, server.URL
}

func post(client *http.Client, url, body string) (int, string, error) {
	res, err := client.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return res.StatusCode, string(data), err
}

func TestRoundRobinPassesOverTheDead(t *testing.T) {
	one, two := newCounted(t), newCounted(t)
	_, url := start(t, one.addr, testutil.FreeAddr(t), two.addr)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for i := range 60 {
		if status, body, err := post(client, url, fmt.Sprint(i)); err != nil || status != 200 || body != fmt.Sprint(i) {
			t.Fatalf("request %d: %d %q %v", i, status, body, err)
		}
	}
	if one.n.Load()+two.n.Load() != 60 || one.n.Load() < 20 || two.n.Load() < 20 {
		t.Errorf("the servers got %d and %d requests", one.n.Load(), two.n.Load())
	}
}

func TestAllDead(t *testing.T) {
	_, url := start(t, testutil.FreeAddr(t), testutil.FreeAddr(t))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if status, _, err := post(client, url, "x"); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("%d, %v", status, err)
	}
}

// TestNoRequestFailsWhileServersChange changes the servers as fast as it can
// while requests are sent.
func TestNoRequestFailsWhileServersChange(t *testing.T) {
	a, b := newCounted(t), newCounted(t)
	lb, url := start(t, a.addr)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	var senders sync.WaitGroup
	var sent, failed atomic.Int64
	for range 8 {
		senders.Go(func() {
			for range 100 {
				sent.Add(1)
				if status, body, err := post(client, url, "abc"); err != nil || status != 200 || body != "abc" {
					failed.Add(1)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { senders.Wait(); close(done) }()
	for changes := 0; ; changes++ {
		to, from := []string{b.addr}, a.addr
		if changes%2 == 1 {
			to, from = []string{a.addr}, b.addr
		}
		if before, err := lb.Configure(t.Context(), control.BalancerConfig{Servers: to}); err != nil || before[0] != from {
			t.Fatalf("change %d: before %v, %v", changes, before, err)
		}
		select {
		case <-done:
			if failed.Load() != 0 || a.n.Load()+b.n.Load() != sent.Load() {
				t.Errorf("%d of %d failed in %d changes; the servers got %d and %d", failed.Load(), sent.Load(), changes, a.n.Load(), b.n.Load())
			}
			return
		default:
		}
	}
}

func TestConfigureChecks(t *testing.T) {
	one := newCounted(t)
	lb, url := start(t, one.addr)
	for _, c := range []control.BalancerConfig{{}, {Port: "80", Servers: []string{one.addr}}} {
		if _, err := lb.Configure(t.Context(), c); !errors.Is(err, control.ErrInvalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := lb.Configure(t.Context(), control.BalancerConfig{Port: "9180", Path: "/app/", Servers: []string{one.addr}}); err != nil {
		t.Error(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{"/app": 200, "/app/x": 200, "/": 404, "/apple": 404} {
		if status, _, err := post(client, url+path, ""); err != nil || status != want {
			t.Errorf("%s: %d, %v; want %d", path, status, err, want)
		}
	}
	for _, servers := range [][]string{nil, {"a"}, {"https://a:1"}} {
		if _, err := balancer.New(balancer.Options{Servers: servers}); err == nil {
			t.Errorf("%v is accepted", servers)
		}
	}
}
