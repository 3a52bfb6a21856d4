package cassandra

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/embedded"
	"github.com/opnfv/clover/visibility/parquet"
	"github.com/opnfv/clover/visibility/storetest"
)

// testMove takes everything from the embedded store to Cassandra and back,
// with an import that is broken off and one that is done twice.
func (c *cluster) testMove(t *testing.T) {
	now := time.Date(2026, 3, 2, 22, 50, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	local := func() *embedded.Store {
		s, err := embedded.Open(t.TempDir(), embedded.Options{Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	first, spans := local(), storetest.RandomSpans(11, 80, now.Add(-100*time.Minute), 100*time.Minute)
	var points []visibility.MetricPoint
	for i := range 300 {
		points = append(points, visibility.MetricPoint{Name: "up", Service: "web", Time: now.Add(-time.Duration(i) * time.Second), Value: float64(i)})
	}
	r, err := first.Write(t.Context(), &visibility.Batch{Source: "test", Spans: spans, Metrics: points})
	if err != nil || r.Kept != len(spans) {
		t.Fatalf("%+v of %d spans, %v", r, len(spans), err)
	}
	want := moved(t, first, clock)

	dir := t.TempDir()
	exportAll(t, first, dir, clock)
	o := c.opts
	o.Clock = clock
	remote := c.empty(t, o)
	if _, err := parquet.Import(t.Context(), dir, &broken{remote, 0}, nil); !errors.Is(err, errBrokenOff) {
		t.Fatalf("the import that is broken off: %v", err)
	}
	for range 2 {
		got, err := parquet.Import(t.Context(), dir, remote, nil)
		if err != nil || got.Kept+got.Duplicates != len(spans) || got.Duplicates == 0 || len(got.Rejected) > 0 {
			t.Fatalf("imported %+v of %d spans, %v", got, len(spans), err)
		}
		if got := moved(t, remote, clock); got != want {
			t.Fatalf("Cassandra differs:\n%s\n%s", got, want)
		}
	}
	back, last := t.TempDir(), local()
	exportAll(t, remote, back, clock)
	if got, err := parquet.Import(t.Context(), back, last, nil); err != nil || got.Kept != len(spans) {
		t.Fatalf("imported %+v of %d spans, %v", got, len(spans), err)
	}
	if got := moved(t, last, clock); got != want {
		t.Errorf("the embedded store differs:\n%s\n%s", got, want)
	}
	want1, got1 := spansOf(t, dir), spansOf(t, back)
	if len(want1) != len(spans) || !reflect.DeepEqual(got1, want1) {
		t.Errorf("the spans differ: %d and %d of %d", len(got1), len(want1), len(spans))
	}
}

func exportAll(t *testing.T, s visibility.Store, dir string, clock func() time.Time) {
	t.Helper()
	if _, err := parquet.Export(t.Context(), s, dir, parquet.Options{Open: true, Clock: clock}); err != nil {
		t.Fatal(err)
	}
	if n, err := parquet.ExportMetrics(t.Context(), s, dir); err != nil || n != 300 {
		t.Fatalf("%d points, %v", n, err)
	}
}

func spansOf(t *testing.T, dir string) map[tracing.Identity]tracing.Span {
	t.Helper()
	all := map[tracing.Identity]tracing.Span{}
	err := parquet.Read(t.Context(), dir, func(spans []tracing.Span) error {
		for _, s := range spans {
			all[s.Identity()] = s
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// moved is what must be the same in all stores: their figures, the answers
// from rollups, and the metrics.
func moved(t *testing.T, s visibility.Store, clock func() time.Time) string {
	t.Helper()
	stats, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, err := visibility.NewAnalytics(s, visibility.AnalyticsOptions{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{fmt.Sprint(stats.Spans, stats.Traces, stats.Metrics)}
	for _, count := range []visibility.CountMode{visibility.CountRequests, visibility.CountSpans} {
		res, err := a.Query(t.Context(), visibility.Query{
			Range: visibility.Range{From: clock().Add(-3 * time.Hour), To: clock().Add(time.Hour)}, Count: count,
			GroupBy: []visibility.Dimension{visibility.Service, visibility.Status, visibility.Source}, Limit: visibility.MaxLimit,
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range res.Groups {
			g := &res.Groups[i]
			lines = append(lines, fmt.Sprintf("%q %d %d %v", g.Values, g.Aggregate.Count, g.Aggregate.Errors, g.Aggregate.Sum))
		}
	}
	slices.Sort(lines[1:])
	metrics, err := s.Metrics(t.Context(), visibility.MetricQuery{Limit: visibility.MaxLimit})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n") + fmt.Sprint(metrics)
}

var errBrokenOff = errors.New("broken off")

// broken is a store whose second write has landed, though it is not said.
type broken struct {
	visibility.Writer
	writes int
}

func (b *broken) Write(ctx context.Context, batch *visibility.Batch) (visibility.Receipt, error) {
	r, err := b.Writer.Write(ctx, batch)
	if b.writes++; err == nil && b.writes == 2 {
		return r, errBrokenOff
	}
	return r, err
}
