package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/storetest"
)

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// span is the n-th span of a source.
func span(source string, n int) tracing.Span {
	s := tracing.NewSpan()
	copy(s.TraceID[:], source)
	binary.BigEndian.PutUint64(s.TraceID[8:], uint64(n)+1)
	binary.BigEndian.PutUint64(s.SpanID[:], uint64(n)+1)
	s.Kind, s.Service, s.Operation = tracing.KindServer, "service "+source, "GET /"
	s.Start, s.Duration = epoch.Add(time.Duration(n)*time.Millisecond), time.Millisecond
	return s
}

// batch is spans [from, to) of a source; its watermark says so.
func batch(source string, from, to int) *visibility.Batch {
	b := &visibility.Batch{Source: source, Watermarks: map[string]time.Time{"service " + source: epoch.Add(time.Duration(to) * time.Millisecond)}}
	for n := from; n < to; n++ {
		b.Spans = append(b.Spans, span(source, n))
	}
	return b
}

var errAway = errors.Join(errors.New("the store is away"), visibility.ErrUnavailable)

// faulty is a store in memory that fails as it is told. Nothing else brings a
// real one to fail at each of these moments.
type faulty struct {
	*storetest.Memory
	t testing.TB

	mu     sync.Mutex
	rng    *rand.Rand
	before float64 // share of the writes that fail, before they are done
	after  float64 // and after
	fail   func(*visibility.Batch) error
	hold   chan struct{} // writes wait until it is closed; nil: they do not
	landed map[string]map[tracing.SpanID]bool
	writes int
}

func newFaulty(t testing.TB) *faulty {
	return &faulty{
		Memory: storetest.NewReference(storetest.Options{Clock: func() time.Time { return epoch.Add(time.Hour) }}),
		t:      t, rng: rand.New(rand.NewPCG(1, 2)), landed: map[string]map[tracing.SpanID]bool{},
	}
}

// away sets which share of the writes fails before and after it was done.
func (f *faulty) away(before, after float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

// Write holds that a watermark never comes before a span that it is for.
func (f *faulty) Write(ctx context.Context, b *visibility.Batch) (visibility.Receipt, error) {
	f.mu.Lock()
	hold := f.hold
	f.mu.Unlock()
	if hold != nil {
		<-hold
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		if err := f.fail(b); err != nil {
			return visibility.Receipt{}, err
		}
	}
	dice := f.rng.Float64()
	if dice < f.before {
		return visibility.Receipt{}, errAway
	}
	receipt, err := f.Memory.Write(ctx, b)
	if err != nil {
		return receipt, err
	}
	f.writes++
	known := f.landed[b.Source]
	if known == nil {
		known = map[tracing.SpanID]bool{}
		f.landed[b.Source] = known
	}
	for i := range b.Spans {
		known[b.Spans[i].SpanID] = true
	}
	for service, mark := range b.Watermarks {
		for n := range int(mark.Sub(epoch) / time.Millisecond) {
			if s := span(b.Source, n); !known[s.SpanID] {
				f.t.Errorf("%s: the watermark is %d, and span %d is not there", service, mark.Sub(epoch)/time.Millisecond, n)
				break
			}
		}
	}
	if dice < f.before+f.after {
		return visibility.Receipt{}, errAway
	}
	return receipt, nil
}

// wantTally holds that the store has that many spans of each source, once.
func (f *faulty) wantTally(want map[string]int) {
	f.t.Helper()
	ctx := context.Background()
	entries, err := f.Ledger(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	kept, marks := map[string]int{}, map[string]int{}
	total := 0
	for i := range entries {
		e := &entries[i]
		if b := e.Balance(); b != 0 {
			f.t.Errorf("%s does not balance: %d", e.Source, b)
		}
		kept[e.Source] += int(e.Kept)
		marks[e.Source] = int(e.Watermark.Sub(epoch) / time.Millisecond)
	}
	for source, n := range want {
		total += n
		if kept[source] != n || marks[source] != n {
			f.t.Errorf("%s: %d spans kept, watermark %d, want %d", source, kept[source], marks[source], n)
		}
	}
	if st, err := f.Stats(ctx); err != nil || st.Spans != int64(total) {
		f.t.Errorf("the store has %d spans, %v, want %d", st.Spans, err, total)
	}
}

func open(t testing.TB, store visibility.Store, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.MaxBackoff = 5 * time.Millisecond
	s, err := Open(store, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func write(t testing.TB, s *Store, b *visibility.Batch) visibility.Receipt {
	t.Helper()
	r, err := s.Write(context.Background(), b)
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	return r
}

func waitEmpty(t testing.TB, s *Store) {
	t.Helper()
	testutil.Eventually(t, time.Minute, func() (bool, string) {
		st := s.Status()
		return st.Bytes == 0, st.Output().Error
	})
}

// waitSilent waits until the store has not answered for longer than it may.
func waitSilent(t testing.TB, s *Store) {
	t.Helper()
	testutil.Eventually(t, time.Minute, func() (bool, string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.under == 1 && time.Since(s.heard) > s.opt.Patience, "the store is asked or has answered"
	})
}
