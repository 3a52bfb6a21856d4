package visibility_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/storetest"
)

// noon is the start of the analytics tests' data; their clock stands half an
// hour later.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

var halfHour = visibility.Range{From: noon, To: noon.Add(30 * time.Minute)}

func clockAt(t time.Time) func() time.Time { return func() time.Time { return t } }

func newAnalytics(t testing.TB, spans ...tracing.Span) (*visibility.Analytics, *storetest.Memory) {
	t.Helper()
	store := storetest.NewReference(storetest.Options{Clock: clockAt(halfHour.To)})
	writeTo(t, store, spans...)
	return analyticsOver(t, store), store
}

func writeTo(t testing.TB, store visibility.Writer, spans ...tracing.Span) {
	t.Helper()
	if _, err := store.Write(context.Background(), &visibility.Batch{Source: "test", Spans: spans}); err != nil {
		t.Fatal(err)
	}
}

func analyticsOver(t testing.TB, store visibility.Store) *visibility.Analytics {
	t.Helper()
	a, err := visibility.NewAnalytics(store, visibility.AnalyticsOptions{Clock: clockAt(halfHour.To)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// request returns a server's span that started its trace.
func request(n int, service string, at, took time.Duration, status int) tracing.Span {
	s := tracing.NewSpan()
	s.TraceID[0], s.TraceID[1], s.TraceID[2], s.SpanID[0] = 1, byte(n>>8), byte(n), 1
	s.Kind, s.Service, s.Start, s.Duration = tracing.KindServer, service, noon.Add(at), took
	s.StatusCode, s.Error, s.Method = status, status >= 500, "GET"
	s.URL = "http://" + service + ":9180/"
	return s
}

func randomRequests(n int) []tracing.Span {
	rng := rand.New(rand.NewPCG(5, 5))
	spans := make([]tracing.Span, n)
	for i := range spans {
		s := request(i, []string{"http-lb.default", "clover-server1", "snort-ids"}[rng.IntN(3)],
			time.Duration(rng.Int64N(int64(30*time.Minute))), time.Duration(rng.ExpFloat64()*2e7), []int{200, 200, 404, 503, 0}[rng.IntN(5)])
		s.URL += fmt.Sprint("item/", rng.IntN(5))
		s.UserAgent = []string{"", "curl/8", "chrome"}[rng.IntN(3)]
		spans[i] = s
	}
	return spans
}

func mustParse(t testing.TB, text string) *visibility.Filter {
	t.Helper()
	f, err := visibility.ParseFilter(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestQueryEqualsCountingSpans compares answers with a loop over the spans.
func TestQueryEqualsCountingSpans(t *testing.T) {
	spans := randomRequests(3000)
	a, _ := newAnalytics(t, spans...)
	for _, text := range []string{"", "status >= 500", "service = http_lb and not user_agent = curl/8", "status = 4xx or url ~ 'item/[12]$'", "status > 999"} {
		for _, by := range [][]visibility.Dimension{
			nil, {visibility.Service}, {visibility.Status, visibility.URL}, {visibility.UserAgent, visibility.Service, visibility.Status}, {visibility.Source, visibility.Destination},
		} {
			for _, step := range []time.Duration{0, time.Minute, 7 * time.Minute} {
				q := visibility.Query{Range: halfHour, Filter: mustParse(t, text), GroupBy: by, Step: step}
				res, err := a.Query(t.Context(), q)
				if err != nil {
					t.Fatalf("%q by %v: %v", text, by, err)
				}
				compareWithSpans(t, fmt.Sprintf("%q by %v, step %v", text, by, step), res, spans, q)
			}
		}
	}
}

func compareWithSpans(t *testing.T, what string, res *visibility.Result, spans []tracing.Span, q visibility.Query) {
	t.Helper()
	type place struct {
		values string
		at     time.Time
	}
	groups, points := map[string][]tracing.Span{}, map[place][]tracing.Span{}
	for i := range spans {
		s := &spans[i]
		if !q.Filter.MatchSpan(s) {
			continue
		}
		key, values := visibility.KeyOf(s), ""
		for _, d := range q.GroupBy {
			values += key[d] + "|"
		}
		groups[values] = append(groups[values], *s)
		if q.Step > 0 {
			sec := s.Start.Unix() - s.Start.Unix()%int64(q.Step/time.Second)
			points[place{values, time.Unix(sec, 0).UTC()}] = append(points[place{values, time.Unix(sec, 0).UTC()}], *s)
		}
	}
	if len(res.Groups) != len(groups) || res.RestGroups != 0 {
		t.Fatalf("%s: %d groups and %d more, want %d", what, len(res.Groups), res.RestGroups, len(groups))
	}
	seen, last := 0, int64(1<<62)
	for i := range res.Groups {
		g := &res.Groups[i]
		values := ""
		for _, v := range g.Values {
			values += v + "|"
		}
		if got := figures(&g.Aggregate); got != exactly(groups[values]) {
			t.Fatalf("%s: group %s: %+v, want %+v", what, values, got, exactly(groups[values]))
		}
		if g.Aggregate.Count > last {
			t.Errorf("%s: groups are not sorted by count", what)
		}
		last = g.Aggregate.Count
		for j := range g.Series {
			p := &g.Series[j]
			if got, want := figures(&p.Aggregate), exactly(points[place{values, p.Time}]); got != want {
				t.Fatalf("%s: group %s at %v: %+v, want %+v", what, values, p.Time, got, want)
			}
			seen++
		}
	}
	if seen != len(points) {
		t.Errorf("%s: %d points, want %d", what, seen, len(points))
	}
}

func TestQueryOrderLimitAndRest(t *testing.T) {
	a, _ := newAnalytics(t,
		request(1, "a", 0, 30*time.Millisecond, 200), request(2, "a", 0, 10*time.Millisecond, 200), request(3, "a", 0, 20*time.Millisecond, 200),
		request(4, "b", 0, 100*time.Millisecond, 500), request(5, "b", 0, 100*time.Millisecond, 200),
		request(6, "c", 0, time.Millisecond, 503),
	)
	for _, c := range []struct {
		by        visibility.Measure
		ascending bool
		want      string
	}{
		{"", false, "abc"}, {"count", true, "cba"}, {"errors", false, "bca"}, {"error_rate", false, "cba"},
		{"error-rate", true, "abc"}, {"P99", false, "bac"}, {"mean", true, "cab"}, {"max", false, "bac"},
		{"min", false, "bac"}, {"sum", false, "bac"}, {"rate", false, "abc"}, {"p50", true, "cab"},
	} {
		q := visibility.Query{Range: halfHour, GroupBy: []visibility.Dimension{visibility.Service}, OrderBy: c.by, Ascending: c.ascending}
		res, err := a.Query(t.Context(), q)
		if err != nil {
			t.Fatalf("%s: %v", c.by, err)
		}
		order := ""
		for _, g := range res.Groups {
			order += g.Values[0]
		}
		if order != c.want {
			t.Errorf("by %s, ascending %v: %s, want %s", c.by, c.ascending, order, c.want)
		}
		q.Limit = 1
		if res, err = a.Query(t.Context(), q); err != nil || len(res.Groups) != 1 || res.Groups[0].Values[0] != c.want[:1] ||
			res.RestGroups != 2 || res.Total.Count != 6 || res.Rest.Count != 6-res.Groups[0].Aggregate.Count {
			t.Errorf("by %s, limit 1: %+v, %v", c.by, res, err)
		}
	}
}

func TestQueryRefusesWhatItCannotAnswer(t *testing.T) {
	a, _ := newAnalytics(t, request(1, "http-lb", 0, 1, 200))
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	for want, q := range map[string]visibility.Query{
		"from 2026-03-02T12:10:00Z is not before to 2026-03-02T12:00:00Z": {Range: visibility.Range{From: at(10 * time.Minute), To: noon}},
		"is in the future; it is 2026-03-02T12:30:00Z now":                {Range: visibility.Range{From: at(time.Hour), To: at(2 * time.Hour)}},
		"is before 1970": {Range: visibility.Range{From: time.Unix(-5, 0), To: noon}},
		"limit: 10001 is not between 1 and 10000":                              {Limit: 10_001},
		"limit: -1 is not":                                                     {Limit: -1},
		"step: 1s is not a multiple of 10s; the nearest that is: 10s":          {Step: time.Second},
		"step: 26s is not a multiple of 10s; the nearest that is: 30s":         {Step: 26 * time.Second},
		"at most 11000 are allowed, so take a step of at least 2m30s":          {Range: visibility.Range{From: at(-24 * 19 * time.Hour), To: noon}, Step: 10 * time.Second},
		"group_by: url is given twice":                                         {GroupBy: []visibility.Dimension{visibility.URL, visibility.URL}},
		"group_by: dimension(77) is given twice or not known":                  {GroupBy: []visibility.Dimension{77}},
		`measure "p98" is not known; did you mean p9`:                          {OrderBy: "p98"},
		"statistics are not kept apart by duration, tag; search traces for it": {Filter: mustParse(t, "duration > 1s and tag[x] = y")},
	} {
		if _, err := a.Query(t.Context(), q); !errors.Is(err, visibility.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestQueryDefaultRange(t *testing.T) {
	a, _ := newAnalytics(t, request(1, "a", 14*time.Minute, 1, 200), request(2, "a", 16*time.Minute, 1, 200))
	res, err := a.Query(t.Context(), visibility.Query{})
	if err != nil || res.Total.Count != 1 || !res.Range.From.Equal(noon.Add(15*time.Minute)) || !res.Range.To.Equal(halfHour.To) {
		t.Errorf("%+v, %v; want the last 15 minutes", res, err)
	}
}

func TestQueryOfUnknownServices(t *testing.T) {
	a, _ := newAnalytics(t, request(1, "http-lb.default", 0, 1, 200))
	query := func(text string) error {
		_, err := a.Query(t.Context(), visibility.Query{Range: halfHour, Filter: mustParse(t, text)})
		return err
	}
	if err := query("service = http-1b.default"); !errors.Is(err, visibility.ErrNotFound) ||
		!strings.Contains(err.Error(), `service "http-1b.default" has never been seen; did you mean http-lb.default?`) {
		t.Errorf("a service that was never seen: %v", err)
	}
	for _, text := range []string{"service = http_lb and status = 500", "service in (nobody, http-lb)", "service != nobody and status = 500", "service not in (nobody) and status = 1"} {
		if err := query(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestDistinct(t *testing.T) {
	a, _ := newAnalytics(t, randomRequests(500)...)
	all, err := a.Distinct(t.Context(), visibility.DistinctQuery{Range: halfHour, Dimension: visibility.UserAgent})
	if err != nil || len(all.Values) != 2 || all.Rest != 0 || all.Values[0].Count < all.Values[1].Count ||
		all.Total != all.Values[0].Count+all.Values[1].Count {
		t.Errorf("user agents without the empty one: %+v, %v", all, err)
	}
	some, err := a.Distinct(t.Context(), visibility.DistinctQuery{Range: halfHour, Dimension: visibility.URL, Prefix: "http://snort", Limit: 2})
	if err != nil || len(some.Values) != 2 || some.Rest != 3 || !strings.HasPrefix(some.Values[0].Value, "http://snort") {
		t.Errorf("two URLs of five: %+v, %v", some, err)
	}
	if _, err := a.Distinct(t.Context(), visibility.DistinctQuery{Limit: -1}); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("limit -1: %v", err)
	}
}

func TestQueryStopsWithItsContext(t *testing.T) {
	a, store := newAnalytics(t, randomRequests(10)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Query(ctx, visibility.Query{Range: halfHour}); !errors.Is(err, context.Canceled) {
		t.Errorf("query: %v", err)
	}
	if _, err := a.Graph(ctx, halfHour, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("graph: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Query(t.Context(), visibility.Query{Range: halfHour}); !errors.Is(err, visibility.ErrUnavailable) {
		t.Errorf("query of a closed store: %v", err)
	}
	if _, err := visibility.NewAnalytics(nil, visibility.AnalyticsOptions{}); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("no store: %v", err)
	}
}

func ExampleAnalytics_Query() {
	start := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	store := storetest.NewReference(storetest.Options{Clock: func() time.Time { return start.Add(time.Minute) }})
	var spans []tracing.Span
	for i := range 60 {
		s := tracing.NewSpan()
		s.TraceID[15], s.SpanID[7] = byte(i+1), 1
		s.Kind, s.Service, s.StatusCode = tracing.KindServer, "http-lb.default", 200
		s.Start, s.Duration = start.Add(time.Duration(i)*time.Second), time.Duration(i+1)*time.Millisecond
		if i%20 == 0 {
			s.StatusCode, s.Error = 503, true
		}
		spans = append(spans, s)
	}
	ctx := context.Background()
	if _, err := store.Write(ctx, &visibility.Batch{Source: "example", Spans: spans}); err != nil {
		fmt.Println(err)
		return
	}
	analytics, err := visibility.NewAnalytics(store, visibility.AnalyticsOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	filter, err := visibility.ParseFilter("service = http_lb")
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := analytics.Query(ctx, visibility.Query{
		Range:   visibility.Range{From: start, To: start.Add(time.Minute)},
		Filter:  filter,
		GroupBy: []visibility.Dimension{visibility.Service, visibility.Status},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, g := range res.Groups {
		a := &g.Aggregate
		fmt.Println(g.Values, a.Count, a.Min, a.Mean(), a.Max)
	}
	fmt.Printf("%.1f %% errors, complete: %v\n", 100*res.Total.ErrorRate(), res.Completeness.Complete)
	// Output:
	// [http-lb.default 200] 57 2ms 31ms 60ms
	// [http-lb.default 503] 3 1ms 21ms 41ms
	// 5.0 % errors, complete: true
}

func codes(c visibility.Completeness) (list []string) {
	for _, n := range c.Notes {
		list = append(list, n.Code)
	}
	return slices.Compact(list)
}
