// Package kernel captures the segments of chosen ports from network
// interfaces by programs in the Linux kernel.
//
// [New] loads the programs, [Capture.Attach] puts them on an interface of this
// machine or of another network namespace, and [Capture.Run] hands on what
// they see as [packet.Segment]. The workload is neither changed nor delayed: a
// packet goes its way whatever a capture does with it, and other programs on
// the same interface see it as before.
//
// Nothing is lost in silence: each packet that a program saw and did not hand
// on whole is in [Stats] by reason. Nothing is left behind: when Run ends, all
// is detached; where the kernel has TCX, it detaches by itself however the
// process ends, and elsewhere the next [New] of the same name removes what a
// killed process left. Only Linux has such programs: elsewhere New returns
// [ErrUnsupported].
package kernel

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/opnfv/clover/clovisor/packet"
)

// Errors that callers act on.
var (
	// ErrUnsupported says that this system cannot capture at all; it matches
	// [errors.ErrUnsupported].
	ErrUnsupported = fmt.Errorf("capturing needs Linux: %w", errors.ErrUnsupported)
	// ErrClosed is returned by a capture whose Run or Close has ended it.
	ErrClosed = errors.New("the capture has ended")
	// ErrInUse says that a process that is alive captures under that name.
	ErrInUse = errors.New("another process captures under this name: end it, or choose another name")
	// ErrUnknownTarget says that nothing is attached under an ID.
	ErrUnknownTarget = errors.New("unknown target")
	// ErrAttached says that something is attached under an ID already.
	ErrAttached = errors.New("a target of this ID is attached")
	// ErrNoInterface says that there is no interface of that name in the
	// namespace, or no longer.
	ErrNoInterface = errors.New("no such interface")
	// ErrOtherNetNS says that [Target.NetNS] leads to another network
	// namespace than it did: find out where the one that is meant is now.
	ErrOtherNetNS = errors.New("it leads to another network namespace than it did")
	// ErrTooMany says that a limit of [Options] is reached.
	ErrTooMany = errors.New("limit reached")
)

// Hook is the place in the kernel where programs are attached.
type Hook string

// The hooks.
const (
	AutoHook Hook = ""       // TCX where the kernel has it, else clsact
	TCX      Hook = "tcx"    // links that end with the process, Linux 6.6
	Clsact   Hook = "clsact" // filters of a queueing discipline, Linux 4.5
)

// Buffer is the way of records from the kernel to this process.
type Buffer string

// The buffers.
const (
	AutoBuffer Buffer = ""     // ring where the kernel has it, else perf
	Ring       Buffer = "ring" // one buffer for all processors, Linux 5.8
	Perf       Buffer = "perf" // one for each
)

// Options are the choices of a capture. The zero value works.
type Options struct {
	// Name is what the capture's filters are called, so that it finds its own
	// after a crash. Captures that run at the same time, in one network
	// namespace, need names of their own, of at most 32 letters, digits, "-",
	// "_" and ".". "": "clovisor".
	Name   string
	Hook   Hook
	Buffer Buffer
	// BufferBytes is the size of the buffer, for all processors together,
	// rounded up to a power of two. 0: 8 MiB.
	BufferBytes int
	// Latency is how long a record may lie in the buffer. Longer costs less,
	// because more is read at once. 0: 10 ms.
	Latency time.Duration
	// MaxTargets, MaxPorts and MaxEgress limit what is attached at a time, and
	// the ports and egress rules of all targets together.
	// 0: 1,024, 65,536 and 16,384.
	MaxTargets, MaxPorts, MaxEgress int
	// MaxFlows is how many directions of connections [Capture.Skip] can hold;
	// the ones longest unused are forgotten and copied again. 0: 16,384.
	MaxFlows int
	// Logger gets what goes wrong beside the calls; nil: nothing.
	Logger *slog.Logger `json:"-"`
}

// Port is a port that a workload serves.
type Port struct {
	Transport packet.Transport // 0: TCP
	Number    uint16
}

// Egress is what a workload may ask outside.
type Egress struct {
	Transport packet.Transport // 0: TCP
	Prefix    netip.Prefix     // zero: every address, IPv4 and IPv6
	Port      uint16           // 0: every port
}

// Rules say which packets of a target are captured: those from and to its
// ports, and those from and to what its egress rules name.
type Rules struct {
	Ports  []Port
	Egress []Egress
}

// Target is an interface to capture from.
type Target struct {
	// ID comes back as [packet.Segment.Interface]. Each target has its own.
	ID uint32
	// Interface is its name, in the network namespace NetNS.
	Interface string
	// NetNS is the path of a network namespace, such as /proc/PID/ns/net or
	// /run/netns/NAME. "": this process's own.
	NetNS string
	// NetNSDevice and NetNSInode say which namespace is meant, as stat(2)
	// numbers what NetNS leads to: the number of a process that has ended may
	// be that of another one by now. Inode 0: whichever is there.
	NetNSDevice, NetNSInode uint64
	// HostSide says that the interface is the other end of the workload's
	// link, so that what enters it leaves the workload.
	HostSide bool
	Rules
}

// Error says what could not be done to which target.
type Error struct {
	Op     string // "attach", "detach", "set rules", "skip", "read counters"
	Target uint32
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("%s target %d: %v", e.Op, e.Target, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Counters are what the kernel counted on one target since it was attached.
type Counters struct {
	Packets, Bytes uint64 // all that passed, whatever it was

	Other        uint64 // packets that are neither TCP nor UDP
	Fragments    uint64 // IP fragments, which are not put together
	Malformed    uint64 // headers that contradict each other or the packet
	DeepHeaders  uint64 // IPv6 packets with more extension headers than are walked
	Matched      uint64 // packets that the rules name
	MatchedBytes uint64 // bytes of payload in them

	Records        uint64 // segments handed on; a super-packet may be several
	ElidedBytes    uint64 // bytes not copied because [Capture.Skip] said so
	TruncatedBytes uint64 // bytes not copied because the packet was too large
	Lost           uint64 // segments that did not fit into the buffer
	LostBytes      uint64 // bytes of payload in them
	Unreadable     uint64 // bytes of payload that the kernel could not read
}

// Stats are the counts of all targets.
type Stats struct {
	Hook    Hook   // what New chose
	Buffer  Buffer // what New chose
	Targets map[uint32]Counters
	// Detached is the sum over the targets that are attached no longer.
	Detached Counters
	// Corrupt counts records that this process could not read.
	Corrupt uint64
}

// add adds the counts of o.
func (c *Counters) add(o Counters) {
	c.Packets += o.Packets
	c.Bytes += o.Bytes
	c.Other += o.Other
	c.Fragments += o.Fragments
	c.Malformed += o.Malformed
	c.DeepHeaders += o.DeepHeaders
	c.Matched += o.Matched
	c.MatchedBytes += o.MatchedBytes
	c.Records += o.Records
	c.ElidedBytes += o.ElidedBytes
	c.TruncatedBytes += o.TruncatedBytes
	c.Lost += o.Lost
	c.LostBytes += o.LostBytes
	c.Unreadable += o.Unreadable
}
