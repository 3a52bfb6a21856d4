package ids

import (
	"fmt"
	"sort"
	"strings"
)

// fault is what is wrong in a text, and where.
type fault struct {
	at      int
	message string
	// all is whether everything up to the end of the file was searched for
	// what is missing: nothing in it can be read better from a later start.
	all bool
}

type span struct{ start, end int }

// ruleParser reads the text of one rule after another. Offsets are those of
// the text given to parse.
type ruleParser struct {
	dialect Dialect
	text    string // without line continuations
	joins   []join // where lines were joined

	header Header
	fields [7]span // of the header
	nField int
	open   int  // of the parenthesis, -1 without options
	close  int  // of the last parenthesis or, without, the end of the options
	end    int  // of the rule
	lines  bool // the rule has more than one line

	unclosed bool // a comment has no end
	quotes   bool // quotes protect semicolons, though the engine says no

	arena []Option // room for options
	first int      // of this rule's options in arena
	size  int      // of the last arena
}

// join is a place in the joined text after which offsets are larger by skip.
type join struct{ at, skip int }

// usualOptions is what a rule seldom has more of; arenaSize bounds an arena.
const (
	usualOptions = 24
	arenaSize    = 4096
)

// parse reads the rule that begins at from, after its blanks and hashes.
func (p *ruleParser) parse(text string, from int) *fault {
	p.joins, p.lines, p.unclosed, p.quotes = p.joins[:0], false, false, false
	p.text = text
	if p.dialect != Snort3 && strings.IndexByte(text, '\n') >= 0 {
		p.lines = true
		p.join(from)
	}
	p.header, p.nField, p.open = Header{}, 0, -1
	if cap(p.arena)-len(p.arena) < usualOptions {
		// Larger as the file goes on, so that a small one takes little.
		p.size = min(max(2*p.size, usualOptions), arenaSize)
		p.arena = make([]Option, 0, p.size)
	}
	p.first = len(p.arena)
	f := p.body(from)
	if p.dialect == Snort3 {
		p.lines = f != nil || strings.IndexByte(text[:p.end], '\n') >= 0
	}
	if f != nil {
		p.arena = p.arena[:p.first]
		f.at = p.raw(f.at)
		f.all = f.all || p.unclosed
		return f
	}
	if len(p.joins) > 0 {
		p.toRaw()
	}
	return nil
}

// take hands over the options that were read.
func (p *ruleParser) take() []Option {
	return p.arena[p.first:len(p.arena):len(p.arena)]
}

// join takes the continuations out of the text: a backslash, blanks and a
// line end. What is before from has none.
func (p *ruleParser) join(from int) {
	var b strings.Builder
	text, copied, skip := p.text, 0, 0
	for i := from; ; {
		n := strings.IndexByte(text[i:], '\n')
		if n < 0 {
			break
		}
		i += n + 1
		stop := trimRight(text, copied, i)
		if stop > copied && text[stop-1] == '\\' {
			stop--
		}
		b.WriteString(text[copied:stop])
		skip += i - stop
		copied = i
		p.joins = append(p.joins, join{b.Len(), skip})
	}
	b.WriteString(text[copied:])
	p.text = b.String()
}

// raw turns an offset in the joined text into one in the text as it came.
func (p *ruleParser) raw(at int) int {
	n := sort.Search(len(p.joins), func(i int) bool { return p.joins[i].at > at })
	if n == 0 {
		return at
	}
	return at + p.joins[n-1].skip
}

// rawEnd is raw for the end of a span: it stays before a continuation.
func (p *ruleParser) rawEnd(at int) int {
	if at == 0 {
		return p.raw(0)
	}
	return p.raw(at-1) + 1
}

// toRaw turns every offset into one of the text as it came.
func (p *ruleParser) toRaw() {
	for i := range p.fields[:p.nField] {
		p.fields[i] = span{p.raw(p.fields[i].start), p.rawEnd(p.fields[i].end)}
	}
	for i := p.first; i < len(p.arena); i++ {
		o := &p.arena[i]
		o.start, o.end = int32(p.raw(int(o.start))), int32(p.rawEnd(int(o.end)))
	}
	if p.open >= 0 {
		p.open = p.raw(p.open)
	}
	p.close = p.raw(p.close)
	p.end = p.rawEnd(p.end)
}

