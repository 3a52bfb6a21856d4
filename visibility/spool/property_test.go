package spool

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/visibility"
)

// TestRandomFaults writes from several sources at once while the store comes
// and goes, has done what it says it has not, and the process ends and starts
// again, also as a kill leaves it. What was acknowledged counts once.
func TestRandomFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		max  int64
	}{{"Roomy", 0}, {"Small", 48 << 10}} {
		t.Run(c.name, func(t *testing.T) {
			store := newFaulty(t)
			dir := t.TempDir()
			moving := &moving{t: t, store: store, opt: Options{Dir: dir, MaxBytes: c.max}}
			moving.start()
			const batches = 40
			want := map[string]int{}
			var writing sync.WaitGroup
			for i, source := range []string{"one", "two", "three"} {
				rng := rand.New(rand.NewPCG(uint64(i), 7))
				sizes := make([]int, batches)
				for j := range sizes {
					sizes[j] = rng.IntN(20)
					want[source] += sizes[j]
				}
				writing.Go(func() {
					n := 0
					for _, size := range sizes {
						moving.write(batch(source, n, n+size))
						n += size
					}
				})
			}
			done := make(chan struct{})
			go func() { writing.Wait(); close(done) }()
			moving.disturb(done)
			store.away(0, 0)
			waitEmpty(t, moving.current())
			store.wantTally(want)
			moving.stop()
		})
	}
}

// moving is a spool that is closed and opened while others use it.
type moving struct {
	t     *testing.T
	store *faulty
	opt   Options

	mu    sync.Mutex
	spool *Store
}

func (m *moving) start() {
	s, err := Open(m.store, m.opt)
	if err != nil {
		m.t.Errorf("open: %v", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spool = s
}

func (m *moving) current() *Store {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spool
}

func (m *moving) stop() {
	if err := m.current().Close(); err != nil {
		m.t.Errorf("close: %v", err)
	}
	m.store.Reopen()
}

// write writes until it is acknowledged.
func (m *moving) write(b *visibility.Batch) {
	for {
		_, err := m.current().Write(context.Background(), b)
		if err == nil {
			return
		}
		if !errors.Is(err, visibility.ErrUnavailable) {
			m.t.Errorf("write: %v", err)
			return
		}
		time.Sleep(time.Millisecond) // as a sender comes again
	}
}

// disturb lets the store come and go and the spool end and start again until
// done.
func (m *moving) disturb(done <-chan struct{}) {
	rng := rand.New(rand.NewPCG(3, 3))
	place := filepath.Join(m.opt.Dir, "place.json")
	for {
		m.store.away([]float64{0, 0.3, 1}[rng.IntN(3)], []float64{0, 0.3}[rng.IntN(2)])
		select {
		case <-done:
			return
		case <-time.After(time.Duration(1+rng.IntN(20)) * time.Millisecond):
		}
		before, _ := os.ReadFile(place)
		m.stop()
		// As a crash leaves it: before it has noted what was delivered last, or
		// in the middle of a record.
		if rng.IntN(2) == 0 && before != nil {
			if err := os.WriteFile(place, before, 0o600); err != nil {
				m.t.Error(err)
			}
		}
		if files, _ := filepath.Glob(filepath.Join(m.opt.Dir, "*.spool")); len(files) > 0 && rng.IntN(2) == 0 {
			m.tear(files[len(files)-1])
		}
		m.start()
	}
}

// tear appends the beginning of a record.
func (m *moving) tear(file string) {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		m.t.Error(err)
		return
	}
	_, err = f.Write([]byte{0, 0, 1, 0, 1, 2, 3, 4, 5})
	if err := errors.Join(err, f.Close()); err != nil {
		m.t.Error(err)
	}
}
