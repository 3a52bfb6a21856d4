package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility"
)

// backgroundContext is for commands that nobody waits for with a limit.
var backgroundContext = context.Background()

// stateKey keeps callers' names apart from the store's own.
func stateKey(name string) []byte { return append([]byte{spaceMeta, 's', '/'}, name...) }

// State implements visibility.StateStore.
func (s *Store) State(ctx context.Context, name string) (value []byte, err error) {
	err = s.read(ctx, visibility.Range{}, func(snap *snapshot) error {
		v, closer, err := snap.Get(stateKey(name))
		if errors.Is(err, pebble.ErrNotFound) {
			return fmt.Errorf("state %q: %w", name, visibility.ErrNotFound)
		}
		if err != nil {
			return err
		}
		value = slices.Clone(v)
		return closer.Close()
	})
	return value, err
}

// SetState implements visibility.StateStore.
func (s *Store) SetState(ctx context.Context, name string, value []byte) error {
	return s.do(ctx, func(c *committer) error {
		if value == nil {
			return c.db.Delete(stateKey(name), pebble.Sync)
		}
		return c.db.Set(stateKey(name), value, pebble.Sync)
	})
}

// SwapState implements visibility.StateSwapper, for the collectors of one
// process: another cannot open the store.
func (s *Store) SwapState(ctx context.Context, name string, old, value []byte) (swapped bool, err error) {
	err = s.do(ctx, func(c *committer) error {
		held, closer, err := c.db.Get(stateKey(name))
		switch {
		case errors.Is(err, pebble.ErrNotFound):
			swapped = old == nil
		case err != nil:
			return err
		default:
			swapped = old != nil && bytes.Equal(held, old)
			if err := closer.Close(); err != nil {
				return err
			}
		}
		if !swapped {
			return nil
		}
		if value == nil {
			return c.db.Delete(stateKey(name), pebble.Sync)
		}
		return c.db.Set(stateKey(name), value, pebble.Sync)
	})
	return swapped && err == nil, err
}

// Clear implements visibility.Admin.
func (s *Store) Clear(ctx context.Context) error {
	return s.do(ctx, func(c *committer) error {
		b := c.db.NewBatch()
		defer b.Close()
		for space := spaceSpan; space < spaceEnd; space++ {
			if space == spaceMark {
				continue
			}
			if err := b.DeleteRange([]byte{space}, []byte{space + 1}, nil); err != nil {
				return err
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if err := c.db.Apply(b, pebble.Sync); err != nil {
			return err
		}
		clear(c.open)
		c.dict.reset()
		c.forget()
		return nil
	})
}

// Stats implements visibility.Admin.
func (s *Store) Stats(ctx context.Context) (visibility.StoreStats, error) {
	st := visibility.StoreStats{Name: "embedded"}
	err := s.read(ctx, visibility.Range{}, func(snap *snapshot) error {
		n, err := snap.counts(0, 1<<32-1)
		if err != nil {
			return err
		}
		st.Spans, st.Sessions, st.Traces = n["spans"], n["sessions"], n["traces"]
		for _, r := range snap.rows {
			if r != nil {
				st.Rows++
			}
		}
		st.BytesOnDisk = int64(s.db.Metrics().DiskSpaceUsage())
		if st.Metrics, err = snap.countMetrics(); err != nil {
			return err
		}
		return snap.bounds(&st)
	})
	return st, err
}

// countMetrics counts the stored metric points.
func (snap *snapshot) countMetrics() (n int64, err error) {
	err = snap.scan([]byte{spaceMetric}, []byte{spaceMetric + 1}, func(_, _ []byte) error {
		n++
		return nil
	})
	return n, err
}

// first finds the second of the oldest span; zero if there is none.
func (snap *snapshot) first() (at time.Time, err error) {
	it, err := snap.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceIndex}, UpperBound: []byte{spaceIndex + 1}})
	if err != nil {
		return at, err
	}
	if it.First() {
		at = parseIndexKey(it.Key()).at()
	}
	return at, it.Close()
}

// bounds finds the seconds of the oldest and the newest span.
func (snap *snapshot) bounds(st *visibility.StoreStats) (err error) {
	if st.Oldest, err = snap.first(); err != nil {
		return err
	}
	it, err := snap.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceIndex}, UpperBound: []byte{spaceIndex + 1}})
	if err != nil {
		return err
	}
	if it.Last() {
		// Keys sort by service within the hour; service 0 has every trace.
		hour := parseIndexKey(it.Key()).hour
		if it.SeekLT(appendIndexKey(nil, hour, 1, 0, [16]byte{})) {
			st.Newest = parseIndexKey(it.Key()).at()
		}
	}
	return it.Close()
}
