package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility"
)

// level is a width of rollup buckets. Every span is in a bucket of each.
type level struct{ seconds int64 }

// levels, from fine to coarse. Each width divides the next.
var levels = [...]level{{10}, {300}, {3600}}

// bucket returns the start of t's bucket in Unix seconds.
func (l level) bucket(t time.Time) uint32 { return uint32(l.floor(t.Unix())) }

func (l level) floor(sec int64) int64 { return sec - sec%l.seconds }

func (l level) ceil(sec int64) int64 { return l.floor(sec + l.seconds - 1) }

func (l level) width() time.Duration { return time.Duration(l.seconds) * time.Second }

// piece is a run of buckets of one level.
type piece struct {
	level    int
	from, to int64 // unix seconds
}

// cover covers [from, to) with as coarse buckets as fit, none wider than
// maxLevel's. from and to must be bounds of the level lowest.
func cover(from, to int64, lowest, maxLevel int) []piece {
	if from >= to {
		return nil
	}
	for l := maxLevel; l > lowest; l-- {
		a, b := levels[l].ceil(from), levels[l].floor(to)
		if a >= b {
			continue
		}
		pieces := cover(from, a, lowest, l-1)
		pieces = append(pieces, piece{l, a, b})
		return append(pieces, cover(b, to, lowest, l-1)...)
	}
	return []piece{{lowest, from, to}}
}

// Rollups implements visibility.RollupReader.
func (s *Store) Rollups(ctx context.Context, r visibility.Range, width time.Duration, yield func(*visibility.Rollup) error) (visibility.Coverage, error) {
	lowest := s.lowestLevel(r.From)
	snapped := visibility.Range{
		From: time.Unix(levels[lowest].floor(max(r.From.Unix(), 0)), 0).UTC(),
		To:   time.Unix(levels[lowest].ceil(ceilSecond(r.To)), 0).UTC(),
	}
	maxLevel := len(levels) - 1
	for maxLevel > lowest && width%levels[maxLevel].width() != 0 {
		maxLevel--
	}
	cov := visibility.Coverage{Range: snapped, Finest: levels[lowest].width()}
	err := s.read(ctx, snapped, func(snap *snapshot) (err error) {
		cov.Oldest = snap.floor
		cov.Open = int64(len(snap.open))
		if cov.First, err = snap.first(); err != nil {
			return err
		}
		if err := snap.totals(snapped, &cov); err != nil {
			return err
		}
		ru := rollupReader{snap: snap, yield: yield}
		for _, p := range cover(snapped.From.Unix(), snapped.To.Unix(), lowest, maxLevel) {
			if err := ru.piece(ctx, p); err != nil {
				return err
			}
		}
		return ru.openHops(levels[lowest])
	})
	return cov, err
}

func ceilSecond(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// lowestLevel is the finest level that still reaches back to from.
func (s *Store) lowestLevel(from time.Time) int {
	if s.opts.FineRetention > 0 && from.Before(s.opts.Clock().Add(-s.opts.FineRetention)) {
		return 1
	}
	return 0
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
		return errCorrupt
	}
	info := r.snap.rows[id]
	r.row = visibility.Rollup{
		Row: uint64(id), Role: info.ids.role, Key: &info.key,
		Bucket: time.Unix(bucket, 0).UTC(), Aggregate: &r.sum,
	}
	return r.yield(&r.row)
}

func (r *rollupReader) piece(ctx context.Context, p piece) error {
	it, err := r.snap.NewIter(&pebble.IterOptions{
		LowerBound: appendRollupKey(nil, byte(p.level), uint32(p.from), 0),
		UpperBound: appendRollupKey(nil, byte(p.level), uint32(p.to), 0),
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
		return errCorrupt
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
func (r *rollupReader) openHops(l level) error {
	for i := range r.snap.open {
		h := &r.snap.open[i]
		r.sum.Reset()
		h.sum.addTo(&r.sum)
		if err := r.emit(h.row, int64(l.bucket(h.start))); err != nil {
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
func (snap *snapshot) counts(from, to uint32) (counters, error) {
	it, err := snap.NewIter(&pebble.IterOptions{LowerBound: idKey(spaceCount, from), UpperBound: idKey(spaceCount, to)})
	if err != nil {
		return nil, err
	}
	sum := counters{}
	for ok := it.First(); ok; ok = it.Next() {
		if err := sum.merge(it.Value()); err != nil {
			return nil, errors.Join(err, it.Close())
		}
	}
	return sum, it.Close()
}
