package visibility

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/opnfv/clover/tracing"
)

// tracePuller reads one trace source: in each round every service that the
// source has, each by one window, so that one far behind does not hold up the
// rest.
type tracePuller struct {
	c     *Collector
	state *sourceState
	src   TraceSource

	cursors    map[string]*cursor // nil: not loaded yet
	discovered time.Time          // when the services were last listed
	recent     *recentSpans
	losses     map[lossKey]struct{} // counted
}

func newTracePuller(c *Collector, state *sourceState, src TraceSource) *tracePuller {
	return &tracePuller{
		c: c, state: state, src: src,
		recent: newRecentSpans(c.opt.RecentSpans), losses: map[lossKey]struct{}{},
	}
}

func (p *tracePuller) source() any { return p.src }

// pull reads one round.
func (p *tracePuller) pull(ctx context.Context) (more bool, err error) {
	if err := p.load(ctx); err != nil {
		return false, err
	}
	now := time.Now()
	if err := p.discover(ctx, now); err != nil {
		return false, err
	}
	if err := p.divide(ctx); err != nil {
		return false, err
	}
	sink := newRoundSink(p)
	more, err = p.fetchAll(ctx, sink, now)
	if flushErr := sink.flush(ctx); flushErr != nil {
		err, more = flushErr, false
	}
	p.state.setServices(p.progress())
	p.tell()
	return more, err
}

// load takes the watermarks from the store.
func (p *tracePuller) load(ctx context.Context) error {
	if p.cursors != nil {
		return nil
	}
	entries, err := p.c.store.Ledger(ctx)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	p.cursors = map[string]*cursor{}
	for _, e := range entries {
		if e.Source != p.state.key.name || e.Watermark.IsZero() {
			continue
		}
		cur := &cursor{service: e.Service}
		cur.resume(e.Watermark, &p.c.opt)
		p.cursors[e.Service] = cur
		if p.discovered.IsZero() || e.Watermark.Before(p.discovered) {
			p.discovered = e.Watermark
		}
	}
	return nil
}

// discover lists the services. One that is new begins where the last listing
// did not have it yet, or Lookback ago.
func (p *tracePuller) discover(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.c.opt.Timeout, errSilent(p.c.opt.Timeout))
	defer cancel()
	services, err := p.src.Services(ctx)
	if err != nil {
		return fmt.Errorf("list services: %w", causeOf(ctx, err))
	}
	for _, cur := range p.cursors {
		cur.listed = false
	}
	begin := now.Add(-p.c.opt.Lookback)
	if !p.discovered.IsZero() {
		begin = p.discovered.Add(-p.c.opt.latest())
	}
	for _, service := range services {
		if p.cursors[service] == nil {
			p.cursors[service] = newCursor(service, begin, &p.c.opt)
		}
		p.cursors[service].listed = true
	}
	p.discovered = now
	return nil
}

// fetchAll reads the services that are due, Parallel at once. It fails if
// the store does, or if every service did: then the source as a whole is to
// blame, else each failed service has its own pause.
func (p *tracePuller) fetchAll(ctx context.Context, sink *roundSink, now time.Time) (more bool, err error) {
	var due []*cursor
	for _, cur := range p.cursors {
		switch {
		case !cur.owned:
		case !cur.listed && !cur.fresh && now.Sub(cur.watermark) < p.c.opt.latest():
			// The source has nothing of it. Where there is more to lose, a
			// list of services is not believed, and the service is read.
			cur.skip(now, &p.c.opt)
			sink.done(ctx, cur, nil)
		case !now.Before(cur.nextTry) && !now.Before(cur.dueAt):
			due = append(due, cur)
		}
	}
	// Furthest behind first.
	slices.SortFunc(due, func(a, b *cursor) int {
		return cmp.Or(a.watermark.Compare(b.watermark), cmp.Compare(a.service, b.service))
	})
	plans := make([]pullPlan, len(due))
	slots := make(chan struct{}, p.c.opt.Parallel)
	var wg sync.WaitGroup
	for i, cur := range due {
		slots <- struct{}{}
		plans[i] = cur.plan(time.Now(), &p.c.opt)
		wg.Go(func() {
			defer func() { <-slots }()
			cur.err = p.fetch(ctx, sink, cur, plans[i])
		})
	}
	wg.Wait()
	if sink.err != nil {
		return false, sink.err
	}
	return p.judge(due, plans, now)
}

