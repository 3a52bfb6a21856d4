package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// hostile are texts that no store may stumble over: they come from whoever
// can send a request into the mesh.
var hostile = []string{
	"\x00", "a\x00b", "a.default\x00", "\xff\xfe", "\xc3\x28", "\u202e\u0000", "'; DROP TABLE spans; --",
	`"\"`, "%s%n", "(other)", "(external)", "../../etc/passwd", "^last", "rejected:x",
	strings.Repeat("x", 3000), strings.Repeat("\x00", 70_000),
}

// fields are the texts of a span.
func fields(s *tracing.Span) []*string {
	return []*string{
		&s.Service, &s.Operation, &s.Method, &s.URL, &s.URLTemplate, &s.UserAgent, &s.Protocol, &s.UpstreamCluster,
		&s.Node, &s.Peer, &s.RequestID, &s.ResponseFlags, &s.Namespace, &s.Workload, &s.Version, &s.StatusMessage, &s.Scope,
	}
}

// testHostileSpans puts each hostile text into each field. A store keeps such
// a span as it is or rejects it with a reason; others come to no harm.
func testHostileSpans(k *kit) {
	good := inTrace(1_000_000, server("good.default", 1, 0))[0]
	k.write(good)
	n, kept, rejected := uint64(0), 0, 0
	for _, text := range hostile {
		for i := range fields(&good) {
			n++
			s := inTrace(n, server("a.default", 1, 0))[0]
			*fields(&s)[i] = text
			s.Attributes = []tracing.Attribute{{Key: text, Value: text}}
			r := k.write(s)
			if r.Kept+sum(r.Rejected) != 1 {
				k.Fatalf("field %d %.20q: receipt %+v", i, text, r)
			}
			kept += r.Kept
			rejected += sum(r.Rejected)
			if r.Kept == 1 {
				k.wantSpan(s)
				k.wantReceipt(k.write(s), 0, 1)
			}
		}
	}
	for range 2 {
		k.wantSpan(good)
		got, _ := k.read(everything, 0)
		if g := got.total(visibility.CountSpans).Count; g != int64(kept+1) {
			k.Errorf("%d spans counted, %d kept", g, kept+1)
		}
		k.wantBalance(int64(2*kept + rejected + 1))
		if found := k.all(visibility.TraceQuery{Range: everything, Limit: 1000}); len(found) != kept+1 {
			k.Errorf("%d traces found, want %d", len(found), kept+1)
		}
		k.wantTraces(visibility.TraceQuery{Range: everything, Service: "good"}, "the good one", 1_000_000)
		k.reopen()
	}
}

func sum(rejected map[string]int) (n int) {
	for _, v := range rejected {
		n += v
	}
	return n
}

// wantSpan holds that a trace of one span comes back as it was written.
func (k *kit) wantSpan(want tracing.Span) {
	k.Helper()
	got, err := k.Store.Trace(k.Context(), want.TraceID)
	if err != nil || len(got) != 1 {
		k.Errorf("trace %s: %d spans, %v; want 1", want.TraceID, len(got), err)
		return
	}
	if got[0].Start = got[0].Start.UTC(); !reflect.DeepEqual(got[0], want) {
		k.Errorf("span\n got %.300q\nwant %.300q", fmt.Sprintf("%+v", got[0]), fmt.Sprintf("%+v", want))
	}
}

// wantBalance holds that every entry of the ledger balances and that they
// account for so many spans.
func (k *kit) wantBalance(seen int64) {
	k.Helper()
	entries, err := k.Store.Ledger(k.Context())
	if err != nil {
		k.Fatalf("ledger: %v", err)
	}
	for i := range entries {
		if b := entries[i].Balance(); b != 0 {
			k.Errorf("%.50q does not balance: %d", entries[i].Service, b)
		}
		seen -= entries[i].Seen
	}
	if seen != 0 {
		k.Errorf("%d spans are missing from the ledger", seen)
	}
}

// testHostileNumbers writes sizes and durations at the ends of their types.
func testHostileNumbers(k *kit) {
	want := &visibility.Aggregate{}
	for i, change := range []func(*tracing.Span){
		func(s *tracing.Span) { s.Duration = 0 },
		func(s *tracing.Span) { s.Duration = 1 },
		func(s *tracing.Span) { s.Duration = math.MaxInt64 / 4 },
		func(s *tracing.Span) { s.RequestSize, s.ResponseSize = math.MaxInt64/4, 0 },
		func(s *tracing.Span) { s.RequestSize, s.ResponseSize = -1, -1 },
		func(s *tracing.Span) { s.StatusCode = math.MaxInt32 },
		func(s *tracing.Span) { s.StatusCode, s.GRPCStatus = -7, math.MaxInt32 },
		func(s *tracing.Span) { s.GRPCStatus = 0 },
		func(s *tracing.Span) { s.Start = s.Start.Add(time.Nanosecond) },
		func(s *tracing.Span) { s.SpanID = tracing.SpanID{255, 255, 255, 255, 255, 255, 255, 255} },
		func(s *tracing.Span) { s.Kind = tracing.KindConsumer },
	} {
		s := inTrace(uint64(i), server("a.default", 1, 0))[0]
		change(&s)
		k.wantReceipt(k.write(s), 1, 0)
		k.wantSpan(s)
		want.Observe(&s)
	}
	got, _ := k.read(everything, 0)
	if d := differ(got.total(visibility.CountSpans), want); d != "" {
		k.Error(d)
	}
}

