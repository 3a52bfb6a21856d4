package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/opnfv/clover/visibility"
)

// testLedger injects each kind of loss and checks that the account balances.
func testLedger(k *kit) {
	mark := epoch.Add(30 * time.Second)
	newest := server("a.default", 2, 0)
	newest.Start = epoch.Add(5 * time.Second)
	invalid := server("a.default", 0, 0)
	k.deliver(&visibility.Batch{
		Source: source,
		Spans:  spans(server("a.default", 1, 0), newest, newest, invalid, server("b.default", 3, 0)),
		Ledger: []visibility.Loss{
			{Service: "a.default", Fate: visibility.FateDuplicate, Count: 4},
			{Service: "a.default", Fate: visibility.FateRejected, Reason: "no_trace", Count: 5},
			{Service: "a.default", Fate: visibility.FateTruncated, Count: 6},
			{Service: "a.default", Fate: visibility.FateDropped, Reason: "queue: full", Count: 7},
			{Service: "a.default", Fate: visibility.FateDropped, Reason: "paused", Count: 8},
			{Fate: visibility.FateDropped, Reason: "unreadable", Count: 9},
		},
		Watermarks: map[string]time.Time{"a.default": mark, "c.default": mark},
	})
	k.deliver(&visibility.Batch{Source: "another", Spans: spans(newest)})
	e := k.entry("a.default")
	want := visibility.LedgerEntry{
		Source: source, Service: "a.default", Seen: 34, Kept: 2, Duplicate: 5, Truncated: 6,
		Rejected:  map[string]int64{visibility.RejectInvalid: 1, "no_trace": 5},
		Dropped:   map[string]int64{"queue: full": 7, "paused": 8},
		Watermark: mark, LastSpan: newest.Start, LastArrival: k.clock.time(),
	}
	if !reflect.DeepEqual(e, want) {
		k.Errorf("entry\n got %+v\nwant %+v", e, want)
	}
	if e := k.entry(""); e.Dropped["unreadable"] != 9 || e.Seen != 9 {
		k.Errorf("losses of no known service: %+v", e)
	}
	if e := k.entry("c.default"); !e.Watermark.Equal(mark) || e.Seen != 0 {
		k.Errorf("a service with a watermark only: %+v", e)
	}
	entries, err := k.Store.Ledger(k.Context())
	if err != nil {
		k.Fatal(err)
	}
	var names []string
	for i := range entries {
		names = append(names, entries[i].Source+"/"+entries[i].Service)
		if b := entries[i].Balance(); b != 0 {
			k.Errorf("%s does not balance: %d", names[i], b)
		}
	}
	wantNames := []string{"another/a.default", source + "/", source + "/a.default", source + "/b.default", source + "/c.default"}
	if !reflect.DeepEqual(names, wantNames) {
		k.Errorf("entries %q, want %q", names, wantNames)
	}
}

// testLedgerReopen holds that the account and the watermarks are durable and
// that a watermark is what was said last.
func testLedgerReopen(k *kit) {
	m := newMesh(13)
	m.traceMany(30, epoch, time.Minute)
	for i, batch := range m.deliveries(50) {
		k.deliver(&visibility.Batch{
			Source: source, Spans: batch,
			Ledger:     []visibility.Loss{{Service: "http-lb", Fate: visibility.FateTruncated, Count: 1}},
			Watermarks: map[string]time.Time{"http-lb": epoch.Add(time.Duration(i) * time.Second)},
		})
	}
	before, err := k.Store.Ledger(k.Context())
	if err != nil {
		k.Fatal(err)
	}
	k.reopen()
	after, err := k.Store.Ledger(k.Context())
	if err != nil || !reflect.DeepEqual(before, after) {
		k.Errorf("after reopening (%v)\n got %+v\nwant %+v", err, after, before)
	}
	var kept int64
	for i := range after {
		kept += after[i].Kept
		if after[i].Balance() != 0 {
			k.Errorf("does not balance: %+v", after[i])
		}
	}
	if kept != int64(len(m.spans)) {
		k.Errorf("%d kept, want %d", kept, len(m.spans))
	}
}

