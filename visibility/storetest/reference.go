package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// Memory is a visibility.Store that keeps everything in memory and answers
// each question by looking at every span: slow, exact and simple. It shows
// what the other stores have to answer, and it is a fake for tests of
// whatever needs a store.
//
// Its buckets are of visibility.MinStep. Settling and retention happen only
// when they are called for. Extremes are always exact.
type Memory struct {
	opts Options

	mu      sync.RWMutex
	closed  bool
	spans   map[tracing.Identity]*kept
	order   []*kept // as they arrived
	ledger  map[account]*visibility.LedgerEntry
	marks   map[account]time.Time
	metrics map[metricID]map[time.Time]float64
	state   map[string][]byte
	floor   time.Time // spans that started before it were dropped
}

// kept is a stored span.
type kept struct {
	span    tracing.Span
	hop     visibility.Hop
	settled bool
	late    bool // its hop changed after it was settled
}

// account is a row of the ledger.
type account struct{ source, service string }

var _ visibility.Store = (*Memory)(nil)

// NewReference returns an empty Memory.
func NewReference(o Options) *Memory {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	m := &Memory{opts: o, state: map[string][]byte{}, marks: map[account]time.Time{}}
	m.empty()
	return m
}

func (m *Memory) empty() {
	m.spans, m.order = map[tracing.Identity]*kept{}, nil
	m.ledger = map[account]*visibility.LedgerEntry{}
	m.metrics = map[metricID]map[time.Time]float64{}
}

var errClosed = fmt.Errorf("store is closed: %w", visibility.ErrUnavailable)

// usable must be called under the lock.
func (m *Memory) usable(ctx context.Context) error {
	if m.closed {
		return errClosed
	}
	return ctx.Err()
}

// Write implements visibility.Writer.
func (m *Memory) Write(ctx context.Context, b *visibility.Batch) (visibility.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var receipt visibility.Receipt
	if err := m.usable(ctx); err != nil {
		return receipt, fmt.Errorf("write: %w", err)
	}
	now := m.opts.Clock()
	touched := map[tracing.TraceID]bool{}
	for i := range b.Spans {
		s := &b.Spans[i]
		e := m.entry(b.Source, s.Service)
		e.Seen++
		e.LastArrival = now
		if reason := m.refuse(s, now); reason != "" {
			e.Rejected[reason]++
			if receipt.Rejected == nil {
				receipt.Rejected = map[string]int{}
			}
			receipt.Rejected[reason]++
			continue
		}
		if m.spans[s.Identity()] != nil {
			e.Duplicate++
			receipt.Duplicates++
			continue
		}
		k := &kept{span: clone(s)}
		m.spans[s.Identity()] = k
		m.order = append(m.order, k)
		touched[s.TraceID] = true
		e.Kept++
		e.LastSpan = later(e.LastSpan, s.Start)
		receipt.Kept++
	}
	m.resolve(touched)
	m.addLosses(b)
	m.addMetrics(b.Metrics)
	for service, at := range b.Watermarks {
		m.marks[account{b.Source, service}] = at
	}
	return receipt, nil
}

func (m *Memory) addLosses(b *visibility.Batch) {
	for _, loss := range b.Ledger {
		e := m.entry(b.Source, loss.Service)
		e.Seen += loss.Count
		switch loss.Fate {
		case visibility.FateKept:
			e.Kept += loss.Count
		case visibility.FateDuplicate:
			e.Duplicate += loss.Count
		case visibility.FateRejected:
			e.Rejected[loss.Reason] += loss.Count
		case visibility.FateTruncated:
			e.Truncated += loss.Count
		case visibility.FateDropped:
			e.Dropped[loss.Reason] += loss.Count
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// clone copies what a caller may reuse.
func clone(s *tracing.Span) tracing.Span {
	c := *s
	c.Attributes, c.Resource = slices.Clone(s.Attributes), slices.Clone(s.Resource)
	c.Events, c.Links = slices.Clone(s.Events), slices.Clone(s.Links)
	return c
}

// maxAhead is how far ahead of the clock a span may start.
const maxAhead = time.Hour

func (m *Memory) refuse(s *tracing.Span, now time.Time) string {
	switch {
	case s.TraceID.IsZero() || s.SpanID.IsZero():
		return visibility.RejectInvalid
	case s.Start.After(now.Add(maxAhead)):
		return visibility.RejectFuture
	case s.Start.Before(m.floor), m.opts.Retention > 0 && s.Start.Before(now.Add(-m.opts.Retention)):
		return visibility.RejectExpired
	}
	return ""
}

func (m *Memory) entry(source, service string) *visibility.LedgerEntry {
	at := account{source, service}
	e := m.ledger[at]
	if e == nil {
		e = &visibility.LedgerEntry{
			Source: source, Service: service,
			Rejected: map[string]int64{}, Dropped: map[string]int64{},
		}
		m.ledger[at] = e
	}
	return e
}

// resolve pairs the hops of the given traces anew.
func (m *Memory) resolve(traces map[tracing.TraceID]bool) {
	members := map[tracing.TraceID][]*kept{}
	for _, k := range m.order {
		if traces[k.span.TraceID] {
			members[k.span.TraceID] = append(members[k.span.TraceID], k)
		}
	}
	for _, list := range members {
		views := make([]visibility.HopSpan, len(list))
		for i, k := range list {
			views[i] = visibility.HopSpanOf(&k.span)
		}
		for i, hop := range visibility.ResolveHops(views, nil) {
			k := list[i]
			k.late = k.late || (k.settled && k.hop != hop)
			k.hop = hop
		}
	}
}

// Settle counts for good what waits for its other side: a side that comes
// later is counted by Coverage.Late.
func (m *Memory) Settle() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.order {
		k.settled = true
	}
}

// Retain drops what is older than the retention.
func (m *Memory) Retain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.opts.Retention <= 0 {
		return
	}
	m.floor = later(m.floor, m.opts.Clock().Add(-m.opts.Retention))
	m.order = slices.DeleteFunc(m.order, func(k *kept) bool { return k.span.Start.Before(m.floor) })
	maps.DeleteFunc(m.spans, func(_ tracing.Identity, k *kept) bool { return k.span.Start.Before(m.floor) })
	for id, points := range m.metrics {
		maps.DeleteFunc(points, func(at time.Time, _ float64) bool { return at.Before(m.floor) })
		if len(points) == 0 {
			delete(m.metrics, id)
		}
	}
}

// Clear implements visibility.Admin.
func (m *Memory) Clear(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return fmt.Errorf("clear: %w", err)
	}
	m.empty()
	return nil
}

// Close implements visibility.Admin.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// Reopen undoes Close.
func (m *Memory) Reopen() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = false
}
