package conf

import (
	"bytes"
	"fmt"
)

// Parse reads a configuration as nginx does, without following includes. An
// error is a [*SyntaxError].
func Parse(text []byte) ([]Directive, error) {
	p := &parser{text: text}
	return p.block(0)
}

// parser reads text from pos on.
type parser struct {
	text []byte
	pos  int
}

// fail makes the error for the place at.
func (p *parser) fail(at int, format string, args ...any) error {
	before := p.text[:at]
	return &SyntaxError{
		Line:   1 + bytes.Count(before, []byte("\n")),
		Column: at - bytes.LastIndexByte(before, '\n'),
		Reason: fmt.Sprintf(format, args...),
	}
}

// block reads statements up to the end of the block, or of the text at
// depth 0.
func (p *parser) block(depth int) ([]Directive, error) {
	list := []Directive{}
	for {
		p.skipSpace()
		if p.pos == len(p.text) {
			if depth > 0 {
				return nil, p.fail(p.pos, `unexpected end of file, expecting "}"`)
			}
			return list, nil
		}
		if p.text[p.pos] == '}' {
			if depth == 0 {
				return nil, p.fail(p.pos, `unexpected "}"`)
			}
			p.pos++
			return list, nil
		}
		d, err := p.statement(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
}

// statement reads words up to ";" or through a block.
func (p *parser) statement(depth int) (Directive, error) {
	var words []string
	for {
		p.skipSpace()
		at := p.pos
		if at == len(p.text) {
			return Directive{}, p.fail(at, `unexpected end of file, expecting ";" or "}"`)
		}
		switch c := p.text[at]; {
		case (c == ';' || c == '{') && len(words) == 0, c == '}':
			return Directive{}, p.fail(at, "unexpected %q", c)
		case c == ';':
			p.pos++
			return directive(words), nil
		case c == '{':
			if depth+1 > MaxDepth {
				return Directive{}, p.fail(at, "more than %d blocks in each other", MaxDepth)
			}
			p.pos++
			d := directive(words)
			var err error
			d.Block, err = p.block(depth + 1)
			return d, err
		case c == '"' || c == '\'':
			word, err := p.quoted(c)
			if err != nil {
				return Directive{}, err
			}
			words = append(words, word)
		default:
			word, err := p.plain()
			if err != nil {
				return Directive{}, err
			}
			words = append(words, word)
		}
	}
}

func directive(words []string) Directive {
	d := Directive{Name: words[0]}
	if len(words) > 1 {
		d.Args = words[1:]
	}
	return d
}

// skipSpace goes to the next byte that is neither white space nor in a
// comment.
func (p *parser) skipSpace() {
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; {
		case isSpace(c):
			p.pos++
		case c == '#':
			end := bytes.IndexByte(p.text[p.pos:], '\n')
			if end < 0 {
				end = len(p.text) - p.pos
			}
			p.pos += end
		default:
			return
		}
	}
}

// quoted reads a word in quotes. After it comes white space, the end of the
// statement, a block, or a closing parenthesis, which starts the next word.
func (p *parser) quoted(quote byte) (string, error) {
	start := p.pos
	for p.pos++; p.pos < len(p.text); p.pos++ {
		switch p.text[p.pos] {
		case '\\':
			p.pos++
		case quote:
			word := unescape(p.text[start+1 : p.pos])
			p.pos++
			if p.pos < len(p.text) && !isSpace(p.text[p.pos]) && bytes.IndexByte([]byte(";{)"), p.text[p.pos]) < 0 {
				return "", p.fail(p.pos, "unexpected %q after the closing quote", p.text[p.pos])
			}
			return word, p.checkLength(start)
		}
	}
	p.pos = len(p.text)
	return "", p.fail(start, "no closing %q", quote)
}

// plain reads a word without quotes. It ends before white space, ";" or "{",
// unless the brace follows a "$": then it belongs to a variable's name.
func (p *parser) plain() (string, error) {
	start := p.pos
	variable := false
	for ; p.pos < len(p.text); p.pos++ {
		c := p.text[p.pos]
		if c == '{' && variable {
			continue
		}
		variable = c == '$'
		if c == '\\' {
			p.pos++
			continue
		}
		if isSpace(c) || c == ';' || c == '{' {
			return unescape(p.text[start:p.pos]), p.checkLength(start)
		}
	}
	p.pos = len(p.text)
	return "", p.fail(p.pos, `unexpected end of file, expecting ";" or "}"`)
}

// checkLength refuses a word, which began at start, that nginx's buffer
// cannot hold.
func (p *parser) checkLength(start int) error {
	if p.pos-start > maxReadBytes {
		return p.fail(start, "a word of %d bytes, nginx reads up to %d", p.pos-start, maxReadBytes)
	}
	return nil
}

// maxReadBytes is the size of nginx's buffer, which a word and the byte after
// it must fit into.
const maxReadBytes = 4095

// unescape replaces the escapes that nginx knows; any other backslash stays.
func unescape(word []byte) string {
	if bytes.IndexByte(word, '\\') < 0 {
		return string(word)
	}
	out := make([]byte, 0, len(word))
	for i := 0; i < len(word); i++ {
		c := word[i]
		if c == '\\' && i+1 < len(word) {
			switch word[i+1] {
			case '"', '\'', '\\':
				c = word[i+1]
				i++
			case 't':
				c = '\t'
				i++
			case 'r':
				c = '\r'
				i++
			case 'n':
				c = '\n'
				i++
			}
		}
		out = append(out, c)
	}
	return string(out)
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
