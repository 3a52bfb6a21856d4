package storetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// epoch is when the suite's spans start, on a bound of every bucket.
var epoch = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// everything is a range that holds the spans of most tests. It is recent
// enough for a store that keeps its finest buckets for a day.
var everything = visibility.Range{From: epoch.Add(-20 * time.Hour), To: epoch.Add(20 * time.Hour)}

// fine is a bucket width that keeps a store to its finest buckets.
const fine = visibility.MinStep

// kit is a store under test with what the tests do again and again.
type kit struct {
	*testing.T
	Fixture
	clock *clock
}

func newKit(t *testing.T, open OpenFunc, o Options) *kit {
	t.Helper()
	c := &clock{now: epoch.Add(time.Minute)}
	o.Clock = c.time
	k := &kit{T: t, Fixture: open(t, o), clock: c}
	if k.Store == nil || k.Reopen == nil || k.Settle == nil || k.Retain == nil {
		t.Fatal("the fixture is not complete")
	}
	return k
}

// clock is a time that the tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

const source = "suite" // the ledger's name of what the tests write

func (k *kit) write(spans ...tracing.Span) visibility.Receipt {
	k.Helper()
	return k.deliver(&visibility.Batch{Source: source, Spans: spans})
}

func (k *kit) deliver(b *visibility.Batch) visibility.Receipt {
	k.Helper()
	receipt, err := k.Store.Write(k.Context(), b)
	if err != nil {
		k.Fatalf("write of %d spans: %v", len(b.Spans), err)
	}
	return receipt
}

func (k *kit) reopen() {
	k.Helper()
	s, err := k.Reopen()
	if err != nil {
		k.Fatalf("reopen: %v", err)
	}
	k.Store = s
}

func (k *kit) settle() {
	k.Helper()
	if err := k.Settle(k.Context()); err != nil {
		k.Fatalf("settle: %v", err)
	}
}

func (k *kit) wantReceipt(got visibility.Receipt, kept, duplicates int) {
	k.Helper()
	if got.Kept != kept || got.Duplicates != duplicates || len(got.Rejected) != 0 {
		k.Errorf("receipt %+v, want %d kept and %d duplicates", got, kept, duplicates)
	}
}

// cell is one rollup: a bucket of a row.
type cell struct {
	at   int64 // unix seconds
	role visibility.Role
	key  visibility.Key
}

func (c cell) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", time.Unix(c.at, 0).UTC().Format("15:04:05"), [...]string{"span", "server", "client"}[c.role])
	for d, v := range c.key {
		if v != "" {
			fmt.Fprintf(&b, " %s=%s", visibility.Dimension(d), v)
		}
	}
	return b.String()
}

// cells is what a store answers, as far as it counts anything.
type cells map[cell]*visibility.Aggregate

func (c cells) add(at cell, a *visibility.Aggregate) {
	if c[at] == nil {
		c[at] = &visibility.Aggregate{}
	}
	c[at].Merge(a)
}

// total sums the cells that count in a mode.
func (c cells) total(mode visibility.CountMode) *visibility.Aggregate {
	sum := &visibility.Aggregate{}
	for at, a := range c {
		if at.role.Counts(mode) {
			sum.Merge(a)
		}
	}
	return sum
}

// by sums the requests by a function of their row.
func (c cells) by(name func(cell) string) map[string]int64 {
	sums := map[string]int64{}
	for at, a := range c {
		if at.role.Counts(visibility.CountRequests) {
			sums[name(at)] += a.Count
		}
	}
	return sums
}

// read returns the cells of a range, bucketed by width.
func (k *kit) read(r visibility.Range, width time.Duration) (cells, visibility.Coverage) {
	k.Helper()
	got, cov, err := readCells(k.Context(), k.Store, r, width)
	if err != nil {
		k.Fatalf("rollups: %v", err)
	}
	return got, cov
}

func readCells(ctx context.Context, s visibility.RollupReader, r visibility.Range, width time.Duration) (cells, visibility.Coverage, error) {
	got := cells{}
	rows := map[uint64]cell{}
	cov, err := s.Rollups(ctx, r, width, func(u *visibility.Rollup) error {
		at := cell{role: u.Role, key: *u.Key}
		for d := range at.key {
			at.key[d] = strings.Clone(at.key[d])
		}
		if was, ok := rows[u.Row]; ok && was != at {
			return fmt.Errorf("row %d is %v and %v in one call", u.Row, was, at)
		}
		rows[u.Row] = at
		at.at = u.Bucket.Unix()
		if width > 0 {
			at.at -= at.at % int64(width/time.Second)
		}
		if !u.Aggregate.IsZero() {
			got.add(at, u.Aggregate)
		}
		return nil
	})
	return got, cov, err
}

