package visibility_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

func TestMetricsTellTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &visibility.Hub{}
		b := newBench(t, func(o *visibility.CollectorOptions) { o.Hub = hub })
		now := time.Now()
		b.source.add(1, 1, "a", now.Add(-time.Second), now, time.Second)
		b.run()
		b.after(time.Second)
		in := newIngest(t, b.store, visibility.IngestOptions{Hub: hub})
		if err := in.ConsumeSpans(t.Context(), "otlp", pushed(3), []tracing.Rejection{{Service: "a", Reason: "bad", Count: 2}}); err != nil {
			t.Fatal(err)
		}
		m, err := visibility.NewMetrics(visibility.MetricsOptions{Store: b.store, Collector: b.c, Ingest: in, Hub: hub})
		if err != nil {
			t.Fatal(err)
		}
		if problems, err := promlint.NewWithMetricFamilies(gather(t, m)).Lint(); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v, %v", problems, err)
		}
		const want = `# HELP clover_ingest_deliveries_total Deliveries by result.
# TYPE clover_ingest_deliveries_total counter
clover_ingest_deliveries_total{result="accepted"} 1
clover_ingest_deliveries_total{result="refused"} 0
# HELP clover_source_up 1 if the last pull of the source succeeded, wholly or in part.
# TYPE clover_source_up gauge
clover_source_up{kind="traces",source="fake"} 1
# HELP clover_spans_total Spans by what became of them; the sum over fates is clover_spans_seen_total.
# TYPE clover_spans_total counter
clover_spans_total{fate="duplicate",reason="",service="a",source="fake"} 1
clover_spans_total{fate="duplicate",reason="",service="a",source="otlp"} 0
clover_spans_total{fate="kept",reason="",service="a",source="fake"} 1
clover_spans_total{fate="kept",reason="",service="a",source="otlp"} 3
clover_spans_total{fate="rejected",reason="bad",service="a",source="otlp"} 2
clover_spans_total{fate="truncated",reason="",service="a",source="fake"} 0
clover_spans_total{fate="truncated",reason="",service="a",source="otlp"} 0
# HELP clover_store_up 1 if the store answered this scrape.
# TYPE clover_store_up gauge
clover_store_up 1
`
		got := text(t, m, "clover_spans_total", "clover_source_up", "clover_store_up", "clover_ingest_deliveries_total")
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		b.source.set(func(f *fakeSource) { f.err = errDown })
		b.after(time.Minute)
		if v := value(t, m, "clover_source_up"); v != 0 {
			t.Errorf("a source that is down has clover_source_up %v", v)
		}
		if v := value(t, m, "clover_source_lag_seconds"); v < 55 {
			t.Errorf("lag %v after a minute", v)
		}
	})
}

func gather(t *testing.T, c prometheus.Collector) []*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// text returns metrics as Prometheus reads them, all if no name is given.
func text(t *testing.T, c prometheus.Collector, names ...string) string {
	t.Helper()
	var b strings.Builder
	for _, f := range gather(t, c) {
		if len(names) > 0 && !slices.Contains(names, f.GetName()) {
			continue
		}
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// value returns the sum of a metric's series.
func value(t *testing.T, c prometheus.Collector, name string) (sum float64) {
	t.Helper()
	for _, f := range gather(t, c) {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestMetricsBoundTheirLabels(t *testing.T) {
	store := newMemStore()
	in := newIngest(t, store, visibility.IngestOptions{})
	for i := range 50 {
		spans := make([]tracing.Span, i+1)
		for j := range spans {
			spans[j] = tracing.Span{SpanID: tracing.SpanID{byte(i), byte(j)}, Service: "s" + strconv.Itoa(i)}
		}
		if err := in.ConsumeSpans(t.Context(), "otlp", spans, nil); err != nil {
			t.Fatal(err)
		}
	}
	m, err := visibility.NewMetrics(visibility.MetricsOptions{Store: store, MaxServices: 10})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text(t, m, "clover_spans_seen_total"), "\nclover_"); n != 11 {
		t.Errorf("%d series, want 10 and the rest", n)
	}
	if v := value(t, m, "clover_spans_seen_total"); v != 50*51/2 {
		t.Errorf("sum %v, want %v: the rest is not counted", v, 50*51/2)
	}
}

func TestMetricsOfAStoreThatIsDown(t *testing.T) {
	m, err := visibility.NewMetrics(visibility.MetricsOptions{Store: &rollupStore{err: errors.New("gone")}})
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, m); !strings.HasSuffix(got, "\nclover_store_up 0\n") || strings.Count(got, "# TYPE") != 1 {
		t.Errorf("got\n%s", got)
	}
	if _, err := visibility.NewMetrics(visibility.MetricsOptions{}); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("without a store: %v", err)
	}
}
