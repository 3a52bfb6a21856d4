package storetest

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// testIdempotence writes the same spans again, alone, in other batches, from
// several goroutines and after reopening: they count once.
func testIdempotence(k *kit) {
	m := newMesh(3)
	m.traceMany(20, epoch, time.Minute)
	var all []tracing.Span
	for i := range m.spans {
		all = append(all, m.spans[i].Span)
	}
	want := m.cells(nil)
	check := func(when string) {
		k.Helper()
		got, _ := k.read(everything, fine)
		k.Log(when)
		k.wantCells(got, want)
	}
	k.wantReceipt(k.write(all...), len(all), 0)
	check("once")
	for range 5 {
		k.wantReceipt(k.write(all...), 0, len(all))
	}
	check("six times")
	k.wantReceipt(k.write(append(all[:10:10], all[5:15]...)...), 0, 20)
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			r, err := k.Store.Write(k.Context(), &visibility.Batch{Source: "other", Spans: all})
			if err != nil || r.Kept != 0 || r.Duplicates != len(all) {
				k.Errorf("another writer: %+v, %v", r, err)
			}
		})
	}
	writers.Wait()
	check("from several writers")
	k.reopen()
	k.wantReceipt(k.write(all...), 0, len(all))
	k.settle()
	k.wantReceipt(k.write(all...), 0, len(all))
	check("after reopening and settling")

	twice := inTrace(1000, server("a.default", 1, 0), server("a.default", 1, 0))
	k.wantReceipt(k.write(twice...), 1, 1)
}

// testIdentity writes spans that share what they may share.
func testIdentity(k *kit) {
	k.clock.set(epoch.Add(time.Hour))
	same := server("a.default", 1, 0)
	changed := same
	changed.Operation, changed.Duration, changed.StatusCode = "other", time.Second, 500
	otherKind := client("a.default", "b.default", 1, 0)
	otherService := server("b.default", 1, 0)
	otherTrace := inTrace(1, same)[0]
	otherSpan := server("a.default", 2, 0)
	k.wantReceipt(k.write(same, otherKind, otherService, otherTrace, otherSpan), 5, 0)
	k.wantReceipt(k.write(changed), 0, 1)        // the first report stays
	changed.Start = changed.Start.Add(time.Hour) // of a clock that was corrected
	k.wantReceipt(k.write(changed), 0, 1)
	trace, err := k.Store.Trace(k.Context(), same.TraceID)
	if err != nil || len(trace) != 4 {
		k.Fatalf("%d spans, %v; want 4", len(trace), err)
	}
	for i := range trace {
		if trace[i].Operation == "other" {
			k.Error("a duplicate replaced the span")
		}
	}
}

func testEmptyBatch(k *kit) {
	k.wantReceipt(k.deliver(&visibility.Batch{Source: source}), 0, 0)
	if got, _ := k.read(everything, 0); len(got) != 0 {
		k.Errorf("an empty store has %d rollups", len(got))
	}
}

// testRejects writes what cannot be stored.
func testRejects(k *kit) {
	now := k.clock.time()
	good := server("a.default", 1, 0)
	bad := func(change func(*tracing.Span)) tracing.Span {
		s := server("a.default", 9, 0)
		s.TraceID = traceID(99)
		change(&s)
		return s
	}
	r := k.write(
		good,
		bad(func(s *tracing.Span) { s.TraceID = tracing.TraceID{} }),
		bad(func(s *tracing.Span) { s.SpanID = tracing.SpanID{} }),
		bad(func(s *tracing.Span) { s.Start = now.Add(2 * time.Hour) }),
		bad(func(s *tracing.Span) { s.Start = now.Add(-25 * time.Hour) }),
		bad(func(s *tracing.Span) { s.Start = time.Time{} }),
		bad(func(s *tracing.Span) { s.Start = time.Unix(0, 0) }),
	)
	want := map[string]int{visibility.RejectInvalid: 2, visibility.RejectFuture: 1, visibility.RejectExpired: 3}
	if r.Kept != 1 || r.Duplicates != 0 || !maps.Equal(r.Rejected, want) {
		k.Errorf("receipt %+v, want 1 kept and %v rejected", r, want)
	}
	if e := k.entry("a.default"); e.Seen != 7 || e.Kept != 1 || e.Rejected[visibility.RejectExpired] != 3 || e.Balance() != 0 {
		k.Errorf("ledger %+v", e)
	}
	got, _ := k.read(everything, 0)
	if n := got.total(visibility.CountSpans).Count; n != 1 {
		k.Errorf("%d spans counted, want 1", n)
	}
	ahead := server("a.default", 2, 0)
	ahead.Start = now.Add(50 * time.Minute) // a clock that is wrong, but not by much
	k.wantReceipt(k.write(ahead), 1, 0)
}

// entry returns the ledger's entry of the suite's source and a service.
func (k *kit) entry(service string) visibility.LedgerEntry {
	k.Helper()
	entries, err := k.Store.Ledger(k.Context())
	if err != nil {
		k.Fatalf("ledger: %v", err)
	}
	for i := range entries {
		if entries[i].Source == source && entries[i].Service == service {
			return entries[i]
		}
	}
	k.Errorf("the ledger has no entry of %s and %q", source, service)
	return visibility.LedgerEntry{}
}

// testOverflow writes more distinct values than the store keeps apart: it
// folds rows, says so, and all totals stay exact, also when folded rows move.
func testOverflow(k *kit) {
	const traces = 200
	var clients, servers []tracing.Span
	want := &visibility.Aggregate{}
	wantSpans := &visibility.Aggregate{}
	for i := range uint64(traces) {
		pair := inTrace(i, client("a.default", "b.default", 1, 0), server("b.default", 2, 1))
		for j := range pair {
			pair[j].URL = fmt.Sprintf("http://b:9180/item/%d", i)
			pair[j].Duration = time.Duration(i+1) * time.Millisecond
			wantSpans.Observe(&pair[j])
		}
		clients, servers = append(clients, pair[0]), append(servers, pair[1])
		want.Observe(&pair[1])
	}
	k.write(clients...)
	k.settle() // so that they have been counted
	k.write(servers...)
	got, cov := k.read(everything, 0)
	if d := differ(got.total(visibility.CountSpans), wantSpans); d != "" {
		k.Errorf("spans: %s", d)
	}
	if g := got.total(visibility.CountRequests); g.Count != want.Count || g.Sum != want.Sum || g.RequestBytes != want.RequestBytes {
		k.Errorf("requests: %d taking %v, want %d taking %v", g.Count, g.Sum, want.Count, want.Sum)
	}
	rows, others := map[rowKey]bool{}, int64(0)
	for at, a := range got {
		rows[rowKey{at.role, at.key}] = true
		if at.key[visibility.URL] == visibility.Other {
			others += a.Count
		}
	}
	if len(rows) > 60 {
		k.Errorf("%d rows, though the limit is 40", len(rows))
	}
	if others == 0 || cov.Overflow == 0 {
		k.Errorf("%d spans in the rows of %s, Coverage.Overflow %d: want some of both", others, visibility.Other, cov.Overflow)
	}
	trace, err := k.Store.Trace(k.Context(), servers[traces-1].TraceID)
	if err != nil || len(trace) != 2 || trace[0].URL != servers[traces-1].URL {
		k.Errorf("a folded span has lost its own values: %+v, %v", trace, err)
	}
}
