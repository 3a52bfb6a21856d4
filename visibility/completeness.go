package visibility

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// completeness says what an answer over r with that coverage is based on.
//
// The ledger counts since the store was made or cleared, so its losses are
// told for every range: Clover does not know which range they fell into.
func (a *Analytics) completeness(ctx context.Context, r Range, cov Coverage, total *Aggregate, g *grouping) (Completeness, error) {
	c := Completeness{Open: cov.Open}
	if !cov.Range.From.Equal(r.From) || !cov.Range.To.Equal(r.To) {
		c.note(Note{Code: "range_snapped", Detail: fmt.Sprintf("answered for %s to %s: whole buckets of the store",
			cov.Range.From.Format(time.RFC3339), cov.Range.To.Format(time.RFC3339))})
	}
	if r.From.Before(cov.Oldest) {
		c.note(Note{Code: "expired", Detail: "data before " + cov.Oldest.Format(time.RFC3339) + " has been dropped by the retention"})
	}
	if cov.First.After(cov.Range.From) && !r.From.Before(cov.Oldest) {
		what := "; rates are over the time since then"
		if !cov.First.Before(cov.Range.To) {
			what = ", after this range"
		}
		c.note(Note{Code: "begins", Detail: "the data begins at " + cov.First.Format(time.RFC3339) + what})
	}
	if cov.Overflow > 0 || g.folded > 0 {
		c.note(Note{Code: "overflow", Count: max(cov.Overflow, g.folded),
			Detail: "there were more distinct values than are kept apart; the rest is counted as " + Other})
	}
	if total.Inexact {
		c.note(Note{Code: "approximate", Count: cov.Late,
			Detail: "requests were counted again when their other side came late; minimum and maximum are within 1 %"})
	}
	if err := a.ledgerNotes(ctx, r, &c); err != nil {
		return c, err
	}
	a.sourceNotes(r, &c)
	c.Complete = c.Open == 0
	for _, n := range c.Notes {
		c.Complete = c.Complete && (n.Code == "range_snapped" || n.Code == "begins" || n.Code == "results_behind")
	}
	return c, nil
}

// observed is the part of an answer's range that its rates are over: what
// lies before the first span and after now has no requests to count. It is not
// shorter than a bucket, so that a lone span makes no high rate.
func (a *Analytics) observed(cov Coverage) time.Duration {
	from, to := cov.Range.From, cov.Range.To
	if now := a.opts.Clock(); to.After(now) {
		to = now
	}
	if cov.First.After(from) {
		from = cov.First
	}
	return min(max(to.Sub(from), MinStep), cov.Range.To.Sub(cov.Range.From))
}

func (c *Completeness) note(n Note) { c.Notes = append(c.Notes, n) }

// join adds what another answer is based on. Notes that are the same for
// both, as all from the ledger are, are not repeated.
func (c *Completeness) join(o *Completeness, prefix string) {
	c.Complete = c.Complete && o.Complete
	c.Open += o.Open
	for _, n := range o.Notes {
		if !slices.Contains(c.Notes, n) {
			n.Detail = prefix + n.Detail
			c.note(n)
		}
	}
}

// ledgerNotes adds losses and the watermark.
func (a *Analytics) ledgerNotes(ctx context.Context, r Range, c *Completeness) error {
	entries, err := a.store.Ledger(ctx)
	if err != nil {
		return err
	}
	for i := range entries {
		e := &entries[i]
		if !e.Watermark.IsZero() && (c.Watermark.IsZero() || e.Watermark.Before(c.Watermark)) {
			c.Watermark = e.Watermark
		}
		for _, reason := range slices.Sorted(maps.Keys(e.Rejected)) {
			c.loss("rejected", e, e.Rejected[reason], "could not be stored: "+reason)
		}
		for _, reason := range slices.Sorted(maps.Keys(e.Dropped)) {
			c.loss("dropped", e, e.Dropped[reason], "were lost: "+reason)
		}
		c.loss("truncated", e, e.Truncated, "or more are at the source, which does not give them out")
	}
	if a.opts.Status != nil {
		c.Watermark = slowest(a.opts.Status().Sources)
	}
	if !c.Watermark.IsZero() && r.To.Sub(c.Watermark) > lateAfter {
		c.note(Note{Code: "late", Detail: "sources have been read up to " + c.Watermark.Format(time.RFC3339) + "; what is newer may be missing"})
	}
	return nil
}

// lateAfter is how far behind a range's end the sources may be read without
// a note: the collector's interval and the time that spans take to arrive.
const lateAfter = 30 * time.Second

// slowest returns the watermark that is furthest behind, zero if there is
// none.
func slowest(sources []SourceStatus) (t time.Time) {
	for i := range sources {
		if w := sources[i].Watermark; !w.IsZero() && (t.IsZero() || w.Before(t)) {
			t = w
		}
	}
	return t
}

func (c *Completeness) loss(code string, e *LedgerEntry, n int64, what string) {
	if n > 0 {
		c.note(Note{Code: code, Source: e.Source, Service: e.Service, Count: n, Detail: fmt.Sprintf("%d spans %s", n, what)})
	}
}

// sourceNotes adds the sources that cannot be read, spans that wait for the
// store, and outputs that are behind, which takes nothing from this answer.
func (a *Analytics) sourceNotes(r Range, c *Completeness) {
	if a.opts.Status == nil {
		return
	}
	for _, s := range a.opts.Status().Sources {
		if s.Kind == KindResults && s.Failures > 0 {
			c.note(Note{Code: "results_behind", Source: s.Name, Detail: s.Error})
		}
		if s.Kind == KindSpool && s.Error != "" {
			c.note(Note{Code: "spooled", Source: s.Name, Detail: s.Error})
		}
		if s.Error == "" || s.Kind != SourceTraces || s.LastSuccess.After(r.To) {
			continue
		}
		c.note(Note{Code: "source_down", Source: s.Name, Detail: s.Error})
	}
}

// MetricsCompleteness says what metrics are based on now: their sources are
// others than those of spans, and keep no ledger. The watermark is the oldest
// of the times at which the sources were last read.
func (a *Analytics) MetricsCompleteness() Completeness {
	var c Completeness
	if a.opts.Status == nil {
		c.Complete = true
		return c
	}
	for _, s := range a.opts.Status().Sources {
		if s.Kind != SourceMetrics {
			continue
		}
		if t := s.LastSuccess; !t.IsZero() && (c.Watermark.IsZero() || t.Before(c.Watermark)) {
			c.Watermark = t
		}
		if s.Error != "" {
			c.note(Note{Code: "source_down", Source: s.Name, Detail: s.Error})
		}
	}
	c.Complete = len(c.Notes) == 0
	return c
}

// Completeness says what answers are based on now: what the sources have
// lost so far and how far they have been read.
func (a *Analytics) Completeness(ctx context.Context) (Completeness, error) {
	now := a.opts.Clock()
	r := Range{From: now.Add(-DefaultWindow), To: now}
	return a.completeness(ctx, r, Coverage{Range: r}, &Aggregate{}, newGrouping(nil, nil, CountRequests))
}
