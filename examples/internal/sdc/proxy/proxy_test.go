package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/opnfv/clover/examples/internal/sdc/control"
	"github.com/opnfv/clover/examples/internal/sdc/proxy"
	"github.com/opnfv/clover/internal/testutil"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is a server that notes what it was asked.
type seen struct {
	mu       sync.Mutex
	bodies   []string
	forwards []string
	paths    []string
}

func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies = append(s.bodies, string(body))
	s.paths = append(s.paths, r.URL.RequestURI())
	s.forwards = append(s.forwards, strings.Join(r.Header.Values("X-Forwarded-For"), ","))
	w.WriteHeader(http.StatusAccepted)
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.paths)
}

func serve(t *testing.T, h http.Handler) (addr string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// start runs a proxy until the end of the test and returns its address.
func start(t *testing.T, o proxy.Options) (*proxy.Proxy, string) {
	t.Helper()
	transport := &http.Transport{}
	o.Transport, o.Logger = transport, testutil.Logger(t)
	if o.MirrorTimeout == 0 {
		o.MirrorTimeout = time.Minute // a busy machine must not change the ledger
	}
	p, err := proxy.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	addr := serve(t, p)
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		transport.CloseIdleConnections()
	})
	return p, addr
}

// send sends a request as a client behind a gateway.
func send(t *testing.T, addr, method, path, client, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", client)
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

func TestEachRequestIsMirroredWithItsBody(t *testing.T) {
	var up, copies seen
	p, addr := start(t, proxy.Options{Upstream: serve(t, &up), Mirror: serve(t, &copies), TrustedHops: 1})
	large := strings.Repeat("x", 100<<10)
	for _, body := range []string{"", "abc", large} {
		if got := send(t, addr, http.MethodPost, "/a%2Fb?q=1", "203.0.113.1", body); got != http.StatusAccepted {
			t.Errorf("status %d", got)
		}
	}
	testutil.Eventually(t, 60*time.Second, func() (bool, string) { return copies.count() == 3, "copies are missing" })
	var sizes []int
	for _, b := range copies.bodies {
		sizes = append(sizes, len(b))
	}
	if len(up.bodies) != 3 || up.bodies[2] != large || !containsAll(sizes, 0, 3, 64<<10) {
		t.Errorf("the upstream got %d bodies; the copies have %v bytes, want 0, 3 and the first 65536", len(up.bodies), sizes)
	}
	for _, s := range []*seen{&up, &copies} {
		if s.paths[0] != "/a%2Fb?q=1" || s.forwards[0] != "203.0.113.1" {
			t.Errorf("path %s, client %s", s.paths[0], s.forwards[0])
		}
	}
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		st := p.MirrorStats()
		return st == proxy.MirrorStats{Seen: 3, Sent: 3, Truncated: 1}, "the ledger is off"
	})
}

func containsAll(list []int, want ...int) bool {
	left := map[int]int{}
	for _, n := range list {
		left[n]++
	}
	for _, n := range want {
		left[n]--
	}
	for _, n := range left {
		if n != 0 {
			return false
		}
	}
	return true
}

// TestTheMirrorDoesNotMatter sends more than the queue holds while the IDS
// hangs, and then while it is dead.
func TestTheMirrorDoesNotMatter(t *testing.T) {
	hanging, err := net.Listen("tcp", "127.0.0.1:0") // accepts, never answers
	if err != nil {
		t.Fatal(err)
	}
	defer hanging.Close()
	for name, mirror := range map[string]string{"hanging": hanging.Addr().String(), "dead": testutil.FreeAddr(t)} {
		var up seen
		p, addr := start(t, proxy.Options{Upstream: serve(t, &up), Mirror: mirror, MirrorTimeout: 500 * time.Millisecond})
		const requests = 400
		client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
		begin := time.Now()
		for range requests {
			res, err := client.Post("http://"+addr+"/", "text/plain", bytes.NewReader([]byte("abc")))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusAccepted {
				t.Fatalf("%s: status %d", name, res.StatusCode)
			}
		}
		client.CloseIdleConnections()
		// One after another: had each waited for its copy it had taken 200 s.
		if took := time.Since(begin); took > 100*time.Second {
			t.Errorf("%s: %d requests took %s", name, requests, took)
		}
		st := p.MirrorStats()
		if st.Seen != requests || st.Sent != 0 || st.Dropped+st.Failed > requests {
			t.Errorf("%s: ledger %+v", name, st)
		}
		if name == "hanging" && st.Dropped == 0 {
			t.Errorf("hanging: nothing was left out: %+v", st)
		}
	}
}

