package plugin

import (
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/clovisor/plugin/guest"
	"github.com/opnfv/clover/clovisor/protocol"
)

// NoResponse is a tag that a parser gives to a request that gets no response.
// It does not become an attribute.
const NoResponse = guest.NoResponse

// connections gives each connection a key.
var connections atomic.Uint64

// Protocol returns the protocol that a plug-in makes, for the engine of
// sessions; ok is false if there is no plug-in for the name. The protocol
// stays valid when the plug-in is stopped or replaced: whatever is in its
// place is asked.
func (h *Host) Protocol(name string) (p protocol.Protocol, ok bool) {
	s := h.known(name)
	if s == nil {
		return protocol.Protocol{}, false
	}
	return protocol.Protocol{Name: name, New: func(c *protocol.Context, mid bool) protocol.Parser {
		p := &connection{host: h, slot: s, ctx: c, key: name + "/" + strconv.FormatUint(connections.Add(1), 10)}
		if mid {
			p.queue.Joined()
		}
		return p
	}}, true
}

// connection is one connection that a plug-in parses.
type connection struct {
	host  *Host
	slot  *slot
	ctx   *protocol.Context
	key   string
	sides [2]direction
	queue protocol.Queue
	gap   bool // something was lost
	over  bool // the plug-in was told of the end
}

// direction is the message that one side is sending.
type direction struct {
	pending []byte // what the plug-in has not used
	message protocol.Message
	acked   int64 // when it began
	ended   bool
}

// Data takes the next chunk; see [protocol.Parser].
func (p *connection) Data(c *protocol.Chunk) int64 {
	d := &p.sides[c.From]
	p.ctx.Use(-cap(d.pending))
	if len(c.Data) > 0 {
		p.bytes(d, c)
	}
	if c.Missing > 0 {
		p.missing(d, c)
	}
	p.ctx.Use(cap(d.pending))
	return 0
}

// bytes gives the plug-in what it has not used and what is new.
func (p *connection) bytes(d *direction, c *protocol.Chunk) {
	data := c.Data
	if len(d.pending) > 0 {
		d.pending = append(d.pending, data...)
		data = d.pending
	}
	end := c.Offset + int64(len(c.Data))
	for len(data) > 0 {
		if !d.message.Seen() {
			d.message.Offset, d.acked = end-int64(len(data)), c.Acked
		}
		d.message.Touch(c.Time)
		r, err := p.host.parse(p.slot, p.key, c.From == protocol.Client, data)
		if err != nil {
			p.fail(d, c, len(data))
			return
		}
		d.message.BodyBytes += int64(r.used)
		data = data[r.used:]
		if r.complete {
			p.complete(d, c, r.tags)
		}
		if r.used == 0 {
			break
		}
	}
	if len(data) >= MaxMessageBytes {
		p.ctx.Undecoded += int64(len(data))
		p.lose(d, c)
		return
	}
	d.keep(data)
}

// keep copies what the plug-in wants to see again. It may be the end of what
// is kept already.
func (d *direction) keep(data []byte) {
	if len(data) == 0 {
		d.pending = nil
		return
	}
	d.pending = append(d.pending[:0], data...)
}

// complete takes a message that has ended.
func (p *connection) complete(d *direction, c *protocol.Chunk, tags map[string]string) {
	m, acked := d.message, d.acked
	m.Complete = true
	d.message = protocol.Message{}
	if c.From == protocol.Client {
		p.request(m, acked, tags)
		return
	}
	x := p.queue.Pop(m.Offset, c.Acked, func(x *protocol.Exchange) { p.ctx.Done(x, protocol.Gap) })
	outcome := protocol.Paired
	if x == nil {
		x = p.exchange()
		outcome = protocol.Unrequested
		if p.gap {
			outcome = protocol.Gap
		}
	} else {
		p.queue.Answered(m.Offset + m.BodyBytes)
	}
	x.Response = m
	addTags(x, tags)
	if outcome == protocol.Paired && (x.Request.Truncated || x.Response.Truncated) {
		outcome = protocol.Truncated
	}
	p.ctx.Done(x, outcome)
}

func (p *connection) request(m protocol.Message, acked int64, tags map[string]string) {
	x := p.exchange()
	x.Request = m
	addTags(x, tags)
	if _, alone := tags[NoResponse]; alone {
		p.ctx.Done(x, protocol.Paired)
		return
	}
	if p.queue.Full() { // nobody answers: forget all, and what order they had
		p.abandon(protocol.EvictedOutcome)
		p.queue.RequestsLost(true)
	}
	p.ctx.Weigh(x)
	p.queue.Push(x, m.Offset, acked)
}

func (p *connection) exchange() *protocol.Exchange {
	x := p.ctx.New()
	x.Protocol = p.slot.protocol
	return x
}

// addTags adds tags as attributes, in the order of their names.
func addTags(x *protocol.Exchange, tags map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if k != NoResponse {
			x.Attributes = append(x.Attributes, protocol.Attribute{Key: k, Value: tags[k]})
		}
	}
}

func (p *connection) abandon(o protocol.Outcome) {
	p.queue.Drain(func(x *protocol.Exchange) { p.ctx.Done(x, o) })
}

// missing gives up the message that is being read: where it ends cannot be
// told any more.
func (p *connection) missing(d *direction, c *protocol.Chunk) {
	p.ctx.Undecoded += int64(len(d.pending))
	p.lose(d, c)
}

// lose gives up the message that is being read, and what order there was.
func (p *connection) lose(d *direction, c *protocol.Chunk) {
	between := !d.message.Seen()
	d.pending, d.message, p.gap = nil, protocol.Message{}, true
	if c.From == protocol.Client {
		p.queue.RequestsLost(between)
	} else {
		p.queue.ResponsesLost()
	}
}

// fail counts what a plug-in that is stopped leaves behind. Another may be
// loaded in its place, so the connection is followed further.
func (p *connection) fail(d *direction, c *protocol.Chunk, n int) {
	p.ctx.Undecoded += int64(n)
	p.abandon(protocol.Undecodable)
	p.lose(d, c)
}

// End ends a side; see [protocol.Parser].
func (p *connection) End(from protocol.Side, how protocol.End, _ time.Time) {
	p.sides[from].ended = true
	if how != protocol.Finished {
		p.sides[from.Other()].ended = true
	}
	if p.sides[protocol.Server].ended {
		p.abandon(how.Unanswered())
	}
	if p.sides[protocol.Client].ended && p.sides[protocol.Server].ended && !p.over {
		p.over = true
		for i := range p.sides {
			p.ctx.Use(-cap(p.sides[i].pending))
			p.ctx.Undecoded += int64(len(p.sides[i].pending))
			p.sides[i].pending = nil
		}
		p.host.end(p.slot, p.key)
	}
}
