package session

import (
	"time"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
)

// Why a segment was not taken for one of its connection. A receiver drops
// such segments (RFC 9293, 3.10.7.4; RFC 5961), and whoever sends them knows
// that: if they counted here, a client could end or derail what is seen of its
// connection, and go on with it.
const (
	resetRefused   = "reset_out_of_place"
	finRefused     = "fin_out_of_place"
	segmentRefused = "segment_out_of_window"
	synRefused     = "syn_in_connection"
)

const (
	maxShift  = 14      // of a window (RFC 7323, 2.3)
	maxWindow = 1 << 30 // so no window is larger
)

// A tap knows of a receiver what it has acknowledged and how much more it has
// allowed: its window, scaled as both SYNs say, or by the most there is where
// they were not seen. What lies beyond the furthest edge that was allowed does
// not belong to the connection.

// allow notes what the receiver of a stream allows by a segment.
func (s *stream) allow(ack, window uint32) {
	if edge := ack + window; !s.limited || behind(edge, s.edge) > 0 {
		s.edge, s.limited = edge, true
	}
}

// within reports whether the receiver of a stream would look at what is there.
func (s *stream) within(seq uint32) bool {
	if !s.limited {
		return behind(seq, s.next) <= maxWindow
	}
	return behind(seq, s.edge) <= 0
}

// window is what a segment allows the other side to send.
func (c *conn) window(s *packet.Segment, from protocol.Side) uint32 {
	shift := uint8(maxShift)
	if own, other := c.streams[from].scale, c.streams[from.Other()].scale; own > 0 && other > 0 {
		shift = min(own-1, maxShift)
	}
	return uint32(s.Window) << shift
}

// wanted reports whether the receiver has shown that it lacks the bytes of the
// hole, so that they will come.
func (s *stream) wanted() bool {
	return s.hole() && !s.received() && s.asked.After(s.holeSince)
}

// refused reports whether a segment is none of the connection's, and counts
// it.
func (c *conn) refused(s *packet.Segment, from protocol.Side, seq uint32) bool {
	st := &c.streams[from]
	if st.known && !st.within(seq) {
		c.line.refuse(segmentRefused)
		return true
	}
	return false
}

// reset is a RST that may be one or not.
type reset struct {
	at   time.Time // of the engine; zero: there is none
	from protocol.Side
	seq  uint32
}

// reset takes a RST. Its receiver heeds it at the very byte that it expects
// next, answers one elsewhere in its window, and drops all others (RFC 5961,
// 3.2). What it expects is known here unless bytes were lost; so a reset within
// the window counts when the receiver is silent after it.
func (c *conn) resetBy(s *packet.Segment, from protocol.Side) {
	switch st := &c.streams[from]; {
	case c.expects(s, from):
		c.resetNow(from)
	case st.known && (behind(s.Seq, st.next) > 0 && st.within(s.Seq) || c.inFlight(s, st)):
		c.reset = reset{at: c.engine.clock.now, from: from, seq: s.Seq}
		c.engine.holes.add(c)
	default:
		c.line.refuse(resetRefused)
	}
}

// expects reports whether a RST is where its receiver expects the next byte.
func (c *conn) expects(s *packet.Segment, from protocol.Side) bool {
	st, peer := &c.streams[from], &c.streams[from.Other()]
	if !st.known { // it answers a SYN, or nothing is known
		return !peer.known || s.Flags&packet.ACK != 0 && behind(s.Ack, peer.next) <= 0 && behind(s.Ack, peer.next) > -maxWindow
	}
	at := behind(s.Seq, st.next)
	switch {
	case at == 0:
		return true
	case st.fin && s.Seq == st.finAt+1:
		return true
	case st.acked && s.Seq == st.ack: // of what was seen go by, a receiver behind the tap has had all
		return at > 0 || s.Direction != packet.Ingress
	}
	return c.engine.options.Hint != nil && at > 0 && at <= st.skip
}

// inFlight reports whether a RST is among bytes that its receiver may not
// have had, as it is not behind the tap.
func (c *conn) inFlight(s *packet.Segment, st *stream) bool {
	return s.Direction != packet.Ingress && st.acked && behind(s.Seq, st.ack) >= 0 && behind(s.Seq, st.next) < 0
}

func (c *conn) resetNow(from protocol.Side) {
	c.reset = reset{}
	c.tcp.Resets++
	c.end(from, protocol.Reset)
	c.engine.close(c)
}

// unreset gives up a RST after which the connection goes on.
func (c *conn) unreset(s *packet.Segment, from protocol.Side, seq uint32) {
	if c.reset.at.IsZero() || from == c.reset.from && behind(seq+uint32(s.Length), c.reset.seq) <= 0 {
		return
	}
	c.reset = reset{}
	c.line.refuse(resetRefused)
}

// checkReset takes a RST that waits, when the bytes before it are there or
// its receiver has been silent since. It reports whether it did.
func (c *conn) checkReset() bool {
	r := c.reset
	if r.at.IsZero() || c.streams[r.from].next != r.seq && c.engine.clock.now.Sub(r.at) < c.engine.options.LossTimeout {
		return false
	}
	c.resetNow(r.from)
	return true
}

// attempt is a SYN in a connection that is followed.
type attempt struct {
	made bool
	from protocol.Side
	next uint32 // sequence number after it
}

// replaced reports whether a segment shows that a connection is over and
// another one has begun on its ports: a SYN alone does not where the other
// side was heard, as it would be answered in a way that changes nothing (RFC
// 5961, 4.2). Its SYN in return does, or, where that was lost, what it
// acknowledges.
func (c *conn) replaced(s *packet.Segment, from protocol.Side) bool {
	if s.Flags&(packet.SYN|packet.ACK) == packet.SYN {
		if !c.reused(s, from) {
			return false
		}
		if c.list == &c.engine.closed || !c.streams[from.Other()].heard {
			return true
		}
		c.attempt = attempt{made: true, from: from, next: s.Seq + 1}
		return false
	}
	a := c.attempt
	if !a.made || from == a.from || s.Flags&packet.ACK == 0 {
		return false
	}
	ahead := behind(s.Ack, a.next)
	if s.Flags&packet.SYN != 0 {
		return ahead == 0
	}
	old := &c.streams[a.from]
	return ahead >= 0 && ahead < 1<<20 && (behind(s.Ack, old.top()) > 0 || old.acked && behind(s.Ack, old.ack) < 0)
}

// top is behind the last byte that was seen.
func (s *stream) top() uint32 {
	top := s.next
	if n := len(s.held); n > 0 {
		if end := s.held[n-1].seq + uint32(s.held[n-1].length); behind(end, top) > 0 {
			top = end
		}
	}
	if s.fin && behind(s.finAt+1, top) > 0 {
		top = s.finAt + 1
	}
	return top
}
