package visibility_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// memStore is the least store that a collector can be tested with: spans by
// identity, the ledger and state.
type memStore struct {
	visibility.Store // nil: what is not implemented must not be called

	mu      sync.Mutex
	spans   map[tracing.Identity]tracing.Span
	metrics []visibility.MetricPoint
	ledger  map[[2]string]*visibility.LedgerEntry
	state   map[string][]byte
	writes  int
	// before is asked before each write; an error refuses it.
	before func(ctx context.Context, b *visibility.Batch) error
}

func newMemStore() *memStore {
	return &memStore{
		spans: map[tracing.Identity]tracing.Span{}, ledger: map[[2]string]*visibility.LedgerEntry{},
		state: map[string][]byte{},
	}
}

func (m *memStore) entry(source, service string) *visibility.LedgerEntry {
	key := [2]string{source, service}
	if m.ledger[key] == nil {
		m.ledger[key] = &visibility.LedgerEntry{
			Source: source, Service: service, Rejected: map[string]int64{}, Dropped: map[string]int64{},
		}
	}
	return m.ledger[key]
}

func (m *memStore) Write(ctx context.Context, b *visibility.Batch) (visibility.Receipt, error) {
	m.mu.Lock()
	before := m.before
	m.mu.Unlock()
	if before != nil {
		if err := before(ctx, b); err != nil {
			return visibility.Receipt{}, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	var r visibility.Receipt
	for _, s := range b.Spans {
		e := m.entry(b.Source, s.Service)
		e.Seen++
		if _, ok := m.spans[s.Identity()]; ok {
			e.Duplicate++
			r.Duplicates++
			continue
		}
		m.spans[s.Identity()] = s
		e.Kept++
		r.Kept++
	}
	for _, l := range b.Ledger {
		e := m.entry(b.Source, l.Service)
		e.Seen += l.Count
		switch l.Fate {
		case visibility.FateDuplicate:
			e.Duplicate += l.Count
		case visibility.FateTruncated:
			e.Truncated += l.Count
		case visibility.FateRejected:
			e.Rejected[l.Reason] += l.Count
		case visibility.FateDropped:
			e.Dropped[l.Reason] += l.Count
		default:
			return r, fmt.Errorf("loss of fate %v", l.Fate)
		}
	}
	for service, to := range b.Watermarks {
		if e := m.entry(b.Source, service); to.After(e.Watermark) {
			e.Watermark = to
		}
	}
	m.metrics = append(m.metrics, b.Metrics...)
	return r, nil
}

func (m *memStore) Ledger(context.Context) ([]visibility.LedgerEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var entries []visibility.LedgerEntry
	for _, e := range m.ledger {
		entry := *e
		entry.Rejected, entry.Dropped = maps.Clone(e.Rejected), maps.Clone(e.Dropped)
		entries = append(entries, entry)
	}
	slices.SortFunc(entries, func(a, b visibility.LedgerEntry) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Service, b.Service))
	})
	return entries, nil
}

func (m *memStore) State(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.state[name]; ok {
		return v, nil
	}
	return nil, fmt.Errorf("state %s: %w", name, visibility.ErrNotFound)
}

func (m *memStore) SetState(_ context.Context, name string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if value == nil {
		delete(m.state, name)
		return nil
	}
	m.state[name] = slices.Clone(value)
	return nil
}

func (m *memStore) Stats(context.Context) (visibility.StoreStats, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return visibility.StoreStats{Name: "memory", Spans: int64(len(m.spans)), Metrics: int64(len(m.metrics))}, nil
}

func (m *memStore) Clear(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.spans)
	return nil
}

func (m *memStore) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.spans)
}

// failWith makes writes fail until it is called with nil.
func (m *memStore) failWith(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before = func(context.Context, *visibility.Batch) error { return err }
}

// mustBalance fails the test if spans are unaccounted for, and returns the
// sum of all entries.
func (m *memStore) mustBalance(t *testing.T) visibility.LedgerEntry {
	t.Helper()
	entries, _ := m.Ledger(t.Context())
	var sum visibility.LedgerEntry
	for _, e := range entries {
		if e.Balance() != 0 {
			t.Errorf("ledger does not balance: %+v", e)
		}
		sum.Seen += e.Seen
		sum.Kept += e.Kept
		sum.Duplicate += e.Duplicate
		sum.Truncated += e.Truncated
	}
	if int(sum.Kept) != m.count() {
		t.Errorf("%d spans kept by the ledger, %d in the store", sum.Kept, m.count())
	}
	return sum
}

// fakeSpan is a span and the moment at which the source has it.
type fakeSpan struct {
	tracing.Span
	arrival time.Time
}

// fakeSource behaves as Jaeger does: it searches by the start of a service's
// spans and answers with whole traces.
type fakeSource struct {
	mu       sync.Mutex
	spans    []fakeSpan
	err      error                              // of every call
	failing  map[string]error                   // of one service's fetches
	hang     bool                               // calls last until their context ends
	slower   time.Duration                      // a window longer than this hangs
	losses   map[string][]visibility.SourceLoss // of a service, if in range
	reads    map[string][]visibility.Range      // of each service
	onFetch  func(service string)               // called before each fetch
	services []string                           // in place of those of the spans
	asked    int
}

