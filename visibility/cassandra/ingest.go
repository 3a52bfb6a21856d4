package cassandra

import (
	"context"
	"sync"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// RejectTrace is the reason for spans of a trace that has more than a trace
// may have.
const RejectTrace = "trace_too_long"

// incoming is a new span on its way into the store.
type incoming struct {
	span    *tracing.Span
	request *storekit.Request
	ledger  storekit.Counters
}

// gathering is everything that one commit adds.
type gathering struct {
	version version
	now     time.Time

	order   []tracing.TraceID
	byTrace map[tracing.TraceID][]incoming
	stored  map[tracing.TraceID][]storedSpan
	snap    snapshot
	foreign map[openID]openHop // of the other writers; nil: not read

	spans   map[tracing.TraceID][]statement
	claims  map[tracing.TraceID]map[spanID]struct{} // see claims.go
	index   map[indexEntry]struct{}
	points  []visibility.MetricPoint
	marks   map[storekit.Account]time.Time
	ledgers map[storekit.Account]storekit.Counters
	counts  map[int]storekit.Counters // by slot
	sums    map[sumKey]*visibility.Aggregate
	opened  map[openID]openHop
	closed  map[openID]struct{}
	values  map[cellKey][]byte // as written by writeCells

	tr traceScratch
}

func (g *gathering) reset(v version, now time.Time) {
	*g = gathering{
		version: v, now: now, tr: g.tr,
		byTrace: map[tracing.TraceID][]incoming{}, stored: map[tracing.TraceID][]storedSpan{},
		spans: map[tracing.TraceID][]statement{}, claims: map[tracing.TraceID]map[spanID]struct{}{},
		index: map[indexEntry]struct{}{},
		marks: map[storekit.Account]time.Time{}, ledgers: map[storekit.Account]storekit.Counters{}, counts: map[int]storekit.Counters{},
		sums: map[sumKey]*visibility.Aggregate{}, opened: map[openID]openHop{}, closed: map[openID]struct{}{},
		values: map[cellKey][]byte{},
	}
}

// empty reports whether there is nothing that needs a commit.
func (g *gathering) empty() bool {
	return len(g.ledgers) == 0 && len(g.counts) == 0 && len(g.sums) == 0 && len(g.opened) == 0 && len(g.closed) == 0 && len(g.points) == 0
}

// count returns the counters of the 10 minutes that a span starts in.
func (g *gathering) count(at time.Time) storekit.Counters {
	return storekit.In(g.counts, slotOf(at))
}

// gather computes what a group of batches adds. It reads, and writes nothing.
func (c *committer) gather(ctx context.Context, group []storekit.Request) error {
	g := &c.g
	floor := c.floor
	if c.opts.Retention > 0 {
		floor = later(floor, g.now.Add(-c.opts.Retention))
	}
	for i := range group {
		r := &group[i]
		r.Receipt = visibility.Receipt{}
		for j := range r.Batch.Spans {
			s := &r.Batch.Spans[j]
			ledger := storekit.In(g.ledgers, storekit.Account{Source: r.Batch.Source, Service: s.Service})
			ledger.Add("seen", 1)
			ledger.Add("^arrived", g.now.UnixNano())
			if reason := storekit.Refuse(s, g.now, floor); reason != "" {
				r.Reject(ledger, reason)
				continue
			}
			if _, ok := g.byTrace[s.TraceID]; !ok {
				g.order = append(g.order, s.TraceID)
			}
			g.byTrace[s.TraceID] = append(g.byTrace[s.TraceID], incoming{span: s, request: r, ledger: ledger})
		}
		g.addDelivery(r.Batch)
	}
	if _, err := c.loadTraces(ctx, g.order); err != nil {
		return err
	}
	for _, trace := range g.order {
		if err := c.addTrace(ctx, trace, g.byTrace[trace]); err != nil {
			return err
		}
	}
	return nil
}

// addDelivery adds what a batch holds besides spans.
func (g *gathering) addDelivery(b *visibility.Batch) {
	storekit.AddLosses(b, func(at storekit.Account) storekit.Counters { return storekit.In(g.ledgers, at) })
	for service, at := range b.Watermarks {
		g.marks[storekit.Account{Source: b.Source, Service: service}] = at
	}
	g.points = append(g.points, b.Metrics...)
}

// storedSpan is a span that was committed before, and by whom.
type storedSpan struct {
	tracing.Span
	writer string
}

// loadTraces reads what is stored of the traces, and who else has some of them
// under way.
func (c *committer) loadTraces(ctx context.Context, traces []tracing.TraceID) (busy map[string]bool, err error) {
	snap, err := c.writers(ctx)
	if err != nil {
		return nil, err
	}
	snap[c.opts.Writer] = &c.own
	c.g.snap = snap
	var mu sync.Mutex
	busy = map[string]bool{}
	err = each(ctx, len(traces), c.opts.Concurrency, func(ctx context.Context, i int) error {
		spans, others, err := c.loadTrace(ctx, snap, traces[i], c.floor, void*c.opts.Limits.TraceSpans)
		mu.Lock()
		defer mu.Unlock()
		if len(spans) > 0 {
			c.g.stored[traces[i]] = spans
		}
		for _, w := range others {
			busy[w] = true
		}
		return err
	})
	return busy, err
}

// loadSettled reads traces for good. Who has some of them under way begins
// again, and finds what is written here.
func (c *committer) loadSettled(ctx context.Context, traces []tracing.TraceID) error {
	for {
		busy, err := c.loadTraces(ctx, traces)
		if err != nil || len(busy) == 0 {
			return err
		}
		for writer := range busy {
			if err := c.fenceBusy(ctx, writer, c.g.snap[writer]); err != nil {
				return err
			}
		}
	}
}

// fenceBusy ends the epoch of a writer unless it has committed meanwhile.
func (c *committer) fenceBusy(ctx context.Context, writer string, seen *writerState) error {
	now, err := c.readWriter(ctx, writer)
	if err != nil || now.epoch != seen.epoch || now.epochs[now.epoch] != seen.epochs[seen.epoch] {
		return err
	}
	c.opts.Logger.Info("store: another writer has spans of the same trace under way", "writer", writer)
	return c.fence(ctx, writer, now.owner, false)
}

// void is how many times the rows that count those may be that lie in a trace:
// some were never committed.
const void = 4

// loadTrace reads the committed spans of a trace, and which other writers have
// some under way.
func (s *Store) loadTrace(ctx context.Context, snap snapshot, id tracing.TraceID, floor time.Time, limit int) (spans []storedSpan, busy []string, err error) {
	iter := s.session.Query("SELECT writer, version, record FROM spans WHERE traceid = ? LIMIT ?", id.String(), limit).IterContext(ctx)
	var writer string
	var v version
	var record []byte
	for iter.Scan(&writer, &v, &record) {
		w := snap[writer]
		switch {
		case w == nil:
		case w.visible(v):
			span, err := decodeRecord(id, record)
			if err != nil {
				_ = iter.Close()
				return nil, nil, err
			}
			if !span.Start.Before(floor) {
				spans = append(spans, storedSpan{span, writer})
			}
		case writer != s.opts.Writer && w.underway(v):
			busy = append(busy, writer)
		}
		record = nil
	}
	return spans, busy, failure(ctx, iter.Close())
}