// testTooLarge writes a span that no store has room for beside one that is
// all right.
func testTooLarge(k *kit) {
	huge := inTrace(1, server("a.default", 1, 0))[0]
	huge.Attributes = []tracing.Attribute{{Key: "body", Value: strings.Repeat("0123456789abcdef", 1<<18)}}
	small := inTrace(2, server("a.default", 1, 0))[0]
	r := k.write(huge, small)
	if r.Kept+r.Rejected[visibility.RejectSize] != 2 || r.Duplicates != 0 {
		k.Fatalf("receipt %+v, want it kept or %s", r, visibility.RejectSize)
	}
	k.wantSpan(small)
	k.wantBalance(2)
	got, _ := k.read(everything, 0)
	if n := got.total(visibility.CountSpans).Count; n != int64(r.Kept) {
		k.Errorf("%d spans counted, %d kept", n, r.Kept)
	}
	_, err := k.Store.Trace(k.Context(), huge.TraceID)
	if rejected := r.Kept == 1; rejected != errors.Is(err, visibility.ErrNotFound) {
		k.Errorf("the large span: %v, receipt %+v", err, r)
	}
}

// testHostileNames puts hostile texts where names of sources, services,
// metrics, reasons and states stand: none may be taken for another.
func testHostileNames(k *kit) {
	ctx := k.Context()
	mark := epoch.Add(time.Second)
	b := &visibility.Batch{Source: source, Watermarks: map[string]time.Time{"plain": mark}}
	var lost int64
	for i, text := range hostile {
		lost += int64(i + 1)
		b.Ledger = append(b.Ledger,
			visibility.Loss{Service: text, Fate: visibility.FateDropped, Reason: text, Count: int64(i + 1)})
		b.Watermarks[text] = mark
		b.Metrics = append(b.Metrics, visibility.MetricPoint{Name: text, Service: text, Time: epoch, Value: float64(i)})
		if err := k.Store.SetState(ctx, text, []byte(text)); err != nil {
			k.Fatalf("state %.20q: %v", text, err)
		}
	}
	b.Metrics = append(b.Metrics,
		visibility.MetricPoint{Name: "a\x00b", Service: "c", Time: epoch, Value: 1},
		visibility.MetricPoint{Name: "a", Service: "b\x00c", Time: epoch, Value: 2})
	k.deliver(b)
	for range 2 {
		k.wantBalance(lost)
		for _, text := range hostile {
			if got, err := k.Store.State(ctx, text); err != nil || string(got) != text {
				k.Errorf("state %.20q: %.20q, %v", text, got, err)
			}
		}
		series, err := k.Store.Metrics(ctx, visibility.MetricQuery{})
		if err != nil || len(series) != len(b.Metrics) {
			k.Errorf("%d series, %v; want %d", len(series), err, len(b.Metrics))
		}
		if s, err := k.Store.Metrics(ctx, visibility.MetricQuery{Name: "a"}); err != nil || len(s) != 1 || s[0].Points[0].Value != 2 {
			k.Errorf("metric a: %+v, %v", s, err)
		}
		if e := k.entry("plain"); !e.Watermark.Equal(mark) || e.Seen != 0 {
			k.Errorf("the entry of another service: %+v", e)
		}
		k.reopen()
	}
}

// testHostileCursors asks for pages with cursors that no page gave.
func testHostileCursors(k *kit) {
	for i := range uint64(5) {
		k.write(inTrace(i, server("a.default", 1, 0))...)
	}
	page, err := k.Store.Traces(k.Context(), visibility.TraceQuery{Range: everything, Limit: 1, Service: "a"})
	if err != nil || page.Next == "" {
		k.Fatalf("first page: %+v, %v", page, err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	const digits = "0123456789abcdef"
	for range 500 {
		cursor := []byte(page.Next)
		for range 1 + rng.IntN(4) {
			cursor[rng.IntN(len(cursor))] = digits[rng.IntN(len(digits))]
		}
		for _, q := range []visibility.TraceQuery{{Service: "a"}, {}} {
			q.Range, q.Cursor = everything, string(cursor)
			if _, err := k.Store.Traces(k.Context(), q); err != nil && !errors.Is(err, visibility.ErrInvalid) {
				k.Fatalf("cursor %q: %v", cursor, err)
			}
		}
	}
}

// testClearWhileWriting clears, settles and reads a store that is written to.
// Afterwards everything is written again, and counts once.
func testClearWhileWriting(k *kit) {
	k.clock.set(epoch.Add(2 * time.Hour))
	m := newMesh(29)
	m.traceMany(100, epoch, time.Hour)
	var all [3][][]tracing.Span
	for i := range all {
		all[i] = m.deliveries(40)
	}
	ctx, cancel := context.WithCancel(k.Context())
	var writing, disturbing sync.WaitGroup
	for _, batches := range all {
		writing.Go(func() {
			for _, batch := range batches {
				if _, err := k.Store.Write(k.Context(), &visibility.Batch{Source: source, Spans: batch}); err != nil {
					k.Errorf("write: %v", err)
				}
			}
		})
	}
	for _, disturb := range []func(context.Context) error{
		k.Store.Clear,
		k.Settle,
		func(ctx context.Context) error { _, err := k.Store.Ledger(ctx); return err },
		func(ctx context.Context) error { _, _, err := readCells(ctx, k.Store, everything, fine); return err },
		func(ctx context.Context) error {
			_, err := k.Store.Traces(ctx, visibility.TraceQuery{Range: everything, Limit: 50})
			return err
		},
	} {
		disturbing.Go(func() {
			for ctx.Err() == nil {
				if err := disturb(ctx); err != nil && ctx.Err() == nil {
					k.Errorf("while writing: %v", err)
					return
				}
			}
		})
	}
	writing.Wait()
	cancel()
	disturbing.Wait()
	for _, batch := range m.deliveries(300) {
		k.write(batch...)
	}
	got, _ := k.read(everything, fine)
	k.wantCells(withoutSources(got), withoutSources(m.cells(nil)))
}
