// Package dns finds queries and answers of DNS (RFC 1035) in datagrams and,
// behind their lengths, in streams.
package dns

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/opnfv/clover/clovisor/protocol"
)

// Protocols are DNS over UDP and over TCP, for ports named dns.
func Protocols() []protocol.Protocol {
	return []protocol.Protocol{{Name: name, UDP: true, Sniff: sniffDatagram, New: New}, {Name: name, Sniff: sniffStream, New: New}}
}

const (
	name        = "dns"
	headerBytes = 12
	maxPending  = 64   // queries of a connection that wait
	maxQuery    = 2048 // bytes, for a stream to be taken for DNS
)

// half is one direction of a stream.
type half struct {
	buffer []byte // a message that is not whole, behind its length
	first  place
	broken bool // where messages begin is lost
	ended  bool
}

// place is where and when a message began.
type place struct {
	offset int64
	time   time.Time
}

// query is a query that waits.
type query struct {
	x  *protocol.Exchange
	id uint16
}

// Parser follows one connection or exchange of datagrams; see
// [protocol.Parser].
type Parser struct {
	ctx     *protocol.Context
	halves  [2]half
	pending []query
}

// New makes a parser; mid says that the connection's start was not seen.
func New(ctx *protocol.Context, mid bool) protocol.Parser {
	p := &Parser{ctx: ctx}
	if mid && !ctx.Datagrams {
		p.halves[0].broken, p.halves[1].broken = true, true
	}
	return p
}

// Data takes the next chunk; see [protocol.Parser].
func (p *Parser) Data(c *protocol.Chunk) int64 {
	if p.ctx.Datagrams {
		if len(c.Data) > 0 {
			p.message(c, c.Data, place{c.Offset, c.Time}, c.Missing > 0)
		}
		return 0
	}
	h := &p.halves[c.From]
	data := c.Data
	if h.broken && len(data) >= 2+headerBytes && isMessage(c.From, data[2:]) {
		h.broken = false // a segment begins with a message
	}
	for len(data) > 0 && !h.broken {
		data = p.take(h, c, data)
	}
	p.ctx.Undecoded += int64(len(data))
	if c.Missing > 0 {
		p.ctx.Undecoded += int64(len(h.buffer))
		h.broken, h.buffer = true, h.buffer[:0]
	}
	return 0
}

// take takes a message from a stream, or a part of one.
func (p *Parser) take(h *half, c *protocol.Chunk, data []byte) []byte {
	if len(h.buffer) == 0 {
		h.first = place{c.Offset + int64(len(c.Data)-len(data)), c.Time}
		if size := size(data); size > 0 && len(data) >= size {
			p.message(c, data[2:size], h.first, false)
			return data[size:]
		}
	}
	want := 2
	if len(h.buffer) >= 2 {
		want = size(h.buffer)
	}
	n := min(want-len(h.buffer), len(data))
	before := cap(h.buffer)
	h.buffer = append(h.buffer, data[:n]...)
	p.ctx.Use(cap(h.buffer) - before)
	if len(h.buffer) >= 2 && len(h.buffer) == size(h.buffer) {
		p.message(c, h.buffer[2:], h.first, false)
		h.buffer = h.buffer[:0]
		if cap(h.buffer) > 1024 {
			p.ctx.Use(-cap(h.buffer))
			h.buffer = nil
		}
	}
	return data[n:]
}

// size is that of a message with its length, 0 where that is not there yet.
func size(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	return 2 + int(binary.BigEndian.Uint16(b))
}

// message takes a message, of which the end may be cut off.
func (p *Parser) message(c *protocol.Chunk, b []byte, first place, cut bool) {
	m := protocol.Message{First: first.time, Offset: first.offset, Last: c.Time, BodyBytes: int64(len(b)) + c.Missing, Truncated: cut, Complete: true}
	var parser dnsmessage.Parser
	header, err := parser.Start(b)
	var q dnsmessage.Question
	if err == nil {
		q, err = parser.Question()
	}
	if err != nil && (!errors.Is(err, dnsmessage.ErrSectionDone) || !header.Response) {
		p.ctx.Undecoded += int64(len(b))
		x := p.ctx.New()
		x.Protocol = name
		if c.From == protocol.Client {
			x.Request = m
		} else {
			x.Response = m
		}
		p.ctx.Done(x, protocol.Undecodable)
		return
	}
	if !header.Response {
		p.query(header, q, m)
		return
	}
	p.answer(header, q, m, int(binary.BigEndian.Uint16(b[6:])))
}

