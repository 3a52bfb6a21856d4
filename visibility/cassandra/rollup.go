package cassandra

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// part is what of a piece lies in one partition.
type part struct {
	storekit.Piece
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
	scope := storekit.ScopeOf(r, width, s.opts.Clock(), s.opts.FineRetention)
	return &answer{s: s, scope: scope, cov: visibility.Coverage{Range: scope.Range, Finest: storekit.Levels[scope.Lowest].Width()}}
}

// answer is one reading of rollups. It is complete before anything is yielded,
// so that readers do not hold up the committer.
type answer struct {
	s       *Store
	scope   storekit.Scope
	cov     visibility.Coverage
	parts   []part
	rows    [][]sumRow // of each part
	open    map[openID]openHop
	counted map[string]map[int]version // of each writer, its counts by slot
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
	for _, p := range a.scope.Cover(from) {
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
		n := storekit.Counters{}
		if err := n.Merge(c.value); err != nil {
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
func (a *answer) addParts(p storekit.Piece, filled map[int]bool) {
	width := periods[p.Level]
	for at := p.From - p.From%width; at < p.To; at += width {
		holds := false
		for slot := at / slotSeconds; slot*slotSeconds < at+width && !holds; slot++ {
			holds = filled[int(slot)]
		}
		if !holds {
			continue
		}
		for shard := range a.s.shards {
			a.parts = append(a.parts, part{
				Piece:  storekit.Piece{Level: p.Level, From: max(p.From, at), To: min(p.To, at+width)},
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
		h.sum.AddTo(&sum)
		if err := a.emit(ctx, h.row, storekit.Levels[a.scope.Lowest].Bucket(h.start), &sum, yield); err != nil {
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
