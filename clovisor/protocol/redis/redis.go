// Package redis finds commands and replies of Redis (RESP 2 and 3, and inline
// commands) in the streams of a connection. Of a command it takes the name and
// the first key, never values, scripts or passwords.
package redis

import (
	"bytes"
	"time"

	"github.com/opnfv/clover/clovisor/protocol"
)

// Protocol is Redis, for ports named redis.
func Protocol() protocol.Protocol {
	return protocol.Protocol{Name: "redis", Sniff: Sniff, New: New}
}

const name = "redis"

// state is where a direction is in a value.
type state uint8

const (
	inLine        state = iota // of a type, or an inline command
	inBulk                     // in a string of known length, with its CRLF
	resynchronise              // after a gap, looking for the start of a value
	opaque                     // nothing more can be told
)

const (
	maxLine  = 1024 // of a line that is kept
	maxDepth = 32   // of arrays in arrays
	maxWord  = 128  // of a word that is kept
)

// half is one direction.
type half struct {
	state   state
	ended   bool
	partial []byte
	over    bool
	remain  int64
	open    []int64 // elements to come, of the arrays around
	part    bool    // the string is one of many
	inValue bool
	value   value
}

// value is what is kept of a value that is being read.
type value struct {
	start, acked int64
	message      protocol.Message
	kind         byte // its type, 0: inline command
	words        int  // simple or bulk strings so far
	word         [3][]byte
	elements     int64 // of the outer array
	number       int64 // the last integer
}

// Parser follows one connection; see [protocol.Parser].
type Parser struct {
	ctx    *protocol.Context
	halves [2]half
	queue  protocol.Queue
	gapped bool

	subscribed bool
	monitor    bool
	sub        *protocol.Exchange // SUBSCRIBE of which not all channels are confirmed
	confirm    int
	channels   [3]int64 // subscribed to, by kind
	joined     bool     // there may be more
	silent     bool     // the client wants no replies
	skipped    int      // the replies to so many commands it does not want
}

// New makes a parser; mid says that the connection's start was not seen.
func New(ctx *protocol.Context, mid bool) protocol.Parser {
	p := &Parser{ctx: ctx}
	if mid {
		p.halves[0].state, p.halves[1].state = resynchronise, resynchronise
		p.queue.Joined()
		p.joined = true
	}
	return p
}

// Data takes the next chunk; see [protocol.Parser].
func (p *Parser) Data(c *protocol.Chunk) int64 {
	h := &p.halves[c.From]
	data := c.Data
	for len(data) > 0 {
		data = p.step(h, c, data)
	}
	if n := c.Missing; n > 0 {
		if h.state == inBulk {
			take := min(n, h.remain)
			h.value.message.Truncated = h.value.message.Truncated || c.Lost
			p.bulk(h, c, nil, take, c.Offset+take)
			n -= take
		}
		switch {
		case n > 0 && h.state == opaque:
			p.ctx.Undecoded += n
		case n > 0:
			p.gap(h, c.From)
		}
	}
	switch {
	case h.state == opaque:
		return protocol.Forever
	case h.state == inBulk && (h.value.words >= len(h.value.word) || len(h.value.word[h.value.words]) >= maxWord):
		return h.remain
	}
	return 0
}

// step takes what it can of data and returns the rest.
func (p *Parser) step(h *half, c *protocol.Chunk, data []byte) []byte {
	at := c.Offset + int64(len(c.Data)-len(data))
	switch h.state {
	case inBulk:
		n := min(h.remain, int64(len(data)))
		p.bulk(h, c, data[:n], n, at+n)
		return data[n:]
	case opaque:
		p.ctx.Undecoded += int64(len(data))
		return nil
	}
	if len(h.partial) == 0 && !h.over && !h.inValue {
		h.value.start, h.value.acked = at, c.Acked
		h.value.message = protocol.Message{First: c.Time, Offset: at}
	}
	i := bytes.IndexByte(data, '\n')
	n := i + 1
	if i < 0 {
		n = len(data)
	}
	line := data[:n]
	if len(h.partial) > 0 || h.over || i < 0 {
		keep := min(len(line), maxLine-len(h.partial))
		h.over = h.over || keep < len(line)
		before := cap(h.partial)
		h.partial = append(h.partial, line[:keep]...)
		p.ctx.Use(cap(h.partial) - before)
		line = h.partial
	}
	line = line[:min(len(line), maxLine)]
	h.value.message.BodyBytes += int64(n)
	if i >= 0 {
		p.line(h, c, bytes.TrimRight(line, "\r\n"), at+int64(n))
		h.partial, h.over = h.partial[:0], false
	}
	return data[n:]
}

