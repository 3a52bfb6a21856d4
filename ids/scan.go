package ids

import "strings"

// nameByte holds the bytes that names of options are made of.
var nameByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '-'
	}
	return t
}()

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isDirection(s string) bool { return s == "->" || s == "<>" || s == "=>" || s == "<-" }

// byteAt returns 0 after the end.
func byteAt(s string, i int) byte {
	if i < len(s) {
		return s[i]
	}
	return 0
}

// lineAfter returns where the line after from begins.
func lineAfter(s string, from int) int {
	if n := strings.IndexByte(s[from:], '\n'); n >= 0 {
		return from + n + 1
	}
	return len(s)
}

// skipBlank returns the first byte in s[from:end] that is no space, or end.
func skipBlank(s string, from, end int) int {
	for from < end && isSpace(s[from]) {
		from++
	}
	return from
}

// trimRight returns the end of s[from:end] without the spaces at its end.
func trimRight(s string, from, end int) int {
	for end > from && isSpace(s[end-1]) {
		end--
	}
	return end
}

// word returns the letters at from.
func word(s string, from int) string {
	i := from
	for i < len(s) && (s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z' || s[i] == '_') {
		i++
	}
	return s[from:i]
}

// backslashAtEnd reports whether the line that ends at end goes on.
func backslashAtEnd(s string, from, end int) bool {
	stop := trimRight(s, from, end)
	return stop > from && s[stop-1] == '\\'
}

// isRest reports whether a text after a rule says nothing.
func isRest(s string) bool {
	i := skipBlank(s, 0, len(s))
	return i == len(s) || s[i] == '#'
}

// startsLine reports whether only blanks stand before at in its line.
func startsLine(s string, at int) bool {
	for at > 0 && isBlank(s[at-1]) {
		at--
	}
	return at == 0 || s[at-1] == '\n'
}

// startsRule reports whether a rule seems to begin at from: an action that a
// blank and a word or parenthesis follow.
func startsRule(s string, from int) bool {
	w := word(s, from)
	if !isAction(w) {
		return false
	}
	i := from + len(w)
	if !isBlank(byteAt(s, i)) {
		return false
	}
	for isBlank(byteAt(s, i)) {
		i++
	}
	c := byteAt(s, i)
	return c == '(' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// isAction reports whether a word is an action of one of the dialects.
func isAction(w string) bool {
	switch w {
	case "alert", "drop", "reject", "pass", "log", "block", "sdrop", "rewrite", "react",
		"activate", "dynamic", "rejectsrc", "rejectdst", "rejectboth", "config", "accept", "file_id":
		return true
	}
	return false
}

// isDirective reports whether a line is for the engine's configuration.
func isDirective(s string, from int) bool {
	w := word(s, from)
	switch w {
	case "include", "var", "ipvar", "portvar", "preprocessor", "output", "ruletype",
		"suppress", "threshold", "event_filter", "rate_filter", "dynamicpreprocessor",
		"dynamicengine", "dynamicdetection":
		return isSpace(byteAt(s, from+len(w)))
	case "config":
		// Suricata has an action of that name: it has a protocol and options.
		rest := s[from:lineAfter(s, from)]
		return isSpace(byteAt(s, from+len(w))) && (strings.IndexByte(rest, '(') < 0 || !strings.Contains(rest, "->"))
	}
	return false
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
