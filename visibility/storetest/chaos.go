package storetest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// testChaos delivers random traces from several goroutines, in random order
// and with repetitions, to a store that is closed, opened and settled
// meanwhile. A writer that is told to try again does so. What was
// acknowledged counts once.
func testChaos(k *kit) {
	const writers = 4
	seed := uint64(time.Now().UnixNano())
	k.Logf("seed %d", seed)
	k.clock.set(epoch.Add(2 * time.Hour))
	m := newMesh(seed)
	m.traceMany(150, epoch, 90*time.Minute)
	store := &movingStore{store: k.Store}
	var writing sync.WaitGroup
	var kept, left atomic.Int64
	for range writers {
		batches := m.deliveries(50)
		left.Add(int64(len(batches)))
		writing.Go(func() {
			for _, batch := range batches {
				r, err := store.write(k, batch)
				if err != nil {
					k.Errorf("write: %v", err)
				}
				kept.Add(int64(r.Kept))
				left.Add(-1)
			}
		})
	}
	rng := rand.New(rand.NewPCG(seed, 2))
	for left.Load() > 0 {
		if rng.IntN(2) == 0 {
			store.reopen(k)
		} else if err := k.Settle(k.Context()); err != nil {
			k.Errorf("settle: %v", err)
		}
	}
	writing.Wait()
	k.Store = store.store
	// A write that was cut off may have been carried out: its second attempt
	// then found duplicates only.
	if n := kept.Load(); n > int64(len(m.spans)) {
		k.Errorf("%d spans kept of %d", n, len(m.spans))
	}
	got, _ := k.read(everything, fine)
	k.wantCells(withoutSources(got), withoutSources(m.cells(nil)))
	entries, err := k.Store.Ledger(k.Context())
	if err != nil {
		k.Fatal(err)
	}
	var accounted int64
	for i := range entries {
		accounted += entries[i].Kept
		if b := entries[i].Balance(); b != 0 {
			k.Errorf("%s does not balance: %d", entries[i].Service, b)
		}
	}
	if accounted != int64(len(m.spans)) {
		k.Errorf("the ledger has %d spans kept, want %d", accounted, len(m.spans))
	}
	k.wantRandomRanges(m, rng)
}

// movingStore is a store that is reopened while others use it.
type movingStore struct {
	mu    sync.Mutex
	store visibility.Store
}

func (s *movingStore) now() visibility.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store
}

func (s *movingStore) reopen(k *kit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := k.Reopen()
	if err != nil {
		k.Errorf("reopen: %v", err)
		return
	}
	s.store = next
}

// write writes until the store is there to take it.
func (s *movingStore) write(k *kit, spans []tracing.Span) (visibility.Receipt, error) {
	const attempts = 10_000
	for i := 0; ; i++ {
		r, err := s.now().Write(k.Context(), &visibility.Batch{Source: source, Spans: spans})
		if err == nil || i == attempts || !errors.Is(err, visibility.ErrUnavailable) {
			return r, err
		}
	}
}

// wantRandomRanges compares totals over random ranges with those of the
// spans in the range, snapped outwards to what the store has.
func (k *kit) wantRandomRanges(m *mesh, rng *rand.Rand) {
	k.Helper()
	for range 50 {
		from := epoch.Add(time.Duration(rng.Int64N(int64(90 * time.Minute))))
		r := visibility.Range{From: from, To: from.Add(1 + time.Duration(rng.Int64N(int64(time.Hour))))}
		width := time.Duration(rng.IntN(40)) * fine
		got, cov := k.read(r, width)
		finest := max(cov.Finest, visibility.MinStep)
		snapped := visibility.Range{From: r.From.Truncate(finest), To: r.To.Add(finest - 1).Truncate(finest)}
		if !cov.Range.From.Equal(snapped.From) || !cov.Range.To.Equal(snapped.To) {
			k.Errorf("%v was snapped to %v, want %v", r, cov.Range, snapped)
		}
		want := m.cells(func(s *meshSpan) bool { return inside(s.Start, snapped.From, snapped.To) })
		for _, mode := range []visibility.CountMode{visibility.CountSpans, visibility.CountRequests} {
			if d := differ(got.total(mode), want.total(mode)); d != "" {
				k.Errorf("%v in steps of %v, counting %v: %s", r, width, mode, d)
			}
		}
	}
}
