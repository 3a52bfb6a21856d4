package kernel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor/packet"
)

const (
	// idleAfter is after how many empty looks into the ring the kernel is
	// asked to wake us, and idleWait how long we wait for that at most.
	idleAfter = 8
	idleWait  = time.Second
	// adjustEvery is after how many records of a batch the clock is adjusted.
	adjustEvery = 256
)

// Run calls deliver for each segment, in the order in which the kernel saw
// them, until ctx ends; then it detaches all targets, delivers what is still
// in the buffer and closes the capture. The segment and its payload are valid
// until deliver returns. Run may be called once; it returns nil when ctx
// ended, and [ErrClosed] when Close was called before that.
func (c *Capture) Run(ctx context.Context, deliver func(*packet.Segment)) error {
	defer func() { _ = c.Close() }() // also when deliver panics
	stop := context.AfterFunc(ctx, func() { _ = c.source.Flush() })
	defer stop()
	r := reading{capture: c, deliver: deliver}
	r.clock.id = unix.CLOCK_BOOTTIME
	if c.opts.Buffer == Perf {
		r.clock.id = unix.CLOCK_MONOTONIC
		r.sorted = new(sorter)
	}
	for ctx.Err() == nil {
		if err := r.batch(ctx, time.Now().Add(r.wait())); errors.Is(err, os.ErrClosed) {
			return ErrClosed
		} else if err != nil {
			return fmt.Errorf("read the buffer: %w", err)
		}
	}
	err := errors.Join(c.end(), r.batch(context.WithoutCancel(ctx), time.Now()))
	if r.sorted != nil {
		r.sorted.release(forEver, r.hand)
	}
	return errors.Join(err, c.Close())
}

// reading is what Run holds.
type reading struct {
	capture *Capture
	deliver func(*packet.Segment)
	clock   clock
	segment packet.Segment
	sorted  *sorter // with perf only
	empty   int     // batches without a record, up to the last
	idle    bool    // the kernel wakes us
}

// wait is how long to wait for the next batch. Where nothing happens, this
// process sleeps until the kernel wakes it. A record may slip through while
// that is arranged, so it does not sleep for ever.
func (r *reading) wait() time.Duration {
	latency := r.capture.opts.Latency
	if r.capture.obj.idle == nil {
		return latency
	}
	if idle := r.empty >= idleAfter; idle != r.idle {
		value := uint32(0)
		if idle {
			value = 1
		}
		if err := r.capture.obj.idle.Put(uint32(0), value); err != nil {
			return latency
		}
		r.idle = idle
	}
	if r.idle {
		return max(latency, idleWait)
	}
	return latency
}

// batch waits for the buffer to fill or for the deadline, and delivers all
// that is in the buffer then.
func (r *reading) batch(ctx context.Context, deadline time.Time) error {
	before := readClock(r.clock.id)
	r.capture.source.SetDeadline(deadline)
	r.empty++
	for n := 0; ; n++ {
		record, err := r.capture.source.next()
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ringbuf.ErrFlushed) {
			break
		}
		if err != nil {
			return err
		}
		r.empty = 0
		if n%adjustEvery == 0 {
			r.clock.adjust()
		}
		if r.sorted == nil {
			r.hand(record)
		} else if r.sorted.add(record); r.sorted.bytes() > r.capture.opts.BufferBytes {
			r.sorted.release(forEver, r.hand)
		}
		if n%adjustEvery == 0 && ctx.Err() != nil {
			break // the rest comes when everything is detached
		}
	}
	if r.sorted != nil {
		// What was written before the wait is certainly here by now.
		r.sorted.release(before, r.hand)
	}
	return nil
}

// hand delivers one record.
func (r *reading) hand(record []byte) {
	at, ok := decode(record, &r.segment)
	if !ok {
		r.capture.corrupt.Add(1)
		return
	}
	r.segment.Time = r.clock.wall(at)
	r.deliver(&r.segment)
}

// forEver is after every time of a record.
const forEver = int64(1<<63 - 1)

// sorter puts records of several processors into the order of their times.
type sorter struct {
	data    []byte
	records []sortable
}

type sortable struct {
	time     int64
	from, to int
}

func (s *sorter) bytes() int { return len(s.data) }

// add keeps a copy of a record.
func (s *sorter) add(record []byte) {
	from := len(s.data)
	s.data = append(s.data, record...)
	s.records = append(s.records, sortable{recordTime(record), from, len(s.data)})
}

// release hands on the records from before a time, in order, and keeps the
// others.
func (s *sorter) release(before int64, hand func([]byte)) {
	slices.SortStableFunc(s.records, func(a, b sortable) int { return cmp.Compare(a.time, b.time) })
	n := 0
	for ; n < len(s.records) && s.records[n].time < before; n++ {
		hand(s.data[s.records[n].from:s.records[n].to])
	}
	rest := s.records[n:]
	if len(rest) == 0 {
		s.data, s.records = s.data[:0], s.records[:0]
		return
	}
	kept := sorter{}
	for _, r := range rest {
		kept.add(s.data[r.from:r.to])
	}
	*s = kept
}
