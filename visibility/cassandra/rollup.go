package cassandra

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opnfv/clover/visibility"
)

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

// part is what of a piece lies in one partition.
type part struct {
	piece
	period int
	shard  int16
}

// Rollups implements visibility.RollupReader.
func (s *Store) Rollups(ctx context.Context, r visibility.Range, width time.Duration, yield func(*visibility.Rollup) error) (visibility.Coverage, error) {
	a := s.answerTo(r, width)
	ctx, end, err := s.use(ctx)
	if err != nil {
		return a.cov, err
	}
	defer end()
	for {
		err := a.read(ctx)
		if errors.Is(err, errTorn) && ctx.Err() == nil {
			a = s.answerTo(r, width) // a writer elsewhere went on: look again
			continue
		}
		if err != nil {
			return a.cov, failure(ctx, err)
		}
		return a.cov, a.yield(ctx, yield)
	}
}

// answerTo returns what is to be read for buckets that fit into a width.
func (s *Store) answerTo(r visibility.Range, width time.Duration) *answer {
	a := &answer{s: s, lowest: s.lowestLevel(r.From), maxLevel: len(levels) - 1}
	a.cov.Range = visibility.Range{
		From: time.Unix(levels[a.lowest].floor(max(r.From.Unix(), 0)), 0).UTC(),
		To:   time.Unix(levels[a.lowest].ceil(ceilSecond(r.To)), 0).UTC(),
	}
	a.cov.Finest = levels[a.lowest].width()
	for a.maxLevel > a.lowest && width%levels[a.maxLevel].width() != 0 {
		a.maxLevel--
	}
	return a
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

// answer is one reading of rollups. It is complete before anything is yielded,
// so that readers do not hold up the committer.
type answer struct {
	s                *Store
	lowest, maxLevel int
	cov              visibility.Coverage
	parts            []part
	rows             [][]sumRow // of each part
	open             map[openID]openHop
	counted          map[string]map[int]version // of each writer, its counts by slot
}

func (a *answer) read(ctx context.Context) error {
	a.s.reading.RLock()
	defer a.s.reading.RUnlock()
	v, err := a.s.view(ctx, a.cov.Range, kindCount)
	if err != nil {
		return err
	}
	filled, err := a.counts(ctx, v)
	if err != nil {
		return err
	}
	others := map[openID]openHop{}
	if err := a.s.readOpen(ctx, v.snap, v.inMemory, others); err != nil {
		return err
	}
	for id, h := range others {
		if !h.start.Before(a.cov.Range.From) && h.start.Before(a.cov.Range.To) {
			v.open[id] = h
		}
	}
	a.open, a.cov.Open = v.open, int64(len(v.open))
	from := max(a.cov.Range.From.Unix(), v.floor.Unix())
	for _, p := range cover(from, a.cov.Range.To.Unix(), a.lowest, a.maxLevel) {
		a.addParts(p, filled)
	}
	return a.readParts(ctx, v)
}

// counts reads what there is by 10 minutes: it fills the coverage and returns
// which of them hold spans.
func (a *answer) counts(ctx context.Context, v *view) (map[int]bool, error) {
	a.cov.Oldest = v.floor
	filled := map[int]bool{}
	a.counted = map[string]map[int]version{}
	first := int64(0)
	// The counters of whole hours stand for a range, as buckets may.
	from, to := a.cov.Range.From.Truncate(time.Hour), a.cov.Range.To.Add(time.Hour-1).Truncate(time.Hour)
	err := a.s.eachCell(ctx, v, kindCount, func(writer, name string, c cell) error {
		at := slotStart(slotNumber(name))
		if at.Before(v.floor) {
			return nil
		}
		n := counters{}
		if err := n.merge(c.value); err != nil {
			return err
		}
		filled[slotNumber(name)] = true
		if a.counted[writer] == nil {
			a.counted[writer] = map[int]version{}
		}
		a.counted[writer][slotNumber(name)] = c.version
		if sec := -n["^first"]; sec > 0 && (first == 0 || sec < first) {
			first = sec
		}
		if !at.Before(from) && at.Before(to) {
			a.cov.Overflow += n["overflow"]
			a.cov.Late += n["late"]
		}
		return nil
	})
	if first > 0 {
		a.cov.First = time.Unix(first, 0).UTC()
	}
	return filled, err
}

// addParts adds the partitions of a piece that may hold anything.
func (a *answer) addParts(p piece, filled map[int]bool) {
	width := levels[p.level].period
	for at := p.from - p.from%width; at < p.to; at += width {
		holds := false
		for slot := at / slotSeconds; slot*slotSeconds < at+width && !holds; slot++ {
			holds = filled[int(slot)]
		}
		if !holds {
			continue
		}
		for shard := range a.s.shards {
			a.parts = append(a.parts, part{
				piece:  piece{p.level, max(p.from, at), min(p.to, at+width)},
				period: int(at / width), shard: int16(shard),
			})
		}
	}
}

// readers is the number of partitions that a question reads at once.
const readers = 16

func (a *answer) readParts(ctx context.Context, v *view) error {
	a.rows = make([][]sumRow, len(a.parts))
	limit := max(1, a.s.opts.Limits.QueryCells/max(1, min(len(a.parts), readers)))
	return each(ctx, len(a.parts), readers, func(ctx context.Context, i int) error {
		p := a.parts[i]
		return a.readPart(ctx, v, p, func(r sumRow) error {
			if a.rows[i] = append(a.rows[i], r); len(a.rows[i]) > limit {
				return fmt.Errorf("the question reads more than %d sums: narrow its range or its step: %w",
					a.s.opts.Limits.QueryCells, visibility.ErrLimit)
			}
			return nil
		})
	})
}

// yield passes the rows on, those of several writers as one.
func (a *answer) yield(ctx context.Context, yield func(*visibility.Rollup) error) error {
	var sum visibility.Aggregate
	for _, rows := range a.rows {
		for i := 0; i < len(rows); {
			if ctx.Err() != nil {
				return failure(ctx, ctx.Err())
			}
			r := rows[i]
			sum.Reset()
			for ; i < len(rows) && rows[i].row == r.row && rows[i].bucket == r.bucket; i++ {
				if err := sum.MergeBinary(rows[i].value); err != nil {
					return err
				}
			}
			if sum.IsZero() {
				continue // all that was in it has moved to other rows
			}
			if err := a.emit(ctx, r.row, r.bucket, &sum, yield); err != nil {
				return err
			}
		}
	}
	for _, h := range a.open {
		sum.Reset()
		h.sum.addTo(&sum)
		if err := a.emit(ctx, h.row, levels[a.lowest].bucket(h.start), &sum, yield); err != nil {
			return err
		}
	}
	return nil
}

func (a *answer) emit(ctx context.Context, id uint64, bucket int64, sum *visibility.Aggregate, yield func(*visibility.Rollup) error) error {
	info := a.s.dict.find(id)
	if info == nil {
		var err error
		if info, err = a.s.loadRow(ctx, id); err != nil {
			return failure(ctx, err)
		}
	}
	return yield(&visibility.Rollup{
		Row: id, Role: info.role, Key: &info.key, Bucket: time.Unix(bucket, 0).UTC(), Aggregate: sum,
	})
}
