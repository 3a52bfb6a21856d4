package cassandra

import (
	"context"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// traceScratch is the trace at hand.
type traceScratch struct {
	spans         []traceSpan
	hops          []visibility.HopSpan
	known         map[openID]struct{}
	before, after []visibility.Hop
}

// traceSpan is a span of the trace at hand: stored before, or new.
type traceSpan struct {
	id     openID
	writer string            // of a stored one
	sum    storekit.Measured // what it counts
	at     time.Time         // start
	key    visibility.Key    // own key, without the source that its parent tells
}

func traceSpanOf(s *tracing.Span, writer string) traceSpan {
	return traceSpan{id: openIDOf(s), writer: writer, sum: storekit.MeasuredOf(s), at: s.Start, key: visibility.KeyOf(s)}
}

func (t *traceScratch) begin(stored []storedSpan) {
	t.spans, t.hops = t.spans[:0], t.hops[:0]
	t.known = map[openID]struct{}{}
	for i := range stored {
		s := &stored[i]
		t.add(traceSpanOf(&s.Span, s.writer), &s.Span)
	}
}

func (t *traceScratch) add(ts traceSpan, s *tracing.Span) {
	t.known[ts.id] = struct{}{}
	t.spans = append(t.spans, ts)
	t.hops = append(t.hops, visibility.HopSpanOf(s))
}

// addTrace takes up the new spans of one trace and counts them, and counts
// again the stored ones whose other side has come.
func (c *committer) addTrace(ctx context.Context, trace tracing.TraceID, in []incoming) error {
	g, t := &c.g, &c.g.tr
	t.begin(g.stored[trace])
	stored := len(t.spans)
	for i := range in {
		n := &in[i]
		ts := traceSpanOf(n.span, c.opts.Writer)
		if _, dup := t.known[ts.id]; dup {
			n.request.Receipt.Duplicates++
			n.ledger.Add("duplicate", 1)
			continue
		}
		if reason := c.addSpan(n, &ts); reason != "" {
			n.request.Reject(n.ledger, reason)
			continue
		}
		t.add(ts, n.span)
	}
	if len(t.spans) == stored {
		return nil
	}
	if stored == 0 {
		g.count(t.spans[0].at).Add("traces", 1)
	}
	g.addTraceRow(trace, t.spans, c.ttl())
	return c.countTrace(ctx, stored)
}

// addSpan adds the row and the index entries of a new span, unless it cannot
// be stored: then it returns the reason.
func (c *committer) addSpan(in *incoming, ts *traceSpan) string {
	g, s := &c.g, in.span
	if len(g.tr.spans) >= c.opts.Limits.TraceSpans {
		return RejectTrace
	}
	record := appendRecord(nil, s)
	if len(record) > c.opts.Limits.RecordBytes {
		return visibility.RejectSize
	}
	g.addSpanRow(s, record, c.opts.Writer, c.ttl())
	for _, service := range [...]string{"", keyName(s.Service)} {
		g.index[indexEntry{service: service, second: int(s.Start.Unix()), trace: s.TraceID}] = struct{}{}
	}
	in.request.Receipt.Kept++
	in.ledger.Add("kept", 1)
	in.ledger.Add("^last", s.Start.UnixNano())
	n := g.count(s.Start)
	n.Add("spans", 1)
	if s.Observed() {
		n.Add("sessions", 1)
	}
	n.Add("^last", s.Start.Unix())
	n.Add("^first", -s.Start.Unix()) // the largest is the earliest
	if c.dict.rowOf(visibility.RoleSpan, &ts.key, c.day(s.Start)).overflow {
		n.Add("overflow", 1)
	}
	return ""
}

// day returns the day that keeps a row known: that of the span or of its
// arrival, whichever is later.
func (c *committer) day(start time.Time) int { return max(dayOf(start), dayOf(c.g.now)) }

// countTrace counts the new spans of the trace at hand and moves the stored
// ones, of which the first stored are, that count differently now.
func (c *committer) countTrace(ctx context.Context, stored int) error {
	g, t := &c.g, &c.g.tr
	t.before = visibility.ResolveHops(t.hops[:stored], t.before)
	t.after = visibility.ResolveHops(t.hops, t.after)
	for i := range t.spans {
		s, hop := &t.spans[i], t.after[i]
		if i < stored {
			if t.before[i] != hop {
				if err := c.moveSpan(ctx, s, t.before[i], hop); err != nil {
					return err
				}
			}
			continue
		}
		r := c.countedRow(s, hop)
		if hop.Open && len(c.open)+len(g.opened) < c.opts.Limits.OpenHops {
			g.opened[s.id] = openHop{row: r, start: s.at, arrived: g.now, sum: s.sum}
			continue
		}
		s.sum.AddTo(g.sum(r, s.at))
	}
	return nil
}

// countedRow returns the row in which a span counts: its own key with the
// source that the trace tells.
func (c *committer) countedRow(s *traceSpan, hop visibility.Hop) uint64 {
	key := s.key
	if hop.Role == visibility.RoleServer {
		key[visibility.Source] = hop.Source
	}
	return c.dict.rowOf(hop.Role, &key, c.day(s.at)).id
}

// moveSpan counts a stored span as its trace tells now. One that was open has
// not been rolled up yet: its writer does so. Any other is taken out of its
// row.
func (c *committer) moveSpan(ctx context.Context, s *traceSpan, before, after visibility.Hop) error {
	g := &c.g
	r := c.countedRow(s, after)
	if h, ok := c.openState(s.id); ok {
		if after.Open {
			h.row = r
			g.opened[s.id] = h
			return nil
		}
		delete(g.opened, s.id)
		g.closed[s.id] = struct{}{}
		s.sum.AddTo(g.sum(r, s.at))
		return nil
	}
	if s.writer != c.opts.Writer {
		if open, err := c.openElsewhere(ctx, s.id); err != nil || open {
			return err
		}
	}
	was := c.countedRow(s, before)
	if was == r {
		return nil
	}
	s.sum.TakeFrom(g.sum(was, s.at))
	s.sum.AddTo(g.sum(r, s.at))
	g.count(s.at).Add("late", 1)
	return nil
}

// openState returns an open hop as the commit at hand sees it.
func (c *committer) openState(id openID) (openHop, bool) {
	if _, gone := c.g.closed[id]; gone {
		return openHop{}, false
	}
	if h, ok := c.g.opened[id]; ok {
		return h, true
	}
	h, ok := c.open[id]
	return h, ok
}

// openElsewhere reports whether another writer waits for the span's other
// side. It reads the trace again before it counts it.
func (c *committer) openElsewhere(ctx context.Context, id openID) (bool, error) {
	if c.g.foreign == nil {
		c.g.foreign = map[openID]openHop{}
		if err := c.readOpen(ctx, c.g.snap, c.opts.Writer, c.g.foreign); err != nil {
			return false, err
		}
	}
	_, open := c.g.foreign[id]
	return open, nil
}

// settle rolls up the open hops that arrived before a time.
func (c *committer) settle(before time.Time) error {
	if c.lost != nil {
		return c.lost
	}
	return c.attempt(func(ctx context.Context) error {
		due := map[openID]openHop{}
		for id, h := range c.open {
			if h.arrived.Before(before) {
				due[id] = h
			}
		}
		return c.gatherSettled(ctx, due)
	})
}

// gatherSettled counts open hops for good. Where other collectors write too,
// the other side may have come to one of them: their traces are read again.
func (c *committer) gatherSettled(ctx context.Context, due map[openID]openHop) error {
	if len(due) == 0 {
		return nil
	}
	g := &c.g
	snap, err := c.writers(ctx)
	if err != nil {
		return err
	}
	if len(snap) > 1 {
		seen := map[tracing.TraceID]bool{}
		for id := range due {
			if !seen[id.trace] {
				seen[id.trace] = true
				g.order = append(g.order, id.trace)
			}
		}
		if err := c.loadSettled(ctx, g.order); err != nil {
			return err
		}
		for _, trace := range g.order {
			c.resolveAgain(trace, due)
		}
	}
	for id, h := range due {
		h.sum.AddTo(g.sum(h.row, h.start))
		g.closed[id] = struct{}{}
	}
	return nil
}

// resolveAgain sets the rows of the open hops of a trace by what is stored.
func (c *committer) resolveAgain(trace tracing.TraceID, due map[openID]openHop) {
	t := &c.g.tr
	t.begin(c.g.stored[trace])
	t.after = visibility.ResolveHops(t.hops, t.after)
	for i := range t.spans {
		if h, ok := due[t.spans[i].id]; ok && t.spans[i].writer == c.opts.Writer {
			h.row = c.countedRow(&t.spans[i], t.after[i])
			due[t.spans[i].id] = h
		}
	}
}
