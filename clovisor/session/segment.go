package session

import (
	"time"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
)

// segment takes a TCP segment.
func (e *Engine) segment(s *packet.Segment) {
	k, fromLow := keyOf(s)
	c := e.conns[k]
	if c != nil && c.replaced(s, c.side(fromLow)) {
		e.remove(c, protocol.Finished)
		c = nil
	}
	if c == nil || c.list == &e.closed {
		if c == nil && (s.Length > 0 || s.Flags&packet.SYN != 0) && s.Flags&packet.RST == 0 {
			c = e.open(k, fromLow, s)
		} else {
			l := e.ledger.line(s.Interface, undetected)
			if c != nil {
				l = c.line
			}
			l.count(s)
			return
		}
	}
	c.last = e.clock.now
	c.list.touch(c)
	c.count(s)
	c.segment(s, c.side(fromLow))
	if !c.gone {
		c.settleAccounts()
		if e.memory > e.options.MaxMemoryBytes || len(e.conns) > e.options.MaxConnections {
			e.makeRoom(c)
		}
	}
}

// reused reports whether a SYN begins another connection on the same ports.
func (c *conn) reused(s *packet.Segment, from protocol.Side) bool {
	st := &c.streams[from]
	return c.list == &c.engine.closed || from == protocol.Server || c.mid ||
		st.known && behind(s.Seq+1, st.next) != -st.offset
}

// segment takes a segment of a connection that is followed.
func (c *conn) segment(s *packet.Segment, from protocol.Side) {
	st, peer := &c.streams[from], &c.streams[from.Other()]
	seq := s.Seq
	if s.Flags&packet.RST != 0 {
		c.resetBy(s, from)
		return
	}
	if s.Flags&packet.SYN != 0 {
		seq++
		if !st.known {
			st.known, st.next, st.scale = true, seq, s.WindowScale
			st.sampleEnd, st.sampleAt = seq, s.Time
		} else if behind(seq, st.next) != -st.offset { // it is not the first again
			c.line.refuse(synRefused)
			return
		}
	}
	if c.refused(s, from, seq) {
		return
	}
	c.unreset(s, from, seq)
	if !st.known && (s.Length > 0 || s.Flags&packet.FIN != 0) {
		st.known, st.next = true, seq
	}
	if c.engine.options.Hint != nil && st.known {
		c.leftOut(from, seq, s)
	}
	if s.Flags&packet.ACK != 0 {
		st.lastAck, st.heard = s.Ack, true
		if s.Flags&packet.SYN == 0 {
			peer.allow(s.Ack, c.window(s, from))
		}
		c.acknowledged(peer, s)
		if c.engine.options.Hint != nil {
			c.leftOut(from.Other(), s.Ack, s)
		}
	}
	if zero := s.Window == 0 && s.Flags&packet.SYN == 0; zero != st.closed {
		st.closed = zero
		if zero {
			c.tcp.ZeroWindows++
		}
	}
	if s.Flags&packet.FIN != 0 && !st.fin {
		st.fin, st.finAt = true, seq+uint32(s.Length)
	}
	if s.Length > 0 {
		c.payload(st, s, from, seq)
	}
	c.finish(from)
	if !c.gone && c.list != &c.engine.closed {
		c.checkReset()
	}
}

// finish ends a direction whose last byte was there, and the connection when
// both have ended.
func (c *conn) finish(from protocol.Side) {
	if c.gone || c.list == &c.engine.closed {
		return
	}
	for _, side := range [2]protocol.Side{from, from.Other()} {
		st := &c.streams[side]
		if !st.fin || c.ended[side] {
			continue
		}
		switch left := behind(st.finAt, st.next); {
		case left < -1: // bytes after it were sent; one more may be the FIN's own
			st.fin = false
			c.line.refuse(finRefused)
		case left <= 0:
			c.end(side, protocol.Finished)
		}
	}
	if c.ended[0] && c.ended[1] {
		c.engine.close(c)
	}
}

// payload puts the payload of a segment where it belongs.
func (c *conn) payload(st *stream, s *packet.Segment, from protocol.Side, seq uint32) {
	h := held{from: from, seq: seq, acked: s.Ack, length: int64(s.Length), data: s.Payload, elided: s.Elided, time: s.Time}
	ahead := behind(seq, st.next)
	if ahead < 0 {
		c.tcp.Retransmissions++
		c.line.Retransmissions++
		st.sampleAt = time.Time{}
		if -ahead >= h.length {
			return
		}
		h.cut(-ahead)
		ahead = 0
	}
	if ahead > 0 {
		c.outOfOrder(st, h, from)
		return
	}
	if st.sampleAt.IsZero() {
		st.sampleEnd, st.sampleAt = h.seq+uint32(h.length), s.Time
	}
	if c.blocked(from) {
		c.hold(st, h)
		c.tooMuch()
		return
	}
	c.deliver(h)
	if c.holeList {
		c.drain()
	}
}

