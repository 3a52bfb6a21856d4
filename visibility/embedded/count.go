package embedded

import (
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// countTrace counts the new spans of the trace at hand and moves the stored
// ones, of which the first stored are, that count differently now.
func (c *committer) countTrace(stored int, totals map[uint32]storekit.Counters, now time.Time) {
	t := &c.tr
	t.before = t.resolve(stored, t.before)
	t.after = t.resolve(len(t.spans), t.after)
	for i := range t.spans {
		s, hop := &t.spans[i], t.after[i]
		if i < stored {
			if t.before[i] != hop {
				c.moveSpan(s, t.before[i], hop, totals)
			}
			continue
		}
		row := c.countedRow(s, hop, now)
		if hop.Open && len(c.open)+len(c.opened) < c.opts.Limits.OpenHops {
			c.setOpen(s.open, openHop{row: row, start: s.at, arrived: now, sum: s.sum})
			continue
		}
		s.sum.AddTo(c.sum(row, s.at))
	}
}

// resolve pairs the first n spans of the trace at hand. Spans pair only if no
// full hour without any lies between them. What a stored span counts as can
// so be told from the hours around it, also of a trace that goes on for days.
func (t *traceScratch) resolve(n int, into []visibility.Hop) []visibility.Hop {
	hours := make([]uint32, 0, 4)
	for i := range t.spans[:n] {
		if hour := hourOf(t.spans[i].at); !slices.Contains(hours, hour) {
			hours = append(hours, hour)
		}
	}
	slices.Sort(hours)
	var runs []uint32 // last hours of all runs but the newest
	for i := range len(hours) - 1 {
		if hours[i+1] > hours[i]+1 {
			runs = append(runs, hours[i])
		}
	}
	if len(runs) == 0 {
		return visibility.ResolveHops(t.hops[:n], into)
	}
	into = slices.Grow(into[:0], n)[:n]
	for run := range len(runs) + 1 {
		var members []int
		var hops []visibility.HopSpan
		for i := range t.spans[:n] {
			if at, _ := slices.BinarySearch(runs, hourOf(t.spans[i].at)); at == run {
				members, hops = append(members, i), append(hops, t.hops[i])
			}
		}
		for i, hop := range visibility.ResolveHops(hops, nil) {
			into[members[i]] = hop
		}
	}
	return into
}

// countedRow returns the row in which a span counts: its own key with the
// source that the trace tells.
func (c *committer) countedRow(s *traceSpan, hop visibility.Hop, now time.Time) uint32 {
	key := s.key
	if hop.Role == visibility.RoleServer {
		key[visibility.Source] = hop.Source
	}
	row, _ := c.dict.rowID(hop.Role, &key, dayOf(s.at, now))
	return row
}

// moveSpan counts a stored span as its trace tells now. One that was open
// has not been rolled up yet; any other is taken out of its row.
func (c *committer) moveSpan(s *traceSpan, before, after visibility.Hop, totals map[uint32]storekit.Counters) {
	now := c.opts.Clock()
	row := c.countedRow(s, after, now)
	if h, ok := c.openState(s.open); ok {
		if after.Open {
			h.row = row
			c.setOpen(s.open, h)
			return
		}
		c.setClosed(s.open)
		s.sum.AddTo(c.sum(row, s.at))
		return
	}
	was := c.countedRow(s, before, now)
	if was == row {
		return
	}
	s.sum.TakeFrom(c.sum(was, s.at))
	s.sum.AddTo(c.sum(row, s.at))
	storekit.In(totals, hourOf(s.at)).Add("late", 1)
}

// sweep rolls up the open hops that have waited long enough.
func (c *committer) sweep(arrivedBefore time.Time) error {
	for id, h := range c.open {
		if h.arrived.Before(arrivedBefore) {
			h.sum.AddTo(c.sum(h.row, h.start))
			c.setClosed(id)
		}
	}
	if len(c.closed) == 0 {
		return nil
	}
	b := c.db.NewBatch()
	defer b.Close()
	return c.applySync(b)
}

// Settle counts every request that waits for its other side as it stands. A
// side that comes afterwards still corrects the counts.
func (s *Store) Settle() error {
	return s.do(backgroundContext, func(c *committer) error {
		return c.sweep(time.Unix(1<<40, 0))
	})
}

// sumKey is a row in a bucket of the finest level.
type sumKey struct {
	bucket uint32 // unix seconds
	row    uint32
}

// sum returns the aggregate that the commit at hand adds to a row's finest
// bucket.
func (c *committer) sum(row uint32, at time.Time) *visibility.Aggregate {
	k := sumKey{bucket: uint32(storekit.Levels[0].Bucket(at)), row: row}
	a := c.sums[k]
	if a == nil {
		a = &visibility.Aggregate{}
		c.sums[k] = a
	}
	return a
}

// writeSums merges the gathered aggregates into every level.
func (c *committer) writeSums(b *pebble.Batch) error {
	coarse := map[sumKey]*visibility.Aggregate{}
	for k, a := range c.sums {
		if err := c.mergeRollup(b, 0, k, a); err != nil {
			return err
		}
	}
	for level := 1; level < len(storekit.Levels); level++ {
		clear(coarse)
		for k, a := range c.sums {
			ck := sumKey{bucket: uint32(storekit.Levels[level].Floor(int64(k.bucket))), row: k.row}
			if coarse[ck] == nil {
				coarse[ck] = &visibility.Aggregate{}
			}
			coarse[ck].Merge(a)
		}
		for k, a := range coarse {
			if err := c.mergeRollup(b, level, k, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *committer) mergeRollup(b *pebble.Batch, level int, k sumKey, a *visibility.Aggregate) error {
	c.buf = appendRollupKey(c.buf[:0], byte(level), k.bucket, k.row)
	at := len(c.buf)
	var err error
	if c.buf, err = a.AppendBinary(c.buf); err != nil {
		return err
	}
	return b.Merge(c.buf[:at], c.buf[at:], nil)
}
