package ids

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/ids"
	"github.com/opnfv/clover/ids/alert"
	"github.com/opnfv/clover/ids/engine"
	"github.com/opnfv/clover/ids/starter"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

func sids(rules []*ids.Rule) string {
	var list []string
	for _, r := range rules {
		list = append(list, fmt.Sprint(r.SID()))
	}
	return strings.Join(list, " ")
}

func load(t *testing.T, e *Engine, rules string) engine.Counts {
	t.Helper()
	counts, err := e.Replace(t.Context(), []byte(rules))
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

func TestRulesMatchWhatTheySay(t *testing.T) {
	e := NewEngine()
	counts := load(t, e, `
alert tcp any any -> any any (msg:"m"; content:"needle"; sid:1;)
alert tcp any any -> any any (msg:"m"; content:"NEEDLE"; nocase; sid:2;)
alert tcp 203.0.113.0/24 any -> any any (msg:"m"; sid:3;)
alert ip !203.0.113.9 any -> $HOME_NET 80:90 (msg:"m"; sid:4;)
alert icmp any any -> any any (msg:"m"; sid:5;)
alert tcp any 1: -> any !80 (msg:"m"; sid:6;)
alert http any any -> any any (msg:"m"; http.method; content:"GET"; http.uri; content:!"/x"; sid:7;)
alert http [203.0.113.0/24,!203.0.113.9] any -> any [80,91] (msg:"m"; sid:8;)
alert http any any -> any any (msg:"m"; content:"x"; depth:3; sid:9;)
# alert tcp any any -> any any (msg:"m"; sid:10;)
`)
	if counts.Loaded != 7 || counts.Skipped != 2 {
		t.Errorf("%+v", counts)
	}
	for _, c := range []struct{ source, destination, payload, uri, want string }{
		{"203.0.113.9:1000", "10.0.0.1:80", "a needle", "/y", "1 2 3 7"},
		{"203.0.113.8:1000", "10.0.0.1:91", "a NEEDLE", "/x", "2 3 6 8"},
		{"198.51.100.1:0", "10.0.0.1:85", "", "/x", "4"},
	} {
		r := &Request{
			Source: netip.MustParseAddrPort(c.source), Destination: netip.MustParseAddrPort(c.destination),
			Buffers: map[string][]byte{ids.Payload: []byte(c.payload), "http.method": []byte("GET"), "http.uri": []byte(c.uri)},
		}
		if got := sids(e.Match(r)); got != c.want {
			t.Errorf("%+v: %s, want %s", c, got, c.want)
		}
	}
}

func TestStateAndWrongRules(t *testing.T) {
	e := NewEngine()
	load(t, e, `alert tcp any any -> any any (msg:"m"; sid:1;)`)
	if _, err := e.Replace(t.Context(), []byte("alert tcp any (")); !errors.Is(err, engine.ErrRules) {
		t.Errorf("a wrong rule: %v", err)
	}
	state, err := e.Stop(t.Context())
	if err != nil || state.Name != EngineName || state.PID == 0 || len(e.Match(&Request{})) != 0 {
		t.Errorf("stopped: %+v, %v", state, err)
	}
	if _, err := e.Start(t.Context()); err != nil || sids(e.Match(&Request{})) != "1" {
		t.Errorf("started: %v", err)
	}
	if stats, err := e.Stats(t.Context()); err != nil || stats.Packets != 2 || stats.Alerts != 1 || stats.Rules.Loaded != 1 {
		t.Errorf("%+v, %v", stats, err)
	}
}

func TestTheMonitorSeesTheWholeRequest(t *testing.T) {
	base, _ := starter.Rules(ids.Suricata)
	e := NewEngine()
	load(t, e, base.String())
	var raised []*alert.Alert
	m := &Monitor{Engine: e, TrustedHops: 1, Raise: func(a *alert.Alert) { raised = append(raised, a) }}
	for _, c := range []struct{ agent, path, want string }{
		{"asafaweb.com", "/", "9000001"},
		{"curl/8", "/etc/passwd", "9000004"},
		{"Mozilla/5.0", "/?q=<script>", "9000040"},
		{"Mozilla/5.0", "/", ""},
	} {
		raised = nil
		r := httptest.NewRequest(http.MethodPost, c.path, strings.NewReader("body"))
		r.Header.Set("User-Agent", c.agent)
		r.Header.Set("X-Forwarded-For", "198.51.100.1, 203.0.113.9")
		r.Header.Set("Authorization", "Bearer secret")
		r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		var got []string
		for _, a := range raised {
			got = append(got, fmt.Sprint(a.SignatureID))
			if a.Client().String() != "203.0.113.9" || strings.Contains(string(a.Payload), "secret") || !strings.Contains(string(a.Payload), "Traceparent: 00-4bf9") {
				t.Errorf("%+v", a)
			}
		}
		if w.Code != 200 || strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %d, %q", c, w.Code, got)
		}
	}
}

// TestAlertsWaitForTheProxy: they come in order when it is there.
func TestAlertsWaitForTheProxy(t *testing.T) {
	dir := t.TempDir()
	source := NewSource()
	var mu sync.Mutex
	var got []string
	away := true
	sink := alert.SinkFunc(func(_ context.Context, alerts []alert.Alert) error {
		mu.Lock()
		defer mu.Unlock()
		if away {
			return errors.New("away")
		}
		for _, a := range alerts {
			got = append(got, a.ID)
		}
		return nil
	})
	run := func(during func(p *Pipeline)) {
		p, err := NewPipeline(PipelineOptions{Source: source, Proxy: sink, SpoolDir: dir, Logger: testutil.Logger(t)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		during(p)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	run(func(p *Pipeline) {
		for _, id := range []string{"a", "b", "c"} {
			source.Raise(&alert.Alert{ID: id, Time: time.Now()})
		}
		testutil.Eventually(t, 20*time.Second, func() (bool, string) {
			l := p.Ledger()
			return l["proxy waiting"] == 3, fmt.Sprint(l)
		})
	})
	mu.Lock()
	away = false
	mu.Unlock()
	run(func(p *Pipeline) {
		testutil.Eventually(t, 20*time.Second, func() (bool, string) {
			l := p.Ledger()
			return l["proxy delivered"] == 3, fmt.Sprint(l)
		})
	})
	if strings.Join(got, "") != "abc" {
		t.Errorf("%q", got)
	}
}
