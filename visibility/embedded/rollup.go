package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// Rollups implements visibility.RollupReader.
func (s *Store) Rollups(ctx context.Context, r visibility.Range, width time.Duration, yield func(*visibility.Rollup) error) (visibility.Coverage, error) {
	scope := storekit.ScopeOf(r, width, s.opts.Clock(), s.opts.FineRetention)
	finest := storekit.Levels[scope.Lowest]
	cov := visibility.Coverage{Range: scope.Range, Finest: finest.Width()}
	err := s.read(ctx, scope.Range, func(snap *snapshot) (err error) {
		cov.Oldest = snap.floor
		cov.Open = int64(len(snap.open))
		if cov.First, err = snap.first(); err != nil {
			return err
		}
		if err := snap.totals(scope.Range, &cov); err != nil {
			return err
		}
		ru := rollupReader{snap: snap, yield: yield}
		for _, p := range scope.Cover(scope.Range.From.Unix()) {
			if err := ru.piece(ctx, p); err != nil {
				return err
			}
		}
		return ru.openHops(finest)
	})
	return cov, err
}

type rollupReader struct {
	snap  *snapshot
	yield func(*visibility.Rollup) error
	row   visibility.Rollup
	sum   visibility.Aggregate
}

// emit yields a row; false if its id is not known.
func (r *rollupReader) emit(id uint32, bucket int64) error {
	if int(id) >= len(r.snap.rows) || r.snap.rows[id] == nil {
		return storekit.ErrCorrupt
	}
	info := r.snap.rows[id]
	r.row = visibility.Rollup{
		Row: uint64(id), Role: info.ids.role, Key: &info.key,
		Bucket: time.Unix(bucket, 0).UTC(), Aggregate: &r.sum,
	}
	return r.yield(&r.row)
}

func (r *rollupReader) piece(ctx context.Context, p storekit.Piece) error {
	it, err := r.snap.NewIter(&pebble.IterOptions{
		LowerBound: appendRollupKey(nil, byte(p.Level), uint32(p.From), 0),
		UpperBound: appendRollupKey(nil, byte(p.Level), uint32(p.To), 0),
	})
	if err != nil {
		return err
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return errors.Join(ctx.Err(), it.Close())
		}
		if err := r.stored(it); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return it.Close()
}

func (r *rollupReader) stored(it *pebble.Iterator) error {
	key := it.Key()
	if len(key) != rollupKeyLen {
		return storekit.ErrCorrupt
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	r.sum.Reset()
	if err := r.sum.MergeBinary(value); err != nil {
		return err
	}
	if r.sum.IsZero() {
		return nil // all that was in it has moved to other rows
	}
	return r.emit(binary.BigEndian.Uint32(key[6:]), int64(binary.BigEndian.Uint32(key[2:])))
}

// openHops yields the hops that are not in the rollups yet.
func (r *rollupReader) openHops(l storekit.Level) error {
	for i := range r.snap.open {
		h := &r.snap.open[i]
		r.sum.Reset()
		h.sum.AddTo(&r.sum)
		if err := r.emit(h.row, l.Bucket(h.start)); err != nil {
			return err
		}
	}
	return nil
}

// totals adds the counters of the hours of r to cov.
func (snap *snapshot) totals(r visibility.Range, cov *visibility.Coverage) error {
	n, err := snap.counts(hourOf(r.From), hourOf(r.To.Add(-time.Nanosecond))+1)
	if err != nil {
		return err
	}
	cov.Overflow, cov.Late = n["overflow"], n["late"]
	return nil
}

// counts sums the counters of the hours from ≤ h < to.
func (snap *snapshot) counts(from, to uint32) (storekit.Counters, error) {
	it, err := snap.NewIter(&pebble.IterOptions{LowerBound: idKey(spaceCount, from), UpperBound: idKey(spaceCount, to)})
	if err != nil {
		return nil, err
	}
	sum := storekit.Counters{}
	for ok := it.First(); ok; ok = it.Next() {
		if err := sum.Merge(it.Value()); err != nil {
			return nil, errors.Join(err, it.Close())
		}
	}
	return sum, it.Close()
}
