package envoymesh

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

// flushTicks is how often a proxy's flush timers must fire until everything
// buffered before is sent: its two threads have a timer each.
const flushTicks = 6

// activity is what the proxies say about requests and spans.
type activity struct {
	busy     string         // a counter of something under way, or ""
	requests float64        // requests seen, ever
	sent     float64        // spans sent, ever
	lost     float64        // spans or reports that could not be sent, ever
	ticks    map[string]int // a proxy's timer
}

// Settle waits until no proxy has a request under way and each has sent the
// spans it had, and returns how many they have sent since they started. It
// fails the test if a proxy could not deliver some.
func (m *Mesh) Settle(limit time.Duration) int {
	m.t.Helper()
	var base *activity
	var now activity
	testutil.Eventually(m.t, limit, func() (bool, string) {
		var err error
		if now, err = m.activity(m.t.Context()); err != nil {
			return false, err.Error()
		}
		if now.busy != "" {
			base = nil
			return false, now.busy
		}
		if base == nil || base.requests != now.requests {
			first := now
			base = &first
		}
		for proxy, ticks := range now.ticks {
			if ticks < base.ticks[proxy]+flushTicks {
				return false, fmt.Sprintf("%s has flushed %d times since it is idle", proxy, ticks-base.ticks[proxy])
			}
		}
		return true, ""
	})
	if now.lost > 0 {
		m.t.Fatalf("the proxies could not deliver %v reports", now.lost)
	}
	return int(now.sent)
}

// WaitSpans waits until every span of the proxies is in Jaeger, and returns
// them. Jaeger and the proxies must not have been restarted since the mesh
// started, because neither would remember the same.
func (m *Mesh) WaitSpans(j *testutil.JaegerServer, limit time.Duration) []testutil.JaegerSpan {
	m.t.Helper()
	sent := m.Settle(limit)
	var ours []testutil.JaegerSpan
	testutil.Eventually(m.t, limit, func() (bool, string) {
		all, err := j.Spans(m.t.Context())
		if err != nil {
			return false, err.Error()
		}
		ours = ours[:0]
		for _, s := range all {
			if s.Tags["component"] == "proxy" {
				ours = append(ours, s)
			}
		}
		return len(ours) == sent, fmt.Sprintf("%d of %d spans are in Jaeger", len(ours), sent)
	})
	return ours
}

// activity asks each proxy. The order is that of the requests, so that none
// can slip by between two of the questions.
func (m *Mesh) activity(ctx context.Context) (activity, error) {
	a := activity{ticks: map[string]int{}}
	tracing := "tracing." + m.options.Tracer.String() + "."
	for _, p := range m.Proxies() {
		stats, err := p.Stats(ctx, `^tracing\.|rq_active$|rq_pending_active$|downstream_rq_total$`, false)
		if err != nil {
			return a, err
		}
		for name, value := range stats {
			switch {
			case strings.HasPrefix(name, "http.admin."):
			case strings.HasSuffix(name, "_active") && value > 0:
				a.busy = fmt.Sprintf("%s: %s is %v", p.Service, name, value)
			case strings.HasSuffix(name, ".downstream_rq_total") && strings.HasPrefix(name, "http."):
				a.requests += value
			}
		}
		a.ticks[p.Service] = int(stats[tracing+"timer_flushed"])
		a.sent += stats[tracing+"spans_sent"]
		for _, lost := range []string{"spans_dropped", "reports_dropped", "reports_failed", "reports_skipped_no_cluster"} {
			a.lost += stats[tracing+lost]
		}
	}
	return a, nil
}
