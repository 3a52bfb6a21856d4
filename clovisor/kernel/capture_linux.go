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

	ending sync.Mutex // taken before mu; guards last
	last   Stats      // what was counted when it ended

	mu       sync.Mutex // guards what follows
	closed   bool       // nothing is attached any more
	freed    bool       // nothing is in the kernel any more
	free     []uint32   // slots, the one longest unused first
	targets  map[uint32]*attachment
	detached Counters // the sum over the targets detached so far
}

// New loads the programs into the kernel; none is attached yet. It needs the
// capabilities CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (before Linux 5.8:
// CAP_SYS_ADMIN), and CAP_SYS_ADMIN to enter network namespaces.
func New(o Options) (*Capture, error) {
	o.defaults()
	release, err := reserve(o.Name, o.Logger)
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
	left, err := cleanUpHere(o.Name)
	if err != nil {
		return nil, err
	}
	// Who may capture here only, may not enter the others.
	others, err := cleanUpOthers(o.Name)
	if err != nil {
		o.Logger.Warn("not cleaned up in all network namespaces", "name", o.Name, "error", err)
	}
	if left+others > 0 {
		o.Logger.Info("removed the filters of a run that was killed", "name", o.Name, "filters", left+others)
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

// Close detaches all targets and frees what is in the kernel. It ends Run.
// Calling it again does nothing.
func (c *Capture) Close() error {
	err := c.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.freed {
		return err
	}
	c.freed = true
	return errors.Join(err, c.source.Close(), c.obj.Close(), c.release())
}

// end detaches all targets and keeps what was counted.
func (c *Capture) end() error {
	c.ending.Lock()
	defer c.ending.Unlock()
	if c.last.Targets != nil {
		return nil
	}
	counted, err := c.detachAll()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = Stats{Targets: counted, Detached: c.detached}
	return err
}

// Stats returns what was counted so far; after the end of the capture, what
// was counted when it ended.
func (c *Capture) Stats() (Stats, error) {
	c.mu.Lock()
	closed := c.closed
	var s Stats
	var err error
	if !closed {
		s, err = c.stats()
	}
	c.mu.Unlock()
	if closed {
		c.ending.Lock() // until all is counted
		s = c.last
		c.ending.Unlock()
	}
	s.Hook, s.Buffer, s.Corrupt = c.opts.Hook, c.opts.Buffer, c.corrupt.Load()
	return s, err
}

// stats reads the counters of all targets.
func (c *Capture) stats() (Stats, error) {
	s := Stats{Targets: make(map[uint32]Counters, len(c.targets)), Detached: c.detached}
	var errs []error
	for id, a := range c.targets {
		n, err := c.counters(a.slot)
		if err != nil {
			errs = append(errs, &Error{Op: "read counters", Target: id, Err: err})
		}
		s.Targets[id] = n
	}
	return s, errors.Join(errs...)
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
