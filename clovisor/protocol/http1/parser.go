// Package http1 finds requests and responses of HTTP/1.0 and 1.1 (RFC 9112)
// in the streams of a connection, and hands a connection that is upgraded to
// HTTP/2 on to package http2.
package http1

import (
	"bytes"
	"time"

	"github.com/opnfv/clover/clovisor/protocol"
)

// Protocol is HTTP/1, for ports named http.
func Protocol() protocol.Protocol {
	return protocol.Protocol{Name: "http", Sniff: Sniff, New: New}
}

// state is where a direction is in a message.
type state uint8

const (
	atStart       state = iota // before a start line
	inHead                     // in header fields
	inBody                     // in a body of known length
	atChunk                    // before a chunk's size
	inChunk                    // in a chunk's data
	afterChunk                 // before the CRLF after it
	inTrailer                  // in trailer fields
	untilClose                 // in a body that the end of the connection ends
	tunnelled                  // past CONNECT or Upgrade
	resynchronise              // after a gap, looking for a start line
	opaque                     // nothing more can be told of this direction
)

// maxLine is how much of a line is kept, and how long a line may be.
const maxLine = 32 << 10

// half is one direction.
type half struct {
	state  state
	ended  bool
	remain int64              // of the body or chunk
	x      *protocol.Exchange // whose message is being read, nil: none
	head   head

	partial []byte  // of a line that has not ended
	over    bool    // the line is longer than maxLine
	taken   bool    // partial was returned as a whole line
	first   place   // where the line began
	places  []place // after a gap: where its chunks began
}

// place is where and when a message began.
type place struct {
	offset, acked int64
	time          time.Time
}

// Parser follows one connection; see [protocol.Parser].
type Parser struct {
	ctx    *protocol.Context
	halves [2]half
	queue  protocol.Queue
	tunnel *protocol.Exchange // CONNECT or Upgrade that the connection went into
	orphan *protocol.Exchange // a request that is still read though its response is given up
	gapped bool               // there was a gap
	end    int64              // offset after what is being taken
	next   protocol.Parser    // of the protocol it was upgraded to
}

// New makes a parser; mid says that the connection's start was not seen.
func New(ctx *protocol.Context, mid bool) protocol.Parser {
	p := &Parser{ctx: ctx}
	if mid {
		p.halves[0].state, p.halves[1].state = resynchronise, resynchronise
		p.queue.Joined()
	}
	return p
}

// Data takes the next chunk; see [protocol.Parser].
func (p *Parser) Data(c *protocol.Chunk) int64 {
	h := &p.halves[c.From]
	data := c.Data
	for len(data) > 0 {
		if p.next != nil {
			rest := *c
			rest.Offset += int64(len(c.Data) - len(data))
			rest.Data = data
			return p.next.Data(&rest)
		}
		data = p.step(h, c, data)
	}
	if c.Missing > 0 {
		if p.next != nil {
			rest := *c
			rest.Data = nil
			return p.next.Data(&rest)
		}
		p.missing(h, c)
	}
	switch h.state {
	case inBody, inChunk:
		return h.remain
	case tunnelled:
		if !p.tunnel.Response.Complete {
			return 0 // a request again if the response refuses
		}
		return protocol.Forever
	case untilClose, opaque:
		return protocol.Forever
	}
	return 0
}

// step takes what it can of data and returns the rest.
func (p *Parser) step(h *half, c *protocol.Chunk, data []byte) []byte {
	switch h.state {
	case inBody, inChunk:
		n := min(h.remain, int64(len(data)))
		p.end = c.Offset + int64(len(c.Data)-len(data)) + n
		p.body(h, c, n)
		return data[n:]
	case untilClose, tunnelled:
		p.body(h, c, int64(len(data)))
		return nil
	case opaque:
		p.ctx.Undecoded += int64(len(data))
		return nil
	}
	line, rest, ok := p.line(h, c, data)
	if !ok {
		return nil
	}
	p.end = c.Offset + int64(len(c.Data)-len(rest))
	switch h.state {
	case atStart:
		p.start(h, c, line)
	case resynchronise:
		p.search(h, c, line)
	case inHead, inTrailer:
		p.message(h, c.From).HeaderBytes += int64(len(line))
		p.message(h, c.From).Touch(c.Time)
		p.field(h, c, line)
	case atChunk:
		p.message(h, c.From).Touch(c.Time)
		p.chunkSize(h, c, line)
	case afterChunk:
		p.message(h, c.From).Touch(c.Time)
		if len(line) != 2 || line[0] != '\r' {
			p.ambiguous(h, c, "chunk not followed by CRLF")
		} else {
			h.state = atChunk
		}
	}
	return rest
}

// message is the side of its exchange that a direction reads.
func (p *Parser) message(h *half, from protocol.Side) *protocol.Message {
	if from == protocol.Client {
		return &h.x.Request
	}
	return &h.x.Response
}

// line returns a line with its end, and what follows it. The start of a line
// that does not end in data is kept.
func (p *Parser) line(h *half, c *protocol.Chunk, data []byte) (line, rest []byte, ok bool) {
	if h.taken {
		p.forget(h)
	}
	at := place{c.Offset + int64(len(c.Data)-len(data)), c.Acked, c.Time}
	if len(h.partial) == 0 && !h.over {
		h.first = at
		h.places = h.places[:0]
	}
	if h.state == resynchronise {
		h.from(at)
	}
	i := bytes.IndexByte(data, '\n')
	if i >= 0 && len(h.partial) == 0 && !h.over {
		h.over = i >= maxLine
		h.taken = true
		return data[:i+1], data[i+1:], true
	}
	n := i + 1
	if i < 0 {
		n = len(data)
	}
	p.keep(h, data[:n])
	if i < 0 {
		return nil, nil, false
	}
	h.taken = true
	return h.partial, data[n:], true
}

// keep adds to the line that is being put together.
func (p *Parser) keep(h *half, data []byte) {
	if len(h.partial)+len(data) > maxLine {
		if h.state == resynchronise { // only the end matters
			n := copy(h.partial, h.partial[max(0, len(h.partial)-1024):])
			h.partial = h.partial[:n]
			p.ctx.Undecoded += int64(len(data))
			data = data[max(0, len(data)-1024):]
			p.ctx.Undecoded -= int64(len(data))
		} else {
			h.over = true
			if h.state != inHead && h.state != inTrailer {
				data = data[:maxLine-len(h.partial)]
			} else { // its bytes are counted still
				whole := len(h.partial) + len(data)
				p.message(h, p.side(h)).HeaderBytes += int64(whole - maxLine)
				data = data[:maxLine-len(h.partial)]
			}
		}
	}
	before := cap(h.partial)
	h.partial = append(h.partial, data...)
	p.ctx.Use(cap(h.partial) - before)
}

// forget drops the line that was put together.
func (p *Parser) forget(h *half) {
	h.taken, h.over = false, false
	if cap(h.partial) > 1024 {
		p.ctx.Use(-cap(h.partial))
		h.partial = nil
	}
	h.partial = h.partial[:0]
}

func (p *Parser) side(h *half) protocol.Side {
	if h == &p.halves[protocol.Client] {
		return protocol.Client
	}
	return protocol.Server
}

// blank reports whether a line is an end of line and nothing else.
func blank(line []byte) bool {
	return len(line) == 1 || len(line) == 2 && line[0] == '\r'
}