func (p *Parser) query(header dnsmessage.Header, q dnsmessage.Question, m protocol.Message) {
	kind, target := strings.TrimPrefix(q.Type.String(), "Type"), p.ctx.String(q.Name.Data[:q.Name.Length])
	for _, w := range p.pending {
		if w.id == header.ID && w.x.Target == target && w.x.Method == kind {
			if len(w.x.Attributes) == 0 { // asked again; the time counts from the first
				w.x.Attributes = []protocol.Attribute{{Key: "dns.asked_again", Value: "true"}}
			}
			return
		}
	}
	if len(p.pending) >= maxPending {
		p.ctx.Done(p.pending[0].x, protocol.EvictedOutcome)
		p.pending = append(p.pending[:0], p.pending[1:]...)
	}
	x := p.ctx.New()
	x.Protocol, x.Method, x.Target, x.Request = name, kind, target, m
	p.pending = append(p.pending, query{x, header.ID})
}

func (p *Parser) answer(header dnsmessage.Header, q dnsmessage.Question, m protocol.Message, answers int) {
	var x *protocol.Exchange
	for i, w := range p.pending {
		if w.id == header.ID && (q.Name.Length == 0 || strings.EqualFold(w.x.Target, string(q.Name.Data[:q.Name.Length]))) {
			x = w.x
			p.pending = append(p.pending[:i], p.pending[i+1:]...)
			break
		}
	}
	o := protocol.Paired
	if x == nil {
		x = p.ctx.New()
		x.Protocol = name
		x.Method, x.Target = strings.TrimPrefix(q.Type.String(), "Type"), p.ctx.String(q.Name.Data[:q.Name.Length])
		o = protocol.Unrequested
	}
	x.Response = m
	x.Attributes = append(x.Attributes,
		protocol.Attribute{Key: "dns.response_code", Value: rcode(header.RCode)},
		protocol.Attribute{Key: "dns.answers", Value: count(answers)})
	if header.Truncated {
		x.Attributes = append(x.Attributes, protocol.Attribute{Key: "dns.truncated", Value: "true"})
	}
	if o == protocol.Paired && (x.Request.Truncated || m.Truncated) {
		o = protocol.Truncated
	}
	p.ctx.Done(x, o)
}

// End ends a side; see [protocol.Parser].
func (p *Parser) End(from protocol.Side, how protocol.End, _ time.Time) {
	p.halves[from].ended = true
	if how == protocol.Finished && from == protocol.Client && !p.halves[protocol.Server].ended {
		return
	}
	for i := range p.halves {
		p.ctx.Undecoded += int64(len(p.halves[i].buffer))
		p.halves[i].buffer = nil
	}
	for _, w := range p.pending {
		p.ctx.Done(w.x, how.Unanswered())
	}
	p.pending = nil
}

// sniffDatagram judges a datagram; see [protocol.Protocol].
func sniffDatagram(from protocol.Side, data []byte, _ bool) protocol.Verdict {
	if isMessage(from, data) {
		return protocol.Yes
	}
	return protocol.No
}

// sniffStream judges the first bytes of a side; see [protocol.Protocol].
func sniffStream(from protocol.Side, data []byte, _ bool) protocol.Verdict {
	// The length before a query in a stream is small; text looks large.
	size := size(data)
	if size > maxQuery || len(data) > 0 && data[0] > maxQuery>>8 {
		return protocol.No
	}
	if len(data) > 2+headerBytes && size >= 2+headerBytes && isMessage(from, data[2:]) {
		return protocol.Yes
	}
	if len(data) > size && size > 0 {
		return protocol.No
	}
	if len(data) >= 8 && binary.BigEndian.Uint16(data[6:]) != 1 {
		return protocol.No
	}
	return protocol.Maybe
}

// isMessage reports whether b begins with a message with one question.
func isMessage(from protocol.Side, b []byte) bool {
	if len(b) < headerBytes || binary.BigEndian.Uint16(b[4:]) != 1 || b[3]&0x40 != 0 {
		return false
	}
	var p dnsmessage.Parser
	header, err := p.Start(b)
	if err != nil || header.Response != (from == protocol.Server) || header.OpCode > 5 {
		return false
	}
	q, err := p.Question()
	return err == nil && (q.Class == dnsmessage.ClassINET || q.Class == dnsmessage.ClassCHAOS || q.Class == dnsmessage.ClassANY)
}
