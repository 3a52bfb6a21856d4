package visibility_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// hop returns both sides of a request, the client's side only if the server
// has no name.
func hop(n int, from, to string, at, took time.Duration, status int) []tracing.Span {
	s := request(n, to, at, took, status)
	c := s
	c.Kind, c.Service, c.Duration = tracing.KindClient, from, took+time.Millisecond
	c.UpstreamCluster = "outbound|9180||" + to + ".svc.cluster.local"
	s.SpanID[0], s.ParentID = 2, c.SpanID
	return []tracing.Span{c, s}
}

func TestGraph(t *testing.T) {
	var spans []tracing.Span
	spans = append(spans, request(1, "proxy", 0, 30*time.Millisecond, 200))
	spans = append(spans, hop(2, "proxy", "http-lb.default", 0, 20*time.Millisecond, 200)...)
	spans = append(spans, hop(3, "proxy", "http-lb.default", 0, 40*time.Millisecond, 503)...)
	spans = append(spans, hop(4, "proxy", "gone.default", 0, 5*time.Millisecond, 503)[0])
	mirrored := hop(5, "proxy", "snort-ids.default", 0, time.Millisecond, 200)
	for i := range mirrored {
		mirrored[i].URL = "http://http-lb-shadow:9180/"
	}
	spans = append(spans, mirrored...)
	a, store := newAnalytics(t, spans...)
	g, err := a.Graph(t.Context(), halfHour, nil)
	if err != nil {
		t.Fatal(err)
	}
	var edges, nodes []string
	for _, e := range g.Edges {
		edges = append(edges, fmt.Sprintf("%s>%s %d/%d %v %v", e.Source, e.Destination, e.Aggregate.Errors, e.Aggregate.Count, e.Aggregate.Max, e.Mirrored))
	}
	for _, n := range g.Nodes {
		nodes = append(nodes, fmt.Sprintf("%s %d", n.Service, n.Aggregate.Count))
	}
	wantEdges := []string{
		"(external)>proxy 0/1 30ms false",
		"proxy>gone.default 1/1 6ms false",
		"proxy>http-lb.default 1/2 40ms false",
		"proxy>snort-ids.default 0/1 1ms true",
	}
	if !slices.Equal(edges, wantEdges) {
		t.Errorf("edges\n got %s\nwant %s", strings.Join(edges, "\n     "), strings.Join(wantEdges, "\n     "))
	}
	if want := []string{"(external) 0", "gone.default 1", "http-lb.default 2", "proxy 1", "snort-ids.default 1"}; !slices.Equal(nodes, want) {
		t.Errorf("nodes %q, want %q", nodes, want)
	}
	if g.Completeness.Open != 1 || g.Completeness.Complete {
		t.Errorf("one request waits for its server's side: %+v", g.Completeness)
	}
	store.Settle()
	only, err := a.Graph(t.Context(), halfHour, mustParse(t, "source = proxy and status = 5xx"))
	if err != nil || len(only.Edges) != 2 || len(only.Nodes) != 3 || !only.Completeness.Complete {
		t.Errorf("filtered: %+v, %v", only, err)
	}
	if _, err := a.Graph(t.Context(), halfHour, mustParse(t, "peer = x")); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("a filter that only spans can answer: %v", err)
	}
	if _, err := a.Graph(t.Context(), halfHour, mustParse(t, "service = nobody")); !errors.Is(err, visibility.ErrNotFound) {
		t.Errorf("a service that was never seen: %v", err)
	}
}

