// Package sqltest holds that engines of package visibility/sql answer as
// visibility.Analytics does over a store, by asking both the same random
// questions.
package sqltest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/parquet"
	"github.com/opnfv/clover/visibility/sql"
	"github.com/opnfv/clover/visibility/storetest"
)

// OpenFunc returns an engine over what package visibility/parquet wrote into
// a folder.
type OpenFunc func(t *testing.T, dir string, clock func() time.Time) *sql.Engine

// Options say how much is asked.
type Options struct {
	// Store is an empty one with [Clock]; nil: storetest's reference.
	Store   visibility.Store
	Seed    uint64
	Queries int // 0: 16
	Traces  int // 0: 120
}

// epoch is when the spans begin, and now what time it is afterwards.
var (
	epoch = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	now   = epoch.Add(2 * time.Hour)
	whole = visibility.Range{From: epoch.Add(-10 * time.Minute), To: now}
)

// Clock is the time at which the questions are asked.
func Clock() time.Time { return now }

// Run writes random traces into the store, exports them, and compares
// the engine's answers with the store's: equal counts, errors, sums, bytes
// and extremes, the same groups in the same order, and percentiles within
// visibility.RelativeError of one another.
func Run(t *testing.T, open OpenFunc, o Options) {
	if o.Traces == 0 {
		o.Traces = 120
	}
	store := o.Store
	if store == nil {
		store = storetest.NewReference(storetest.Options{Clock: Clock})
	}
	spans := storetest.RandomSpans(o.Seed, o.Traces, epoch, 90*time.Minute)
	if _, err := store.Write(t.Context(), &visibility.Batch{Source: "sqltest", Spans: spans}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	m, err := parquet.Export(t.Context(), store, dir, parquet.Options{Window: 30 * time.Minute, Settle: -1, Clock: Clock})
	if err != nil || m.Spans() != int64(len(spans)) {
		t.Fatalf("%d of %d spans exported, %v", m.Spans(), len(spans), err)
	}
	Compare(t, store, open(t, dir, Clock), spans, o)
}

// Compare asks random questions about spans that a store has and the engine
// reads, in whatever way. Of the options it takes Seed and Queries.
//
// A store that had counted spans before their other side came may know the
// extremes within visibility.RelativeError only (see
// visibility.Aggregate.Inexact): there they are compared so, and nothing is
// asked in their order, or that of percentiles, which they bound.
func Compare(t *testing.T, store visibility.Store, engine *sql.Engine, spans []tracing.Span, o Options) {
	if o.Queries == 0 {
		o.Queries = 16
	}
	a, err := visibility.NewAnalytics(store, visibility.AnalyticsOptions{Clock: Clock})
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{T: t, store: a, engine: engine, rng: rand.New(rand.NewPCG(o.Seed, 2))}
	late, err := countedAnew(t, store)
	if err != nil {
		t.Fatal(err)
	}
	k.late = late
	for i := range o.Queries {
		k.query(i, storetest.RandomQuery(k.rng, spans, whole))
		if t.Failed() {
			return
		}
	}
	for i := range 1 + o.Queries/40 {
		k.others(i, storetest.RandomQuery(k.rng, spans, whole))
	}
}

// countedAnew reports whether a store has counted spans anew.
func countedAnew(t *testing.T, store visibility.Store) (bool, error) {
	cov, err := store.Rollups(t.Context(), whole, visibility.MinStep, func(*visibility.Rollup) error { return nil })
	return cov.Late > 0, err
}

type kit struct {
	*testing.T
	store  *visibility.Analytics
	engine *sql.Engine
	rng    *rand.Rand
	late   bool // the store knows some extremes within bounds only
}

// exact are the measures that do not depend on extremes.
var exact = []visibility.Measure{
	"", visibility.MeasureCount, visibility.MeasureRate, visibility.MeasureErrors, visibility.MeasureErrorRate, visibility.MeasureMean, visibility.MeasureSum,
}

func (k *kit) query(i int, q visibility.Query) {
	if k.late && !slices.Contains(exact, q.OrderBy) {
		q.OrderBy = visibility.MeasureCount
	}
	want, wantErr := k.store.Query(k.Context(), q)
	got, err := k.engine.Query(k.Context(), q)
	if d := differ(got, want, err, wantErr); d != "" {
		k.Errorf("query %d: %s\n%+v\nfilter %s", i, d, q, q.Filter)
	}
}

// differ says in what two answers differ, "" if in nothing.
func differ(got, want *visibility.Result, err, wantErr error) string {
	if err != nil || wantErr != nil {
		for _, kind := range []error{visibility.ErrNotFound, visibility.ErrInvalid, visibility.ErrLimit} {
			if errors.Is(err, kind) && errors.Is(wantErr, kind) {
				return ""
			}
		}
		return fmt.Sprintf("error %v, want %v", err, wantErr)
	}
	switch {
	case !got.Range.From.Equal(want.Range.From) || !got.Range.To.Equal(want.Range.To):
		return fmt.Sprintf("range %v, want %v", got.Range, want.Range)
	case got.Observed != want.Observed || got.Step != want.Step:
		return fmt.Sprintf("observed %v in steps of %v, want %v and %v", got.Observed, got.Step, want.Observed, want.Step)
	case len(got.Groups) != len(want.Groups) || got.RestGroups != want.RestGroups:
		return fmt.Sprintf("%d groups and %d more, want %d and %d", len(got.Groups), got.RestGroups, len(want.Groups), want.RestGroups)
	}
	if d := Differ(&got.Total, &want.Total); d != "" {
		return "total: " + d
	}
	if d := Differ(&got.Rest, &want.Rest); d != "" {
		return "rest: " + d
	}
	for i := range want.Groups {
		g, w := &got.Groups[i], &want.Groups[i]
		if !slices.Equal(g.Values, w.Values) {
			return fmt.Sprintf("group %d is %q, want %q", i, g.Values, w.Values)
		}
		if d := Differ(&g.Aggregate, &w.Aggregate); d != "" {
			return fmt.Sprintf("group %q: %s", g.Values, d)
		}
		if d := differSeries(g.Series, w.Series); d != "" {
			return fmt.Sprintf("series of %q: %s", g.Values, d)
		}
	}
	return ""
}

func differSeries(got, want []visibility.Point) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d points, want %d", len(got), len(want))
	}
	for i := range want {
		if !got[i].Time.Equal(want[i].Time) {
			return fmt.Sprintf("point %d at %v, want %v", i, got[i].Time, want[i].Time)
		}
		if d := Differ(&got[i].Aggregate, &want[i].Aggregate); d != "" {
			return fmt.Sprintf("at %v: %s", want[i].Time, d)
		}
	}
	return ""
}

