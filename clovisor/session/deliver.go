package session

import (
	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
)

// deliver hands the next bytes of a direction on.
func (c *conn) deliver(h held) {
	st := &c.streams[h.from]
	if c.parser == nil {
		c.sniff(h)
		return
	}
	peer := &c.streams[h.from.Other()]
	k := &c.engine.chunk
	*k = protocol.Chunk{From: h.from, Time: h.time, Offset: st.offset, Data: h.data}
	if peer.known {
		k.Acked = max(peer.offset+behind(h.acked, peer.next), 0)
	}
	if c.ctx.Datagrams {
		c.whole(k, st, h)
		return
	}
	if len(h.data) > 0 {
		st.next += uint32(len(h.data))
		st.offset += int64(len(h.data))
		st.skip = c.parser.Data(k)
	}
	if missing := h.length - int64(len(h.data)); missing > 0 {
		c.missing(k, st, missing, h.elided)
	}
	if c.engine.options.Hint != nil && c.key.transport == uint32(packet.TCP) {
		c.hint(st, h.from)
	}
}

// whole hands on a datagram, which is one chunk, also where its end is not
// here. What parsers say that they do not need is of no use: they all begin
// with what they do.
func (c *conn) whole(k *protocol.Chunk, st *stream, h held) {
	k.Missing = max(h.length-int64(len(h.data)), 0)
	k.Lost = k.Missing > 0
	c.lost(k.Missing)
	st.next += uint32(h.length)
	st.offset += h.length
	c.parser.Data(k)
}

// lost counts bytes that were wanted and are not here.
func (c *conn) lost(n int64) {
	c.tcp.LostBytes += n
	c.line.LostBytes += n
}

// missing tells the parser of bytes that are not here. What was left out
// though the parser needs it is lost too.
func (c *conn) missing(k *protocol.Chunk, st *stream, n int64, elided bool) {
	k.Data = nil
	tell := func(n int64, lost bool) {
		k.Offset, k.Missing, k.Lost = st.offset, n, lost
		st.next += uint32(n)
		st.offset += n
		if lost {
			c.lost(n)
		} else {
			c.line.ElidedBytes += n
		}
		st.skip = c.parser.Data(k)
	}
	if elided && st.skip > 0 {
		unneeded := min(n, st.skip)
		tell(unneeded, false)
		n -= unneeded
	}
	if n > 0 {
		tell(n, true)
	}
}

// hint says what is not needed, when that is news.
func (c *conn) hint(st *stream, from protocol.Side) {
	o := &c.engine.options
	if st.skip < o.MinHintBytes {
		return
	}
	until := st.offset + min(st.skip, 1<<30)
	forever := st.skip >= protocol.Forever/2
	if until-max(st.hinted, st.offset) < o.MinHintBytes || forever && st.hinted >= protocol.Forever {
		return
	}
	st.hinted = until
	if forever {
		st.hinted = protocol.Forever
	}
	o.Hint(Hint{
		Interface: c.key.iface, Flow: c.flow(from),
		Until: st.next + uint32(until-st.offset), Forever: forever,
	})
}

// sniff keeps what came before the protocol is known, and looks whether it is
// now.
func (c *conn) sniff(h held) {
	st := &c.streams[h.from]
	h.seq = st.next
	st.next += uint32(h.length)
	st.offset += h.length
	st.heldBytes += int64(len(h.data)) + heldOverhead
	c.early = append(c.early, h)
	if c.detect(false); c.parser == nil {
		last := &c.early[len(c.early)-1]
		last.data = append([]byte(nil), last.data...)
	}
}

// datagram takes a UDP datagram.
func (e *Engine) datagram(s *packet.Segment) {
	k, fromLow := keyOf(s)
	c := e.conns[k]
	if c == nil {
		c = e.open(k, fromLow, s)
	}
	c.last = e.clock.now
	c.list.touch(c)
	c.count(s)
	c.deliver(held{from: c.side(fromLow), length: int64(s.Length), data: s.Payload, elided: s.Elided, time: s.Time})
	c.settleAccounts()
	if e.memory > e.options.MaxMemoryBytes || len(e.conns) > e.options.MaxConnections {
		e.makeRoom(c)
	}
}