// line takes a whole line.
func (p *Parser) line(h *half, c *protocol.Chunk, line []byte, end int64) {
	if h.state == resynchronise {
		if !starts(c.From, line) {
			p.ctx.Undecoded += int64(len(line))
			return
		}
		h.state = inLine
	}
	v := &h.value
	if !h.inValue {
		if len(line) == 0 {
			return // an empty inline command is none
		}
		m := v.message
		*v = value{start: v.start, acked: v.acked, message: m, word: [3][]byte{v.word[0][:0], v.word[1][:0], v.word[2][:0]}}
		h.inValue = true
		if c.From == protocol.Client && line[0] != '*' {
			p.inline(h, c, line, end)
			return
		}
		v.kind = line[0]
	}
	p.element(h, c, line, end)
}

// inline takes a command that is a line of words.
func (p *Parser) inline(h *half, c *protocol.Chunk, line []byte, end int64) {
	for word := range bytes.FieldsSeq(line) {
		h.value.elements++
		h.value.add(word)
	}
	p.complete(h, c, end)
}

// element takes the line that a value begins with.
func (p *Parser) element(h *half, c *protocol.Chunk, line []byte, end int64) {
	if len(line) == 0 {
		p.undecodable(h, c)
		return
	}
	v := &h.value
	kind, rest := line[0], line[1:]
	switch kind {
	case ';', '.':
		p.streamed(h, c, line, end)
		return
	case '+', '-':
		v.add(rest)
	case ':':
		v.number, _ = integer(rest)
	case '_', ',', '#', '(':
	case '$', '!', '=':
		if string(rest) == "?" && len(h.open) < maxDepth {
			h.open = append(h.open, streamedString)
			return
		}
		n, ok := integer(rest)
		if !ok || n > 1<<40 {
			p.undecodable(h, c)
			return
		}
		if n >= 0 {
			h.state, h.remain = inBulk, n+2
			return
		}
	case '*', '~', '>', '%', '|':
		n, ok := integer(rest)
		if string(rest) == "?" && kind != '|' {
			n, ok = streamedValue, true
		} else if n > 1<<40 {
			ok = false
		}
		if !ok || len(h.open) >= maxDepth {
			p.undecodable(h, c)
			return
		}
		if kind == '%' || kind == '|' {
			n *= 2
		}
		if kind == '|' {
			n++ // attributes come before the value that they are of
		}
		if len(h.open) == 0 {
			v.elements = n
		}
		if n > 0 {
			h.open = append(h.open, n)
			return
		}
	default:
		p.undecodable(h, c)
		return
	}
	p.ended(h, c, end)
}

// What a value is that comes until its end is told (RESP 3, "streamed"), in
// the place of its number of elements.
const (
	streamedValue  = int64(1) << 59
	streamedString = int64(1) << 61
)

// streamed takes a part of a string of unknown length, or the end of an array
// of unknown length.
func (p *Parser) streamed(h *half, c *protocol.Chunk, line []byte, end int64) {
	top, last := int64(0), len(h.open)-1
	if last >= 0 {
		top = h.open[last]
	}
	part := line[0] == ';'
	n, ok := integer(line[1:])
	switch {
	case part && top == streamedString && ok && n > 0 && n <= 1<<40:
		h.state, h.remain, h.part = inBulk, n+2, true
		return
	case part && top == streamedString && ok && n == 0:
		h.value.words++
	case !part && top > 1<<50 && top < streamedString && len(line) == 1:
	default:
		p.undecodable(h, c)
		return
	}
	h.open = h.open[:last]
	p.ended(h, c, end)
}

