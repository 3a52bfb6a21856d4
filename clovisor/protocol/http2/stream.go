package http2

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"github.com/opnfv/clover/clovisor/protocol"
)

// The protocols of sessions.
const (
	name = "HTTP/2"
	grpc = "gRPC"
)

// maxStreams is how many streams of a connection are followed.
const maxStreams = 1000

// streamBytes is about what a stream takes beside its exchange.
const streamBytes = 192

// stream is one request and its response.
type stream struct {
	id     uint32
	x      *protocol.Exchange
	closed [2]bool // END_STREAM of a side was seen
	seen   [2]bool // header block of a side
	gapped bool    // what would end it may be lost
	grpc   bool
	calls  [2]call

	prev, next *stream
}

// call is where a side of a gRPC call is in its messages.
type call struct {
	prefix [5]byte // compressed flag and length
	n      int     // bytes of it that were seen
	remain int64   // of the message
	lost   bool    // where messages begin is not known any more
}

func (s *stream) message(from protocol.Side) *protocol.Message {
	if from == protocol.Client {
		return &s.x.Request
	}
	return &s.x.Response
}

// open begins a stream.
func (p *Parser) open(id uint32, x *protocol.Exchange) *stream {
	for p.first != nil && p.first.gapped && id > p.first.id+512 {
		p.finish(p.first, protocol.Gap) // what would end it is lost
	}
	if len(p.streams) >= maxStreams {
		p.finish(p.first, protocol.EvictedOutcome)
	}
	s := &stream{id: id, x: x, prev: p.last}
	x.Stream = id
	p.ctx.Use(streamBytes)
	p.streams[id] = s
	if p.last != nil {
		p.last.next = s
	} else {
		p.first = s
	}
	p.last = s
	return s
}

// finish emits a stream. What is whole stays so, whatever the outcome given.
func (p *Parser) finish(s *stream, o protocol.Outcome) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		p.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		p.last = s.prev
	}
	delete(p.streams, s.id)
	p.ctx.Use(-streamBytes)
	p.gone[p.goneNext] = s.id
	p.goneNext = (p.goneNext + 1) % len(p.gone)
	x := s.x
	x.Request.Complete, x.Response.Complete = s.closed[protocol.Client], s.closed[protocol.Server]
	switch {
	case x.Outcome != "":
		o = x.Outcome
	case x.Response.Complete && (x.Request.Truncated || x.Response.Truncated):
		o = protocol.Truncated
	case x.Response.Complete:
		o = protocol.Paired
	case s.gapped && o != protocol.NoResponseReset:
		o = protocol.Gap
		if x.Response.Seen() {
			o = protocol.Truncated
		}
	}
	p.ctx.Done(x, o)
}

// settle emits a stream when both sides are over.
func (p *Parser) settle(s *stream) {
	request := s.closed[protocol.Client] || s.x.Outcome != "" || s.gapped && s.x.Request.Truncated
	if request && s.closed[protocol.Server] {
		p.finish(s, protocol.Paired)
	}
}

// reset ends a stream by RST_STREAM.
func (p *Parser) reset(s *stream, code uint32) {
	if !s.closed[protocol.Server] {
		s.x.Attributes = append(s.x.Attributes, protocol.Attribute{Key: "http2.error_code", Value: strconv.FormatUint(uint64(code), 10)})
	}
	p.finish(s, protocol.NoResponseReset)
}

// goAway ends the streams that the server has not begun with.
func (p *Parser) goAway(last uint32) {
	for s := p.first; s != nil; {
		next := s.next
		if s.id > last && s.id%2 == 1 {
			p.finish(s, protocol.NoResponseClosed)
		}
		s = next
	}
}

// headers takes a whole header block.
func (p *Parser) headers(h *half, c *protocol.Chunk, block []byte) {
	f, id := h.blockFrame, h.blockFrame.stream
	from := c.From
	if f.kind == framePushPromise {
		if len(block) < 4 || c.From == protocol.Client {
			h.decoder.forget()
			return
		}
		id = binary.BigEndian.Uint32(block) & 0x7FFFFFFF
		block, from = block[4:], protocol.Client // the request that the response will be to
	}
	s := p.streams[id]
	if s == nil {
		s = p.unseen(id, from, f.kind == framePushPromise)
	}
	unknown := 0
	err := h.decoder.decode(block, func(name, value []byte, known bool) {
		if !known {
			unknown++
		}
		if s != nil {
			p.field(s, from, name, value)
		}
	})
	if err != nil {
		h.decoder.forget()
		p.ctx.Undecoded += int64(len(block))
		unknown++
	}
	if use := h.decoder.size; use != h.tableInUse {
		p.ctx.Use(use - h.tableInUse)
		h.tableInUse = use
	}
	if s == nil {
		return
	}
	m := s.message(from)
	if !m.Seen() {
		m.Offset = h.blockAt
	}
	m.Touch(h.blockFirst)
	m.Touch(c.Time)
	m.HeaderBytes += h.blockBytes
	m.Truncated = m.Truncated || unknown > 0
	p.ctx.Weigh(s.x)
	interim := from == protocol.Server && s.x.Status >= 100 && s.x.Status < 200
	if !interim {
		s.seen[from] = true
	}
	if f.kind == framePushPromise || f.flags&flagEndStream != 0 {
		p.close(s, from)
	}
}

