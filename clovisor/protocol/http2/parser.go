// Package http2 finds requests and responses of HTTP/2 (RFC 9113), and the
// calls of gRPC, in the streams of a connection in the clear: with prior
// knowledge, or upgraded from HTTP/1.1.
package http2

import (
	"strings"
	"time"

	"github.com/opnfv/clover/clovisor/protocol"
)

// Protocol is HTTP/2, for ports named http2 or grpc.
func Protocol() protocol.Protocol {
	return protocol.Protocol{Name: "http2", Sniff: Sniff, New: New}
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// state is where a direction is in a frame.
type state uint8

const (
	inPreface     state = iota
	inHeader            // of a frame
	inPayload           // of a frame that is read as a whole
	inPadding           // before the length of the padding of DATA
	inData              // in the content of DATA
	inSkip              // in what does not matter
	resynchronise       // after a gap, looking for a frame
	opaque              // nothing more can be told
)

// half is one direction.
type half struct {
	state  state
	gapped bool
	ended  bool
	acked  int64

	buffer []byte // start of what is read as a whole
	frame  frame
	at     int64 // offset of the frame
	remain int64 // of the content or of what is skipped
	pad    int64 // after the content

	block       []byte // header block that CONTINUATION goes on with
	blockFrame  frame  // of its first frame; length 0: none
	blockBytes  int64
	blockFirst  time.Time
	blockAt     int64
	tooLong     bool
	inBlock     bool
	decoder     decoder
	tableInUse  int
	bufferInUse int
}

// Parser follows one connection; see [protocol.Parser].
type Parser struct {
	ctx    *protocol.Context
	halves [2]half
	mid    bool

	streams     map[uint32]*stream
	first, last *stream // oldest first
	newest      uint32  // of the client's
	gone        [64]uint32
	goneNext    int
}

// New makes a parser; mid says that the connection's start was not seen.
func New(ctx *protocol.Context, mid bool) protocol.Parser {
	p := &Parser{ctx: ctx, mid: mid, streams: map[uint32]*stream{}}
	p.halves[protocol.Server].state = inHeader
	for i := range p.halves {
		p.halves[i].decoder = newDecoder(mid)
		if mid {
			p.halves[i].state = resynchronise
		}
	}
	return p
}

// NewUpgraded makes the parser of a connection that HTTP/1.1 upgraded; the
// response to x comes on stream 1.
func NewUpgraded(ctx *protocol.Context, x *protocol.Exchange) protocol.Parser {
	p := New(ctx, false).(*Parser)
	x.Protocol, x.Stream, x.Status = name, 1, 0
	x.Response.First = time.Time{}
	s := p.open(1, x)
	s.closed[protocol.Client] = true
	p.newest = 1
	return p
}

// Data takes the next chunk; see [protocol.Parser].
func (p *Parser) Data(c *protocol.Chunk) int64 {
	h := &p.halves[c.From]
	data := c.Data
	if h.state == resynchronise {
		data = p.search(h, data)
	}
	for len(data) > 0 {
		data = p.step(h, c, data)
	}
	if c.Missing > 0 {
		p.missing(h, c)
	}
	h.acked = c.Acked
	return p.skip(h, c.From)
}

// search looks for a frame where a chunk begins, and returns what there is from
// its start.
func (p *Parser) search(h *half, data []byte) []byte {
	if len(h.buffer) > 0 || len(data) < headerBytes {
		data = append(h.buffer, data...)
		h.buffer = nil
	}
	switch {
	case len(data) < headerBytes:
		h.buffer = data
		return nil
	case plausible(data, p.newest+1000):
		h.state = inHeader
		return data
	}
	p.ctx.Undecoded += int64(len(data))
	return nil
}

// skip is what of the bytes that follow is not needed.
func (p *Parser) skip(h *half, from protocol.Side) int64 {
	switch h.state {
	case opaque:
		return protocol.Forever
	case inSkip:
		return h.remain
	case inData:
		if s := p.streams[h.frame.stream]; s != nil && s.grpc {
			return min(h.remain, s.calls[from].remain)
		}
		return h.remain + h.pad
	}
	return 0
}

// step takes what it can of data and returns the rest.
func (p *Parser) step(h *half, c *protocol.Chunk, data []byte) []byte {
	switch h.state {
	case inPreface:
		b, rest, ok := p.whole(h, data, len(preface))
		if ok && string(b) != preface {
			p.undecodable(c)
			return nil
		} else if ok {
			h.state = inHeader
		}
		return rest
	case inHeader:
		if len(h.buffer) == 0 {
			h.at = c.Offset + int64(len(c.Data)-len(data))
		}
		b, rest, ok := p.whole(h, data, headerBytes)
		if ok {
			p.begin(h, c, parseFrame(b))
		}
		return rest
	case inPadding:
		h.pad = int64(data[0])
		h.remain--
		p.content(h, c)
		return data[1:]
	case inPayload:
		b, rest, ok := p.whole(h, data, int(h.frame.length))
		if ok {
			h.state = inHeader
			p.payload(h, c, b)
		}
		return rest
	case inData:
		n := min(h.remain, int64(len(data)))
		p.data(h, c, data[:n])
		return data[n:]
	case inSkip:
		n := min(h.remain, int64(len(data)))
		p.past(h, n)
		return data[n:]
	}
	p.ctx.Undecoded += int64(len(data))
	return nil
}

// whole returns n bytes together, from data or put together from chunks.
func (p *Parser) whole(h *half, data []byte, n int) (b, rest []byte, ok bool) {
	if len(h.buffer) == 0 && len(data) >= n {
		return data[:n], data[n:], true
	}
	take := min(n-len(h.buffer), len(data))
	h.buffer = append(h.buffer, data[:take]...)
	if use := cap(h.buffer); use != h.bufferInUse {
		p.ctx.Use(use - h.bufferInUse)
		h.bufferInUse = use
	}
	if len(h.buffer) < n {
		return nil, nil, false
	}
	b = h.buffer
	h.buffer = h.buffer[:0]
	if cap(h.buffer) > 256 {
		h.buffer = nil
		p.ctx.Use(-h.bufferInUse)
		h.bufferInUse = 0
	}
	return b, data[take:], true
}

// past goes past bytes that do not matter.
func (p *Parser) past(h *half, n int64) {
	if h.remain -= n; h.remain == 0 {
		h.state = inHeader
	}
}

// missing goes past bytes that are not here.
func (p *Parser) missing(h *half, c *protocol.Chunk) {
	n := c.Missing
	for n > 0 && (h.state == inData || h.state == inSkip) {
		take := min(n, h.remain)
		if h.state == inSkip {
			p.past(h, take)
		} else {
			p.dataMissing(h, c, take)
		}
		n -= take
	}
	if n == 0 {
		return
	}
	if h.state == opaque {
		p.ctx.Undecoded += n
		return
	}
	p.gap(h, c.From)
}

// gap gives up the frame that is being read and the dynamic table; it may
// hold the end of any stream that is open.
func (p *Parser) gap(h *half, from protocol.Side) {
	h.state, h.gapped = resynchronise, true
	h.buffer = h.buffer[:0]
	p.dropBlock(h)
	p.ctx.Use(-h.tableInUse)
	h.tableInUse = 0
	h.decoder.forget()
	for s := p.first; s != nil; s = s.next {
		if s.closed[from] {
			continue
		}
		s.gapped = true
		if from == protocol.Client {
			s.x.Request.Truncated = true
		} else if s.x.Response.Seen() {
			s.x.Response.Truncated = true
		}
	}
}

// undecodable gives the connection up that does not speak HTTP/2.
func (p *Parser) undecodable(c *protocol.Chunk) {
	p.drain(protocol.Undecodable)
	x := p.ctx.New()
	x.Protocol = name
	x.Request.Touch(c.Time)
	p.ctx.Done(x, protocol.Undecodable)
	p.halves[0].state, p.halves[1].state = opaque, opaque
}

// End ends a side; see [protocol.Parser].
func (p *Parser) End(from protocol.Side, how protocol.End, _ time.Time) {
	p.halves[from].ended = true
	if how == protocol.Finished && !p.halves[from.Other()].ended {
		return
	}
	p.drain(how.Unanswered())
}

// drain emits all streams.
func (p *Parser) drain(o protocol.Outcome) {
	for p.first != nil {
		p.finish(p.first, o)
	}
}

// Sniff judges the first bytes of a connection; see [protocol.Protocol].
func Sniff(from protocol.Side, data []byte, mid bool) protocol.Verdict {
	if n := min(len(data), len(preface)); from == protocol.Client && string(data[:n]) == preface[:n] {
		if n == len(preface) {
			return protocol.Yes
		}
		return protocol.Maybe
	}
	if mid && plausible(data, 1<<31-1) {
		return protocol.Yes
	}
	return protocol.No
}

// grpcPath splits /package.Service/Method.
func grpcPath(path string) (service, method string) {
	path = strings.TrimPrefix(path, "/")
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}
