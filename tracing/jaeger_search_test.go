package tracing

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// fakeStorage answers searches as Jaeger's storages do.
type fakeStorage struct {
	traces   [][]Span // oldest first
	finest   time.Duration
	exclude  bool // both ends exclusive, rows limited: Cassandra
	maxDepth int  // 0: none
	maxSpans int  // more are too large an answer; 0: no limit
	ignore   bool // does not look at the time

	requests int
}

func (f *fakeStorage) services(context.Context) ([]string, error) { return []string{"shop"}, nil }

func (f *fakeStorage) operations(context.Context, string) ([]Operation, error) { return nil, nil }

func (f *fakeStorage) trace(context.Context, TraceID, *jaegerAnswer) error { return nil }

func (f *fakeStorage) search(_ context.Context, q jaegerQuery, into *jaegerAnswer) error {
	f.requests++
	if f.maxDepth > 0 && q.limit > f.maxDepth {
		return &Error{Op: opSearch, Kind: ErrorInvalid, Err: errDepth}
	}
	from, to := q.From.Truncate(f.finest), q.To.Truncate(f.finest)
	rows, found := 0, 0
	for i := len(f.traces) - 1; i >= 0 && found < q.limit; i-- {
		matches := 0
		for _, s := range f.traces[i] {
			start := s.Start.Truncate(f.finest)
			in := !start.Before(from) && !start.After(to)
			if f.exclude {
				in = start.After(from) && start.Before(to)
			}
			if s.Service == q.Service && (in || f.ignore) {
				matches++
			}
		}
		if matches == 0 {
			continue
		}
		if f.exclude && rows >= jaegerRowsPerTrace*q.limit {
			break
		}
		rows += matches
		found++
		for _, s := range f.traces[i] {
			if f.maxSpans > 0 && len(into.spans) >= f.maxSpans {
				return &Error{Op: opSearch, Kind: ErrorPermanent, Err: errTooLarge}
			}
			into.spans = append(into.spans, s)
			into.saw(string(s.TraceID[:]))
		}
	}
	return nil
}

// fakeSearch reads all pages and checks that they follow each other.
func fakeSearch(t *testing.T, f *fakeStorage, o JaegerOptions, from, to time.Time) (map[Identity]int, []Page) {
	t.Helper()
	j := &Jaeger{opt: o.withDefaults()}
	s := newSearcher(j, f, SearchQuery{Service: "shop", From: from, To: to})
	got := map[Identity]int{}
	var pages []Page
	for s.from < s.to {
		page, err := s.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n := len(pages); n == 0 && !page.From.Equal(from) || n > 0 && !page.From.Equal(pages[n-1].To) {
			t.Fatalf("page %d begins at %s", n, page.From)
		}
		for i := range page.Spans {
			got[page.Spans[i].Identity()]++
		}
		pages = append(pages, page)
	}
	if last := pages[len(pages)-1]; last.To.Before(to) {
		t.Fatalf("the last page ends at %s, want %s", last.To, to)
	}
	return got, pages
}

var fakeEpoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fakeTrace makes a trace with a span of "shop" at each of the times, and one
// of another service.
func fakeTrace(number int, starts ...time.Time) []Span {
	var id TraceID
	binary.BigEndian.PutUint64(id[8:], uint64(number)+1)
	var spans []Span
	for i, start := range starts {
		s := NewSpan()
		s.TraceID, s.Service, s.Kind, s.Start = id, "shop", KindServer, start
		binary.BigEndian.PutUint64(s.SpanID[:], uint64(i)+1)
		spans = append(spans, s)
	}
	other := spans[0]
	other.Service, other.Start = "stock", other.Start.Add(-time.Hour)
	return append(spans, other)
}

// TestJaegerSearchLosesNothing runs searches over random traces, with bursts
// and neighbours at the resolution, in storages of every behaviour.
func TestJaegerSearchLosesNothing(t *testing.T) {
	storages := map[string]fakeStorage{
		"inclusive, ns":          {finest: 1},
		"inclusive, µs":          {finest: time.Microsecond},
		"exclusive, rows, µs":    {finest: time.Microsecond, exclude: true},
		"inclusive, small depth": {finest: 1, maxDepth: 7},
		"inclusive, small bytes": {finest: 1, maxSpans: 40},
	}
	for name, storage := range storages {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(40) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				f, want := storage, map[Identity]bool{}
				at := fakeEpoch
				for number := range 150 {
					if rnd.IntN(3) > 0 { // else in the same microsecond
						at = at.Add(time.Duration(rnd.ExpFloat64() * float64(time.Microsecond) * float64(uint64(1)<<rnd.IntN(20))))
					}
					starts := []time.Time{at}
					for range rnd.IntN(6) {
						starts = append(starts, at.Add(time.Duration(rnd.Int64N(int64(100*time.Microsecond)))))
					}
					f.traces = append(f.traces, fakeTrace(number, starts...))
				}
				from, to := fakeEpoch, at.Add(time.Second)
				o := JaegerOptions{PageLimit: 5 + rnd.IntN(10), MaxTraces: 150}
				got, pages := fakeSearch(t, &f, o, from, to)
				for _, page := range pages {
					if page.Truncated && f.maxDepth == 0 && f.maxSpans == 0 {
						t.Errorf("seed %d: truncated at %s: %s", seed, page.From, page.Reason)
					}
				}
				for _, trace := range f.traces {
					for i := range trace {
						want[trace[i].Identity()] = true
					}
				}
				truncated := 0
				for _, page := range pages {
					if page.Truncated {
						truncated++
					}
				}
				if missing := len(want) - len(got); missing != 0 && truncated == 0 {
					t.Errorf("seed %d: %d of %d spans are missing", seed, missing, len(want))
				}
				if limit := 40 * len(f.traces); f.requests > limit {
					t.Errorf("seed %d: %d requests for %d traces", seed, f.requests, len(f.traces))
				}
			}
		})
	}
}