func TestMovers(t *testing.T) {
	var spans []tracing.Span
	n := 0
	add := func(service string, count int, at, took time.Duration, status int) {
		for range count {
			n++
			spans = append(spans, request(n, service, at, took, status))
		}
	}
	add("steady", 20, 0, 10*time.Millisecond, 200)
	add("steady", 20, 10*time.Minute, 10*time.Millisecond, 200)
	add("slower", 10, 0, 10*time.Millisecond, 200)
	add("slower", 10, 10*time.Minute, 50*time.Millisecond, 200)
	add("new", 30, 10*time.Minute, 5*time.Millisecond, 200)
	add("ended", 12, 0, 5*time.Millisecond, 200)
	add("failing", 5, 0, 10*time.Millisecond, 200)
	add("failing", 5, 10*time.Minute, 10*time.Millisecond, 500)
	a, _ := newAnalytics(t, spans...)
	q := visibility.MoversQuery{Target: visibility.Range{From: noon.Add(10 * time.Minute), To: noon.Add(20 * time.Minute)}}
	movers := func(q visibility.MoversQuery) (m *visibility.Movers, names string) {
		t.Helper()
		m, err := a.Movers(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range m.Movers {
			names += v.Values[0] + " "
		}
		return m, names
	}
	m, names := movers(q)
	if names != "new ended failing slower steady " || !m.Base.From.Equal(noon) || !m.Base.To.Equal(noon.Add(10*time.Minute)) {
		t.Errorf("by rate: %s, base %v", names, m.Base)
	}
	if v := m.Movers[0]; v.HasRelative || math.Abs(v.Change-30.0/600) > 1e-9 || v.Base.Count != 0 || v.Target.Count != 30 {
		t.Errorf("new: %+v", v)
	}
	if v := m.Movers[1]; !v.HasRelative || v.Relative != -1 {
		t.Errorf("ended: %+v", v)
	}
	q.By, q.Limit = visibility.MeasureMean, 1
	if m, names = movers(q); names != "slower " || math.Abs(m.Movers[0].Change-.04) > 1e-9 || math.Abs(m.Movers[0].Relative-4) > 1e-9 {
		t.Errorf("by mean: %s: %+v", names, m.Movers)
	}
	q.By, q.Limit = visibility.MeasureErrorRate, 0
	if _, names = movers(q); names != "failing slower steady " { // the others were not there both times
		t.Errorf("by error rate: %s", names)
	}
	q.By, q.Base = visibility.MeasureCount, visibility.Range{From: noon.Add(-20 * time.Minute)}
	if m, _ = movers(q); !m.Base.To.Equal(noon.Add(-10*time.Minute)) || m.Movers[0].Base.Count != 0 {
		t.Errorf("a base with a start only: %v", m.Base)
	}
	for _, bad := range []visibility.MoversQuery{{Limit: -1}, {By: "speed"}, {Target: visibility.Range{From: noon, To: noon}}, {Base: visibility.Range{From: noon, To: noon}}} {
		if _, err := a.Movers(t.Context(), bad); !errors.Is(err, visibility.ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestHeatmap(t *testing.T) {
	spans := randomRequests(1000)
	a, _ := newAnalytics(t, spans...)
	for _, bands := range []int{0, 2, 10, 200} {
		h, err := a.Heatmap(t.Context(), visibility.HeatmapQuery{Range: halfHour, Bands: bands, Step: 5 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if most := max(bands, 24); len(h.Bands) > most && bands != 2 || len(h.Columns) != 6 || h.Total != 1000 {
			t.Errorf("%d bands asked: %d bands, %d columns, total %d", bands, len(h.Bands), len(h.Columns), h.Total)
		}
		for i := 1; i < len(h.Bands); i++ {
			if h.Bands[i].Lower != h.Bands[i-1].Upper && h.Bands[i-1].Lower != 0 {
				t.Errorf("a gap between %v and %v", h.Bands[i-1], h.Bands[i])
			}
		}
		for _, c := range h.Columns {
			counted, inColumn := int64(0), int64(0)
			for i, n := range c.Counts {
				counted += n
				// A band is exact up to the sketch's error at its bounds.
				lowest, most := int64(0), int64(0)
				for j := range spans {
					if !spans[j].Start.Truncate(5 * time.Minute).Equal(c.Time) {
						continue
					}
					d, b := float64(spans[j].Duration), h.Bands[i]
					if d >= float64(b.Lower)*1.02 && d < float64(b.Upper)*.98 {
						lowest++
					}
					if d >= float64(b.Lower)*.98 && d < float64(b.Upper)*1.02 {
						most++
					}
				}
				if n < lowest || n > most {
					t.Errorf("%v, band %v: %d, want %d to %d", c.Time, h.Bands[i], n, lowest, most)
				}
			}
			for j := range spans {
				if spans[j].Start.Truncate(5 * time.Minute).Equal(c.Time) {
					inColumn++
				}
			}
			if counted != inColumn {
				t.Errorf("%v: %d in the bands, want %d", c.Time, counted, inColumn)
			}
		}
	}
	if h, err := a.Heatmap(t.Context(), visibility.HeatmapQuery{Range: halfHour, Filter: mustParse(t, "status > 999")}); err != nil || h.Total != 0 || len(h.Columns) != 0 {
		t.Errorf("of nothing: %+v, %v", h, err)
	}
	if _, err := a.Heatmap(t.Context(), visibility.HeatmapQuery{Bands: 1}); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("one band: %v", err)
	}
}

// rowStore yields rows × buckets rollups, as a store with many would.
type rowStore struct {
	visibility.Store
	rows, buckets int
	coverage      visibility.Coverage
	ledger        []visibility.LedgerEntry
	sum           visibility.Aggregate
	width         time.Duration // of the buckets; 0: MinStep
}

func (s *rowStore) Ledger(context.Context) ([]visibility.LedgerEntry, error) { return s.ledger, nil }

func (s *rowStore) Rollups(_ context.Context, r visibility.Range, _ time.Duration, yield func(*visibility.Rollup) error) (visibility.Coverage, error) {
	keys := make([]visibility.Key, s.rows)
	for i := range keys {
		keys[i][visibility.Service], keys[i][visibility.URL] = fmt.Sprint("service-", i%20), fmt.Sprint("http://x/", i)
	}
	width := max(s.width, visibility.MinStep)
	for b := range s.buckets {
		at := r.From.Add(time.Duration(b) * width)
		for i := range keys {
			row := visibility.Rollup{Row: uint64(i), Role: visibility.RoleServer, Key: &keys[i], Bucket: at, Aggregate: &s.sum}
			if err := yield(&row); err != nil {
				return s.coverage, err
			}
		}
	}
	cov := s.coverage
	if cov.Range.From.IsZero() {
		cov.Range = r
	}
	return cov, nil
}

func newRowStore(rows, buckets int) *rowStore {
	s := &rowStore{rows: rows, buckets: buckets}
	for i := range 20 {
		span := tracing.Span{Duration: time.Duration(i+1) * time.Millisecond}
		s.sum.Observe(&span)
	}
	return s
}

func TestQueryFoldsGroupsBeyondTheLimit(t *testing.T) {
	const over = 7
	a := analyticsOver(t, newRowStore(visibility.MaxGroups+over, 1))
	res, err := a.Query(t.Context(), visibility.Query{Range: halfHour, GroupBy: []visibility.Dimension{visibility.URL}, Limit: visibility.MaxLimit})
	if err != nil {
		t.Fatal(err)
	}
	total := int64(visibility.MaxGroups+over) * 20
	if g := res.Groups[0]; g.Values[0] != visibility.Other || g.Aggregate.Count != over*20 {
		t.Errorf("first group %v with %d, want %s with %d", g.Values, g.Aggregate.Count, visibility.Other, over*20)
	}
	if res.Total.Count != total || res.RestGroups != visibility.MaxGroups+1-visibility.MaxLimit {
		t.Errorf("total %d, %d groups beyond the limit", res.Total.Count, res.RestGroups)
	}
	if n := res.Completeness.Notes; len(n) != 1 || n[0].Code != "overflow" || n[0].Count != over*20 || res.Completeness.Complete {
		t.Errorf("%+v", res.Completeness)
	}
}

// TestQueryBoundsSeries holds that the series of the groups returned are
// complete even if those of all groups are too many, up to the same limit.
func TestQueryBoundsSeries(t *testing.T) {
	store := newRowStore(visibility.MaxCells/100+1, 100)
	a := analyticsOver(t, store)
	q := visibility.Query{Range: halfHour, GroupBy: []visibility.Dimension{visibility.URL, visibility.Service}, Step: 10 * time.Second}
	res, err := a.Query(t.Context(), q)
	if err != nil || len(res.Groups) != visibility.DefaultLimit {
		t.Fatalf("%d groups, %v", len(res.Groups), err)
	}
	for _, g := range res.Groups {
		var sum int64
		for _, p := range g.Series {
			sum += p.Aggregate.Count
		}
		if len(g.Series) != 100 || sum != g.Aggregate.Count {
			t.Fatalf("group %v: %d points that count %d of %d", g.Values, len(g.Series), sum, g.Aggregate.Count)
		}
	}
	q.Limit = visibility.MaxLimit
	if _, err := a.Query(t.Context(), q); !errors.Is(err, visibility.ErrLimit) || !strings.Contains(err.Error(), "take a wider step") {
		t.Errorf("too many points: %v", err)
	}
	q.Step = time.Minute
	if res, err := a.Query(t.Context(), q); err != nil || len(res.Groups[0].Series) != 17 {
		t.Errorf("with a wider step: %v", err)
	}
}

// TestQueryWidensTheStep holds that a series of a range of which only coarse
// buckets are left has steps into which they fit.
func TestQueryWidensTheStep(t *testing.T) {
	store := newRowStore(3, 4)
	store.width = 5 * time.Minute
	store.coverage.Finest = store.width
	a := analyticsOver(t, store)
	for step, want := range map[time.Duration]time.Duration{
		10 * time.Second: 5 * time.Minute, 7 * time.Minute: 10 * time.Minute, 5 * time.Minute: 5 * time.Minute, time.Hour: time.Hour,
	} {
		res, err := a.Query(t.Context(), visibility.Query{Range: halfHour, Step: step})
		if err != nil || res.Step != want {
			t.Fatalf("step %v: %v, %v; want %v", step, res.Step, err, want)
		}
		if widened := slices.Contains(codes(res.Completeness), "step_widened"); widened != (step != want) {
			t.Errorf("step %v: notes %v", step, codes(res.Completeness))
		}
		var sum int64
		for _, p := range res.Groups[0].Series {
			sum += p.Aggregate.Count
			if p.Time.Unix()%int64(want/time.Second) != 0 {
				t.Errorf("step %v: a point at %v", step, p.Time)
			}
		}
		if sum != res.Total.Count {
			t.Errorf("step %v: points count %d of %d", step, sum, res.Total.Count)
		}
	}
}

// BenchmarkQuery groups 1,000 rows × 360 buckets by two dimensions.
func BenchmarkQuery(b *testing.B) {
	a := analyticsOver(b, newRowStore(1000, 360))
	hour := visibility.Range{From: noon.Add(-time.Hour), To: noon}
	for name, step := range map[string]time.Duration{"totals": 0, "series": time.Minute} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				res, err := a.Query(b.Context(), visibility.Query{
					Range: hour, GroupBy: []visibility.Dimension{visibility.Service, visibility.URL}, Step: step, OrderBy: visibility.MeasureP99,
				})
				if err != nil || res.Total.Count != 1000*360*20 {
					b.Fatal(res.Total.Count, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/360_000, "ns/rollup")
		})
	}
}
