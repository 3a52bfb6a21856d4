package ids

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
)

// Content is a pattern of bytes: the option content and its relatives
// uricontent and protected_content.
type Content struct {
	Not     bool // match where the pattern is not
	Pattern []byte
	// Modifiers are those that Snort 3 writes after the pattern. In the
	// other dialects they are options of their own: see [Rule.Matches].
	Modifiers []Modifier
}

// Modifier says how a pattern is looked for, such as depth 5.
type Modifier struct {
	Name  string
	Value string // empty for modifiers without
}

// String returns the modifier as Snort 3 writes it.
func (m Modifier) String() string {
	if m.Value == "" {
		return m.Name
	}
	return m.Name + " " + m.Value
}

// Option returns the content as an option; every byte of the pattern is data,
// whatever it is.
func (c Content) Option() Option {
	var b strings.Builder
	if c.Not {
		b.WriteByte('!')
	}
	b.WriteString(EncodePattern(c.Pattern))
	for _, m := range c.Modifiers {
		b.WriteString("," + m.String())
	}
	return Option{Name: "content", Value: b.String()}
}

// EncodePattern returns bytes as a quoted pattern that every dialect reads
// the same: what is not plain text is written in hexadecimal.
func EncodePattern(p []byte) string {
	b := make([]byte, 0, len(p)+8)
	b = append(b, '"')
	inHex := false
	for _, c := range p {
		plain := c >= ' ' && c < 0x7f && !bytes.ContainsRune([]byte(`"\;|:`), rune(c))
		if plain == inHex {
			b = append(b, '|')
			inHex = !inHex
		} else if inHex {
			b = append(b, ' ')
		}
		if plain {
			b = append(b, c)
		} else {
			b = append(b, "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		}
	}
	if inHex {
		b = append(b, '|')
	}
	return string(append(b, '"'))
}

// DecodePattern reads a quoted pattern, with ! before it or not.
func DecodePattern(value string, d Dialect) (Content, error) {
	var c Content
	body, rest, not, err := cutQuoted(value, d)
	if err != nil {
		return c, err
	}
	c.Not = not
	if c.Pattern, err = decodeBody(body, d); err != nil {
		return c, err
	}
	if rest == "" {
		return c, nil
	}
	if d != Snort3 || rest[0] != ',' {
		return c, fmt.Errorf("text %q after the pattern", rest)
	}
	for part := range strings.SplitSeq(rest[1:], ",") {
		name, arg := cutSpace(part)
		if name == "" {
			return c, fmt.Errorf("a modifier has no name")
		}
		c.Modifiers = append(c.Modifiers, Modifier{name, arg})
	}
	return c, nil
}

// cutQuoted splits a value into its string and what follows.
func cutQuoted(value string, d Dialect) (body, rest string, not bool, err error) {
	v := strings.TrimSpace(value)
	if strings.HasPrefix(v, "!") {
		not = true
		v = strings.TrimSpace(v[1:])
	}
	if len(v) < 2 || v[0] != '"' {
		return "", "", not, fmt.Errorf("value %.40q is not quoted", value)
	}
	end := strings.LastIndexByte(v, '"')
	if d == Snort3 {
		for end = 1; end < len(v) && v[end] != '"'; end++ {
			if v[end] == '\\' {
				end++
			}
		}
	}
	if end == 0 || end >= len(v) {
		return "", "", not, fmt.Errorf("value %.40q lacks its second quote", value)
	}
	return v[1:end], strings.TrimSpace(v[end+1:]), not, nil
}

// decodeBody decodes what stands between the quotes.
func decodeBody(s string, d Dialect) ([]byte, error) {
	if d == Snort3 {
		s = unescape3(s)
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '|':
			n := strings.IndexByte(s[i+1:], '|')
			if n < 0 {
				return nil, fmt.Errorf("hexadecimal part is not closed: a | is missing")
			}
			var err error
			if out, err = appendHex(out, s[i+1:i+1+n]); err != nil {
				return nil, err
			}
			i += n + 1
		case '\\':
			if i++; i == len(s) {
				return nil, fmt.Errorf("a backslash at the end escapes nothing")
			}
			out = append(out, s[i])
		default:
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("pattern is empty")
	}
	return out, nil
}

func appendHex(out []byte, digits string) ([]byte, error) {
	digits = strings.Map(func(c rune) rune {
		if isSpace(byte(c)) {
			return -1
		}
		return c
	}, digits)
	out, err := hex.AppendDecode(out, []byte(digits))
	if err != nil {
		return nil, fmt.Errorf("hexadecimal part |%.20s|: want pairs of digits", digits)
	}
	return out, nil
}

// unescape3 undoes the escapes that Snort 3 has in every string.
func unescape3(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	controls := map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '\\' || i+1 == len(s) {
			b.WriteByte(c)
			continue
		}
		i++
		c = s[i]
		if control, ok := controls[c]; ok {
			b.WriteByte(control)
			continue
		}
		if v, err := hex.DecodeString(s[min(i+1, len(s)):min(i+3, len(s))]); c == 'x' && err == nil && len(v) == 1 {
			b.WriteByte(v[0])
			i += 2
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// cutSpace splits "depth 5" into its words.
func cutSpace(s string) (name, rest string) {
	s = strings.TrimSpace(s)
	n := strings.IndexAny(s, " \t\r\n")
	if n < 0 {
		return s, ""
	}
	return s[:n], strings.TrimSpace(s[n:])
}

// PCRE is a regular expression in the syntax of Perl.
type PCRE struct {
	Not       bool
	Delimiter byte // that begins and ends it; zero is /
	Expr      string
	Flags     string
}

// closing returns the delimiter that ends an expression.
func closing(open byte) byte {
	switch open {
	case '{':
		return '}'
	case '[':
		return ']'
	case '(':
		return ')'
	case '<':
		return '>'
	}
	return open
}

// DecodePCRE reads the value of pcre.
func DecodePCRE(value string) (PCRE, error) {
	var p PCRE
	v := strings.TrimSpace(value)
	if strings.HasPrefix(v, "!") {
		p.Not = true
		v = strings.TrimSpace(v[1:])
	}
	// Suricata takes an expression without quotes too.
	if quoted := len(v) > 1 && v[0] == '"' && v[len(v)-1] == '"'; quoted {
		v = v[1 : len(v)-1]
	} else if !strings.HasPrefix(v, "/") || strings.ContainsRune(v, '"') {
		return p, fmt.Errorf("expression %.40q is not quoted", value)
	}
	if len(v) > 1 && v[0] == 'm' {
		v = v[1:]
		p.Delimiter = byteAt(v, 0)
	}
	end := 0
	if v != "" {
		end = strings.LastIndexByte(v, closing(v[0]))
	}
	if end < 1 || p.Delimiter == 0 && v[0] != '/' {
		return p, fmt.Errorf("expression %.40q: want /EXPRESSION/FLAGS", value)
	}
	p.Expr, p.Flags = v[1:end], v[end+1:]
	return p, nil
}

// Option returns the expression as an option. Bytes that would end it early
// are written in hexadecimal.
func (p PCRE) Option() Option {
	var b strings.Builder
	if p.Not {
		b.WriteByte('!')
	}
	b.WriteByte('"')
	open := p.Delimiter
	if open == 0 {
		open = '/'
	} else {
		b.WriteByte('m')
	}
	b.WriteByte(open)
	escaped := false // a backslash waits to be written
	for i := 0; i < len(p.Expr); i++ {
		c := p.Expr[i]
		switch {
		case c == '\\' && !escaped:
			escaped = true
			continue
		case c == ';' || c == '"' || c == '\n' || c == '\r':
			fmt.Fprintf(&b, `\x%02x`, c)
		case escaped:
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
		escaped = false
	}
	if escaped {
		b.WriteString(`\\`)
	}
	b.WriteByte(closing(open))
	b.WriteString(p.Flags)
	b.WriteByte('"')
	return Option{Name: "pcre", Value: b.String()}
}
