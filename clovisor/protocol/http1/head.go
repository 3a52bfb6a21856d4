package http1

import (
	"bytes"

	"github.com/opnfv/clover/clovisor/protocol"
)

// head is what the fields of a message say of its end and of the connection.
type head struct {
	version  string // "HTTP/1.0", "HTTP/1.1"
	length   int64  // Content-Length, -1: none
	coding   bool   // Transfer-Encoding is there
	chunked  bool   // and ends in chunked
	upgrade  bool   // Upgrade is there
	h2c      bool   // and names h2c
	fault    string // why its end cannot be told
	framing  bool   // the last field was one that says the end
	settings []byte // HTTP2-Settings
}

// start reads a start line.
func (p *Parser) start(h *half, c *protocol.Chunk, line []byte) {
	if blank(line) {
		return // empty lines between messages (RFC 9112, 2.2)
	}
	if h.over || !p.begin(h, c, line) {
		p.undecodable(h, c, line)
	}
}

// begin starts a message and reports whether the line is a start line.
func (p *Parser) begin(h *half, c *protocol.Chunk, line []byte) bool {
	text, fault := trimEnd(line)
	if c.From == protocol.Client {
		method, target, version, ok := requestLine(text)
		if !ok {
			return false
		}
		p.beginRequest(h, method, target)
		h.head = head{length: -1, version: version, fault: fault}
		h.x.Protocol = version
		p.halfStart(h, &h.x.Request, len(line), c)
		return true
	}
	status, version, ok := statusLine(text)
	if !ok {
		return false
	}
	p.beginResponse(h, c, status)
	h.head = head{length: -1, version: version, fault: fault}
	if h.x.Protocol == "" {
		h.x.Protocol = version
	}
	p.halfStart(h, &h.x.Response, len(line), c)
	return true
}

func (p *Parser) halfStart(h *half, m *protocol.Message, size int, c *protocol.Chunk) {
	if !m.Seen() {
		m.Offset = h.first.offset
	}
	m.Touch(h.first.time)
	m.Touch(c.Time)
	m.HeaderBytes += int64(size)
	h.state = inHead
}

func (p *Parser) beginRequest(h *half, method, target []byte) {
	x := p.ctx.New()
	x.Method, x.Scheme = p.ctx.Bounded(method, 64), "http"
	x.Target = p.ctx.Bounded(target, 8192)
	p.ctx.Weigh(x)
	h.x = x
	if p.queue.Full() { // nobody answers: forget all, and what order they had
		p.queue.Drain(func(x *protocol.Exchange) { p.ctx.Done(x, protocol.EvictedOutcome) })
		p.queue.RequestsLost(true)
	}
	p.queue.Push(x, h.first.offset, h.first.acked)
}

func (p *Parser) beginResponse(h *half, c *protocol.Chunk, status int) {
	if h.x == nil { // not after an interim response
		h.x = p.queue.Pop(h.first.offset, c.Acked, p.lost)
		if h.x == nil {
			h.x = p.ctx.New()
			h.x.Outcome = protocol.Unrequested
			if p.gapped {
				h.x.Outcome = protocol.Gap
			}
		}
	}
	h.x.Status = status
}

// trimEnd removes the end of a line and says what is wrong with it.
func trimEnd(line []byte) (text []byte, fault string) {
	text = line[:len(line)-1]
	if n := len(text); n == 0 || text[n-1] != '\r' {
		fault = "line ended by LF alone"
	} else {
		text = text[:n-1]
	}
	if bytes.IndexByte(text, '\r') >= 0 {
		fault = "CR inside a line"
	}
	return text, fault
}

// requestLine splits METHOD SP target SP HTTP/1.x.
func requestLine(text []byte) (method, target []byte, version string, ok bool) {
	first := bytes.IndexByte(text, ' ')
	last := len(text) - len(" HTTP/1.1")
	if first <= 0 || last <= first || text[last] != ' ' {
		return nil, nil, "", false
	}
	version, ok = httpVersion(text[last+1:])
	if !ok || !isToken(text[:first]) || bytes.IndexByte(text[first+1:last], ' ') >= 0 {
		return nil, nil, "", false
	}
	return text[:first], text[first+1 : last], version, true
}

