package session

import (
	"net/netip"
	"time"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/protocol/dns"
	"github.com/opnfv/clover/clovisor/protocol/http1"
	"github.com/opnfv/clover/clovisor/protocol/http2"
	"github.com/opnfv/clover/clovisor/protocol/redis"
)

// Options of an engine. The zero value works; without Session the ledger is
// all that comes out.
type Options struct {
	// Session is called with every session when it is over. It may keep a
	// copy of *Session, not the pointer.
	Session func(*Session)

	// Hint is called when bytes of a direction are not needed. nil: never.
	Hint func(Hint)
	// MinHintBytes is the least that a hint is given for. 0: 4096.
	MinHintBytes int64

	// Port names the protocol of a server's port: "http", "http2", "grpc",
	// "redis", "dns", "tls", or the name of one of Protocols; a suffix after
	// a dash is ignored, as in Istio's port names. "tcp" and "udp": not to be
	// parsed. "": not known, then the first bytes tell. nil: nothing is known.
	Port func(iface uint32, server netip.AddrPort) string

	// Protocols are followed beside the built-in ones, before which they are
	// asked when the first bytes decide.
	Protocols []protocol.Protocol
	// Protocol finds a protocol that a port names and that is none of those:
	// a plug-in that was loaded meanwhile. nil: there are none.
	Protocol func(name string) (protocol.Protocol, bool)

	MaxConnections int   // followed at a time, 0: 65536; then the longest idle is evicted
	MaxMemoryBytes int64 // of streams and messages in all, 0: 48 MiB; the same happens
	MaxHeldBytes   int   // of a direction out of order, 0: 256 KiB; then the bytes before are lost

	IdleTimeout    time.Duration // of a connection, 0: 5 minutes
	UDPTimeout     time.Duration // of a UDP exchange, 0: 10 seconds
	LossTimeout    time.Duration // after which bytes that did not come are lost, 0: 3 seconds
	ReorderTimeout time.Duration // the same where their receiver acknowledged them, 0: 50 ms
}

func (o *Options) defaults() {
	set(&o.MinHintBytes, 4096)
	set(&o.MaxConnections, 65536)
	set(&o.MaxMemoryBytes, 48<<20)
	set(&o.MaxHeldBytes, 256<<10)
	set(&o.IdleTimeout, 5*time.Minute)
	set(&o.UDPTimeout, 10*time.Second)
	set(&o.LossTimeout, 3*time.Second)
	set(&o.ReorderTimeout, 50*time.Millisecond)
}

func set[T int | int64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Hint says that of a direction of a connection nothing before Until is
// needed, only how many bytes there are. Packets in it may come without
// payload ([packet.Segment.Elided]) or not at all. Hints that come late, or
// are not followed, do no harm.
type Hint struct {
	Interface uint32
	Flow      packet.Flow
	Until     uint32 // TCP sequence number, at most 1 GiB ahead
	Forever   bool   // nothing of this direction is needed until the connection ends
}

// Engine makes sessions of segments. Time is that of the segments, so a
// capture file gives what the live interface gave; a few whose times are far
// from the others' do not move it. It is not safe for
// concurrent use; callbacks run within the call that caused them and must not
// call the engine.
type Engine struct {
	options   Options
	protocols []protocol.Protocol
	shared    protocol.Shared
	conns     map[key]*conn
	tcp       list // by the time of the last segment
	udp       list
	closed    list // only remembered, for segments that come late
	holes     list2
	clock     clock
	swept     time.Time
	memory    int64
	ledger    ledger
	chunk     protocol.Chunk
	out       Session
}

// New makes an engine.
func New(o Options) *Engine {
	o.defaults()
	e := &Engine{options: o, conns: map[key]*conn{}}
	e.protocols = append(append([]protocol.Protocol{}, o.Protocols...), builtin()...)
	return e
}

func builtin() []protocol.Protocol {
	return append(dns.Protocols(), http1.Protocol(), http2.Protocol(), redis.Protocol())
}

// Segment takes the next segment. Its payload is not kept. The order should
// be that in which the kernel saw them; what is out of order within the
// timeouts of Options is put right.
func (e *Engine) Segment(s *packet.Segment) {
	e.clock.segment(s.Time)
	if e.clock.now.Sub(e.swept) >= 10*time.Millisecond {
		e.sweep()
	}
	switch s.Transport {
	case packet.TCP:
		e.segment(s)
	case packet.UDP:
		e.datagram(s)
	default:
		e.ledger.line(s.Interface, "other").count(s)
	}
}

// Tick tells the engine what time it is where no segments do: what has waited
// too long is ended.
func (e *Engine) Tick(now time.Time) {
	e.clock.tick(now)
	e.sweep()
}

// Flush ends everything, at the end of a capture. The engine can be used on.
func (e *Engine) Flush() {
	for _, l := range []*list{&e.tcp, &e.udp, &e.closed} {
		for l.first != nil {
			e.remove(l.first, protocol.Stopped)
		}
	}
}

// Connections is the number of connections that are followed.
func (e *Engine) Connections() int { return e.tcp.size + e.udp.size }

// MemoryBytes is about what streams and messages take now.
func (e *Engine) MemoryBytes() int64 { return e.memory }

// sweep ends what has waited too long.
func (e *Engine) sweep() {
	e.swept = e.clock.now
	for c := e.holes.first; c != nil; {
		next := c.holeNext
		e.fillHoles(c)
		c = next
	}
	e.expire(&e.tcp, e.options.IdleTimeout, protocol.TimedOut)
	e.expire(&e.udp, e.options.UDPTimeout, protocol.TimedOut)
	e.expire(&e.closed, linger, protocol.Finished)
}

func (e *Engine) expire(l *list, after time.Duration, how protocol.End) {
	for l.first != nil && e.clock.now.Sub(l.first.last) >= after {
		e.remove(l.first, how)
	}
}

// makeRoom evicts the longest idle while there is more than there may be.
func (e *Engine) makeRoom(keep *conn) {
	for len(e.conns) > e.options.MaxConnections || e.memory > e.options.MaxMemoryBytes {
		victim := e.idle(keep)
		if victim == nil {
			if keep.parser == nil || e.memory <= e.options.MaxMemoryBytes {
				return
			}
			victim = keep
		}
		e.remove(victim, protocol.Evicted)
		if victim == keep {
			return
		}
	}
}

// idle is the connection that has been idle longest, those first that are
// only remembered, and not the one to keep.
func (e *Engine) idle(keep *conn) *conn {
	if c := e.closed.first; c != nil && c != keep {
		return c
	}
	var longest *conn
	for _, l := range []*list{&e.udp, &e.tcp} {
		c := l.first
		if c == keep && c != nil {
			c = c.next
		}
		if c != nil && (longest == nil || c.last.Before(longest.last)) {
			longest = c
		}
	}
	return longest
}

// remove ends a connection and forgets it.
func (e *Engine) remove(c *conn, how protocol.End) {
	if c.list != &e.closed {
		c.giveUpHoles()
		c.end(protocol.Client, how)
		c.end(protocol.Server, how)
		if how == protocol.Evicted {
			c.line.Evictions++
		}
	}
	e.holes.remove(c)
	c.list.remove(c)
	delete(e.conns, c.key)
	e.memory -= c.accounted
	c.gone = true
}
