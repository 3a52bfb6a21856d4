package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
)

// objects are what a capture has in the kernel. The kernel frees them when
// this process and the programs on the interfaces hold them no longer.
type objects struct {
	targets, counters, scratch, ports, egress, flows *ebpf.Map

	buffer   *ebpf.Map // ring or events
	idle     *ebpf.Map // of the ring's only
	programs *ebpf.Map // tracer, and the one that goes on after it
	tracer   *ebpf.Program
}

// load brings programs and maps into the kernel.
func load(o *Options) (*objects, error) {
	// Needed before Linux 5.11 only, and there the maps will say so.
	_ = rlimit.RemoveMemlock()
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return nil, err
	}
	buffer, tracer, more := "ring", "trace_ring", "more_ring"
	if o.Buffer == Perf {
		buffer, tracer, more = "events", "trace_perf", "more_perf"
		delete(spec.Maps, "ring")
		delete(spec.Maps, "idle")
	} else {
		spec.Maps["ring"].MaxEntries = uint32(o.BufferBytes)
		delete(spec.Maps, "events")
	}
	maps.DeleteFunc(spec.Programs, func(name string, _ *ebpf.ProgramSpec) bool { return name != tracer && name != more })
	spec.Maps["targets"].MaxEntries = uint32(o.MaxTargets)
	spec.Maps["counters"].MaxEntries = uint32(o.MaxTargets)
	spec.Maps["ports"].MaxEntries = uint32(o.MaxPorts)
	spec.Maps["egress"].MaxEntries = uint32(o.MaxEgress)
	spec.Maps["flows"].MaxEntries = uint32(o.MaxFlows)
	all, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load the programs into the kernel: %w", err)
	}
	defer all.Close()
	obj := &objects{
		targets: all.DetachMap("targets"), counters: all.DetachMap("counters"), scratch: all.DetachMap("scratch"),
		ports: all.DetachMap("ports"), egress: all.DetachMap("egress"), flows: all.DetachMap("flows"),
		buffer: all.DetachMap(buffer), tracer: all.DetachProgram(tracer), programs: all.DetachMap("programs"),
		idle: all.DetachMap("idle"),
	}
	err = errors.Join(obj.programs.Put(uint32(0), obj.tracer), obj.programs.Put(uint32(1), all.Programs[more]))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the tail call: %w", err), obj.Close())
	}
	return obj, nil
}

// Close releases what is held of the kernel's.
func (o *objects) Close() error {
	var errs []error
	for _, m := range []*ebpf.Map{o.targets, o.counters, o.scratch, o.ports, o.egress, o.flows, o.buffer, o.idle, o.programs} {
		errs = append(errs, m.Close())
	}
	return errors.Join(append(errs, o.tracer.Close())...)
}

// haveRing reports whether the kernel has ring buffers.
func haveRing() bool { return features.HaveMapType(ebpf.RingBuf) == nil }

// haveTCX reports whether the kernel has links to interfaces.
func haveTCX() bool {
	p, err := nothing()
	if err != nil {
		return false
	}
	defer func() { _ = p.Close() }()
	// No interface has this number. A kernel without TCX says that first.
	l, err := link.AttachTCX(link.TCXOptions{Interface: math.MaxInt32, Program: p, Attach: ebpf.AttachTCXIngress})
	if err == nil {
		_ = l.Close()
	}
	return !errors.Is(err, ebpf.ErrNotSupported)
}

// nothing is a program that does nothing.
func nothing() (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
	})
}

// entry makes the program of one target: it says which target and which way,
// and goes on in the tracer.
func (o *objects) entry(slot uint32, way int32) (*ebpf.Program, error) {
	const cb0 = 48 // offset in __sk_buff
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "clovisor", Type: ebpf.SchedCLS, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R2, int32(slot<<2)|way),
			asm.StoreMem(asm.R1, cb0, asm.R2, asm.Word),
			asm.LoadMapPtr(asm.R2, o.programs.FD()),
			asm.Mov.Imm(asm.R3, 0),
			asm.FnTailCall.Call(),
			asm.Mov.Imm(asm.R0, -1), // TC_ACT_UNSPEC: the next one decides
			asm.Return(),
		},
	})
}
