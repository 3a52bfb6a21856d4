package storetest

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// testDimensions holds that each dimension of a span comes back in its row.
func testDimensions(k *kit) {
	s := client("http-lb.default", "clover-server1.default", 1, 0)
	s.StatusCode, s.Error, s.Method = 503, true, "POST"
	empty := tracing.NewSpan()
	empty.TraceID, empty.SpanID, empty.Start = traceID(5), spanID(1), epoch
	strange := server("strange\x00\xff\n\"", 1, 0)
	strange.TraceID, strange.URL = traceID(6), "http://\x00/\xc3\x28?a=(other)"
	k.wantReceipt(k.write(s, empty, strange), 3, 0)
	want := cells{}
	for _, c := range []struct {
		span *tracing.Span
		role visibility.Role
	}{{&s, visibility.RoleClient}, {&empty, visibility.RoleSpan}, {&strange, visibility.RoleServer}} {
		sum := visibility.AggregateOf(c.span)
		want.add(cell{epoch.Unix(), c.role, visibility.KeyOf(c.span)}, &sum)
	}
	got, _ := k.read(everything, fine)
	k.wantCells(got, want)
	k.reopen()
	got, _ = k.read(everything, fine)
	k.wantCells(got, want)
	if by := got.by(func(c cell) string { return c.key.ServiceIn(visibility.CountRequests, c.role) }); by["clover-server1.default"] != 1 {
		k.Errorf("a client's side does not belong to the service that was asked: %v", by)
	}
}

// testBuckets holds that ranges are half open, snapped outwards, and that
// each bucket lies in one interval of the width.
func testBuckets(k *kit) {
	for i, at := range []time.Duration{0, 9999 * time.Millisecond, 10 * time.Second, 20*time.Second - 1, 20 * time.Second} {
		s := inTrace(uint64(i), server("a.default", 1, 0))[0]
		s.Start = epoch.Add(at)
		k.write(s)
	}
	for _, c := range []struct {
		from, to         time.Duration
		wantFrom, wantTo time.Duration
		want             int64
	}{
		{0, 10 * time.Second, 0, 10 * time.Second, 2},
		{0, 20 * time.Second, 0, 20 * time.Second, 4},
		{10 * time.Second, 20 * time.Second, 10 * time.Second, 20 * time.Second, 2},
		{time.Second, 2 * time.Second, 0, 10 * time.Second, 2},
		{9 * time.Second, 10*time.Second + 1, 0, 20 * time.Second, 4},
		{20 * time.Second, 30 * time.Second, 20 * time.Second, 30 * time.Second, 1},
		{30 * time.Second, 40 * time.Second, 30 * time.Second, 40 * time.Second, 0},
		{-time.Minute, 0, -time.Minute, 0, 0},
	} {
		r := visibility.Range{From: epoch.Add(c.from), To: epoch.Add(c.to)}
		got, cov := k.read(r, 0)
		if n := got.total(visibility.CountRequests).Count; n != c.want {
			k.Errorf("%v to %v: %d, want %d", c.from, c.to, n, c.want)
		}
		if !cov.Range.From.Equal(epoch.Add(c.wantFrom)) || !cov.Range.To.Equal(epoch.Add(c.wantTo)) {
			k.Errorf("%v to %v: answered for %v to %v", c.from, c.to, cov.Range.From, cov.Range.To)
		}
	}
}

// testYieldError holds that an error from yield ends the reading.
func testYieldError(k *kit) {
	m := newMesh(5)
	m.traceMany(20, epoch, time.Minute)
	for _, batch := range m.deliveries(100) {
		k.write(batch...)
	}
	stop, calls := errors.New("stop"), 0
	_, err := k.Store.Rollups(k.Context(), everything, 0, func(*visibility.Rollup) error {
		calls++
		return stop
	})
	if !errors.Is(err, stop) || calls != 1 {
		k.Errorf("error %v after %d calls, want %v after 1", err, calls, stop)
	}
}

// testCancellation holds that nothing is answered for a context that has
// ended, and that the store goes on afterwards.
func testCancellation(k *kit) {
	k.write(server("a.default", 1, 0))
	ended, cancel := context.WithCancel(k.Context())
	cancel()
	for name, call := range map[string]func() error{
		"Rollups": func() error {
			_, err := k.Store.Rollups(ended, everything, 0, func(*visibility.Rollup) error { return nil })
			return err
		},
		"Trace":   func() error { _, err := k.Store.Trace(ended, traceID(0)); return err },
		"Traces":  func() error { _, err := k.Store.Traces(ended, visibility.TraceQuery{Range: everything}); return err },
		"Metrics": func() error { _, err := k.Store.Metrics(ended, visibility.MetricQuery{}); return err },
		"Ledger":  func() error { _, err := k.Store.Ledger(ended); return err },
		"State":   func() error { _, err := k.Store.State(ended, "x"); return err },
		"Stats":   func() error { _, err := k.Store.Stats(ended); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			k.Errorf("%s with a context that has ended: %v", name, err)
		}
	}
	// A write may have been taken all the same: writing again settles it.
	s := inTrace(1, server("a.default", 1, 0))[0]
	if _, err := k.Store.Write(ended, &visibility.Batch{Source: source, Spans: []tracing.Span{s}}); err != nil && !errors.Is(err, context.Canceled) {
		k.Errorf("Write with a context that has ended: %v", err)
	}
	k.write(s)
	got, _ := k.read(everything, 0)
	if n := got.total(visibility.CountSpans).Count; n != 2 {
		k.Errorf("%d spans, want 2", n)
	}
}

