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
	given   view
	message protocol.Message
	acked   int64 // when it began
	ended   bool

	last protocol.Chunk // the last that came, without its bytes
	end  int64          // offset of the end of its bytes
}

// A plug-in is given the beginning of what there is, and more of it when it
// used nothing: where one chunk has many messages, each call costs no more than
// its message. Where a message comes in many chunks, all of it is given again
// with each, until that has cost maxGiven bytes for each of its bytes and
// freeBytes; from then on when an eighth has come to it, when the other side
// answers, or at the end. So a message of n bytes costs the plug-in at most
// (maxGiven+9)*n + freeBytes, and one in segments of usual size never waits.
const (
	firstView = 4 << 10
	maxGiven  = 32
	freeBytes = 64 << 10
)

// view is how much of a message the plug-in was given.
type view struct {
	tried int // bytes of which it used none
	total int // bytes in all, since it used some
}

// next is how many of n bytes to give now; 0: none. all says that there is no
// reason to wait.
func (v view) next(n int, all bool) int {
	switch {
	case n <= v.tried:
		return 0
	case !all && v.total > maxGiven*n+freeBytes && n < v.tried+v.tried/8:
		return 0
	}
	return min(n, max(firstView, 4*v.tried))
}

// took notes what became of a call.
func (v *view) took(given, used int) {
	if used > 0 {
		*v = view{}
		return
	}
	v.tried = given
	v.total += given
}

// Data takes the next chunk; see [protocol.Parser].
func (p *connection) Data(c *protocol.Chunk) int64 {
	before := p.kept()
	d := &p.sides[c.From]
	if len(c.Data) > 0 {
		p.flush(&p.sides[c.From.Other()])
		d.last, d.end = *c, c.Offset+int64(len(c.Data))
		d.last.Data = nil
		data := c.Data
		if len(d.pending) > 0 {
			d.pending = append(d.pending, data...)
			data = d.pending
		}
		p.parse(d, data, false)
	}
	if c.Missing > 0 {
		p.flush(d)
		d.last.From = c.From
		p.missing(d)
	}
	p.ctx.Use(p.kept() - before)
	return 0
}

// kept is what is kept of both sides.
func (p *connection) kept() int { return cap(p.sides[0].pending) + cap(p.sides[1].pending) }

// flush gives the plug-in what was not given yet.
func (p *connection) flush(d *direction) {
	if len(d.pending) > d.given.tried {
		p.parse(d, d.pending, true)
	}
}

// parse gives the plug-in what it has not used and what is new.
func (p *connection) parse(d *direction, data []byte, all bool) {
	for len(data) > 0 {
		if !d.message.Seen() {
			d.message.Offset, d.acked = d.end-int64(len(data)), d.last.Acked
		}
		d.message.Touch(d.last.Time)
		n := d.given.next(len(data), all)
		if n == 0 {
			break
		}
		r, err := p.host.parse(p.slot, p.key, d.last.From == protocol.Client, data[:n:n])
		if err != nil {
			p.fail(d, len(data))
			return
		}
		d.given.took(n, r.used)
		d.message.BodyBytes += int64(r.used)
		data = data[r.used:]
		if r.complete {
			p.complete(d, r.tags)
		}
	}
	if len(data) >= MaxMessageBytes {
		p.ctx.Undecoded += int64(len(data))
		p.lose(d)
		return
	}
	d.keep(data)
}

// keep copies what the plug-in wants to see again. It may be the end of what
// is kept already.
func (d *direction) keep(data []byte) {
	switch {
	case len(data) == 0:
		d.pending = nil
	case len(data) != len(d.pending): // else it is all of it
		d.pending = append(d.pending[:0], data...)
	}
}

// complete takes a message that has ended.
func (p *connection) complete(d *direction, tags map[string]string) {
	m, acked := d.message, d.acked
	m.Complete = true
	d.message = protocol.Message{}
	if d.last.From == protocol.Client {
		p.request(m, acked, tags)
		return
	}
	x := p.queue.Pop(m.Offset, d.last.Acked, func(x *protocol.Exchange) { p.ctx.Done(x, protocol.Gap) })
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
func (p *connection) missing(d *direction) {
	p.ctx.Undecoded += int64(len(d.pending))
	p.lose(d)
}

// lose gives up the message that is being read, and what order there was.
func (p *connection) lose(d *direction) {
	between := !d.message.Seen()
	d.pending, d.given, d.message, p.gap = nil, view{}, protocol.Message{}, true
	if d.last.From == protocol.Client {
		p.queue.RequestsLost(between)
	} else {
		p.queue.ResponsesLost()
	}
}

// fail counts what a plug-in that is stopped leaves behind. Another may be
// loaded in its place, so the connection is followed further.
func (p *connection) fail(d *direction, n int) {
	p.ctx.Undecoded += int64(n)
	p.abandon(protocol.Undecodable)
	p.lose(d)
}

// End ends a side; see [protocol.Parser].
func (p *connection) End(from protocol.Side, how protocol.End, _ time.Time) {
	before := p.kept()
	for i := range p.sides {
		p.flush(&p.sides[i])
	}
	p.ctx.Use(p.kept() - before)
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