// leftOut goes past packets that the capture left out as a hint says: s shows
// that all before seq was sent.
func (c *conn) leftOut(from protocol.Side, seq uint32, s *packet.Segment) {
	st := &c.streams[from]
	n := min(behind(seq, st.next), st.skip)
	if len(st.held) > 0 {
		n = min(n, behind(st.held[0].seq, st.next))
	}
	if n > 0 {
		c.deliver(held{from: from, seq: st.next, acked: st.lastAck, length: n, elided: true, time: s.Time})
		c.drain()
	}
}

// blocked reports whether a side's bytes must wait because the other side's
// are held for a hole, though this side had them: the request that they answer
// may be among those.
func (c *conn) blocked(from protocol.Side) bool {
	peer := &c.streams[from.Other()]
	return peer.hole() && peer.received()
}

func (c *conn) hold(st *stream, h held) {
	if len(st.held) == 0 {
		st.holeSince = c.engine.clock.since(h.time)
	}
	st.hold(h)
	c.engine.holes.add(c)
}

// outOfOrder holds a segment until what is before it comes.
func (c *conn) outOfOrder(st *stream, h held, from protocol.Side) {
	c.tcp.OutOfOrder++
	c.line.OutOfOrder++
	c.hold(st, h)
	c.tooMuch()
	c.checkHole(from)
}

// tooMuch gives up holes while more is held than may be.
func (c *conn) tooMuch() {
	for side := range c.streams {
		st := &c.streams[side]
		for len(st.held) > maxHeld || st.heldBytes > int64(c.engine.options.MaxHeldBytes) {
			switch {
			case st.wanted():
				st.drop()
			case st.hole():
				c.lose(protocol.Side(side))
			case c.streams[1-side].hole(): // which it waits for
				c.lose(protocol.Side(1 - side))
			default:
				return
			}
		}
	}
}

// drain delivers what is held and has its turn, in the order of time: requests
// and responses are as they were on the wire.
func (c *conn) drain() {
	for {
		first := (*stream)(nil)
		for side := range c.streams {
			st := &c.streams[side]
			if len(st.held) == 0 || st.hole() || c.blocked(protocol.Side(side)) {
				continue
			}
			if first == nil || st.held[0].time.Before(first.held[0].time) {
				first = st
			}
		}
		if first == nil {
			break
		}
		c.deliverHeld(first)
	}
	if len(c.streams[0].held) == 0 && len(c.streams[1].held) == 0 && c.reset.at.IsZero() {
		c.engine.holes.remove(c)
	}
}

func (c *conn) deliverHeld(st *stream) {
	h := st.take()
	st.holeSince, st.asked = c.engine.clock.since(h.time), time.Time{}
	if old := -behind(h.seq, st.next); old >= h.length {
		return
	} else if old > 0 {
		h.cut(old)
	}
	c.deliver(h)
}

// lose gives up the bytes before what is held.
func (c *conn) lose(from protocol.Side) {
	st := &c.streams[from]
	if st.hole() {
		h := &st.held[0]
		c.deliver(held{from: from, seq: st.next, acked: h.acked, length: behind(h.seq, st.next), time: h.time})
	}
	c.drain()
}

// checkHole gives up bytes that did not come in time, but not those that the
// receiver lacks, too.
func (c *conn) checkHole(from protocol.Side) {
	st, o := &c.streams[from], &c.engine.options
	for st.hole() {
		age := c.engine.clock.now.Sub(st.holeSince)
		if age < o.ReorderTimeout || !st.received() && (st.wanted() || age < o.LossTimeout) {
			return
		}
		c.lose(from)
	}
}

// fillHoles is checkHole for both directions.
func (e *Engine) fillHoles(c *conn) {
	if c.checkReset() {
		return
	}
	for side := range c.streams {
		c.checkHole(protocol.Side(side))
	}
	c.finish(protocol.Client)
	c.settleAccounts()
}

// giveUpHoles delivers all that is held.
func (c *conn) giveUpHoles() {
	for c.streams[0].hole() || c.streams[1].hole() {
		for side := range c.streams {
			if c.streams[side].hole() {
				c.lose(protocol.Side(side))
				break
			}
		}
	}
	c.drain()
}

// acknowledged notes what the sender of s has received of the other side.
func (c *conn) acknowledged(peer *stream, s *packet.Segment) {
	if !peer.known {
		peer.known, peer.next = true, s.Ack
	}
	if behind(s.Ack, peer.next) <= 0 {
		peer.asked = c.engine.clock.now
	}
	if !peer.acked || behind(s.Ack, peer.ack) > 0 {
		peer.ack, peer.acked = s.Ack, true
	}
	if peer.sampleAt.IsZero() || behind(s.Ack, peer.sampleEnd) < 0 {
		return
	}
	sample := max(s.Time.Sub(peer.sampleAt), 0)
	if peer.rtt == 0 {
		peer.rtt = sample
	} else {
		peer.rtt += (sample - peer.rtt) / 8
	}
	peer.sampleAt = time.Time{}
}
