package kernel

import (
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
)

// Capture captures segments. Its methods may be called at the same time.
type Capture struct {
	opts    Options
	cpus    int
	obj     *objects
	source  source
	release func() error // the name
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
	release, err := reserve(o.Name)
	if err != nil {
		return nil, err
	}
	c, err := open(o)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	c.release = release
	return c, nil
}

// open makes a capture once its name is reserved.
func open(o Options) (*Capture, error) {
	if _, err := cleanUp(o.Name, o.Logger); err != nil {
		return nil, err
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, err
	}
	obj, err := load(&o)
	if err != nil {
		return nil, err
	}
	src, err := newSource(&o, obj, cpus)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the buffer: %w", err), obj.Close())
	}
	c := &Capture{opts: o, cpus: cpus, obj: obj, source: src, targets: map[uint32]*attachment{}}
	for slot := range uint32(o.MaxTargets) {
		c.free = append(c.free, slot)
	}
	return c, nil
}

const defaultName = "clovisor"

// defaults fills in what is not chosen.
func (o *Options) defaults() {
	orDefault(&o.Name, defaultName)
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
	if o.Hook == AutoHook {
		o.Hook = Clsact
		if haveTCX() {
			o.Hook = TCX
		}
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
	return errors.Join(err, c.source.Close(), c.obj.Close(), c.release())
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
