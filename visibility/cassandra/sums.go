package cassandra

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// periods are how many seconds of buckets of each level share a partition.
var periods = [len(storekit.Levels)]int64{300, 3600, 86400}

// sumKey is a row in a bucket of a level.
type sumKey struct {
	level  int
	bucket int64 // unix seconds
	row    uint64
}

// sum returns the aggregate that the commit at hand adds to a row's finest
// bucket.
func (g *gathering) sum(row uint64, at time.Time) *visibility.Aggregate {
	g.count(at) // is written with each change of a sum: see pack.go
	return aggregateIn(g.sums, sumKey{0, storekit.Levels[0].Bucket(at), row})
}

func aggregateIn(sums map[sumKey]*visibility.Aggregate, k sumKey) *visibility.Aggregate {
	a := sums[k]
	if a == nil {
		a = &visibility.Aggregate{}
		sums[k] = a
	}
	return a
}

// bucketKey is a part of a bucket that is read at once.
type bucketKey struct {
	level  int
	bucket int64
	shard  int16
}

func (s *Store) bucketOf(k sumKey) bucketKey {
	return bucketKey{k.level, k.bucket, int16(k.row % uint64(s.shards))}
}

// sumCache holds the sums of this writer in the buckets that were written to
// lately, so that they need not be read before each change.
type sumCache struct {
	buckets map[bucketKey]*bucketSums
	size    int
	clock   int
	next    map[sumKey][]byte // of the commit at hand
}

type bucketSums struct {
	sums map[uint64]cell
	used int
}

// maxCached bounds the sums in memory.
const maxCached = 400_000

func newSumCache() *sumCache {
	return &sumCache{buckets: map[bucketKey]*bucketSums{}, next: map[sumKey][]byte{}}
}

const (
	selectSums = "SELECT bucket, row, writer, version, value, prev_version, prev FROM rollups WHERE level = ? AND period = ? AND shard = ?"
	insertSum  = `INSERT INTO rollups (level, period, shard, bucket, row, writer, version, value, prev_version, prev)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ?`
)

// writeSums writes the new values of all rollups that the commit changes, with
// the old ones beside them.
func (c *committer) writeSums(ctx context.Context) error {
	sums := c.g.allLevels()
	if err := c.loadSums(ctx, sums); err != nil {
		return err
	}
	clear(c.sums.next)
	now := time.Now()
	lists := map[[3]int64][]statement{}
	for k, delta := range sums {
		b := c.bucketOf(k)
		was := c.sums.buckets[b].sums[k.row]
		total := &visibility.Aggregate{}
		if len(was.value) > 0 {
			if err := total.MergeBinary(was.value); err != nil {
				return err
			}
		}
		total.Merge(delta)
		value, err := total.AppendBinary(nil)
		if err != nil {
			return err
		}
		c.sums.next[k] = value
		if len(c.unpacked) < maxUnpacked {
			c.unpacked[b] = now
		}
		period := k.bucket / periods[k.level]
		p := [3]int64{int64(k.level), period, int64(b.shard)}
		lists[p] = append(lists[p], statement{cql: insertSum, size: len(value) + len(was.value) + 80, args: []any{
			int8(k.level), int(period), b.shard, int(k.bucket), int64(k.row), c.opts.Writer,
			int64(c.g.version), value, int64(was.version), orUnset(was.value), c.levelTTL(k.level),
		}})
	}
	all := make([][]statement, 0, len(lists))
	for _, list := range lists {
		all = append(all, list)
	}
	return c.writeBatches(ctx, all)
}

// levelTTL is the time to live of the sums of a level.
func (s *Store) levelTTL(level int) int {
	if level == 0 && s.opts.FineRetention > 0 {
		return int((s.opts.FineRetention + 2*time.Hour).Seconds())
	}
	return s.ttl()
}

// allLevels returns the gathered sums with those of the coarser levels.
func (g *gathering) allLevels() map[sumKey]*visibility.Aggregate {
	sums := make(map[sumKey]*visibility.Aggregate, 3*len(g.sums))
	for k, a := range g.sums {
		sums[k] = a
		for l := 1; l < len(storekit.Levels); l++ {
			aggregateIn(sums, sumKey{l, storekit.Levels[l].Floor(k.bucket), k.row}).Merge(a)
		}
	}
	return sums
}

// loadSums reads this writer's sums of the buckets that are not in memory.
func (c *committer) loadSums(ctx context.Context, sums map[sumKey]*visibility.Aggregate) error {
	c.sums.clock++
	var missing []bucketKey
	for k := range sums {
		b := c.bucketOf(k)
		if c.sums.buckets[b] == nil {
			c.sums.buckets[b] = &bucketSums{}
			missing = append(missing, b)
		}
		c.sums.buckets[b].used = c.sums.clock
	}
	own := snapshot{c.opts.Writer: &c.own}
	var mu sync.Mutex
	err := each(ctx, len(missing), c.opts.Concurrency, func(ctx context.Context, i int) error {
		b := missing[i]
		loaded := map[uint64]cell{}
		err := c.readSums(ctx, own, b.level, int(b.bucket/periods[b.level]), b.shard, b.bucket, b.bucket+1, func(r sumRow) error {
			loaded[r.row] = r.cell
			return nil
		})
		mu.Lock()
		defer mu.Unlock()
		c.sums.buckets[b].sums = loaded
		c.sums.size += len(loaded)
		return err
	})
	if err != nil {
		c.sums = newSumCache() // half read
	}
	return err
}

// apply makes the values of the commit the present ones.
func (c *committer) applySums() {
	s := c.sums
	for k, value := range s.next {
		in := s.buckets[c.bucketOf(k)].sums
		if _, ok := in[k.row]; !ok {
			s.size++
		}
		in[k.row] = cell{version: c.g.version, value: value}
	}
	s.evict()
}

// sumRow is a row of the table rollups, as it counts.
type sumRow struct {
	bucket int64
	row    uint64
	cell
}

// readSums calls fn for the sums of one partition from ≤ bucket < to, ordered
// by bucket and row, those of all writers in snap.
func (s *Store) readSums(ctx context.Context, snap snapshot, level, period int, shard int16, from, to int64, fn func(sumRow) error) error {
	iter := s.session.Query(selectSums+" AND bucket >= ? AND bucket < ?", int8(level), period, shard, int(from), int(to)).IterContext(ctx)
	var bucket int
	var row int64
	var writer string
	var now, before cell
	for iter.Scan(&bucket, &row, &writer, &now.version, &now.value, &before.version, &before.value) {
		r := sumRow{bucket: int64(bucket), row: uint64(row)}
		var err error
		if r.cell, err = choose(snap[writer], now, before); err == nil && r.version != 0 {
			err = fn(r)
		}
		if err != nil {
			_ = iter.Close()
			return err
		}
		now.value, before.value = nil, nil
	}
	return failure(ctx, iter.Close())
}

// evict forgets the buckets that were not written to for longest.
func (s *sumCache) evict() {
	if s.size <= maxCached {
		return
	}
	keys := make([]bucketKey, 0, len(s.buckets))
	for b := range s.buckets {
		keys = append(keys, b)
	}
	slices.SortFunc(keys, func(a, b bucketKey) int { return cmp.Compare(s.buckets[a].used, s.buckets[b].used) })
	for _, b := range keys {
		if s.size <= maxCached/2 || s.buckets[b].used == s.clock {
			break
		}
		s.size -= len(s.buckets[b].sums)
		delete(s.buckets, b)
	}
}
