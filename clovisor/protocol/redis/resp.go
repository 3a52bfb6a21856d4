package redis

import (
	"bytes"

	"github.com/opnfv/clover/clovisor/protocol"
)

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
