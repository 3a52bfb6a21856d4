package spool

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/opnfv/clover/visibility"
)

// Reasons for which the ledger has spans that were in the spool as dropped.
const (
	// DropRefused: the store will never take the batch.
	DropRefused = "spool_refused"
	// DropDamaged: the disk has lost them. Their source is lost with them, and
	// is given as "spool".
	DropDamaged = "spool_damaged"
)

// mergeSpans bounds what is brought to the store at once.
const mergeSpans = 4096

// drain brings what waits to the store until ctx ends.
func (s *Store) drain(ctx context.Context) {
	const first = 50 * time.Millisecond
	pause := first
	limit := mergeSpans
	defer s.shut(false)
	for ctx.Err() == nil {
		err := s.deliver(ctx, limit)
		s.shut(err == nil && s.Status().Waiting <= mergeSpans)
		switch {
		case err == nil:
			pause, limit = first, mergeSpans
			continue
		case errors.Is(err, errEmpty):
			s.emptied()
			select {
			case <-ctx.Done():
			case <-s.wake:
			}
			continue
		case hopeless(err):
			limit = 1 // to find out which batch
			continue
		}
		s.note(func(st *Status) { st.Retries++; st.Error = err.Error() })
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
		pause = min(2*pause, s.opt.MaxBackoff)
	}
}

// deliver brings the oldest batch to the store, with those behind it of the
// same source, up to that many spans.
func (s *Store) deliver(ctx context.Context, limit int) error {
	s.front.Lock()
	defer s.front.Unlock()
	e, batches, err := s.next(limit)
	if err != nil {
		return err
	}
	s.note(func(st *Status) { st.Oldest = e.added })
	dropped := e.lost
	switch {
	case e.batch == nil && e.lost > 0:
		s.opt.Logger.Error("spool: spans were damaged on the disk", "spans", e.lost)
		_, err = s.Store.Write(ctx, &visibility.Batch{Source: "spool", Ledger: []visibility.Loss{
			{Fate: visibility.FateDropped, Reason: DropDamaged, Count: int64(e.lost)},
		}})
	case e.batch != nil:
		if _, err = s.Store.Write(ctx, e.batch); err == nil || !hopeless(err) || batches > 1 {
			break
		}
		s.opt.Logger.Error("spool: the store refuses a batch for good", "spans", len(e.batch.Spans), "error", err)
		dropped = uint64(len(e.batch.Spans))
		_, err = s.Store.Write(ctx, refused(e.batch))
		if hopeless(err) {
			err = nil // not even that: it is in the log and in the status
		}
	}
	if err != nil {
		return err
	}
	return s.dropped(e, dropped)
}

// dropped notes that the store has an entry, but for some spans.
func (s *Store) dropped(e *entry, spans uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.log.drop(e); err != nil {
		return err
	}
	s.status.Error = ""
	s.status.Dropped += int64(spans)
	if e.batch != nil && spans == 0 {
		s.status.Delivered += int64(len(e.batch.Spans))
	}
	return nil
}

// next reads the oldest batch, merged with those behind it.
func (s *Store) next(limit int) (e *entry, batches int, err error) {
	if e, err = s.log.after(s.log.oldest()); err != nil || e.batch == nil {
		return e, 0, err
	}
	for batches = 1; len(e.batch.Spans) < limit && limit > 1; batches++ {
		more := s.behind(e)
		if more == nil {
			break
		}
		merge(e.batch, more.batch)
		e.next = more.next
	}
	return e, batches, nil
}

// behind reads what can be merged with an entry; nil: nothing. What keeps it
// from being read is told when it is the oldest.
func (s *Store) behind(e *entry) *entry {
	more, err := s.log.after(e.next)
	if err != nil || more.batch == nil || more.batch.Source != e.batch.Source {
		return nil
	}
	return more
}

// merge adds a later batch of the same source.
func merge(b, later *visibility.Batch) {
	b.Spans = append(b.Spans, later.Spans...)
	b.Metrics = append(b.Metrics, later.Metrics...)
	b.Ledger = append(b.Ledger, later.Ledger...)
	if b.Watermarks == nil {
		b.Watermarks = later.Watermarks
		return
	}
	maps.Copy(b.Watermarks, later.Watermarks)
}

// refused is what the ledger is told of a batch that the store refuses.
func refused(b *visibility.Batch) *visibility.Batch {
	counts := map[string]int64{}
	for i := range b.Spans {
		counts[b.Spans[i].Service]++
	}
	told := &visibility.Batch{Source: b.Source, Ledger: b.Ledger, Watermarks: b.Watermarks}
	for service, n := range counts {
		told.Ledger = append(told.Ledger, visibility.Loss{Service: service, Fate: visibility.FateDropped, Reason: DropRefused, Count: n})
	}
	return told
}