// testMetrics stores metric points and reads them by what a query selects.
func testMetrics(k *kit) {
	var points []visibility.MetricPoint
	for i := range 150 {
		points = append(points, visibility.MetricPoint{
			Name: "rq_2xx", Service: "http-lb.default", Time: epoch.Add(time.Duration(i-200) * time.Second), Value: float64(i),
		})
	}
	points = append(points,
		visibility.MetricPoint{Name: "rq_2xx", Service: "proxy", Time: epoch, Value: 1.5},
		visibility.MetricPoint{Name: "custom", Time: epoch, Value: -1},
	)
	k.deliver(&visibility.Batch{Source: "prometheus", Metrics: points})
	k.deliver(&visibility.Batch{Source: "prometheus", Metrics: points[150:]}) // again
	read := func(q visibility.MetricQuery) []visibility.MetricSeries {
		k.Helper()
		got, err := k.Store.Metrics(k.Context(), q)
		if err != nil {
			k.Fatalf("metrics: %v", err)
		}
		return got
	}
	names := func(q visibility.MetricQuery) (names []string) {
		for _, s := range read(q) {
			names = append(names, fmt.Sprintf("%s/%s:%d", s.Name, s.Service, len(s.Points)))
		}
		return names
	}
	for range 2 {
		for _, c := range []struct {
			q    visibility.MetricQuery
			want []string
		}{
			{visibility.MetricQuery{}, []string{"custom/:1", "rq_2xx/http-lb.default:100", "rq_2xx/proxy:1"}},
			{visibility.MetricQuery{Name: "rq_2xx", Limit: 7}, []string{"rq_2xx/http-lb.default:7", "rq_2xx/proxy:1"}},
			{visibility.MetricQuery{Service: "http_lb", Limit: 1000}, []string{"rq_2xx/http-lb.default:150"}},
			{visibility.MetricQuery{Range: visibility.Range{From: epoch.Add(-time.Second), To: epoch.Add(time.Second)}}, []string{"custom/:1", "rq_2xx/proxy:1"}},
			{visibility.MetricQuery{Name: "absent"}, nil},
		} {
			if got := names(c.q); !reflect.DeepEqual(got, c.want) {
				k.Errorf("%+v: %v, want %v", c.q, got, c.want)
			}
		}
		k.reopen()
	}
	newest := read(visibility.MetricQuery{Name: "rq_2xx", Service: "http-lb.default", Limit: 2})[0].Points
	if newest[0].Value != 148 || newest[1].Value != 149 || !newest[1].Time.Equal(epoch.Add(-51*time.Second)) {
		k.Errorf("the newest points, oldest first: %+v", newest)
	}
}

// testState stores named values.
func testState(k *kit) {
	ctx := k.Context()
	if _, err := k.Store.State(ctx, "config"); !errors.Is(err, visibility.ErrNotFound) {
		k.Errorf("a state that was never set: %v, want ErrNotFound", err)
	}
	value := []byte("one")
	for name, v := range map[string][]byte{"config": value, "other": {}, "": []byte("no name")} {
		if err := k.Store.SetState(ctx, name, v); err != nil {
			k.Fatalf("set %q: %v", name, err)
		}
	}
	value[0] = 'X' // the caller's again
	k.reopen()
	for name, want := range map[string]string{"config": "one", "other": "", "": "no name"} {
		if got, err := k.Store.State(ctx, name); err != nil || string(got) != want {
			k.Errorf("state %q: %q, %v; want %q", name, got, err, want)
		}
	}
	if err := k.Store.SetState(ctx, "config", []byte("two")); err != nil {
		k.Fatal(err)
	}
	if got, err := k.Store.State(ctx, "config"); err != nil || string(got) != "two" {
		k.Errorf("replaced: %q, %v", got, err)
	}
	for range 2 {
		if err := k.Store.SetState(ctx, "config", nil); err != nil {
			k.Fatal(err)
		}
	}
	if _, err := k.Store.State(ctx, "config"); !errors.Is(err, visibility.ErrNotFound) {
		k.Errorf("removed: %v, want ErrNotFound", err)
	}
}

func (k *kit) stats() visibility.StoreStats {
	k.Helper()
	st, err := k.Store.Stats(k.Context())
	if err != nil {
		k.Fatalf("stats: %v", err)
	}
	return st
}

// testStats compares a store's figures with what was written.
func testStats(k *kit) {
	if st := k.stats(); st.Name == "" || st.Spans != 0 || st.Traces != 0 || st.Metrics != 0 || !st.Oldest.IsZero() || !st.Newest.IsZero() {
		k.Errorf("empty store: %+v", st)
	}
	m := newMesh(17)
	m.traceMany(40, epoch.Add(-2*time.Hour), 2*time.Hour)
	sessions := int64(0)
	for i := 0; i < len(m.spans); i += 7 {
		m.spans[i].Scope = "github.com/opnfv/clover/clovisor"
		sessions++
	}
	for _, batch := range m.deliveries(200) {
		k.write(batch...)
	}
	k.deliver(&visibility.Batch{Source: source, Metrics: []visibility.MetricPoint{{Name: "x", Time: epoch}}})
	k.reopen()
	oldest, newest := m.spans[0].Start, m.spans[0].Start
	for i := range m.spans {
		if at := m.spans[i].Start; at.Before(oldest) {
			oldest = at
		}
		newest = later(newest, m.spans[i].Start)
	}
	st := k.stats()
	if st.Spans != int64(len(m.spans)) || st.Sessions != sessions || st.Traces != 40 || st.Metrics != 1 || st.Rows == 0 {
		k.Errorf("%+v, want %d spans, %d of them sessions, of 40 traces and 1 metric", st, len(m.spans), sessions)
	}
	if st.Oldest.Sub(oldest).Abs() > time.Second || st.Newest.Sub(newest).Abs() > time.Second {
		k.Errorf("oldest %v newest %v, want %v and %v within a second", st.Oldest, st.Newest, oldest, newest)
	}
	if _, cov := k.read(visibility.Range{From: newest, To: newest.Add(time.Hour)}, 0); !cov.First.Equal(oldest.Truncate(time.Second)) {
		k.Errorf("Coverage.First is %v, want the second of %v", cov.First, oldest)
	}
}

