package proxy

import (
	"bytes"
	"net/url"
)

// rawRequest is the head of a request as the client sent it. Its slices lie in
// what was parsed.
type rawRequest struct {
	head   bool // HEAD instead of GET
	target []byte
	path   string // decoded
	host   []byte
	// lines are the header lines to pass on, without their ends.
	lines [][]byte
	// forwarded are the values of X-Forwarded-For.
	forwarded [][]byte
	close     bool // the client wants no further request on the connection
}

// maxLines bounds the header lines of a request that goes the raw way.
const maxLines = 64

var lineEnd = []byte("\r\n")

// parse reads the head of a request up to its empty line. It accepts only what
// has one meaning for everybody: GET or HEAD of a path by HTTP/1.1, without a
// body, of plain header lines none of which is about the connection but
// Connection itself. Everything else net/http reads.
func (r *rawRequest) parse(head []byte) bool {
	*r = rawRequest{lines: r.lines[:0], forwarded: r.forwarded[:0]}
	line, rest, ok := bytes.Cut(head, lineEnd)
	if !ok || !r.requestLine(line) {
		return false
	}
	for {
		line, rest, ok = bytes.Cut(rest, lineEnd)
		if !ok {
			return false
		}
		if len(line) == 0 {
			return len(rest) == 0 && len(r.host) > 0
		}
		if len(r.lines) == maxLines || !r.headerLine(line) {
			return false
		}
	}
}

func (r *rawRequest) requestLine(line []byte) bool {
	target, ok := bytes.CutPrefix(line, []byte("GET "))
	if !ok {
		if target, ok = bytes.CutPrefix(line, []byte("HEAD ")); !ok {
			return false
		}
		r.head = true
	}
	if target, ok = bytes.CutSuffix(target, []byte(" HTTP/1.1")); !ok || len(target) == 0 || target[0] != '/' {
		return false
	}
	path, encoded := target, false
	for i, b := range target {
		switch {
		case b <= ' ' || b >= 0x7f || b == '#':
			return false
		case b == '?' && len(path) == len(target):
			path = target[:i]
		case b == '%' && len(path) == len(target):
			encoded = true
		}
	}
	r.target, r.path = target, string(path)
	if encoded {
		decoded, err := url.PathUnescape(r.path)
		if err != nil {
			return false
		}
		r.path = decoded
	}
	// "//host/path" is read as a host by some.
	return len(target) < 2 || target[1] != '/'
}

func (r *rawRequest) headerLine(line []byte) bool {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 {
		return false
	}
	for _, b := range name {
		if !plainNameByte(b) {
			return false
		}
	}
	for _, b := range value {
		if b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	value = bytes.Trim(value, " \t")
	switch {
	case is(name, "host"):
		if len(r.host) > 0 || !plainHost(value) {
			return false
		}
		r.host = value
	case is(name, "connection"):
		if is(value, "close") {
			r.close = true
		} else if !is(value, "keep-alive") {
			return false
		}
	case is(name, "x-forwarded-for"):
		r.forwarded = append(r.forwarded, value)
	case special(name):
		return false
	default:
		r.lines = append(r.lines, line)
	}
	return true
}

// twoLengths reports whether a head says in two ways how long its body is:
// some would see a second request in it, others not (RFC 9112, section 11.2).
func twoLengths(head []byte) bool {
	var length, encoding bool
	for line := range bytes.Lines(head) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		name = bytes.TrimSpace(name)
		length = length || is(name, "content-length")
		encoding = encoding || is(name, "transfer-encoding")
	}
	return length && encoding
}

func plainNameByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-' || b == '_'
}

func plainHost(host []byte) bool {
	for _, b := range host {
		if !plainNameByte(b) && b != '.' && b != ':' && b != '[' && b != ']' {
			return false
		}
	}
	return len(host) > 0
}

// is compares a name in any case with one in small letters.
func is(name []byte, small string) bool {
	return len(name) == len(small) && bytes.EqualFold(name, []byte(small))
}

// special reports whether a header says something about a body, the
// connection or the protocol.
func special(name []byte) bool {
	switch name[0] | 0x20 {
	case 'c':
		return is(name, "content-length")
	case 'e':
		return is(name, "expect")
	case 'h':
		return is(name, "http2-settings")
	case 'k':
		return is(name, "keep-alive")
	case 'p':
		return len(name) > 6 && is(name[:6], "proxy-")
	case 't':
		return is(name, "te") || is(name, "trailer") || is(name, "transfer-encoding")
	case 'u':
		return is(name, "upgrade")
	}
	return false
}

// appendTo appends the head that a server gets.
func (r *rawRequest) appendTo(b []byte, host, client string) []byte {
	method := "GET "
	if r.head {
		method = "HEAD "
	}
	b = append(append(append(b, method...), r.target...), " HTTP/1.1\r\nHost: "...)
	if host == "" {
		b = append(b, r.host...)
	} else {
		b = append(b, host...)
	}
	for _, line := range r.lines {
		b = append(append(b, lineEnd...), line...)
	}
	b = append(b, "\r\nX-Forwarded-For: "...)
	for _, v := range r.forwarded {
		b = append(append(b, v...), ", "...)
	}
	return append(append(b, client...), "\r\n\r\n"...)
}
