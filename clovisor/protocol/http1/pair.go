package http1

import (
	"bytes"
	"time"

	"github.com/opnfv/clover/clovisor/protocol"
)

// complete ends the message that a direction reads.
func (p *Parser) complete(h *half, c *protocol.Chunk) {
	x := h.x
	p.message(h, c.From).Complete = true
	p.message(h, c.From).Touch(c.Time)
	h.x, h.state = nil, atStart
	if c.From == protocol.Server && x.Request.Seen() {
		p.queue.Answered(p.end)
	}
	p.settle(x)
}

// settle emits an exchange once both its sides are done with.
func (p *Parser) settle(x *protocol.Exchange) {
	client, server := &p.halves[protocol.Client], &p.halves[protocol.Server]
	if server.state != tunnelled && server.x != x && x.Response.Seen() {
		p.noTunnel(x) // its response is no entry to one
	}
	switch {
	case client.x == x || server.x == x || x == p.tunnel: // still being read
	case x == p.orphan:
		p.orphan = nil
		p.ctx.Done(x, outcome(x))
	case x.Response.Complete || x.Response.Truncated || x.Outcome != "" && x.Response.Seen():
		p.ctx.Done(x, outcome(x))
	case server.state == opaque && !server.ended: // its response cannot be found any more
		p.abandon(protocol.Undecodable)
	}
}

// noTunnel notes that the connection does not go into the tunnel that x asked
// for, or that it is over.
func (p *Parser) noTunnel(x *protocol.Exchange) {
	if x != p.tunnel {
		return
	}
	p.tunnel = nil
	for i := range p.halves {
		if p.halves[i].state == tunnelled {
			p.halves[i].state = opaque
		}
	}
}

// abandon gives up all requests that wait for a response.
func (p *Parser) abandon(o protocol.Outcome) {
	p.queue.Drain(func(x *protocol.Exchange) { p.giveUp(x, o) })
}

// giveUp emits a request without its response, now or when it is read.
func (p *Parser) giveUp(x *protocol.Exchange, o protocol.Outcome) {
	if x.Outcome == "" {
		x.Outcome = o
	}
	if x == p.halves[protocol.Client].x {
		p.orphan = x
		return
	}
	p.noTunnel(x)
	p.ctx.Done(x, x.Outcome)
}

// lost gives up a request whose response is lost.
func (p *Parser) lost(x *protocol.Exchange) { p.giveUp(x, protocol.Gap) }

func outcome(x *protocol.Exchange) protocol.Outcome {
	switch {
	case x.Outcome != "":
		return x.Outcome
	case x.Request.Truncated || x.Response.Truncated:
		return protocol.Truncated
	}
	return protocol.Paired
}

// gap gives up the message that is being read; its framing is lost.
func (p *Parser) gap(h *half, c *protocol.Chunk) {
	p.forget(h)
	x := h.x
	if x != nil {
		p.truncated(h, c)
		if c.From == protocol.Server && x.Status < 200 && x.Outcome == "" {
			x.Outcome = protocol.Gap // only an interim response was seen
		}
		h.x = nil
	}
	p.gapped = true
	h.state = resynchronise
	if c.From == protocol.Client {
		p.queue.RequestsLost(x == nil)
	} else {
		p.queue.ResponsesLost()
	}
	if x != nil {
		p.settle(x)
	}
}

// search looks for a start line at the end of a line, whatever is before it.
func (p *Parser) search(h *half, c *protocol.Chunk, line []byte) {
	at := -1
	if !h.over && len(line) > 2 {
		at = findStart(c.From, line)
	}
	if at < 0 {
		p.ctx.Undecoded += int64(len(line))
		return
	}
	p.ctx.Undecoded += int64(at)
	h.first = h.placeOf(p.end - int64(len(line)-at))
	if !p.begin(h, c, line[at:]) {
		p.ctx.Undecoded += int64(len(line) - at)
	}
}

// maxPlaces bounds how many chunks of a line are remembered.
const maxPlaces = 64

// from notes where a chunk of a line begins, in which a message may start.
func (h *half) from(at place) {
	if len(h.places) == maxPlaces {
		h.places = append(h.places[:0], h.places[1:]...)
	}
	h.places = append(h.places, at)
}