// Differ says in what two aggregates differ, "" if in nothing.
func Differ(got, want *visibility.Aggregate) string {
	lowest, highest := got.Extremes()
	wantLowest, wantHighest := want.Extremes()
	for _, v := range []struct {
		name      string
		got, want int64
	}{
		{"count", got.Count, want.Count},
		{"errors", got.Errors, want.Errors},
		{"sum", int64(got.Sum), int64(want.Sum)},
		{"request bytes", got.RequestBytes, want.RequestBytes},
		{"response bytes", got.ResponseBytes, want.ResponseBytes},
		{"observations", got.Latency.Count(), want.Latency.Count()},
	} {
		if v.got != v.want {
			return fmt.Sprintf("%s %d, want %d", v.name, v.got, v.want)
		}
	}
	tolerance := 0.
	if want.Inexact {
		tolerance = visibility.RelativeError
	}
	if !near(lowest, wantLowest, tolerance) || !near(highest, wantHighest, tolerance) {
		return fmt.Sprintf("from %v to %v, want %v to %v (inexact: %v)", lowest, highest, wantLowest, wantHighest, want.Inexact)
	}
	for _, q := range []float64{.5, .9, .95, .99} {
		g, w := got.Quantile(q), want.Quantile(q)
		if !near(g, w, visibility.RelativeError) {
			return fmt.Sprintf("quantile %v is %v, want %v", q, g, w)
		}
	}
	return ""
}

