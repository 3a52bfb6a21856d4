package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// testSearchRandom pages through random traces by all that can be asked for
// and compares what is found with the reference: each trace once, with the
// same summary, the newest of a page first.
func testSearchRandom(k *kit) {
	k.clock.set(epoch.Add(3 * time.Hour))
	m := newMesh(31)
	m.traceMany(120, epoch, 150*time.Minute)
	reference := NewReference(Options{Clock: k.clock.time})
	for _, batch := range m.deliveries(80) {
		k.compareReceipts(reference, batch)
	}
	for _, service := range []string{"", "http-lb", "HTTP_LB", "clover-server1", "nobody"} {
		for _, text := range []string{"", "status >= 500", "url ~ 'item/2$' and user_agent = chrome", "not method = GET and error = true"} {
			for _, least := range []time.Duration{0, 30 * time.Millisecond} {
				q := visibility.TraceQuery{Range: everything, Service: service, MinDuration: least, Limit: 1000}
				if text != "" {
					q.Filter = filter(k, text)
				}
				k.comparePages(reference, q)
			}
		}
	}
}

// comparePages asks the store for pages of several sizes and the reference
// for all at once.
func (k *kit) comparePages(reference *Memory, q visibility.TraceQuery) {
	k.Helper()
	all, err := reference.Traces(k.Context(), q)
	if err != nil {
		k.Fatal(err)
	}
	want := byID(all.Traces)
	for _, q.Limit = range []int{3, 50, 1000} {
		got := byID(k.all(q))
		what := fmt.Sprintf("service %q, filter %q, at least %v, pages of %d", q.Service, q.Filter, q.MinDuration, q.Limit)
		if !slices.Equal(idsOf(got), idsOf(want)) {
			k.Errorf("%s: found %d traces %v\nwant %d %v", what, len(got), idsOf(got), len(want), idsOf(want))
			continue
		}
		for i := range got {
			if !equalSummaries(got[i], want[i]) {
				k.Errorf("%s: summary\n got %+v\nwant %+v", what, got[i], want[i])
				break
			}
		}
	}
	page, err := k.Store.Traces(k.Context(), q)
	if err != nil {
		k.Fatal(err)
	}
	if !slices.IsSortedFunc(page.Traces, func(a, b visibility.TraceSummary) int { return b.Start.Compare(a.Start) }) {
		k.Errorf("service %q, filter %q: a page is not sorted by start", q.Service, q.Filter)
	}
}

func byID(list []visibility.TraceSummary) []visibility.TraceSummary {
	return slices.SortedFunc(slices.Values(list), func(a, b visibility.TraceSummary) int {
		return slices.Compare(a.TraceID[:], b.TraceID[:])
	})
}

func equalSummaries(a, b visibility.TraceSummary) bool {
	return a.TraceID == b.TraceID && a.Start.Equal(b.Start) && a.Duration == b.Duration && a.Root == b.Root &&
		a.Operation == b.Operation && a.URL == b.URL && a.Status == b.Status &&
		slices.Equal(a.Services, b.Services) && a.Spans == b.Spans && a.Errors == b.Errors
}

// testSearchBounds holds that ranges of a search are half open to the
// nanosecond.
func testSearchBounds(k *kit) {
	from, to := epoch.Add(1500*time.Millisecond), epoch.Add(2500*time.Millisecond)
	for i, at := range []time.Time{from.Add(-1), from, to.Add(-1), to} {
		s := inTrace(uint64(i), server("a.default", 1, 0))[0]
		s.Start = at
		k.write(s)
	}
	for _, service := range []string{"", "a"} {
		k.wantTraces(visibility.TraceQuery{Range: visibility.Range{From: from, To: to}, Service: service}, "bounds", 2, 1)
	}
	empty := visibility.TraceQuery{Range: visibility.Range{From: to, To: from}}
	k.wantTraces(empty, "a range that ends before it begins", []uint64(nil)...)
	if page, err := k.Store.Traces(k.Context(), visibility.TraceQuery{Range: everything}); err != nil || len(page.Traces) != 4 || page.Traces[0].TraceID != (tracing.TraceID{15: 4}) {
		k.Errorf("without a limit: %v, %v", idsOf(page.Traces), err)
	}
}
