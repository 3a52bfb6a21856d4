package storetest

import (
	"slices"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// longTrace is a trace that goes on for hours, as one of a message queue or
// of a nightly job does, and what its spans count as. Spans that belong to
// one hop start within an hour of each other.
func longTrace(step time.Duration) (list []tracing.Span, want []hopWant) {
	const a, b, c = "a.default", "b.default", "c.default"
	list = spans(
		client(a, b, 1, 0), server(b, 2, 1), // the first attempt
		server(b, 3, 1), // a second one, from which work goes on
		client(b, c, 4, 3), server(c, 5, 4),
	)
	for i, at := range []time.Duration{step, 0, 2 * step, 3 * step, 4 * step} {
		list[i].Start = epoch.Add(-6*time.Hour + at)
	}
	return list, hops(paired(a, b), served(a, b), served(a, b), paired(b, c), served(b, c))
}

// testLongTraces delivers traces that last for hours in every order, with and
// without settling after each span.
func testLongTraces(k *kit) {
	n := uint64(0)
	want := cells{}
	var orders [][]tracing.Span
	for _, step := range []time.Duration{40 * time.Minute, time.Hour} {
		list, wants := longTrace(step)
		for _, order := range permutations(len(list)) {
			n++
			var ordered []tracing.Span
			for _, i := range order {
				s := list[i]
				s.TraceID = traceID(n)
				sum := visibility.AggregateOf(&s)
				want.add(cell{s.Start.Truncate(fine).Unix(), wants[i].role, wants[i].key(&s)}, &sum)
				ordered = append(ordered, s)
			}
			orders = append(orders, ordered)
		}
	}
	for i := range orders[0] {
		var batch []tracing.Span
		for _, ordered := range orders {
			batch = append(batch, ordered[i])
		}
		k.wantReceipt(k.write(batch...), len(batch), 0)
	}
	got, _ := k.read(everything, fine)
	k.wantCells(got, want)
	if err := k.Store.Clear(k.Context()); err != nil {
		k.Fatal(err)
	}
	for i := range orders[0] {
		var batch []tracing.Span
		for _, ordered := range orders {
			batch = append(batch, ordered[i])
		}
		k.write(batch...)
		k.settle()
	}
	got, _ = k.read(everything, fine)
	k.wantCells(withoutSources(got), withoutSources(want))
	k.wantLongTracesOnce(len(orders))
}

// wantLongTracesOnce holds that a search meets a trace at its start only,
// however long it goes on.
func (k *kit) wantLongTracesOnce(traces int) {
	k.Helper()
	list, _ := longTrace(time.Hour)
	list = inTrace(5000, list[1], list[4]) // silent for hours in between
	k.write(list...)
	for _, q := range []visibility.TraceQuery{
		{Range: everything, Limit: 7},
		{Range: everything, Limit: 1000},
		{Range: everything, Limit: 7, Filter: filter(k, "service = c")},
		{Range: everything, Limit: 7, MinDuration: time.Minute},
	} {
		found := k.all(q)
		ids := idsOf(found)
		slices.SortFunc(ids, func(a, b tracing.TraceID) int { return slices.Compare(a[:], b[:]) })
		if n := len(slices.Compact(ids)); n != len(found) {
			k.Errorf("%+v: %d traces, %d of them twice", q, len(found), len(found)-n)
		}
		if q.Filter == nil && len(found) != traces+1 {
			// What is silent for hours may be taken by its first part alone.
			if q.MinDuration == 0 || len(found) != traces {
				k.Errorf("%+v: %d traces, want %d", q, len(found), traces+1)
			}
		}
		for i := range found {
			if s := &found[i]; !s.Start.Equal(epoch.Add(-6*time.Hour)) || s.Spans != 5 && s.TraceID != traceID(5000) {
				k.Fatalf("%+v: summary of a part: %+v", q, *s)
			}
		}
	}
}