// near reports whether two durations are equal within a relative tolerance.
func near(a, b time.Duration, tolerance float64) bool {
	return a == b || tolerance > 0 && math.Abs(float64(a-b)) <= tolerance*float64(b)+1
}

// others asks the other questions, with the range, filter and grouping of a
// query.
func (k *kit) others(i int, q visibility.Query) {
	ctx := k.Context()
	report := func(what string, got, want any, err, wantErr error) {
		if (err == nil) != (wantErr == nil) {
			k.Errorf("%s %d: %v, want %v\n%+v\nfilter %s", what, i, err, wantErr, q, q.Filter)
		} else if err == nil && !reflect.DeepEqual(got, want) {
			k.Errorf("%s %d\n got %+v\nwant %+v\n%+v\nfilter %s", what, i, got, want, q, q.Filter)
		}
	}
	distinct := visibility.DistinctQuery{Range: q.Range, Filter: q.Filter, Count: q.Count, Dimension: visibility.URL, Limit: 5}
	for _, prefix := range []string{"", "http://http-lb"} {
		distinct.Prefix = prefix
		got, err := k.engine.Distinct(ctx, distinct)
		want, wantErr := k.store.Distinct(ctx, distinct)
		report("distinct values", without(got), without(want), err, wantErr)
	}
	heat := visibility.HeatmapQuery{Range: q.Range, Filter: q.Filter, Count: q.Count, Step: q.Step}
	gotHeat, err := k.engine.Heatmap(ctx, heat)
	wantHeat, wantErr := k.store.Heatmap(ctx, heat)
	report("heatmap", without(gotHeat), without(wantHeat), err, wantErr)
	gotGraph, err := k.engine.Graph(ctx, q.Range, q.Filter)
	wantGraph, wantErr := k.store.Graph(ctx, q.Range, q.Filter)
	report("graph", k.graphText(gotGraph), k.graphText(wantGraph), err, wantErr)
	move := visibility.MoversQuery{Target: q.Range, Filter: q.Filter, GroupBy: q.GroupBy, By: visibility.MeasureMean}
	gotMove, err := k.engine.Movers(ctx, move)
	wantMove, wantErr := k.store.Movers(ctx, move)
	report("movers", k.moversText(gotMove), k.moversText(wantMove), err, wantErr)
}

// without returns a copy of an answer without what it is based on: a table
// does not know what a store knows of its sources.
func without[T any](answer *T) T {
	if answer == nil {
		return *new(T)
	}
	a := *answer
	reflect.ValueOf(&a).Elem().FieldByName("Completeness").SetZero()
	return a
}

func (k *kit) graphText(g *visibility.Graph) (lines []string) {
	if g == nil {
		return nil
	}
	for i := range g.Edges {
		e := &g.Edges[i]
		lines = append(lines, fmt.Sprintf("%s > %s, copies: %v: %s", e.Source, e.Destination, e.Mirrored, k.text(&e.Aggregate)))
	}
	for i := range g.Nodes {
		lines = append(lines, g.Nodes[i].Service+": "+k.text(&g.Nodes[i].Aggregate))
	}
	return lines
}

func (k *kit) moversText(m *visibility.Movers) (lines []string) {
	if m == nil {
		return nil
	}
	for i := range m.Movers {
		v := &m.Movers[i]
		lines = append(lines, fmt.Sprintf("%q %s > %s: %.9f", v.Values, k.text(&v.Base), k.text(&v.Target), v.Change))
	}
	return lines
}

func (k *kit) text(a *visibility.Aggregate) string {
	lowest, highest := a.Extremes()
	if k.late {
		lowest, highest = 0, 0
	}
	return fmt.Sprint(a.Count, a.Errors, a.Sum, lowest, highest, a.RequestBytes, a.ResponseBytes)
}
