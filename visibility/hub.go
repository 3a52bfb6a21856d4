package visibility

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/opnfv/clover/tracing"
)

// DefaultLiveBuffer is the number of spans that wait for a subscriber that
// gave no number of its own; MaxLiveBuffer is the largest such number.
const (
	DefaultLiveBuffer = 1024
	MaxLiveBuffer     = 1 << 16
)

// Hub passes spans on to those who watch, as they are stored. A subscriber
// that is too slow never holds up who publishes: it misses spans, and is told
// how many. The zero value is ready; a nil *Hub has no subscribers.
//
// All methods may be called concurrently.
type Hub struct {
	listening atomic.Int32 // len(subs), read without the lock
	published atomic.Int64
	dropped   atomic.Int64

	mu   sync.RWMutex
	subs map[*subscription]struct{}
}

// LiveSpan is one element of a live stream.
type LiveSpan struct {
	Span tracing.Span
	// Missed is the number of spans that passed the filter since the element
	// before and were not delivered because the subscriber was too slow.
	Missed int64
}

type subscription struct {
	filter *Filter

	mu     sync.Mutex
	ch     chan LiveSpan
	closed bool
	missed int64
}

// Subscribe returns the spans that are stored from now on and pass f, in the
// order in which they were stored. The channel is closed when ctx ends; no
// other end is needed. At most buffer spans wait to be received
// (0: DefaultLiveBuffer; never more than MaxLiveBuffer), further ones are
// counted in Missed. Spans share their attributes with others: do not change
// them.
//
// A span that the collector read twice around a restart may be seen twice.
func (h *Hub) Subscribe(ctx context.Context, f *Filter, buffer int) <-chan LiveSpan {
	if buffer <= 0 {
		buffer = DefaultLiveBuffer
	}
	s := &subscription{filter: f, ch: make(chan LiveSpan, min(buffer, MaxLiveBuffer))}
	h.mu.Lock()
	if h.subs == nil {
		h.subs = map[*subscription]struct{}{}
	}
	h.subs[s] = struct{}{}
	h.listening.Store(int32(len(h.subs)))
	h.mu.Unlock()
	context.AfterFunc(ctx, func() { h.remove(s) })
	return s.ch
}

func (h *Hub) remove(s *subscription) {
	h.mu.Lock()
	delete(h.subs, s)
	h.listening.Store(int32(len(h.subs)))
	h.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	close(s.ch)
}

// Publish offers spans to every subscriber. It never blocks, keeps copies
// only, and costs next to nothing while nobody listens.
func (h *Hub) Publish(spans []tracing.Span) {
	if h == nil || h.listening.Load() == 0 || len(spans) == 0 {
		return
	}
	h.published.Add(int64(len(spans)))
	h.mu.RLock()
	defer h.mu.RUnlock()
	for s := range h.subs {
		h.dropped.Add(s.offer(spans))
	}
}

// offer delivers what there is room for and returns how many it did not.
func (s *subscription) offer(spans []tracing.Span) (dropped int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0
	}
	for i := range spans {
		if !s.filter.MatchSpan(&spans[i]) {
			continue
		}
		select {
		case s.ch <- LiveSpan{Span: spans[i], Missed: s.missed}:
			s.missed = 0
		default:
			s.missed++
			dropped++
		}
	}
	return dropped
}

// HubStats are a hub's figures since it was made.
type HubStats struct {
	Subscribers int
	Published   int64 // spans offered while somebody listened
	Dropped     int64 // spans that a subscriber was too slow for
}

// Stats returns the hub's figures. A nil *Hub has none.
func (h *Hub) Stats() HubStats {
	if h == nil {
		return HubStats{}
	}
	return HubStats{
		Subscribers: int(h.listening.Load()),
		Published:   h.published.Load(), Dropped: h.dropped.Load(),
	}
}