// placeOf is the place of a byte of the line.
func (h *half) placeOf(offset int64) place {
	at := h.first
	for _, p := range h.places {
		if p.offset <= offset {
			at = p
		}
	}
	at.offset = offset
	return at
}

// methods are those that a request is known by after a gap.
var methods = []string{
	"GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE",
	"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "PURGE",
}

// findStart returns where a start line begins that ends the line, or -1.
func findStart(from protocol.Side, line []byte) int {
	if from == protocol.Server {
		return bytes.LastIndex(line, []byte("HTTP/1."))
	}
	text, _ := trimEnd(line)
	last := len(text) - len(" HTTP/1.1")
	if last <= 0 || text[last] != ' ' {
		return -1
	}
	space := bytes.LastIndexByte(text[:last], ' ')
	if space <= 0 {
		return -1
	}
	for _, m := range methods {
		if bytes.HasSuffix(text[:space], []byte(m)) {
			return space - len(m)
		}
	}
	return -1
}

// ambiguous flags a message whose end cannot be told. What follows on this
// side may be its body or another message: nobody can say, so it is not read.
func (p *Parser) ambiguous(h *half, c *protocol.Chunk, why string) {
	x := h.x
	h.x, h.state = nil, opaque
	x.Outcome = protocol.Ambiguous
	x.Attributes = append(x.Attributes, protocol.Attribute{Key: "http.ambiguity", Value: why})
	p.settle(x)
	if c.From == protocol.Server {
		p.abandon(protocol.Undecodable)
	}
}

// undecodable gives a direction up that does not speak HTTP/1.
func (p *Parser) undecodable(h *half, c *protocol.Chunk, line []byte) {
	p.ctx.Undecoded += int64(len(line))
	h.state = opaque
	if c.From == protocol.Server {
		if x := h.x; x != nil { // after an interim response
			h.x = nil
			p.giveUp(x, protocol.Undecodable)
		}
		p.abandon(protocol.Undecodable)
		return
	}
	x := p.ctx.New()
	x.Protocol = "HTTP/1.1"
	x.Request.Offset = h.first.offset
	x.Request.Touch(h.first.time)
	x.Outcome = protocol.Undecodable
	p.queue.Push(x, h.first.offset, h.first.acked)
}

// End ends a side; see [protocol.Parser].
func (p *Parser) End(from protocol.Side, how protocol.End, at time.Time) {
	if p.next != nil {
		p.next.End(from, how, at)
		return
	}
	client, server := &p.halves[protocol.Client], &p.halves[protocol.Server]
	p.halves[from].ended = true
	if from == protocol.Client || how != protocol.Finished {
		x := client.x
		client.x, client.state = nil, opaque
		if x != nil {
			p.settle(x)
		}
		if how == protocol.Finished && !server.ended {
			return // half closed: the response may come
		}
	}
	if x := server.x; x != nil {
		server.x = nil
		x.Response.Complete = server.state == untilClose && how == protocol.Finished
		if x.Response.Complete {
			p.settle(x)
		} else {
			p.giveUp(x, how.Unanswered())
		}
	}
	if x := p.tunnel; x != nil && x.Response.Complete {
		p.noTunnel(x)
		p.settle(x)
	}
	server.state = opaque
	if p.gapped && p.queue.Unsure() {
		p.abandon(protocol.Gap)
	}
	p.abandon(how.Unanswered())
}

// Sniff judges the first bytes of a connection; see [protocol.Protocol].
func Sniff(from protocol.Side, data []byte, mid bool) protocol.Verdict {
	if from == protocol.Server {
		n := min(len(data), len("HTTP/1."))
		switch {
		case string(data[:n]) != "HTTP/1."[:n]:
			return protocol.No
		case n < len("HTTP/1."):
			return protocol.Maybe
		}
		return protocol.Yes
	}
	space := bytes.IndexByte(data, ' ')
	if space < 0 {
		if len(data) <= 24 && isToken(data) {
			return protocol.Maybe
		}
		return protocol.No
	}
	for _, m := range methods {
		if string(data[:space]) == m {
			return protocol.Yes
		}
	}
	return protocol.No
}