// events knows one event.
type events struct{}

func (events) Source(_ context.Context, key string) (netip.Addr, error) {
	if key != "snort_event:1" {
		return netip.Addr{}, errors.New("no such event")
	}
	return netip.MustParseAddr("203.0.113.7"), nil
}

func TestAlertsBlockTheirSource(t *testing.T) {
	var up seen
	p, addr := start(t, proxy.Options{
		Upstream: serve(t, &up), TrustedHops: 1, BlockFor: time.Hour, Events: events{},
		NeverBlock: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	alert := func(a control.Alert) (control.Verdict, error) { return p.Alerted(t.Context(), a) }
	if v, err := alert(control.Alert{EventID: "1", RedisKey: "snort_event:1"}); err != nil || !v.Blocked {
		t.Errorf("by key: %+v, %v", v, err)
	}
	if v, err := alert(control.Alert{EventID: "2", Source: netip.MustParseAddr("::ffff:203.0.113.8")}); err != nil || !v.Blocked {
		t.Errorf("by address: %+v, %v", v, err)
	}
	if v, err := alert(control.Alert{EventID: "3", Source: netip.MustParseAddr("10.1.2.3")}); err != nil || v.Blocked {
		t.Errorf("an exempt address: %+v, %v", v, err)
	}
	if _, err := alert(control.Alert{EventID: "4"}); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("without a source: %v", err)
	}
	if _, err := alert(control.Alert{EventID: "5", RedisKey: "snort_event:2"}); err == nil {
		t.Error("an event that is not there is accepted")
	}
	for client, want := range map[string]int{
		"203.0.113.7": 403, "203.0.113.8": 403, "203.0.113.9": 202, "10.1.2.3": 202,
		"203.0.113.9, 203.0.113.8": 403, "203.0.113.8, 203.0.113.9": 202, // only the last hop counts
	} {
		if got := send(t, addr, http.MethodGet, "/", client, ""); got != want {
			t.Errorf("client %s: %d, want %d", client, got, want)
		}
	}
	err := p.Configure(t.Context(), control.ProxyConfig{
		Block: []netip.Addr{netip.MustParseAddr("203.0.113.9")}, Unblock: []netip.Addr{netip.MustParseAddr("203.0.113.7")},
	})
	if got := p.Blocked(); err != nil || len(got) != 2 || got[0].String() != "203.0.113.8" || got[1].String() != "203.0.113.9" {
		t.Errorf("blocked %v, %v", got, err)
	}
	if err := p.Configure(t.Context(), control.ProxyConfig{Block: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("an exempt address: %v", err)
	}
}

func TestConfigureMovesTheRoute(t *testing.T) {
	var first, second, copies seen
	p, addr := start(t, proxy.Options{Upstream: serve(t, &first), Port: "9180"})
	if got := send(t, addr, http.MethodGet, "/x", "", ""); got != 202 {
		t.Errorf("status %d", got)
	}
	err := p.Configure(t.Context(), control.ProxyConfig{Port: "9180", Upstream: serve(t, &second), Mirror: serve(t, &copies), LocationPath: "/app"})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/app": 202, "/app/x": 202, "/apple": 404, "/": 404} {
		if got := send(t, addr, http.MethodGet, path, "", ""); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	testutil.Eventually(t, 60*time.Second, func() (bool, string) { return copies.count() == 2, "copies are missing" })
	if first.count() != 1 || second.count() != 2 {
		t.Errorf("the upstreams got %d and %d requests", first.count(), second.count())
	}
	if err := p.Configure(t.Context(), control.ProxyConfig{Mirror: control.NoMirror}); err != nil {
		t.Error(err)
	}
	if err := p.Configure(t.Context(), control.ProxyConfig{Port: "80"}); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("another port: %v", err)
	}
	if send(t, addr, http.MethodGet, "/app", "", ""); p.MirrorStats().Seen != 2 {
		t.Errorf("mirrored after the end of the mirror: %+v", p.MirrorStats())
	}
}

func TestAnUpstreamThatIsAway(t *testing.T) {
	_, addr := start(t, proxy.Options{Upstream: testutil.FreeAddr(t)})
	if got := send(t, addr, http.MethodPost, "/", "", "body"); got != http.StatusServiceUnavailable {
		t.Errorf("status %d", got)
	}
	for _, o := range []proxy.Options{{}, {Upstream: "a"}, {Upstream: "a:1", Mirror: "b"}, {Upstream: "a:1", TrustedHops: -1}} {
		if _, err := proxy.New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
