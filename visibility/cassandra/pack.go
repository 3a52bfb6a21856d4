package cassandra

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"github.com/cespare/xxhash/v2"

	"github.com/opnfv/clover/visibility/internal/storekit"
)

// A pack is all sums of one writer in one bucket and shard as a single row. It
// stands for the rows that it was made of: reading those costs some
// microseconds each, in Cassandra and in the driver, which is most of what a
// question over hours costs.
//
// A pack is never wrong, only out of date. Whatever changes a sum also writes
// the count of the 10 minutes that it lies in, with the version of the commit.
// The pack's signature is made of these versions, and readers take it if it is
// that of the counts as they see them. Else they read the rows. So packs may
// be late, lost, or overwritten by a process that has lost its name.

// signature is that of a bucket: the versions of its writer's counts. ok is
// false if there are none, and hence no sums.
func signature(counts map[int]version, from, to int64) (sig int64, ok bool) {
	var b []byte
	for slot := from / slotSeconds; slot*slotSeconds < to; slot++ {
		if v, has := counts[int(slot)]; has {
			b = binary.AppendVarint(binary.AppendVarint(b, slot), int64(v))
		}
	}
	return int64(xxhash.Sum64(b)), len(b) > 0
}

// maxPack bounds a pack in bytes, so that no partition gets too large. What
// does not fit is read by rows.
const maxPack = 1 << 20

// appendPack appends sums in the order of their rows.
func appendPack(b []byte, sums map[uint64]cell) []byte {
	rows := make([]uint64, 0, len(sums))
	for row := range sums {
		rows = append(rows, row)
	}
	slices.Sort(rows)
	for _, row := range rows {
		b = binary.BigEndian.AppendUint64(b, row)
		b = binary.AppendUvarint(b, uint64(len(sums[row].value)))
		b = append(b, sums[row].value...)
	}
	return b
}

// eachPacked calls fn for the sums of a pack. They share its memory.
func eachPacked(pack []byte, bucket int64, fn func(sumRow) error) error {
	r := storekit.Reader{B: pack}
	for len(r.B) > 0 {
		row := r.Uint64()
		value := r.Take(r.Uvarint())
		if r.Err != nil {
			return r.Err
		}
		if err := fn(sumRow{bucket: bucket, row: row, cell: cell{value: value}}); err != nil {
			return err
		}
	}
	return nil
}

const (
	insertPack = "INSERT INTO packs (level, period, shard, bucket, writer, signature, value) VALUES (?, ?, ?, ?, ?, ?, ?) USING TTL ?"
	selectPack = "SELECT bucket, writer, signature, value FROM packs WHERE level = ? AND period = ? AND shard = ? AND bucket >= ? AND bucket < ?"
	packExists = "SELECT signature FROM packs WHERE level = ? AND period = ? AND shard = ? AND bucket = ? AND writer = ?"
)

const (
	// packAfter is how long a bucket is not written to before it is packed.
	packAfter = time.Minute
	// packTime bounds how long packing may keep the committer at a time.
	packTime = time.Second / 2
	// packsAtOnce is the number of packs that are made together.
	packsAtOnce = 64
	// maxUnpacked bounds the buckets that are waited for to be packed. What
	// is beyond is read by rows until the next start.
	maxUnpacked = 200_000
)

// unpackedOf lists the buckets that a writer has sums in, by its counts.
func (c *committer) unpackedOf(slots map[int]version) map[bucketKey]time.Time {
	list, now := map[bucketKey]time.Time{}, c.opts.Clock()
	for slot := range slots {
		if len(list) > maxUnpacked {
			break
		}
		for l, level := range storekit.Levels {
			from := int64(slot) * slotSeconds
			if storekit.LowestLevel(slotStart(slot), now, c.opts.FineRetention) > l {
				continue // gone
			}
			for bucket := level.Floor(from); bucket < from+slotSeconds; bucket += int64(level) {
				for shard := range c.shards {
					list[bucketKey{l, bucket, int16(shard)}] = time.Time{}
				}
			}
		}
	}
	return list
}

// ownCounts are the versions of this writer's counts.
func (c *committer) ownCounts() map[int]version {
	counts := map[int]version{}
	for k, cell := range c.cells {
		if k.kind == kindCount {
			counts[slotNumber(k.name)] = cell.version
		}
	}
	return counts
}

// pack makes packs of the buckets that were last written to before a time,
// for as long as it may.
func (c *committer) pack(ctx context.Context, before, until time.Time) error {
	if c.stale {
		return nil // what was committed is not known: the next time
	}
	var due []bucketKey
	for b, written := range c.unpacked {
		if written.Before(before) {
			due = append(due, b)
		}
	}
	slices.SortFunc(due, func(a, b bucketKey) int { // those of a partition together
		return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.shard, b.shard))
	})
	counts := c.ownCounts()
	for len(due) > 0 && time.Now().Before(until) {
		n := min(packsAtOnce, len(due))
		if err := c.packSome(ctx, due[:n], counts); err != nil {
			return failure(ctx, err)
		}
		for _, b := range due[:n] {
			delete(c.unpacked, b)
		}
		due = due[n:]
	}
	return nil
}

