package cassandra

import (
	"context"
	"sync"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// maxAhead is how far ahead of the clock a span may start.
const maxAhead = time.Hour

// RejectTrace is the reason for spans of a trace that has more than a trace
// may have.
const RejectTrace = "trace_too_long"

// incoming is a new span on its way into the store.
type incoming struct {
	span    *tracing.Span
	request *request
	ledger  counters
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
	marks   map[account]time.Time
	ledgers map[account]counters
	counts  map[int]counters // by slot
	sums    map[sumKey]*visibility.Aggregate
	opened  map[openID]openHop
	closed  map[openID]struct{}
	values  map[cellKey][]byte // as written by writeCells

	tr traceScratch
}

// account is an entry of the ledger.
type account struct{ source, service string }

func (g *gathering) reset(v version, now time.Time) {
	*g = gathering{
		version: v, now: now, tr: g.tr,
		byTrace: map[tracing.TraceID][]incoming{}, stored: map[tracing.TraceID][]storedSpan{},
		spans: map[tracing.TraceID][]statement{}, claims: map[tracing.TraceID]map[spanID]struct{}{},
		index: map[indexEntry]struct{}{},
		marks: map[account]time.Time{}, ledgers: map[account]counters{}, counts: map[int]counters{},
		sums: map[sumKey]*visibility.Aggregate{}, opened: map[openID]openHop{}, closed: map[openID]struct{}{},
		values: map[cellKey][]byte{},
	}
}

// empty reports whether there is nothing that needs a commit.
func (g *gathering) empty() bool {
	return len(g.ledgers) == 0 && len(g.counts) == 0 && len(g.sums) == 0 && len(g.opened) == 0 && len(g.closed) == 0 && len(g.points) == 0
}

func (g *gathering) ledger(source, service string) counters {
	at := account{source, service}
	n := g.ledgers[at]
	if n == nil {
		n = counters{}
		g.ledgers[at] = n
	}
	return n
}

// count returns the counters of the 10 minutes that a span starts in.
func (g *gathering) count(at time.Time) counters {
	slot := slotOf(at)
	n := g.counts[slot]
	if n == nil {
		n = counters{}
		g.counts[slot] = n
	}
	return n
}

// gather computes what a group of batches adds. It reads, and writes nothing.
func (c *committer) gather(ctx context.Context, group []request) error {
	g := &c.g
	for i := range group {
		r := &group[i]
		r.receipt = visibility.Receipt{}
		for j := range r.batch.Spans {
			s := &r.batch.Spans[j]
			ledger := g.ledger(r.batch.Source, s.Service)
			ledger.add("seen", 1)
			ledger.add("^arrived", g.now.UnixNano())
			if reason := c.refuse(s); reason != "" {
				r.reject(ledger, reason)
				continue
			}
			if _, ok := g.byTrace[s.TraceID]; !ok {
				g.order = append(g.order, s.TraceID)
			}
			g.byTrace[s.TraceID] = append(g.byTrace[s.TraceID], incoming{span: s, request: r, ledger: ledger})
		}
		g.addDelivery(r.batch)
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
	for _, loss := range b.Ledger {
		n := g.ledger(b.Source, loss.Service)
		n.add("seen", loss.Count)
		name := loss.Fate.String()
		if loss.Fate == visibility.FateRejected || loss.Fate == visibility.FateDropped {
			name += ":" + loss.Reason
		}
		n.add(name, loss.Count)
	}
	for service, at := range b.Watermarks {
		g.marks[account{b.Source, service}] = at
	}
	g.points = append(g.points, b.Metrics...)
}

// refuse returns the reason for which a span cannot be stored, or "".
func (c *committer) refuse(s *tracing.Span) string {
	switch {
	case s.TraceID.IsZero() || s.SpanID.IsZero():
		return visibility.RejectInvalid
	case s.Start.After(c.g.now.Add(maxAhead)):
		return visibility.RejectFuture
	case s.Start.Before(c.floor) || s.Start.Unix() < 0,
		c.opts.Retention > 0 && s.Start.Before(c.g.now.Add(-c.opts.Retention)):
		return visibility.RejectExpired
	}
	return ""
}

func (r *request) reject(ledger counters, reason string) {
	if r.receipt.Rejected == nil {
		r.receipt.Rejected = map[string]int{}
	}
	r.receipt.Rejected[reason]++
	ledger.add("rejected:"+reason, 1)
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