// testClear holds that state and watermarks outlive Clear, and nothing else.
func testClear(k *kit) {
	ctx, mark := k.Context(), epoch.Add(time.Second)
	trace := inTrace(0, client("a.default", "b.default", 1, 0), server("b.default", 2, 1))
	trace = append(trace, inTrace(1, client("a.default", "b.default", 1, 0))...) // stays open
	fill := &visibility.Batch{
		Source: source, Spans: trace,
		Metrics:    []visibility.MetricPoint{{Name: "x", Time: epoch}},
		Watermarks: map[string]time.Time{"a.default": mark},
	}
	k.deliver(fill)
	if err := k.Store.SetState(ctx, "config", []byte("kept")); err != nil {
		k.Fatal(err)
	}
	if err := k.Store.Clear(ctx); err != nil {
		k.Fatal(err)
	}
	for range 2 {
		got, cov := k.read(everything, 0)
		if st := k.stats(); len(got) != 0 || cov.Open != 0 || !cov.First.IsZero() || st.Spans != 0 || st.Traces != 0 || st.Metrics != 0 {
			k.Errorf("after Clear: %d rollups, %d open, %+v", len(got), cov.Open, st)
		}
		if _, err := k.Store.Trace(ctx, traceID(0)); !errors.Is(err, visibility.ErrNotFound) {
			k.Errorf("trace after Clear: %v", err)
		}
		if found := k.all(visibility.TraceQuery{Range: everything}); len(found) != 0 {
			k.Errorf("search after Clear: %v", found)
		}
		if v, err := k.Store.State(ctx, "config"); err != nil || string(v) != "kept" {
			k.Errorf("state after Clear: %q, %v", v, err)
		}
		if e := k.entry("a.default"); !e.Watermark.Equal(mark) || e.Seen != 0 || e.Kept != 0 {
			k.Errorf("ledger after Clear: %+v", e)
		}
		k.reopen()
	}
	k.wantReceipt(k.deliver(fill), 3, 0)
	if got, _ := k.read(everything, 0); got.total(visibility.CountRequests).Count != 2 {
		k.Errorf("%d requests when written again, want 2", got.total(visibility.CountRequests).Count)
	}
}

// testRetention holds that what is too old goes and does not come back.
func testRetention(k *kit) {
	ctx := k.Context()
	old, young := newMesh(19), newMesh(23)
	young.traces = 1000
	old.traceMany(20, epoch.Add(-30*time.Minute), 20*time.Minute)
	young.traceMany(20, epoch.Add(20*time.Hour), 20*time.Minute)
	var again visibility.Batch
	for _, batch := range old.deliveries(100) {
		k.write(batch...)
		again.Spans = append(again.Spans, batch...)
	}
	k.clock.set(epoch.Add(20*time.Hour + 30*time.Minute))
	for _, batch := range young.deliveries(100) {
		k.write(batch...)
	}
	k.clock.set(epoch.Add(30 * time.Hour))
	if err := k.Retain(ctx); err != nil {
		k.Fatal(err)
	}
	for range 2 {
		if _, err := k.Store.Trace(ctx, old.spans[0].TraceID); !errors.Is(err, visibility.ErrNotFound) {
			k.Errorf("a trace that has expired: %v", err)
		}
		if st := k.stats(); st.Spans != int64(len(young.spans)) || st.Traces != 20 {
			k.Errorf("%+v, want %d spans of 20 traces", st, len(young.spans))
		}
		got, cov := k.read(visibility.Range{From: epoch.Add(-4 * time.Hour), To: epoch.Add(30 * time.Hour)}, 0)
		want := young.cells(nil)
		if d := differ(got.total(visibility.CountSpans), want.total(visibility.CountSpans)); d != "" {
			k.Errorf("spans that are left: %s", d)
		}
		if g, w := got.total(visibility.CountRequests).Count, want.total(visibility.CountRequests).Count; g != w {
			k.Errorf("%d requests left, want %d", g, w)
		}
		if cov.Oldest.IsZero() || cov.Oldest.After(epoch.Add(20*time.Hour)) {
			k.Errorf("Coverage.Oldest is %v, want the end of what expired", cov.Oldest)
		}
		k.reopen()
	}
	again.Source = source
	if r := k.deliver(&again); r.Kept != 0 || r.Rejected[visibility.RejectExpired] != len(again.Spans) {
		k.Errorf("expired spans again: %+v, want %d expired", r, len(again.Spans))
	}
}
