package monitoring

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

// TestRealPrometheus has a real Prometheus scrape what a sidecar of an Istio
// mesh gave, beside a counter that grows and starts again from zero.
func TestRealPrometheus(t *testing.T) {
	sidecar, err := os.ReadFile(samplePath)
	if err != nil {
		t.Fatal(err)
	}
	var counter atomic.Int64
	counter.Store(5) // before anything is scraped
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintf(w, "%s\n# TYPE my_requests_total counter\nmy_requests_total %d\n", sidecar, counter.Load())
	}))
	defer target.Close()
	prometheus := testutil.Prometheus(t, testutil.PrometheusOptions{
		ScrapeConfigs: []testutil.ScrapeConfig{{Job: "sidecar", Targets: []string{strings.TrimPrefix(target.URL, "http://")}}},
	})
	c, err := New(Options{URL: prometheus.URL, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	prometheus.WaitScraped(30 * time.Second)

	const (
		prefix = "envoy_cluster_outbound_9180__"
		suffix = "_default_svc_cluster_local_upstream_rq_2xx"
	)
	selection := Selection{
		Services: []string{"http_lb", "nobody"}, Prefixes: []string{prefix}, Suffixes: []string{suffix}, Custom: []string{"my_requests_total"},
	}
	start := time.Now()
	want := func(value float64) {
		t.Helper()
		testutil.Eventually(t, 30*time.Second, func() (bool, string) {
			got, err := c.Collect(t.Context(), selection, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			values := map[string]float64{}
			for _, p := range got.Points {
				values[p.Name] = p.Value
			}
			missing := len(got.Missing) == 1 && got.Missing[0].Service == "nobody" && got.Missing[0].Reason == ReasonAbsent
			return missing && values[prefix+"http_lb"+suffix] == 31 && values["my_requests_total"] == value,
				fmt.Sprintf("points %v, missing %v, want the counter at %g", values, got.Missing, value)
		})
	}
	want(5)
	counter.Store(9)
	want(9)
	counter.Store(2) // the process began anew
	want(2)

	series, _, err := c.Range(t.Context(), "my_requests_total", start, time.Now(), 100*time.Millisecond)
	if err != nil || len(series) != 1 {
		t.Fatalf("range: %v, %v", series, err)
	}
	raw, _, err := c.Instant(t.Context(), "my_requests_total[5m]", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var counted Series
	for _, s := range raw {
		counted.Values = append(counted.Values, Value{Time: s.Time, Value: s.Value})
	}
	if g := Increase(counted); g.Resets != 1 || g.Increase != 4+2 {
		t.Errorf("increase %+v, want 6 over one reset", g)
	}
	targets, err := c.Targets(t.Context())
	if err != nil || len(targets) != 1 {
		t.Errorf("targets %v, %v", targets, err)
	}
	names, err := c.LabelValues(t.Context(), "cluster_name", nil, start.Add(-time.Minute), time.Now().Add(time.Minute))
	if err != nil || !strings.Contains(fmt.Sprint(names), "outbound|9180||http-lb.default.svc.cluster.local") {
		t.Errorf("label values %v, %v", names, err)
	}
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