// testClosed holds that a closed store says so, and that closing again does
// no harm.
func testClosed(k *kit) {
	k.write(server("a.default", 1, 0))
	for range 2 {
		if err := k.Store.Close(); err != nil {
			k.Fatalf("close: %v", err)
		}
	}
	ctx := k.Context()
	for name, call := range map[string]func() error{
		"Write": func() error { _, err := k.Store.Write(ctx, &visibility.Batch{Source: source}); return err },
		"Rollups": func() error {
			_, err := k.Store.Rollups(ctx, everything, 0, func(*visibility.Rollup) error { return nil })
			return err
		},
		"Trace":    func() error { _, err := k.Store.Trace(ctx, traceID(0)); return err },
		"Traces":   func() error { _, err := k.Store.Traces(ctx, visibility.TraceQuery{Range: everything}); return err },
		"Metrics":  func() error { _, err := k.Store.Metrics(ctx, visibility.MetricQuery{}); return err },
		"Ledger":   func() error { _, err := k.Store.Ledger(ctx); return err },
		"State":    func() error { _, err := k.Store.State(ctx, "x"); return err },
		"SetState": func() error { return k.Store.SetState(ctx, "x", []byte("y")) },
		"Stats":    func() error { _, err := k.Store.Stats(ctx); return err },
		"Clear":    func() error { return k.Store.Clear(ctx) },
	} {
		if err := call(); !errors.Is(err, visibility.ErrUnavailable) {
			k.Errorf("%s on a closed store: %v, want ErrUnavailable", name, err)
		}
	}
	k.reopen()
	if got, _ := k.read(everything, 0); got.total(visibility.CountSpans).Count != 1 {
		k.Error("what was written before closing is gone")
	}
}

// testTrace holds that a span comes back as it was written.
func testTrace(k *kit) {
	first, second := server("a.default", 1, 0), client("a.default", "b.default", 2, 1)
	second.Start = epoch.Add(1234567 * time.Nanosecond)
	second.Method, second.GRPCStatus, second.RequestID = "POST", 14, "53d4a7b0-1e0f-9d2c-8a44-6f3c2f1b7a55"
	second.Peer, second.Protocol, second.ResponseFlags = "10.1.2.3:4567", "HTTP/1.1", "UF,URX"
	second.Namespace, second.Workload, second.Version = "default", "a", "v2"
	second.Error, second.StatusMessage, second.Scope = true, "upstream reset", "envoy 1.36"
	second.Attributes = []tracing.Attribute{
		{Key: "bool", Value: "true", Type: tracing.TypeBool},
		{Key: "float", Value: "0.5", Type: tracing.TypeFloat},
		{Key: "int", Value: "7", Type: tracing.TypeInt},
		{Key: "json", Value: `{"arrayValue":{}}`, Type: tracing.TypeJSON},
		{Key: "text", Value: "\x00ü"},
	}
	second.Resource = []tracing.Attribute{{Key: "k8s.pod.name", Value: "a-0"}}
	second.Events = []tracing.Event{{Time: epoch.Add(time.Millisecond), Name: "retry", Attributes: second.Attributes[:1:1]}}
	second.Links = []tracing.Link{{TraceID: traceID(9), SpanID: spanID(9), Attributes: second.Attributes[1:2:2]}}
	k.write(second, first)
	k.write(inTrace(1, server("b.default", 1, 0))...)
	for _, when := range []string{"written", "reopened"} {
		got, err := k.Store.Trace(k.Context(), first.TraceID)
		if err != nil || len(got) != 2 {
			k.Fatalf("%s: %d spans, %v; want 2", when, len(got), err)
		}
		for i, want := range []tracing.Span{first, second} {
			got[i].Start = got[i].Start.UTC()
			for j := range got[i].Events {
				got[i].Events[j].Time = got[i].Events[j].Time.UTC()
			}
			if !reflect.DeepEqual(got[i], want) {
				k.Errorf("%s: span %d\n got %+v\nwant %+v", when, i, got[i], want)
			}
		}
		k.reopen()
	}
	if _, err := k.Store.Trace(k.Context(), traceID(12345)); !errors.Is(err, visibility.ErrNotFound) {
		k.Errorf("a trace that does not exist: %v, want ErrNotFound", err)
	}
}