// unseen begins a stream that a header block belongs to, nil where that is
// one that is over.
func (p *Parser) unseen(id uint32, from protocol.Side, promised bool) *stream {
	switch {
	case id == 0:
		return nil
	case from == protocol.Client && (promised || id%2 == 1 && id > p.newest):
		if !promised {
			p.newest = id
		}
		x := p.ctx.New()
		x.Protocol = name
		return p.open(id, x)
	case from == protocol.Server && (p.mid || p.halves[protocol.Client].gapped) && !p.isGone(id):
		x := p.ctx.New()
		x.Protocol, x.Outcome = name, protocol.Unrequested
		if p.halves[protocol.Client].gapped {
			x.Outcome = protocol.Gap
		}
		return p.open(id, x)
	}
	return nil
}

func (p *Parser) isGone(id uint32) bool {
	for _, g := range p.gone {
		if g == id {
			return true
		}
	}
	return false
}

// field notes what a header or trailer field says.
func (p *Parser) field(s *stream, from protocol.Side, name, value []byte) {
	x := s.x
	if from == protocol.Server {
		p.responseField(s, name, value)
		return
	}
	if s.seen[protocol.Client] {
		return // trailers
	}
	switch string(name) {
	case ":method":
		x.Method = p.ctx.Bounded(value, 64)
	case ":path":
		x.Target = p.ctx.Bounded(value, 8192)
		if s.grpc {
			x.GRPCService, x.GRPCMethod = grpcPath(x.Target)
		}
	case ":scheme":
		x.Scheme = p.ctx.Bounded(value, 64)
	case ":authority":
		x.Host = p.ctx.Bounded(value, 256)
	case "content-type":
		p.contentType(s, value)
	default:
		p.ctx.RequestHeader(x, name, value)
	}
}

func (p *Parser) responseField(s *stream, name, value []byte) {
	x := s.x
	switch string(name) {
	case ":status":
		if n, err := strconv.Atoi(string(value)); err == nil && len(value) == 3 {
			x.Status = n
		}
	case "content-type":
		if !s.seen[protocol.Server] {
			x.ContentType = p.ctx.Bounded(value, 256)
			p.contentType(s, value)
		}
	case "grpc-status":
		if n, err := strconv.Atoi(string(value)); err == nil && n >= 0 {
			x.GRPCStatus = n
		}
	case "x-request-id":
		if x.RequestID == "" {
			x.RequestID = p.ctx.Bounded(value, 256)
		}
	}
}

// contentType tells gRPC from other HTTP.
func (p *Parser) contentType(s *stream, value []byte) {
	const prefix = "application/grpc"
	if !bytes.HasPrefix(value, []byte(prefix)) || bytes.HasPrefix(value[len(prefix):], []byte("-web")) || s.grpc {
		return
	}
	s.grpc = true
	s.x.Protocol = grpc
	s.x.GRPCService, s.x.GRPCMethod = grpcPath(s.x.Target)
}

// close ends a side of a stream.
func (p *Parser) close(s *stream, from protocol.Side) {
	s.closed[from] = true
	p.settle(s)
}

// data takes content of DATA.
func (p *Parser) data(h *half, c *protocol.Chunk, b []byte) {
	s := p.streams[h.frame.stream]
	if s != nil {
		m := s.message(c.From)
		m.BodyBytes += int64(len(b))
		m.Touch(c.Time)
		if s.grpc {
			s.calls[c.From].count(m, b)
		}
	} else if p.mid || h.gapped {
		p.ctx.Undecoded += int64(len(b))
	}
	if h.remain -= int64(len(b)); h.remain == 0 {
		p.dataEnd(h, c)
	}
}

// dataMissing goes past content that is not here.
func (p *Parser) dataMissing(h *half, c *protocol.Chunk, n int64) {
	if s := p.streams[h.frame.stream]; s != nil {
		m := s.message(c.From)
		m.BodyBytes += n
		m.Touch(c.Time)
		m.Truncated = m.Truncated || c.Lost
		if k := &s.calls[c.From]; s.grpc && n > k.remain {
			k.lost = true
		} else if s.grpc {
			k.remain -= n
		}
	}
	if h.remain -= n; h.remain == 0 {
		p.dataEnd(h, c)
	}
}

// dataEnd ends a frame of DATA but for its padding.
func (p *Parser) dataEnd(h *half, c *protocol.Chunk) {
	h.state = inHeader
	if h.pad > 0 {
		h.state, h.remain, h.pad = inSkip, h.pad, 0
	}
	if s := p.streams[h.frame.stream]; s != nil && h.frame.flags&flagEndStream != 0 {
		p.close(s, c.From)
	}
}

// count counts the messages that begin in b.
func (k *call) count(m *protocol.Message, b []byte) {
	for len(b) > 0 && !k.lost {
		if k.remain > 0 {
			n := min(k.remain, int64(len(b)))
			k.remain -= n
			b = b[n:]
			continue
		}
		n := copy(k.prefix[k.n:], b)
		k.n += n
		b = b[n:]
		if k.n == len(k.prefix) {
			k.n, k.remain = 0, int64(binary.BigEndian.Uint32(k.prefix[1:]))
			m.Messages++
		}
	}
}
