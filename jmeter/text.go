package jmeter

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// dollar is the variable of every rendered plan whose value is "$". JMeter
// evaluates a text once, so "${clover.dollar}{" is "${" as data. (JMeter's own
// escape with a backslash works only in texts that have a reference as well.)
const dollar = "clover.dollar"

// reference matches a reference to a variable. A name that begins with "__"
// is a function's.
var reference = regexp.MustCompile(`\$\{([A-Za-z][A-Za-z0-9_.-]*|_[A-Za-z0-9.-][A-Za-z0-9_.-]*|_)\}`)

// part is a piece of a text: a literal, or the name of a variable.
type part struct{ literal, variable string }

// splitText returns the parts of a text.
func splitText(s string) []part {
	if !strings.Contains(s, "${") {
		if s == "" {
			return nil
		}
		return []part{{literal: s}}
	}
	var parts []part
	at := 0
	for _, m := range reference.FindAllStringSubmatchIndex(s, -1) {
		if m[0] > at {
			parts = append(parts, part{literal: s[at:m[0]]})
		}
		parts = append(parts, part{variable: s[m[2]:m[3]]})
		at = m[1]
	}
	if at < len(s) {
		parts = append(parts, part{literal: s[at:]})
	}
	return parts
}

// References returns the names of the variables that a text refers to.
func References(s string) []string {
	var names []string
	for _, p := range splitText(s) {
		if p.variable != "" {
			names = append(names, p.variable)
		}
	}
	return names
}

// Expand replaces the references in a text by what value returns. A variable
// that has no value leaves its reference as it is, as JMeter does.
func Expand(s string, value func(name string) (string, bool)) string {
	if !strings.Contains(s, "${") {
		return s
	}
	return expandParts(splitText(s), value, func(v string) string { return v })
}

// expandParts is Expand for a text that has been split; the values are encoded.
func expandParts(parts []part, value func(string) (string, bool), encode func(string) string) string {
	var b strings.Builder
	for _, p := range parts {
		if p.variable == "" {
			b.WriteString(p.literal)
		} else if v, ok := value(p.variable); ok {
			b.WriteString(encode(v))
		} else {
			b.WriteString(encode("${" + p.variable + "}"))
		}
	}
	return b.String()
}

// jmeterText returns the text that JMeter evaluates to what we mean.
func jmeterText(s string, functions bool) string {
	if functions || !strings.Contains(s, "${") {
		return s
	}
	var b strings.Builder
	for _, p := range splitText(s) {
		if p.variable != "" {
			b.WriteString("${" + p.variable + "}")
			continue
		}
		text := strings.ReplaceAll(p.literal, `\`, `\\`)
		b.WriteString(strings.ReplaceAll(text, "${", "${"+dollar+"}{"))
	}
	return b.String()
}

// fromJMeterText undoes jmeterText.
func fromJMeterText(s string, functions bool) string {
	if functions || !strings.Contains(s, "${") {
		return s
	}
	s = strings.ReplaceAll(s, "${"+dollar+"}{", "${")
	return strings.ReplaceAll(s, `\\`, `\`)
}

// splitOutside cuts a text at the first of the characters that is outside of
// a reference or function. at is -1 if there is none.
func splitOutside(s, chars string) (at int) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "${"):
			depth++
			i++
		case s[i] == '}' && depth > 0:
			depth--
		case depth == 0 && strings.IndexByte(chars, s[i]) >= 0:
			return i
		}
	}
	return -1
}

// badText says why a text cannot be in a plan; "": it can. XML has no way to
// write most control characters.
func badText(s string) string {
	if !utf8.ValidString(s) {
		return "not valid UTF-8; put bytes into a file"
	}
	for _, r := range s {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return "a control character, which JMeter's files cannot hold; put it into a file"
		}
	}
	return ""
}

// badHeader is badText for what becomes a line of a header.
func badHeader(s string) string {
	if strings.ContainsAny(s, "\r\n\x00") {
		return "a line break; want one line"
	}
	return badText(s)
}

// Template is a text with references that is expanded often. Its zero value
// is the empty text.
type Template struct {
	parts []part
	text  string // if there is no reference
}

// NewTemplate prepares a text.
func NewTemplate(s string) Template {
	parts := splitText(s)
	for _, p := range parts {
		if p.variable != "" {
			return Template{parts: parts}
		}
	}
	return Template{text: s}
}

// Static reports whether the text has no references.
func (t Template) Static() bool { return t.parts == nil }

// Expand is [Expand] for the text.
func (t Template) Expand(value func(name string) (string, bool)) string {
	return t.ExpandEncoded(value, func(s string) string { return s })
}

// ExpandEncoded is Expand with each value encoded, but not the text around it.
func (t Template) ExpandEncoded(value func(name string) (string, bool), encode func(string) string) string {
	if t.parts == nil {
		return t.text
	}
	return expandParts(t.parts, value, encode)
}