// judge sums up a round.
func (p *tracePuller) judge(due []*cursor, plans []pullPlan, now time.Time) (more bool, err error) {
	var failed []*cursor
	for i, cur := range due {
		if cur.err != nil {
			failed = append(failed, cur)
		} else if plans[i].more {
			more = true
		} else {
			// Rounds that others have need of come between.
			cur.dueAt = now.Add(p.c.Config().SampleInterval.Duration() / 2)
		}
	}
	if len(failed) > 0 && len(failed) == len(due) && len(due) >= p.listed() {
		return false, failed[0].failure()
	}
	for _, cur := range failed {
		cur.nextTry = now.Add(cur.failing.next(p.c.opt.MaxBackoff))
	}
	for _, cur := range p.cursors {
		if cur.owned && cur.listed && cur.err != nil {
			p.state.degrade(cur.failure(), len(failed))
			break
		}
	}
	return more, nil
}

// listed returns the number of this collector's services that the source has.
func (p *tracePuller) listed() (n int) {
	for _, cur := range p.cursors {
		if cur.owned && cur.listed {
			n++
		}
	}
	return n
}

// fetch reads what is planned of one service into the sink.
func (p *tracePuller) fetch(ctx context.Context, sink *roundSink, cur *cursor, plan pullPlan) error {
	silence := p.c.opt.Timeout
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(silence, func() { cancel(errSilent(silence)) })
	defer watchdog.Stop()
	n, began := 0, time.Now()
	take := func(spans []tracing.Span) error {
		watchdog.Stop() // the store may take its time
		defer watchdog.Reset(silence)
		n += len(spans)
		return sink.add(ctx, spans)
	}
	var losses []SourceLoss
	for _, r := range plan.reads {
		lost, err := p.src.Fetch(ctx, cur.service, r, take)
		if err != nil {
			err = causeOf(ctx, err)
			if errors.Is(err, context.DeadlineExceeded) && plan.more {
				cur.shrink()
			}
			return err
		}
		watchdog.Reset(silence)
		losses = append(losses, lost...)
	}
	cur.done(plan, n, time.Since(began), &p.c.opt)
	sink.done(ctx, cur, losses)
	return nil
}

// progress returns the state of this collector's services, sorted.
func (p *tracePuller) progress() []ServiceProgress {
	all := make([]ServiceProgress, 0, len(p.cursors))
	for _, cur := range p.cursors {
		if !cur.owned {
			continue
		}
		s := ServiceProgress{Service: cur.service, Listed: cur.listed, NextTry: cur.nextTry}
		if !cur.fresh {
			s.Watermark = cur.watermark
		}
		if cur.err != nil {
			s.Error = cur.err.Error()
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b ServiceProgress) int { return cmp.Compare(a.Service, b.Service) })
	return all
}

// silentError says that a source did not answer in time.
type silentError struct{ limit time.Duration }

func errSilent(limit time.Duration) error { return silentError{limit} }

func (e silentError) Error() string        { return fmt.Sprintf("no answer for %v", e.limit) }
func (e silentError) Is(target error) bool { return target == ErrUnavailable }
func (e silentError) Unwrap() error        { return context.DeadlineExceeded }

// causeOf replaces the bare error of a context by why it ended.
func causeOf(ctx context.Context, err error) error {
	var silent silentError
	if ctx.Err() != nil && errors.As(context.Cause(ctx), &silent) {
		return silent
	}
	return err
}
