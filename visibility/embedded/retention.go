package embedded

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility/internal/storekit"
)

// background does what is due every housekeeping interval. Its errors are
// logged: there is nobody else to tell, and the next run tries again.
func (c *committer) background() {
	now := c.opts.Clock()
	if err := c.sweep(now.Add(-c.opts.SettleAfter)); err != nil {
		c.opts.Logger.Error("store: settle open requests", "err", err)
	}
	if err := c.retain(now); err != nil {
		c.opts.Logger.Error("store: apply retention", "err", err)
	}
}

// Retain applies the retention now instead of at the next interval.
func (s *Store) Retain() error {
	return s.do(backgroundContext, func(c *committer) error { return c.retain(c.opts.Clock()) })
}

// retain drops what is older than the retention, and the oldest hours while
// the directory is larger than allowed.
func (c *committer) retain(now time.Time) error {
	floor := c.floor
	if c.opts.Retention > 0 {
		floor = later(floor, hourStart(hourOf(now.Add(-c.opts.Retention))))
	}
	if c.opts.MaxBytes > 0 {
		bySize, err := c.floorBySize()
		if err != nil {
			return err
		}
		floor = later(floor, bySize)
	}
	b := c.db.NewBatch()
	defer b.Close()
	if c.opts.FineRetention > 0 {
		// An hour more than asked for, so that no reader misses a bucket.
		fine := now.Add(-c.opts.FineRetention - time.Hour).Unix()
		if err := b.DeleteRange(appendRollupKey(nil, 0, 0, 0), appendRollupKey(nil, 0, uint32(max(fine, 0)), 0), nil); err != nil {
			return err
		}
	}
	if !floor.After(c.floor) {
		return c.applySync(b)
	}
	if err := c.dropBefore(b, floor); err != nil {
		return err
	}
	if err := c.applySync(b); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.floor = floor
	c.opts.Logger.Info("store: dropped old data", "before", floor)
	return nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// dropBefore removes everything that started before floor, a full hour.
func (c *committer) dropBefore(b *pebble.Batch, floor time.Time) error {
	hour, second := hourOf(floor), uint32(floor.Unix())
	var errs []error
	for _, space := range [...]byte{spaceSpan, spaceIndex, spaceOpen, spaceCount} {
		errs = append(errs, b.DeleteRange([]byte{space}, idKey(space, hour), nil))
	}
	for level := range storekit.Levels {
		errs = append(errs, b.DeleteRange(appendRollupKey(nil, byte(level), 0, 0), appendRollupKey(nil, byte(level), second, 0), nil))
	}
	for id, h := range c.open {
		if h.start.Before(floor) {
			c.setClosed(id)
		}
	}
	errs = append(errs,
		c.dropMetrics(b, floor),
		c.dict.expire(b, uint16(floor.Unix()/86400)),
		b.Set(floorKey, binary.AppendVarint(nil, floor.Unix()), nil),
	)
	return errors.Join(errs...)
}

func (c *committer) dropMetrics(b *pebble.Batch, floor time.Time) error {
	it, err := c.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceMetric}, UpperBound: []byte{spaceMetric + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; {
		id := binary.BigEndian.Uint32(it.Key()[1:])
		to := binary.BigEndian.AppendUint64(idKey(spaceMetric, id), uint64(floor.UnixMilli()))
		if err := b.DeleteRange(idKey(spaceMetric, id), to, nil); err != nil {
			return errors.Join(err, it.Close())
		}
		ok = it.SeekGE(idKey(spaceMetric, id+1))
	}
	return it.Close()
}

// floorBySize returns the start of the oldest hour that still fits, at the
// latest that of the newest hour, or zero if all fits. What was deleted but
// not yet compacted away still counts on disk, so sizes are estimated from
// the live key ranges.
func (c *committer) floorBySize() (time.Time, error) {
	total, err := c.liveBytes(0, 1<<32-1)
	if err != nil || total <= uint64(c.opts.MaxBytes) {
		return time.Time{}, err
	}
	hours, err := c.storedHours()
	if err != nil || len(hours) == 0 {
		return time.Time{}, err
	}
	for _, hour := range hours[:len(hours)-1] {
		size, err := c.liveBytes(hour, hour+1)
		if err != nil {
			return time.Time{}, err
		}
		total -= min(total, size)
		if total <= uint64(c.opts.MaxBytes) {
			return hourStart(hour + 1), nil
		}
	}
	return hourStart(hours[len(hours)-1]), nil
}

// storedHours lists the partitions, oldest first.
func (c *committer) storedHours() (hours []uint32, err error) {
	it, err := c.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceCount}, UpperBound: []byte{spaceCount + 1}})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		hours = append(hours, binary.BigEndian.Uint32(it.Key()[1:]))
	}
	return hours, it.Close()
}

// liveBytes estimates the size on disk of the spans of the hours from ≤ h <
// to and of their index.
func (c *committer) liveBytes(from, to uint32) (uint64, error) {
	var sum uint64
	for _, space := range [...]byte{spaceSpan, spaceIndex} {
		n, err := c.db.EstimateDiskUsage(idKey(space, from), idKey(space, to))
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// floorKey holds the time before which everything was dropped.
var floorKey = []byte{spaceMeta, 'f', 'l', 'o', 'o', 'r'}

func (s *Store) loadFloor() error {
	value, closer, err := s.db.Get(floorKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	sec, n := binary.Varint(value)
	if n <= 0 {
		return storekit.ErrCorrupt
	}
	s.floor = time.Unix(sec, 0).UTC()
	return nil
}
