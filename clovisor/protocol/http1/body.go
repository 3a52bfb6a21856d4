package http1

import (
	"bytes"
	"time"

	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/protocol/http2"
)

// headEnd decides what follows a head, or ends a message after its trailer.
func (p *Parser) headEnd(h *half, c *protocol.Chunk) {
	if h.state == inTrailer {
		if h.head.fault != "" {
			p.ambiguous(h, c, h.head.fault)
			return
		}
		p.complete(h, c)
		return
	}
	p.ctx.Weigh(h.x)
	d := &h.head
	if d.coding && d.fault == "" {
		switch {
		case d.length >= 0:
			d.fault = "Content-Length and Transfer-Encoding"
		case d.version == "HTTP/1.0":
			d.fault = "Transfer-Encoding in HTTP/1.0"
		case !d.chunked && c.From == protocol.Client:
			d.fault = "Transfer-Encoding does not end in chunked"
		}
	}
	if d.fault != "" {
		p.ambiguous(h, c, d.fault)
		return
	}
	if c.From == protocol.Client {
		p.requestBody(h, c)
	} else {
		p.responseBody(h, c)
	}
}

func (p *Parser) requestBody(h *half, c *protocol.Chunk) {
	d := &h.head
	switch {
	case d.chunked:
		h.state = atChunk
	case d.length > 0:
		h.state, h.remain = inBody, d.length
	case h.x.Method == connect && p.tunnel == nil:
		p.tunnel = h.x // unless the response says otherwise
		p.complete(h, c)
		h.state = tunnelled
	default:
		p.complete(h, c)
	}
}

func (p *Parser) responseBody(h *half, c *protocol.Chunk) {
	d, x := &h.head, h.x
	if x == p.tunnel && x.Status >= 300 { // no tunnel: the client goes on with HTTP
		p.tunnel = nil
		p.halves[protocol.Client].state = atStart
	}
	switch {
	case x.Status == 101:
		p.upgraded(h, d.h2c)
	case x.Status < 200: // interim: the response is still to come
		h.state = atStart
		x.Response.First = time.Time{}
	case x.Method == connect && x.Status < 300:
		p.upgraded(h, false)
	case x.Method == headOnly || x.Status == 204 || x.Status == 304:
		p.complete(h, c)
	case d.chunked:
		h.state = atChunk
	case d.coding || d.length < 0:
		h.state = untilClose
	case d.length == 0:
		p.complete(h, c)
	default:
		h.state, h.remain = inBody, d.length
	}
}

// upgraded goes on with what follows a 101 or the answer to CONNECT.
func (p *Parser) upgraded(h *half, h2c bool) {
	client := &p.halves[protocol.Client]
	x := h.x
	h.x = nil
	if h2c && client.x == nil {
		p.abandon(protocol.Undecodable) // what came before the switch
		p.next = http2.NewUpgraded(p.ctx, x)
		return
	}
	h.state, client.state = tunnelled, tunnelled
	client.x, p.tunnel = nil, x
	x.Response.Complete = true
}

// body counts n bytes of a body.
func (p *Parser) body(h *half, c *protocol.Chunk, n int64) {
	if h.state == tunnelled {
		m := &p.tunnel.Request
		if c.From == protocol.Server {
			m = &p.tunnel.Response
		}
		m.BodyBytes += n
		m.Touch(c.Time)
		return
	}
	m := p.message(h, c.From)
	m.BodyBytes += n
	m.Touch(c.Time)
	if h.state == untilClose {
		return
	}
	if h.remain -= n; h.remain > 0 {
		return
	}
	if h.state == inChunk {
		h.state = afterChunk
	} else {
		p.complete(h, c)
	}
}

// chunkSize reads the line before a chunk.
func (p *Parser) chunkSize(h *half, c *protocol.Chunk, line []byte) {
	text, fault := trimEnd(line)
	size, n := protocol.Hex(text)
	rest := bytes.TrimLeft(text[n:], " \t")
	switch {
	case fault != "":
		p.ambiguous(h, c, fault)
	case n == 0 || h.over || len(rest) > 0 && rest[0] != ';':
		p.ambiguous(h, c, "chunk size is no number")
	case size == 0:
		h.state = inTrailer
	default:
		h.state, h.remain = inChunk, size
	}
}

// missing goes past bytes that are not here.
func (p *Parser) missing(h *half, c *protocol.Chunk) {
	n := c.Missing
	switch h.state {
	case opaque:
		p.ctx.Undecoded += n
		return
	case untilClose, tunnelled:
		if c.Lost {
			p.truncated(h, c)
		}
		p.body(h, c, n)
		return
	case inBody, inChunk:
		if c.Lost {
			p.truncated(h, c)
		}
		take := min(n, h.remain)
		p.end = c.Offset + take
		p.body(h, c, take)
		if n -= take; n == 0 {
			return
		}
	}
	p.gap(h, c)
}

// truncated notes that the message lost bytes.
func (p *Parser) truncated(h *half, c *protocol.Chunk) {
	x := h.x
	if h.state == tunnelled {
		x = p.tunnel
	}
	if c.From == protocol.Client {
		x.Request.Truncated = true
	} else {
		x.Response.Truncated = true
	}
}

// The methods that change what a response is. They are not taken from
// net/http, which is large.
const (
	connect  = "CONNECT"
	headOnly = "HEAD"
)