// bulk takes n bytes of a string, of which data is here or nil.
func (p *Parser) bulk(h *half, c *protocol.Chunk, data []byte, n, end int64) {
	v := &h.value
	v.message.BodyBytes += n
	if content := max(h.remain-2, 0); v.words < len(v.word) {
		data = data[:min(content, int64(len(data)))]
		w := &v.word[v.words]
		*w = append(*w, data[:min(len(data), maxWord-len(*w))]...)
	}
	if h.remain -= n; h.remain > 0 {
		return
	}
	h.state = inLine
	if h.part {
		h.part = false
		return
	}
	v.words++
	p.ended(h, c, end)
}

// ended ends a value and the arrays that it is the last of.
func (p *Parser) ended(h *half, c *protocol.Chunk, end int64) {
	for n := len(h.open); n > 0; n = len(h.open) {
		if h.open[n-1]--; h.open[n-1] > 0 {
			return
		}
		h.open = h.open[:n-1]
	}
	p.complete(h, c, end)
}

// add keeps a word.
func (v *value) add(word []byte) {
	if v.words < len(v.word) {
		v.word[v.words] = append(v.word[v.words], word[:min(len(word), maxWord)]...)
	}
	v.words++
}

// gap gives up the value that is being read.
func (p *Parser) gap(h *half, from protocol.Side) {
	whole := !h.inValue && len(h.partial) == 0
	h.state, h.inValue, h.over, h.part = resynchronise, false, false, false
	h.open, h.partial = h.open[:0], h.partial[:0]
	p.gapped = true
	if from == protocol.Client {
		p.queue.RequestsLost(whole)
	} else {
		p.queue.ResponsesLost()
	}
}

// undecodable gives the connection up that does not speak RESP.
func (p *Parser) undecodable(h *half, c *protocol.Chunk) {
	h.inValue = false
	p.abandon(protocol.Undecodable)
	x := p.ctx.New()
	x.Protocol = name
	x.Request.Touch(c.Time)
	p.ctx.Done(x, protocol.Undecodable)
	p.halves[0].state, p.halves[1].state = opaque, opaque
}

// abandon gives up all commands that wait.
func (p *Parser) abandon(o protocol.Outcome) {
	if x := p.sub; x != nil {
		p.sub = nil
		p.ctx.Done(x, o)
	}
	p.queue.Drain(func(x *protocol.Exchange) { p.ctx.Done(x, o) })
}

// End ends a side; see [protocol.Parser].
func (p *Parser) End(from protocol.Side, how protocol.End, _ time.Time) {
	p.halves[from].ended = true
	if how == protocol.Finished && from == protocol.Client && !p.halves[protocol.Server].ended {
		return
	}
	if p.gapped && p.queue.Unsure() {
		p.abandon(protocol.Gap)
	}
	p.abandon(how.Unanswered())
}

// integer reads a decimal number.
func integer(b []byte) (int64, bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative || len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// starts reports whether a line can be the start of a value.
func starts(from protocol.Side, line []byte) bool {
	if len(line) < 2 {
		return false
	}
	n, ok := integer(line[1:])
	switch line[0] {
	case '*':
		return ok && (from == protocol.Server || n > 0)
	case '$', ':', '%', '>', '~':
		return ok && from == protocol.Server
	case '+', '-':
		return from == protocol.Server && line[1] >= 'A' && line[1] <= 'Z'
	}
	return false
}

// Sniff judges the first bytes of a connection; see [protocol.Protocol].
func Sniff(from protocol.Side, data []byte, mid bool) protocol.Verdict {
	if from == protocol.Server && !mid || len(data) == 0 || data[0] != '*' {
		return protocol.No
	}
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		if len(data) > 1 && len(bytes.Trim(data[1:], "0123456789\r")) > 0 || len(data) > 12 {
			return protocol.No
		}
		return protocol.Maybe
	}
	if _, ok := integer(bytes.TrimRight(data[1:end], "\r")); !ok || end < 3 || data[end-1] != '\r' {
		return protocol.No
	}
	switch {
	case len(data) == end+1:
		return protocol.Maybe
	case data[end+1] == '$':
		return protocol.Yes
	}
	return protocol.No
}
