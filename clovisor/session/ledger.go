package session

import (
	"cmp"
	"maps"
	"slices"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
)

// Counts are the numbers of one line of the ledger.
type Counts struct {
	Packets, Bytes int64 // seen; bytes of payload as on the wire
	Connections    int64 // begun, and UDP exchanges
	Evictions      int64 // connections given up for want of room

	ElidedBytes     int64 // of Bytes or not seen: left out as not needed
	LostBytes       int64 // that the capture never saw, or cut off
	UndecodedBytes  int64 // that no parser could make anything of
	Retransmissions int64
	OutOfOrder      int64

	Sessions int64             // begun
	Open     int64             // of them not over yet
	Outcomes map[Outcome]int64 // of those that are over
	Dropped  map[string]int64  // packets that the capture dropped, by reason
	Refused  map[string]int64  // of Packets: those that their receiver drops, by reason
}

// Completeness is the share of the sessions that are over that is whole, in
// per cent; 100 where there was none.
func (c *Counts) Completeness() float64 {
	var whole, all int64
	for o, n := range c.Outcomes {
		all += n
		if o.Whole() {
			whole += n
		}
	}
	if all == 0 {
		return 100
	}
	return 100 * float64(whole) / float64(all)
}

// AddsUp reports whether every session that began is accounted for. It always
// does.
func (c *Counts) AddsUp() bool {
	sum := c.Open
	for _, n := range c.Outcomes {
		sum += n
	}
	return sum == c.Sessions && c.Open >= 0
}

// Line is what the ledger says of an interface and protocol. The protocol is
// that of the connection: "http", "http2" (with gRPC), "redis", "dns", "tls",
// "unknown", and "undetected" where too little was seen to know.
type Line struct {
	Interface uint32
	Protocol  string
	Counts
}

// line is a Line that is being counted.
type line struct{ Line }

func (l *line) count(s *packet.Segment) {
	l.Packets++
	l.Bytes += int64(s.Length)
}

func (l *line) outcome(o Outcome) {
	if l.Outcomes == nil {
		l.Outcomes = map[Outcome]int64{}
	}
	l.Outcomes[o]++
}

func (l *line) refuse(reason string) {
	if l.Refused == nil {
		l.Refused = map[string]int64{}
	}
	l.Refused[reason]++
}

type lineKey struct {
	iface    uint32
	protocol string
}

type ledger struct {
	lines map[lineKey]*line
}

func (l *ledger) line(iface uint32, protocol string) *line {
	k := lineKey{iface, protocol}
	if v := l.lines[k]; v != nil {
		return v
	}
	if l.lines == nil {
		l.lines = map[lineKey]*line{}
	}
	v := &line{Line{Interface: iface, Protocol: protocol}}
	l.lines[k] = v
	return v
}

// Ledger accounts for everything so far, in the order of interfaces and
// protocols.
func (e *Engine) Ledger() []Line {
	lines := make([]Line, 0, len(e.ledger.lines))
	for _, l := range e.ledger.lines {
		v := l.Line
		v.Outcomes, v.Dropped, v.Refused = maps.Clone(v.Outcomes), maps.Clone(v.Dropped), maps.Clone(v.Refused)
		lines = append(lines, v)
	}
	slices.SortFunc(lines, func(a, b Line) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.Protocol, b.Protocol))
	})
	return lines
}

// Dropped notes packets that the capture saw and could not hand on. The
// engine cannot know their protocol: they count as undetected.
func (e *Engine) Dropped(iface uint32, reason string, packets int64) {
	l := e.ledger.line(iface, undetected)
	if l.Dropped == nil {
		l.Dropped = map[string]int64{}
	}
	l.Dropped[reason] += packets
}

// Forget ends what is followed on an interface and removes its lines from the
// ledger, when the interface is gone. It returns them as they are at the end.
func (e *Engine) Forget(iface uint32) []Line {
	for _, l := range []*list{&e.tcp, &e.udp, &e.closed} {
		for c := l.first; c != nil; {
			next := c.next
			if c.key.iface == iface {
				e.remove(c, protocol.Stopped)
			}
			c = next
		}
	}
	var lines []Line
	for k, l := range e.ledger.lines {
		if k.iface == iface {
			lines = append(lines, l.Line)
			delete(e.ledger.lines, k)
		}
	}
	slices.SortFunc(lines, func(a, b Line) int { return cmp.Compare(a.Protocol, b.Protocol) })
	return lines
}

// count notes a segment of the connection.
func (c *conn) count(s *packet.Segment) {
	c.line.count(s)
	if c.parser == nil {
		c.packets++
		c.bytes += int64(s.Length)
	}
}

// move gives what was counted until the protocol was known to its line.
func (c *conn) move(to *line) {
	for _, m := range []struct {
		line *line
		sign int64
	}{{c.line, -1}, {to, 1}} {
		m.line.Connections += m.sign
		m.line.Packets += m.sign * c.packets
		m.line.Bytes += m.sign * c.bytes
		m.line.Retransmissions += m.sign * int64(c.tcp.Retransmissions)
		m.line.OutOfOrder += m.sign * int64(c.tcp.OutOfOrder)
	}
	c.line = to
}