func (f *fakeSource) set(change func(f *fakeSource)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// add makes a span start and arrive.
func (f *fakeSource) add(trace, span byte, service string, start, arrival time.Time, d time.Duration) {
	s := tracing.Span{TraceID: tracing.TraceID{15: trace}, SpanID: tracing.SpanID{7: span}, Kind: tracing.KindServer, Service: service, Start: start, Duration: d}
	f.set(func(f *fakeSource) { f.spans = append(f.spans, fakeSpan{s, arrival}) })
}

func (f *fakeSource) call(ctx context.Context) error {
	f.mu.Lock()
	err, hang := f.err, f.hang
	f.asked++
	f.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (f *fakeSource) Services(ctx context.Context) ([]string, error) {
	if err := f.call(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.services != nil {
		return f.services, nil
	}
	set := map[string]bool{}
	for _, s := range f.spans {
		if !s.arrival.After(time.Now()) {
			set[s.Service] = true
		}
	}
	return slices.Sorted(maps.Keys(set)), nil
}

func (f *fakeSource) Fetch(ctx context.Context, service string, r visibility.Range, yield func([]tracing.Span) error) ([]visibility.SourceLoss, error) {
	if err := f.call(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	err, slow := f.failing[service], f.slower > 0 && r.To.Sub(r.From) > f.slower
	onFetch := f.onFetch
	f.mu.Unlock()
	if onFetch != nil {
		onFetch(service)
	}
	if slow {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	traces, losses := f.search(service, r)
	for _, spans := range traces {
		if err := yield(spans); err != nil {
			return nil, err
		}
	}
	return losses, nil
}

func (f *fakeSource) search(service string, r visibility.Range) (map[tracing.TraceID][]tracing.Span, []visibility.SourceLoss) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reads == nil {
		f.reads = map[string][]visibility.Range{}
	}
	f.reads[service] = append(f.reads[service], r)
	now := time.Now()
	traces := map[tracing.TraceID][]tracing.Span{}
	for _, s := range f.spans {
		if s.Service == service && !s.Start.Before(r.From) && s.Start.Before(r.To) && !s.arrival.After(now) {
			traces[s.TraceID] = nil
		}
	}
	for _, s := range f.spans {
		if _, ok := traces[s.TraceID]; ok && !s.arrival.After(now) {
			traces[s.TraceID] = append(traces[s.TraceID], s.Span)
		}
	}
	var losses []visibility.SourceLoss
	for _, l := range f.losses[service] {
		if !l.Range.From.Before(r.From) && l.Range.From.Before(r.To) {
			losses = append(losses, l)
		}
	}
	return traces, losses
}

// collect runs a test in a bubble with a collector on a fake source.
type bench struct {
	*testing.T
	store  *memStore
	source *fakeSource
	c      *visibility.Collector
	stop   func()
}

// newBench returns a bench whose collector does not run yet.
func newBench(t *testing.T, change ...func(*visibility.CollectorOptions)) *bench {
	b := &bench{T: t, store: newMemStore(), source: &fakeSource{}}
	b.restart(change...)
	return b
}

// restart replaces the collector, as after a crash; the store stays.
func (b *bench) restart(change ...func(*visibility.CollectorOptions)) {
	b.Helper()
	opt := visibility.CollectorOptions{
		Config: visibility.Config{SampleInterval: visibility.Interval(time.Second)},
		Traces: map[string]visibility.TraceSource{"fake": b.source},
	}
	for _, c := range change {
		c(&opt)
	}
	if b.stop != nil {
		b.stop()
	}
	var err error
	if b.c, err = visibility.NewCollector(b.store, opt); err != nil {
		b.Fatal(err)
	}
}

// run starts the collector; it ends with the test.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	c := b.c
	go func() { done <- c.Run(ctx) }()
	var once sync.Once
	b.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				b.Errorf("Run: %v", err)
			}
		})
	}
	b.Cleanup(b.stop)
	synctest.Wait()
}

// after lets time pass until everything is at rest again.
func (b *bench) after(d time.Duration) {
	time.Sleep(d) // the bubble's clock: takes no time
	synctest.Wait()
}

// status returns the fake source's status.
func (b *bench) status() visibility.SourceStatus {
	b.Helper()
	for _, s := range b.c.Status().Sources {
		if s.Kind == visibility.SourceTraces {
			return s
		}
	}
	b.Fatalf("no source in %+v", b.c.Status())
	return visibility.SourceStatus{}
}

func (b *bench) wantSpans(n int) {
	b.Helper()
	if got := b.store.count(); got != n {
		b.Errorf("%d spans in the store, want %d; %+v", got, n, b.status())
	}
}

var errDown = errors.New("connection refused")