// statusLine splits HTTP/1.x SP status [SP reason].
func statusLine(text []byte) (status int, version string, ok bool) {
	if len(text) < 12 || text[8] != ' ' || len(text) > 12 && text[12] != ' ' {
		return 0, "", false
	}
	if version, ok = httpVersion(text[:8]); !ok {
		return 0, "", false
	}
	for _, d := range text[9:12] {
		if d < '0' || d > '9' {
			return 0, "", false
		}
		status = status*10 + int(d-'0')
	}
	return status, version, status >= 100
}

func httpVersion(b []byte) (string, bool) {
	switch string(b) {
	case "HTTP/1.1":
		return "HTTP/1.1", true
	case "HTTP/1.0":
		return "HTTP/1.0", true
	}
	return "", false
}

// tokens are the bytes of a token (RFC 9110, 5.6.2).
var tokens = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[c] = true
	}
	return t
}()

func isToken(b []byte) bool {
	for _, c := range b {
		if !tokens[c] {
			return false
		}
	}
	return len(b) > 0
}

// field reads a header or trailer field, or the empty line after them.
func (p *Parser) field(h *half, c *protocol.Chunk, line []byte) {
	text, fault := trimEnd(line)
	d := &h.head
	if h.over {
		text, fault = line[:maxLine-2], ""
	}
	if fault != "" && d.fault == "" {
		d.fault = fault
	}
	if len(text) == 0 {
		p.headEnd(h, c)
		return
	}
	if text[0] == ' ' || text[0] == '\t' { // obs-fold: goes on with the field before
		if d.framing {
			d.fault = "a field that says the length is folded"
		}
		return
	}
	colon := bytes.IndexByte(text, ':')
	if colon <= 0 || !isToken(text[:colon]) {
		d.fault = "a header line that is no field"
		return
	}
	name, value := text[:colon], bytes.Trim(text[colon+1:], " \t")
	d.framing = false
	if h.state == inTrailer {
		return
	}
	d.frame(name, value, h.over)
	switch {
	case c.From == protocol.Client:
		p.ctx.RequestHeader(h.x, name, value)
	case len(name) == 12 && protocol.Fold(name, "content-type"):
		h.x.ContentType = p.ctx.Bounded(value, 256)
	case len(name) == 12 && protocol.Fold(name, "x-request-id") && h.x.RequestID == "":
		h.x.RequestID = p.ctx.Bounded(value, 256)
	}
}

// frame notes what a field says of the message's end.
func (d *head) frame(name, value []byte, over bool) {
	switch len(name) {
	case 7:
		if protocol.Fold(name, "upgrade") {
			d.upgrade = true
			d.h2c = d.h2c || protocol.Fold(value, "h2c")
		}
	case 14:
		if protocol.Fold(name, "content-length") {
			d.contentLength(value)
		} else if protocol.Fold(name, "http2-settings") && len(value) <= 1024 {
			d.settings = append([]byte(nil), value...)
		}
	case 17:
		if protocol.Fold(name, "transfer-encoding") {
			d.framing, d.coding = true, true
			last := value[bytes.LastIndexByte(value, ',')+1:]
			switch {
			case d.chunked || over:
				d.fault = "more than one Transfer-Encoding"
			case protocol.Fold(bytes.Trim(last, " \t"), "chunked"):
				d.chunked = true
			}
		}
	}
}

// contentLength reads the field's value: a number, or the same one repeated
// (RFC 9110, 8.6).
func (d *head) contentLength(value []byte) {
	d.framing = true
	for part := range bytes.SplitSeq(value, []byte{','}) {
		n, ok := decimal(bytes.Trim(part, " \t"))
		switch {
		case !ok:
			d.fault = "Content-Length is no number"
		case d.length >= 0 && d.length != n:
			d.fault = "two different Content-Length"
		}
		if d.length < 0 || !ok {
			d.length = n
		}
	}
}

func decimal(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