// wantCells compares what a store answers with what it should.
func (k *kit) wantCells(got, want cells) {
	k.Helper()
	const most = 8
	bad := 0
	report := func(format string, args ...any) {
		if bad++; bad <= most {
			k.Errorf(format, args...)
		}
	}
	for at, w := range want {
		g := got[at]
		if g == nil {
			report("missing: %v: %d", at, w.Count)
		} else if d := differ(g, w); d != "" {
			report("%v: %s", at, d)
		}
	}
	for at, g := range got {
		if want[at] == nil {
			report("too much: %v: %d", at, g.Count)
		}
	}
	if bad > most {
		k.Errorf("… and %d more of %d cells", bad-most, len(want))
	}
}

// differ says in what an aggregate differs from the exact one, "" if in
// nothing.
func differ(got, want *visibility.Aggregate) string {
	for _, v := range []struct {
		name      string
		got, want int64
	}{
		{"count", got.Count, want.Count},
		{"errors", got.Errors, want.Errors},
		{"sum", int64(got.Sum), int64(want.Sum)},
		{"request bytes", got.RequestBytes, want.RequestBytes},
		{"response bytes", got.ResponseBytes, want.ResponseBytes},
		{"sketch count", got.Latency.Count(), want.Count},
	} {
		if v.got != v.want {
			return fmt.Sprintf("%s %d, want %d", v.name, v.got, v.want)
		}
	}
	lowest, highest := got.Extremes()
	if tolerance := inexactness(got); !near(lowest, want.Min, tolerance) || !near(highest, want.Max, tolerance) {
		return fmt.Sprintf("min %v max %v, want %v %v (inexact: %v)", lowest, highest, want.Min, want.Max, got.Inexact)
	}
	for _, q := range []float64{0, .5, .9, .95, .99, 1} {
		if g, w := got.Latency.Quantile(q), want.Latency.Quantile(q); g != w {
			return fmt.Sprintf("quantile %v is %v, want %v", q, g, w)
		}
	}
	return ""
}

func inexactness(a *visibility.Aggregate) float64 {
	if a.Inexact {
		return visibility.RelativeError
	}
	return 0
}

// near reports whether got is want within a relative error and the rounding
// to whole nanoseconds.
func near(got, want time.Duration, relative float64) bool {
	if relative == 0 {
		return got == want
	}
	return math.Abs(float64(got-want)) <= relative*float64(want)+1
}

// quantile is the exact quantile that a sketch's stands for.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(math.Floor(q*float64(len(sorted)-1)))]
}

func traceID(n uint64) (id tracing.TraceID) {
	binary.BigEndian.PutUint64(id[8:], n+1)
	return id
}

func spanID(n uint64) (id tracing.SpanID) {
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

// newSpan returns a span that has something in every dimension.
func newSpan(kind tracing.Kind, service string, trace, id, parent uint64) tracing.Span {
	s := tracing.NewSpan()
	s.TraceID, s.SpanID, s.ParentID = traceID(trace), spanID(id), spanID(parent)
	s.Kind, s.Service, s.Operation = kind, service, service+".default:9180/*"
	s.Start, s.Duration = epoch, 10*time.Millisecond
	s.Method, s.URL, s.URLTemplate = "GET", "http://"+service+":9180/item/1", "/item/{id}"
	s.StatusCode, s.UserAgent, s.Node, s.Version = 200, "chrome", "sidecar~"+service, "v1"
	s.RequestSize, s.ResponseSize = 3, 5
	return s
}

func server(service string, id, parent uint64) tracing.Span {
	s := newSpan(tracing.KindServer, service, 0, id, parent)
	s.UpstreamCluster = "inbound|9180||"
	return s
}

func client(service, asked string, id, parent uint64) tracing.Span {
	s := newSpan(tracing.KindClient, service, 0, id, parent)
	s.UpstreamCluster = "outbound|9180||" + asked + ".svc.cluster.local"
	s.URL = "http://" + asked + ":9180/item/1"
	return s
}

func toApplication(service string, id, parent uint64) tracing.Span {
	s := client(service, service, id, parent)
	s.UpstreamCluster = "inbound|9180||"
	return s
}

func internal(service string, id, parent uint64) tracing.Span {
	return newSpan(tracing.KindInternal, service, 0, id, parent)
}

// inTrace returns copies of spans that belong to another trace.
func inTrace(trace uint64, spans ...tracing.Span) []tracing.Span {
	spans = slices.Clone(spans)
	for i := range spans {
		spans[i].TraceID = traceID(trace)
	}
	return spans
}
