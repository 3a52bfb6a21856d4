package lease

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// What the model assumes. A collector reads at a rate, calls wait for each
// other nowhere else.
const (
	listLatency   = 20 * time.Millisecond // list the services
	fetchLatency  = 30 * time.Millisecond // a query of the source
	stateLatency  = 2 * time.Millisecond
	swapLatency   = 12 * time.Millisecond // a lightweight transaction
	writeLatency  = 8 * time.Millisecond
	ledgerLatency = 50 * time.Millisecond
	readRate      = 400_000          // spans a second that one collector reads,
	pageSpans     = 20_000           // and those that come at once
	spanWeight    = 100              // spans that one given out stands for
	latest        = 10 * time.Minute // how late spans are looked for
)

// model is a source and a store of which only times and ranges are real.
type model struct {
	collectors, joined int
	total              float64 // spans a second
	interval           time.Duration
	rates              map[string]float64 // by service
	names              []string
	start              time.Time
	report             strings.Builder

	mu          sync.Mutex // guards what follows
	unavailable bool
	state       map[string][]byte
	marks       map[string]time.Time
	delivered   map[string]*ranges // read and stored, by service
	late        map[string]*ranges // and that at an age of at least latest
	workers     []*worker
	readers     map[string]*worker // by service, the last
	read        float64            // spans
	swaps, lost int
	moved       int // services
}

// newModel has services whose rates fall as those of words do (Zipf).
func newModel(services, collectors int, spans float64) *model {
	m := &model{
		collectors: collectors, total: spans, rates: map[string]float64{}, state: map[string][]byte{},
		marks: map[string]time.Time{}, delivered: map[string]*ranges{}, late: map[string]*ranges{}, readers: map[string]*worker{},
	}
	sum := 0.0
	for i := range services {
		name := fmt.Sprintf("service-%d.default", i)
		m.names = append(m.names, name)
		m.rates[name] = 1 / math.Pow(float64(i+1), .7)
		m.delivered[name], m.late[name] = &ranges{}, &ranges{}
		sum += m.rates[name]
	}
	for name := range m.rates {
		m.rates[name] *= spans / sum
	}
	return m
}

func (m *model) away(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unavailable = on
}

// ranges is a union of ranges.
type ranges struct{ list []visibility.Range }

func (r *ranges) add(n visibility.Range) {
	if !n.From.Before(n.To) {
		return
	}
	r.list = append(r.list, n)
	slices.SortFunc(r.list, func(a, b visibility.Range) int { return a.From.Compare(b.From) })
	merged := r.list[:1]
	for _, n := range r.list[1:] {
		last := &merged[len(merged)-1]
		if n.From.After(last.To) {
			merged = append(merged, n)
		} else if n.To.After(last.To) {
			last.To = n.To
		}
	}
	r.list = merged
}

// end is up to where there is no gap after a time.
func (r *ranges) end(from time.Time) time.Time {
	for _, n := range r.list {
		if !n.From.After(from) && n.To.After(from) {
			from = n.To
		}
	}
	return from
}

// worker is the model as one process reaches it.
type worker struct {
	visibility.Store
	*model
	dead atomic.Bool

	read, mark float64
	free       time.Time            // when it has read what it is asked for
	parts      map[string]float64   // of a span that is given out with the next
	pending    map[string][]reading // and not stored yet
}

// reading is a range that was read at a time.
type reading struct {
	visibility.Range
	at time.Time
}

// wait is the time of a call of the store.
func (w *worker) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead.Load() || w.unavailable {
		return visibility.ErrUnavailable
	}
	return nil
}

// Services implements visibility.TraceSource.
func (w *worker) Services(ctx context.Context) ([]string, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(listLatency):
	}
	return slices.Clone(w.names), nil
}

// Fetch implements visibility.TraceSource. What is read at once shares the
// rate of the collector, page by page.
func (w *worker) Fetch(ctx context.Context, service string, r visibility.Range, yield func([]tracing.Span) error) ([]visibility.SourceLoss, error) {
	asked := time.Now()
	if err := rest(ctx, fetchLatency); err != nil {
		return nil, err
	}
	left := w.rates[service] * r.To.Sub(r.From).Seconds()
	for left > 0 {
		page := min(left, pageSpans)
		if err := rest(ctx, time.Until(w.reserve(page))); err != nil {
			return nil, err
		}
		if err := yield(w.spans(service, page)); err != nil {
			return nil, err
		}
		left -= page
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending[service] = append(w.pending[service], reading{r, asked})
	return nil, nil
}

// reserve returns when a page is there.
func (w *worker) reserve(spans float64) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); w.free.Before(now) {
		w.free = now
	}
	w.free = w.free.Add(time.Duration(spans / readRate * float64(time.Second)))
	w.read += spans
	w.model.read += spans
	return w.free
}

// spans are those of a page: one for each hundred.
func (w *worker) spans(service string, n float64) []tracing.Span {
	w.mu.Lock()
	defer w.mu.Unlock()
	whole, rest := math.Modf(n/spanWeight + w.parts[service])
	w.parts[service] = rest
	spans := make([]tracing.Span, int(whole))
	for i := range spans {
		spans[i].Service = service
	}
	return spans
}

// rest is the time that something takes.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Write implements visibility.Writer.
func (w *worker) Write(ctx context.Context, b *visibility.Batch) (visibility.Receipt, error) {
	err := w.wait(ctx, writeLatency)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		clear(w.pending)
		return visibility.Receipt{}, err
	}
	for service, mark := range b.Watermarks {
		w.marks[service] = mark
		if w.readers[service] != w {
			w.readers[service] = w
			w.moved++
		}
		for _, read := range w.pending[service] {
			w.delivered[service].add(read.Range)
			w.late[service].add(visibility.Range{From: read.From, To: earlier(read.To, read.at.Add(-latest))})
		}
		delete(w.pending, service)
	}
	return visibility.Receipt{}, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Ledger implements visibility.LedgerReader.
func (w *worker) Ledger(ctx context.Context) (list []visibility.LedgerEntry, err error) {
	if err := w.wait(ctx, ledgerLatency); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for service, mark := range w.marks {
		list = append(list, visibility.LedgerEntry{Source: "mesh", Service: service, Watermark: mark})
	}
	return list, nil
}

// State implements visibility.StateStore.
func (w *worker) State(ctx context.Context, name string) ([]byte, error) {
	if err := w.wait(ctx, stateLatency); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	value, ok := w.state[name]
	if !ok {
		return nil, visibility.ErrNotFound
	}
	return value, nil
}

// SwapState implements visibility.StateSwapper.
func (w *worker) SwapState(ctx context.Context, name string, old, value []byte) (bool, error) {
	if err := w.wait(ctx, swapLatency); err != nil {
		return false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.swaps++
	if held, there := w.state[name]; there != (old != nil) || !bytes.Equal(held, old) {
		w.lost++
		return false, nil
	}
	w.state[name] = slices.Clone(value)
	return true, nil
}