// body reads header and options.
func (p *ruleParser) body(at int) *fault {
	at, f := p.readHeader(at)
	if f != nil {
		return f
	}
	if p.open < 0 {
		p.close, p.end = at, at
		if p.dialect == Snort2 {
			return nil
		}
		return &fault{at: at, message: "rule has no options: they follow the header in parentheses"}
	}
	f = p.readOptions(at)
	if f == nil || p.dialect == Snort3 {
		return f
	}
	// A semicolon in quotes that is not escaped: an engine refuses the rule,
	// but what is meant is plain. Lint reports it.
	p.arena, p.quotes = p.arena[:p.first], true
	if p.readOptions(at) == nil {
		return nil
	}
	return f
}

// readHeader reads up to and with the opening parenthesis.
func (p *ruleParser) readHeader(at int) (int, *fault) {
	text := p.text
	for {
		at = p.skip(at)
		if at == len(text) {
			break
		}
		if text[at] == '(' {
			p.open = at
			at++
			break
		}
		if p.nField == len(p.fields) {
			return at, &fault{at: at, message: "header has more than 7 fields: an opening parenthesis should follow"}
		}
		if p.dialect == Snort3 && p.nField > 0 && startsLine(text, at) && startsRule(text, at) {
			break
		}
		start := at
		var f *fault
		if at, f = p.field(at); f != nil {
			return at, f
		}
		p.fields[p.nField] = span{start, at}
		p.nField++
	}
	return at, p.assign(at)
}

// field returns the end of a header field, which may be a list with blanks.
func (p *ruleParser) field(at int) (int, *fault) {
	text, start, depth := p.text, at, 0
	for ; at < len(text); at++ {
		switch c := text[at]; {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == '(' && depth == 0:
			return at, nil
		case c == '\n' && (p.dialect != Snort3 || depth <= 0):
			return at, nil
		case c == '\n' && startsRule(text, at+1):
			return start, &fault{at: start, message: "list is not closed: a ] is missing"}
		case isSpace(c) && depth <= 0 && (at != start+1 || text[start] != '!'):
			return at, nil
		}
	}
	if depth > 0 {
		return start, &fault{start, "list is not closed: a ] is missing", true}
	}
	return at, nil
}

// assign gives the fields their meaning.
func (p *ruleParser) assign(at int) *fault {
	s := func(i int) string { return p.text[p.fields[i].start:p.fields[i].end] }
	h := &p.header
	n := p.nField
	if n > 0 {
		h.Action = s(0)
	}
	if n > 1 {
		h.Protocol = s(1)
	}
	if p.open >= 0 && (n == 1 && p.dialect != Suricata || n == 2 && p.dialect == Snort3) {
		return nil
	}
	arrow := 4
	if p.dialect == Snort3 && n > 3 && isDirection(s(3)) {
		arrow = 3
	}
	if n < arrow+2 || n < 7 && p.dialect != Snort3 {
		if n > 0 {
			at = p.fields[n-1].end
		}
		return &fault{at: at, message: fmt.Sprintf("header has %d fields: want action, protocol, addresses, ports, direction, addresses, ports", n)}
	}
	if !isDirection(s(arrow)) {
		return &fault{at: p.fields[arrow].start, message: fmt.Sprintf("direction %q: want -> or <>", s(arrow))}
	}
	h.Source.Addresses, h.Direction = Addresses(s(2)), s(arrow)
	if arrow == 4 {
		h.Source.Ports = Ports(s(3))
	}
	h.Destination.Addresses = Addresses(s(arrow + 1))
	if n > arrow+2 {
		h.Destination.Ports = Ports(s(arrow + 2))
	}
	if n > arrow+3 {
		return &fault{at: p.fields[arrow+3].start, message: "header has a field too many"}
	}
	return nil
}

// skip passes over blanks and, in Snort 3, comments.
func (p *ruleParser) skip(at int) int {
	text := p.text
	for at < len(text) && isSpace(text[at]) {
		at++
	}
	if p.dialect == Snort3 && at < len(text) && (text[at] == '#' || text[at] == '/' || text[at] == '\\') {
		return p.skipComments(at)
	}
	return at
}

func (p *ruleParser) skipComments(at int) int {
	text := p.text
	for at < len(text) {
		switch {
		case isSpace(text[at]):
			at++
		case text[at] == '#':
			at = lineAfter(text, at)
		case text[at] == '\\' && (byteAt(text, at+1) == '\n' || byteAt(text, at+1) == '\r'):
			at += 2
		case strings.HasPrefix(text[at:], "/*"):
			n := strings.Index(text[at:], "*/")
			if n < 0 {
				p.unclosed = true
				return len(text)
			}
			at += n + 2
		default:
			return at
		}
	}
	return at
}
