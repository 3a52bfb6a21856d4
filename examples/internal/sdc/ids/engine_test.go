package ids

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/opnfv/clover/examples/internal/sdc/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func rule(t *testing.T, sid, rev, protocol, content string, source, destination control.End) control.Rule {
	t.Helper()
	r, err := control.ParseRule(sid, rev, protocol, "m", content, source, destination)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var anywhere = control.End{Address: "any", Port: "any"}

func sids(rules []control.Rule) string {
	var list []string
	for _, r := range rules {
		list = append(list, fmt.Sprint(r.SID))
	}
	return strings.Join(list, " ")
}

func TestRulesMatchWhatTheySay(t *testing.T) {
	e := &Engine{}
	for i, r := range []control.Rule{
		rule(t, "1", "1", "tcp", `"needle"`, anywhere, anywhere),
		rule(t, "2", "1", "tcp", `"NEEDLE"; nocase`, anywhere, anywhere),
		rule(t, "3", "1", "tcp", ``, control.End{Address: "203.0.113.0/24", Port: "any"}, anywhere),
		rule(t, "4", "1", "ip", ``, control.End{Address: "!203.0.113.9", Port: "any"}, control.End{Address: "$HOME_NET", Port: "80:90"}),
		rule(t, "5", "1", "icmp", ``, anywhere, anywhere),
		rule(t, "6", "1", "tcp", ``, control.End{Address: "any", Port: "1:"}, control.End{Address: "any", Port: "!80"}),
	} {
		if n, err := e.AddRule(t.Context(), r); err != nil || n != i+1 {
			t.Fatalf("%d, %v", n, err)
		}
	}
	for _, c := range []struct{ source, destination, payload, want string }{
		{"203.0.113.9:1000", "10.0.0.1:80", "a needle", "1 2 3"},
		{"203.0.113.8:1000", "10.0.0.1:91", "a NEEDLE", "2 3 6"},
		{"198.51.100.1:0", "10.0.0.1:85", "", "4"},
	} {
		p := Packet{Source: netip.MustParseAddrPort(c.source), Destination: netip.MustParseAddrPort(c.destination), Payload: []byte(c.payload)}
		if got := sids(e.Match(p)); got != c.want {
			t.Errorf("%+v: %s, want %s", c, got, c.want)
		}
	}
}

func TestRevisionsAndState(t *testing.T) {
	e := NewEngine()
	n := len(DefaultRules())
	if got, err := e.AddRule(t.Context(), rule(t, "10", "2", "tcp", `"a"`, anywhere, anywhere)); err != nil || got != n+1 {
		t.Errorf("%d, %v", got, err)
	}
	if _, err := e.AddRule(t.Context(), rule(t, "10", "1", "tcp", `"b"`, anywhere, anywhere)); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("an earlier revision: %v", err)
	}
	if got, err := e.AddRule(t.Context(), rule(t, "10", "2", "tcp", `"c"`, anywhere, anywhere)); err != nil || got != n+1 {
		t.Errorf("the same revision: %d, %v", got, err)
	}
	p := Packet{Payload: []byte("c")}
	state, err := e.Stop(t.Context())
	if err != nil || state.Engine != EngineName || state.PID == 0 || len(e.Match(p)) != 0 {
		t.Errorf("stopped: %+v, %v, %v", state, err, e.Match(p))
	}
	if _, err := e.Start(t.Context()); err != nil || sids(e.Match(p)) != "10" {
		t.Errorf("started: %v, %v", err, e.Match(p))
	}
	for i := range maxRules {
		_, err = e.AddRule(t.Context(), rule(t, fmt.Sprint(100+i), "1", "tcp", `"x"`, anywhere, anywhere))
	}
	if err == nil {
		t.Error("there is no limit of rules")
	}
}

func TestTheMonitorSeesTheWholeRequest(t *testing.T) {
	var raised []Event
	m := &Monitor{Engine: NewEngine(), TrustedHops: 1, Raise: func(_ context.Context, e Event) { raised = append(raised, e) }}
	for _, c := range []struct{ agent, path, body, want string }{
		{"asafaweb.com", "/", "", "9000001"},
		{"curl/8", "/x?f=../../etc/passwd", "", "9000004"},
		{"Mozilla/5.0", "/", "text=/ETC/passwd", "9000004"},
		{"Mozilla/5.0", "/", "", ""},
	} {
		raised = nil
		r := httptest.NewRequest(http.MethodPost, c.path, strings.NewReader(c.body))
		r.Header.Set("User-Agent", c.agent)
		r.Header.Set("X-Forwarded-For", "198.51.100.1, 203.0.113.9")
		r.Header.Set("Authorization", "Bearer secret")
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		var got []control.Rule
		for _, e := range raised {
			got = append(got, e.Rule)
			if e.Source.Addr().String() != "203.0.113.9" || strings.Contains(e.Packet, "secret") || !strings.Contains(e.Packet, c.agent) {
				t.Errorf("event %+v", e)
			}
		}
		if w.Code != 200 || sids(got) != c.want {
			t.Errorf("%+v: %d, %q", c, w.Code, sids(got))
		}
	}
}