func (c *committer) packSome(ctx context.Context, buckets []bucketKey, counts map[int]version) error {
	lists := make([][]statement, len(buckets))
	err := each(ctx, len(buckets), c.opts.Concurrency, func(ctx context.Context, i int) error {
		b := buckets[i]
		sig, ok := signature(counts, b.bucket, b.bucket+int64(storekit.Levels[b.level]))
		if !ok {
			return nil
		}
		key := []any{int8(b.level), int(b.bucket / periods[b.level]), b.shard, int(b.bucket), c.opts.Writer}
		var is int64
		err := c.session.Query(packExists, key...).ScanContext(ctx, &is)
		if err != nil && !errors.Is(err, gocql.ErrNotFound) {
			return err
		}
		if is == sig {
			return nil
		}
		sums, err := c.sumsOf(ctx, b)
		if err != nil {
			return err
		}
		value := appendPack(nil, sums)
		if len(value) <= maxPack {
			lists[i] = []statement{{cql: insertPack, args: append(key, sig, value, c.levelTTL(b.level)), size: len(value)}}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.writeBatches(ctx, lists)
}

// sumsOf returns this writer's sums in a bucket, as committed.
func (c *committer) sumsOf(ctx context.Context, b bucketKey) (map[uint64]cell, error) {
	if known := c.sums.buckets[b]; known != nil {
		return known.sums, nil
	}
	sums := map[uint64]cell{}
	err := c.readSums(ctx, snapshot{c.opts.Writer: &c.own}, b.level, int(b.bucket/periods[b.level]), b.shard, b.bucket, b.bucket+1,
		func(r sumRow) error {
			sums[r.row] = r.cell
			return nil
		})
	return sums, err
}

// readPart reads the sums of a part: packs where those of all writers are
// there and up to date, else rows.
func (a *answer) readPart(ctx context.Context, v *view, p part, fn func(sumRow) error) error {
	packs, err := a.readPacks(ctx, p)
	if err != nil {
		return err
	}
	// Rows are read from the first bucket that needs them to the last.
	from, to := p.To, p.From
	for bucket := p.From; bucket < p.To; bucket += int64(storekit.Levels[p.Level]) {
		if !packs.complete(bucket) {
			from, to = min(from, bucket), bucket+int64(storekit.Levels[p.Level])
		}
	}
	if err := packs.each(p.From, from, fn); err != nil {
		return err
	}
	if from < to {
		if err := a.s.readSums(ctx, v.snap, p.Level, p.period, p.shard, from, to, fn); err != nil {
			return err
		}
	}
	return packs.each(max(from, to), p.To, fn)
}

// partPacks are the packs of a part that are up to date, by bucket.
type partPacks struct {
	seconds int64
	want    map[int64]int // writers that have sums in a bucket
	found   map[int64][][]byte
}

func (a *answer) readPacks(ctx context.Context, p part) (*partPacks, error) {
	width := int64(storekit.Levels[p.Level])
	packs := &partPacks{seconds: width, want: map[int64]int{}, found: map[int64][][]byte{}}
	type packKey struct {
		bucket int64
		writer string
	}
	signatures := map[packKey]int64{}
	for writer, counts := range a.counted {
		for bucket := p.From; bucket < p.To; bucket += width {
			if sig, ok := signature(counts, bucket, bucket+width); ok {
				packs.want[bucket]++
				signatures[packKey{bucket, writer}] = sig
			}
		}
	}
	iter := a.s.session.Query(selectPack, int8(p.Level), p.period, p.shard, int(p.From), int(p.To)).IterContext(ctx)
	var bucket int
	var writer string
	var sig int64
	var value []byte
	for iter.Scan(&bucket, &writer, &sig, &value) {
		if want, ok := signatures[packKey{int64(bucket), writer}]; ok && want == sig {
			packs.found[int64(bucket)] = append(packs.found[int64(bucket)], value)
		}
		value = nil
	}
	return packs, failure(ctx, iter.Close())
}

// complete reports whether a bucket needs no rows.
func (p *partPacks) complete(bucket int64) bool { return len(p.found[bucket]) == p.want[bucket] }

// each calls fn for the sums of from ≤ bucket < to, ordered by bucket and row.
func (p *partPacks) each(from, to int64, fn func(sumRow) error) error {
	for bucket := from; bucket < to; bucket += p.seconds {
		var rows []sumRow
		for _, pack := range p.found[bucket] {
			err := eachPacked(pack, bucket, func(r sumRow) error {
				rows = append(rows, r)
				return nil
			})
			if err != nil {
				return err
			}
		}
		if len(p.found[bucket]) > 1 {
			slices.SortStableFunc(rows, func(a, b sumRow) int { return cmp.Compare(a.row, b.row) })
		}
		for _, r := range rows {
			if err := fn(r); err != nil {
				return err
			}
		}
	}
	return nil
}
