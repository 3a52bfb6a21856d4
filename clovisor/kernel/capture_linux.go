package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor/packet"
)

// Capture captures segments. Its methods may be called at the same time.
type Capture struct {
	opts    Options
	cpus    int
	obj     *objects
	reader  *ringbuf.Reader
	corrupt atomic.Uint64

	mu       sync.Mutex
	closed   bool
	free     []uint32 // slots, the one longest unused first
	targets  map[uint32]*attachment
	detached Counters
	last     Stats // when it was closed
}

// New loads the programs into the kernel; none is attached yet. It needs the
// capabilities CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (before Linux 5.8:
// CAP_SYS_ADMIN), and CAP_SYS_ADMIN to enter network namespaces.
func New(o Options) (*Capture, error) {
	o.defaults()
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, err
	}
	obj, err := load(&o)
	if err != nil {
		return nil, err
	}
	reader, err := ringbuf.NewReader(obj.buffer)
	if err != nil {
		return nil, errors.Join(err, obj.Close())
	}
	c := &Capture{opts: o, cpus: cpus, obj: obj, reader: reader, targets: map[uint32]*attachment{}}
	for slot := range uint32(o.MaxTargets) {
		c.free = append(c.free, slot)
	}
	return c, nil
}

// defaults fills in what is not chosen.
func (o *Options) defaults() {
	orDefault(&o.Name, "clovisor")
	orDefault(&o.BufferBytes, 8<<20)
	o.BufferBytes = max(1<<bits.Len(uint(o.BufferBytes-1)), 64<<10)
	orDefault(&o.Latency, 10*time.Millisecond)
	orDefault(&o.MaxTargets, 1024)
	orDefault(&o.MaxPorts, 65536)
	orDefault(&o.MaxEgress, 16384)
	orDefault(&o.MaxFlows, 16384)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Buffer == AutoBuffer {
		o.Buffer = Perf
		if haveRing() {
			o.Buffer = Ring
		}
	}
}

func orDefault[T comparable](v *T, value T) {
	if *v == *new(T) {
		*v = value
	}
}

// Run calls deliver for each segment, in the order in which the kernel saw
// them, until ctx ends; then it detaches all targets, delivers what is still
// in the buffer and closes the capture. The segment and its payload are valid
// until deliver returns. Run may be called once; it returns nil when ctx
// ended.
func (c *Capture) Run(ctx context.Context, deliver func(*packet.Segment)) error {
	defer func() { _ = c.Close() }() // also when deliver panics
	stop := context.AfterFunc(ctx, func() { _ = c.reader.Flush() })
	defer stop()
	r := reading{capture: c, deliver: deliver, clock: newClock(unix.CLOCK_BOOTTIME)}
	for ctx.Err() == nil {
		if err := r.batch(time.Now().Add(c.opts.Latency)); err != nil {
			return fmt.Errorf("read the buffer: %w", err)
		}
	}
	err := c.detachAll()
	return errors.Join(err, r.batch(time.Now()), c.Close())
}

// reading is what Run holds.
type reading struct {
	capture *Capture
	deliver func(*packet.Segment)
	clock   *clock
	record  ringbuf.Record
	segment packet.Segment
}

// batch waits for the buffer to fill or for the deadline, and delivers all
// that is in the buffer then.
func (r *reading) batch(deadline time.Time) error {
	r.capture.reader.SetDeadline(deadline)
	for first := true; ; first = false {
		err := r.capture.reader.ReadInto(&r.record)
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ringbuf.ErrFlushed) {
			return nil
		}
		if err != nil {
			return err
		}
		if first {
			r.clock.adjust()
		}
		at, ok := decode(r.record.RawSample, &r.segment)
		if !ok {
			r.capture.corrupt.Add(1)
			continue
		}
		r.segment.Time = r.clock.wall(at)
		r.deliver(&r.segment)
	}
}

// detachAll detaches every target.
func (c *Capture) detachAll() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.last = c.stats()
	var errs []error
	for id := range c.targets {
		errs = append(errs, c.detach(id))
	}
	return errors.Join(errs...)
}

// Close detaches all targets and frees what is in the kernel. It ends Run.
// Calling it again does nothing.
func (c *Capture) Close() error {
	err := c.detachAll()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	return errors.Join(err, c.reader.Close(), c.obj.Close())
}

// Stats returns what was counted so far; after the end of the capture, what
// was counted when it ended.
func (c *Capture) Stats() (Stats, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.last, nil
	}
	return c.stats(), nil
}

func (c *Capture) stats() Stats {
	s := Stats{
		Hook: c.opts.Hook, Buffer: c.opts.Buffer, Targets: make(map[uint32]Counters, len(c.targets)),
		Detached: c.detached, Corrupt: c.corrupt.Load(),
	}
	for id, a := range c.targets {
		n, err := c.counters(a.slot)
		if err != nil {
			c.opts.Logger.Error("read the counters", "target", id, "error", err)
		}
		s.Targets[id] = n
	}
	return s
}

// counters sums up what the processors counted for a slot.
func (c *Capture) counters(slot uint32) (Counters, error) {
	var perCPU []counterValues
	if err := c.obj.counters.Lookup(slot, &perCPU); err != nil {
		return Counters{}, err
	}
	var sum Counters
	for v := range slices.Values(perCPU) {
		sum.add(v.counters())
	}
	return sum, nil
}
