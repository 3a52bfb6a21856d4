package visibility

import (
	"context"
	"fmt"
	"time"
	"unique"

	"github.com/opnfv/clover/tracing"
)

// spanKey is a span's identity without the memory of its service's name.
type spanKey struct {
	trace   tracing.TraceID
	span    tracing.SpanID
	kind    tracing.Kind
	service unique.Handle[string]
}

func keyOfSpan(s *tracing.Span) spanKey {
	return spanKey{s.TraceID, s.SpanID, s.Kind, unique.Make(s.Service)}
}

// recentSpans remembers the spans that were stored last: at least half of
// its capacity and at most all of it.
type recentSpans struct {
	half     int
	old, new map[spanKey]struct{}
}

func newRecentSpans(capacity int) *recentSpans {
	return &recentSpans{half: max(capacity/2, 1), new: map[spanKey]struct{}{}}
}

func (r *recentSpans) has(k spanKey) bool {
	if _, ok := r.new[k]; ok {
		return true
	}
	_, ok := r.old[k]
	return ok
}

func (r *recentSpans) add(k spanKey) {
	if len(r.new) >= r.half {
		r.old, r.new = r.new, make(map[spanKey]struct{}, r.half)
	}
	r.new[k] = struct{}{}
}

// lossKey identifies a loss that was counted.
type lossKey struct {
	service  string
	fate     Fate
	reason   string
	from, to int64
}

// maxLosses bounds the losses that are remembered.
const maxLosses = 1 << 14

// writeEvery is how long a watermark waits for others to be written with.
const writeEvery = time.Second

// roundSink gathers what the services of one source deliver in one round and
// writes it in batches, strictly one after the other: when a write fails,
// nothing that came later is written, so that no watermark gets ahead of its
// spans. Its methods may be called concurrently.
type roundSink struct {
	p *tracePuller

	lock    chan struct{}        // holds a token while somebody uses what follows, or the store writes it
	batch   Batch                // but for its ledger
	ledger  map[Loss]int64       // with Count 0 in the key
	pending map[spanKey]struct{} // of batch.Spans
	losses  map[lossKey]struct{} // that are in the ledger
	read    []*cursor            // that have a watermark in batch
	written time.Time            // of the last batch
	err     error
}

func newRoundSink(p *tracePuller) *roundSink {
	s := &roundSink{p: p, lock: make(chan struct{}, 1), written: time.Now()}
	s.reset()
	return s
}

func (s *roundSink) reset() {
	clear(s.batch.Spans)
	s.batch = Batch{Source: s.p.state.key.name, Spans: s.batch.Spans[:0], Watermarks: map[string]time.Time{}}
	s.ledger = map[Loss]int64{}
	s.pending, s.losses = map[spanKey]struct{}{}, map[lossKey]struct{}{}
	s.read = s.read[:0]
}

// add takes spans; those stored already are only counted. It blocks while the
// store does.
func (s *roundSink) add(ctx context.Context, spans []tracing.Span) error {
	s.lock <- struct{}{}
	defer func() { <-s.lock }()
	for i := range spans {
		if s.err != nil {
			return s.err
		}
		if s.p.elsewhere(spans[i].Service) {
			continue
		}
		key := keyOfSpan(&spans[i])
		if _, ok := s.pending[key]; ok || s.p.recent.has(key) {
			s.ledger[Loss{Service: spans[i].Service, Fate: FateDuplicate}]++
			continue
		}
		s.pending[key] = struct{}{}
		s.batch.Spans = append(s.batch.Spans, spans[i])
		if len(s.batch.Spans) >= s.p.c.opt.BatchSpans {
			s.write(ctx)
		}
	}
	return s.err
}

// done takes the end of a service's pull, and what was lost in it. Watermarks
// do not wait for services that are slower.
func (s *roundSink) done(ctx context.Context, cur *cursor, losses []SourceLoss) {
	s.lock <- struct{}{}
	defer func() { <-s.lock }()
	for _, l := range losses {
		key := lossKey{l.Service, l.Fate, l.Reason, l.Range.From.UnixNano(), l.Range.To.UnixNano()}
		_, counted := s.p.losses[key]
		if _, again := s.losses[key]; counted || again || l.Count <= 0 {
			continue
		}
		s.losses[key] = struct{}{}
		s.ledger[Loss{Service: l.Service, Fate: l.Fate, Reason: l.Reason}] += l.Count
	}
	s.batch.Watermarks[cur.service] = cur.read.to
	s.read = append(s.read, cur)
	if s.err == nil && time.Since(s.written) >= writeEvery {
		s.write(ctx)
	}
}

// flush writes what is left.
func (s *roundSink) flush(ctx context.Context) error {
	s.lock <- struct{}{}
	defer func() { <-s.lock }()
	if s.err == nil && (len(s.batch.Spans) > 0 || len(s.ledger) > 0 || len(s.batch.Watermarks) > 0) {
		s.write(ctx)
	}
	return s.err
}

// write stores the batch. What it says is in force only after that.
func (s *roundSink) write(ctx context.Context) {
	for loss, count := range s.ledger {
		loss.Count = count
		s.batch.Ledger = append(s.batch.Ledger, loss)
	}
	receipt, err := s.p.c.store.Write(ctx, &s.batch)
	if err != nil {
		s.err = fmt.Errorf("store: %w", err)
		return
	}
	s.p.state.stored(len(s.batch.Spans), receipt)
	for key := range s.pending {
		s.p.recent.add(key)
	}
	if len(s.p.losses) > maxLosses {
		clear(s.p.losses)
	}
	for key := range s.losses {
		s.p.losses[key] = struct{}{}
	}
	for _, cur := range s.read {
		cur.commit()
	}
	s.p.c.opt.Hub.Publish(s.batch.Spans)
	s.reset()
	s.written = time.Now()
}