func TestJaegerSearchFloodOfOneInstant(t *testing.T) {
	for name, storage := range map[string]fakeStorage{
		"inclusive": {finest: 1},
		"exclusive": {finest: time.Microsecond, exclude: true},
	} {
		t.Run(name, func(t *testing.T) {
			instant := fakeEpoch.Add(500 * time.Millisecond)
			f := storage
			f.traces = append(f.traces, fakeTrace(0, instant.Add(-time.Microsecond)))
			for number := range 100 {
				f.traces = append(f.traces, fakeTrace(1+number, instant))
			}
			f.traces = append(f.traces, fakeTrace(101, instant.Add(time.Microsecond)))
			o := JaegerOptions{PageLimit: 10, MaxTraces: 40}
			got, pages := fakeSearch(t, &f, o, fakeEpoch, fakeEpoch.Add(time.Second))
			var truncated []Page
			for _, page := range pages {
				if page.Truncated {
					truncated = append(truncated, page)
				}
			}
			if len(truncated) != 1 || truncated[0].Reason != TruncatedInstant ||
				!truncated[0].From.Equal(instant) || !truncated[0].To.Equal(instant.Add(time.Microsecond)) {
				t.Errorf("truncated pages: %+v", truncated)
			}
			// What could be told of the instant, and both its neighbours.
			if len(got) < 2*(40+1) {
				t.Errorf("%d spans", len(got))
			}
			for _, number := range []int{0, 101} {
				if id := fakeTrace(number, instant)[0].Identity(); got[id] == 0 {
					t.Errorf("trace %d beside the flood is missing", number)
				}
			}
			o.MaxTraces = 200
			f.requests = 0
			got, pages = fakeSearch(t, &f, o, fakeEpoch, fakeEpoch.Add(time.Second))
			for _, page := range pages {
				if page.Truncated {
					t.Errorf("truncated though MaxTraces is enough: %+v", page)
				}
			}
			if len(got) != 2*102 {
				t.Errorf("%d spans, want %d", len(got), 2*102)
			}
		})
	}
}

func TestJaegerSearchEndsWhereTheWindowIsIgnored(t *testing.T) {
	f := fakeStorage{finest: 1, ignore: true}
	for number := range 50 {
		f.traces = append(f.traces, fakeTrace(number, fakeEpoch.Add(-time.Hour)))
	}
	_, pages := fakeSearch(t, &f, JaegerOptions{PageLimit: 10}, fakeEpoch, fakeEpoch.Add(time.Minute))
	if len(pages) != 1 || pages[0].Reason != TruncatedWindow {
		t.Errorf("pages: %+v", pages)
	}
}

func TestJaegerSearchGetsPastAGiantTrace(t *testing.T) {
	var starts []time.Time
	for i := range 1000 {
		starts = append(starts, fakeEpoch.Add(time.Duration(i)*50*time.Microsecond))
	}
	f := fakeStorage{finest: 1, maxSpans: 300}
	f.traces = append(f.traces, fakeTrace(0, starts...))
	for number := 1; number < 20; number++ {
		f.traces = append(f.traces, fakeTrace(number, fakeEpoch.Add(time.Duration(number)*time.Second)))
	}
	got, pages := fakeSearch(t, &f, JaegerOptions{PageLimit: 10}, fakeEpoch, fakeEpoch.Add(time.Minute))
	truncated := 0
	for _, page := range pages {
		if page.Truncated && page.Reason == TruncatedBytes {
			truncated++
		}
	}
	if truncated == 0 || truncated > 2*jaegerGiantParts || f.requests > 1000 {
		t.Errorf("%d truncated pages, %d requests", truncated, f.requests)
	}
	for number := 1; number < 20; number++ {
		if id := fakeTrace(number, fakeEpoch)[0].Identity(); got[id] == 0 {
			t.Errorf("trace %d is missing", number)
		}
	}
}

func TestJaegerSearchValidates(t *testing.T) {
	j, err := NewJaeger(JaegerOptions{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	now := time.Now()
	good := SearchQuery{Service: "shop", From: now.Add(-time.Hour), To: now}
	for name, change := range map[string]func(*SearchQuery){
		"no service":    func(q *SearchQuery) { q.Service = "" },
		"no start":      func(q *SearchQuery) { q.From = time.Time{} },
		"no end":        func(q *SearchQuery) { q.To = time.Time{} },
		"end first":     func(q *SearchQuery) { q.From, q.To = q.To, q.From },
		"far future":    func(q *SearchQuery) { q.To = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC) },
		"negative":      func(q *SearchQuery) { q.MinDuration = -1 },
		"min above max": func(q *SearchQuery) { q.MinDuration, q.MaxDuration = 2, 1 },
	} {
		q := good
		change(&q)
		pages := 0
		for _, err := range j.Search(t.Context(), q) {
			pages++
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if pages != 1 {
			t.Errorf("%s: %d results", name, pages)
		}
	}
}

func BenchmarkJaegerSearchPlan(b *testing.B) {
	f := fakeStorage{finest: 1}
	for number := range 2000 {
		f.traces = append(f.traces, fakeTrace(number, fakeEpoch.Add(time.Duration(number)*time.Millisecond)))
	}
	for b.Loop() {
		f.requests = 0
		j := &Jaeger{opt: JaegerOptions{PageLimit: 100}.withDefaults()}
		s := newSearcher(j, &f, SearchQuery{Service: "shop", From: fakeEpoch, To: fakeEpoch.Add(time.Hour)})
		for s.from < s.to {
			if _, err := s.next(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(f.requests), fmt.Sprintf("requests/%dpages", 2000/100))
}
