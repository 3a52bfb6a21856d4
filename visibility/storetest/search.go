package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// all pages through a search.
func (k *kit) all(q visibility.TraceQuery) (found []visibility.TraceSummary) {
	k.Helper()
	const mostPages = 1000
	for range mostPages {
		page, err := k.Store.Traces(k.Context(), q)
		if err != nil {
			k.Fatalf("traces: %v", err)
		}
		if q.Limit > 0 && len(page.Traces) > q.Limit {
			k.Fatalf("a page of %d, the limit is %d", len(page.Traces), q.Limit)
		}
		found = append(found, page.Traces...)
		if page.Next == "" {
			return found
		}
		q.Cursor = page.Next
	}
	k.Fatalf("no end after %d pages", mostPages)
	return nil
}

func idsOf(list []visibility.TraceSummary) (ids []tracing.TraceID) {
	for i := range list {
		ids = append(ids, list[i].TraceID)
	}
	return ids
}

func (k *kit) wantTraces(q visibility.TraceQuery, what string, want ...uint64) {
	k.Helper()
	var ids []tracing.TraceID
	for _, n := range want {
		ids = append(ids, traceID(n))
	}
	if got := idsOf(k.all(q)); !slices.Equal(got, ids) {
		k.Errorf("%s: found %v, want %v", what, got, ids)
	}
}

func filter(k *kit, text string) *visibility.Filter {
	k.Helper()
	f, err := visibility.ParseFilter(text)
	if err != nil {
		k.Fatal(err)
	}
	return f
}

// testTraceSearch searches three traces by everything that can be asked for.
func testTraceSearch(k *kit) {
	for i := range uint64(3) {
		pair := inTrace(i, client("a.default", "b.default", 1, 0), server("b.default", 2, 1))
		pair[0].Start = epoch.Add(time.Duration(i) * 10 * time.Second)
		pair[1].Start = pair[0].Start.Add(3 * time.Millisecond)
		pair[0].Duration = time.Duration(i+1) * 100 * time.Millisecond
		if i == 1 {
			pair[1].StatusCode, pair[1].Error = 503, true
			extra := inTrace(i, server("only.default", 3, 2))[0]
			extra.Start = pair[1].Start
			extra.Attributes = []tracing.Attribute{{Key: "tenant", Value: "blue"}}
			pair = append(pair, extra)
		}
		k.write(pair...)
	}
	all := visibility.TraceQuery{Range: everything}
	k.wantTraces(all, "all", 2, 1, 0)
	with := func(change func(*visibility.TraceQuery)) visibility.TraceQuery {
		q := all
		change(&q)
		return q
	}
	k.wantTraces(with(func(q *visibility.TraceQuery) { q.Service = "only" }), "service", 1)
	k.wantTraces(with(func(q *visibility.TraceQuery) { q.Service = "B_default" }), "service that is none", []uint64(nil)...)
	k.wantTraces(with(func(q *visibility.TraceQuery) { q.Service = "b" }), "short service name", 2, 1, 0)
	k.wantTraces(with(func(q *visibility.TraceQuery) { q.Service = "nobody" }), "unknown service")
	k.wantTraces(with(func(q *visibility.TraceQuery) { q.MinDuration = 150 * time.Millisecond }), "duration", 2, 1)
	k.wantTraces(with(func(q *visibility.TraceQuery) { q.Filter = filter(k, "status >= 500") }), "status", 1)
	k.wantTraces(with(func(q *visibility.TraceQuery) { q.Filter = filter(k, "service = b and status = 200") }), "one span matches all of it", 2, 0)
	k.wantTraces(with(func(q *visibility.TraceQuery) { q.Filter = filter(k, "duration > 250ms") }), "span's duration", 2)
	k.wantTraces(with(func(q *visibility.TraceQuery) { q.Filter = filter(k, `tag["tenant"] = blue`) }), "tag", 1)
	k.wantTraces(with(func(q *visibility.TraceQuery) {
		q.Range = visibility.Range{From: epoch.Add(5 * time.Second), To: epoch.Add(15 * time.Second)}
	}), "range", 1)
	k.wantTraces(with(func(q *visibility.TraceQuery) {
		q.Range = visibility.Range{From: epoch.Add(time.Hour), To: epoch.Add(2 * time.Hour)}
	}), "empty range")

	sum := k.all(with(func(q *visibility.TraceQuery) { q.Service = "only" }))[0]
	if sum.Root != "a.default" || sum.Spans != 3 || sum.Errors != 1 || sum.Duration != 200*time.Millisecond ||
		!sum.Start.Equal(epoch.Add(10*time.Second)) || !slices.Equal(sum.Services, []string{"a.default", "b.default", "only.default"}) {
		k.Errorf("summary %+v", sum)
	}
}

// testTracePaging pages with every size, also while newer traces arrive.
func testTracePaging(k *kit) {
	const traces = 23
	var want []uint64
	var batch []tracing.Span
	for i := range uint64(traces) {
		s := inTrace(i, server("a.default", 1, 0))[0]
		s.Start = epoch.Add(time.Duration(i) * 7 * time.Second)
		batch = append(batch, s)
		want = append([]uint64{i}, want...)
	}
	k.clock.set(epoch.Add(time.Hour))
	k.write(batch...)
	for _, limit := range []int{1, 2, 7, traces, traces + 1} {
		for _, service := range []string{"", "a"} {
			k.wantTraces(visibility.TraceQuery{Range: everything, Limit: limit, Service: service}, "paged", want...)
		}
	}
	first, err := k.Store.Traces(k.Context(), visibility.TraceQuery{Range: everything, Limit: 10})
	if err != nil || len(first.Traces) != 10 || first.Next == "" {
		k.Fatalf("first page: %d, next %q, %v", len(first.Traces), first.Next, err)
	}
	s := inTrace(100, server("a.default", 1, 0))[0]
	s.Start = epoch.Add(30 * time.Minute)
	k.write(s)
	k.wantTraces(visibility.TraceQuery{Range: everything, Limit: 10, Cursor: first.Next}, "after a newer one", want[10:]...)
	if _, err := k.Store.Traces(k.Context(), visibility.TraceQuery{Range: everything, Cursor: "nonsense"}); !errors.Is(err, visibility.ErrInvalid) {
		k.Errorf("a cursor that is none: %v, want ErrInvalid", err)
	}
}
