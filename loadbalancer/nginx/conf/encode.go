package conf

import (
	"bytes"
	"strings"
)

// Encode writes the tree as text that nginx reads back as the same tree. An
// error is an [*EncodeError].
func Encode(tree []Directive) ([]byte, error) {
	var out bytes.Buffer
	if err := encodeBlock(&out, tree, 0); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func encodeBlock(out *bytes.Buffer, block []Directive, depth int) error {
	for _, d := range block {
		if depth >= MaxDepth {
			return &EncodeError{Directive: d.Name, Reason: "blocks lie too deep in each other"}
		}
		indent(out, depth)
		for i, word := range append([]string{d.Name}, d.Args...) {
			if i > 0 {
				out.WriteByte(' ')
			}
			if reason := encodeWord(out, word); reason != "" {
				return &EncodeError{Directive: d.Name, Word: i, Reason: reason}
			}
		}
		if d.Block == nil {
			out.WriteString(";\n")
			continue
		}
		out.WriteString(" {\n")
		if err := encodeBlock(out, d.Block, depth+1); err != nil {
			return err
		}
		indent(out, depth)
		out.WriteString("}\n")
	}
	return nil
}

func indent(out *bytes.Buffer, depth int) {
	for range depth {
		out.WriteString("    ")
	}
}

// encodeWord writes one word, in quotes unless all of it is harmless, and
// returns the reason if it cannot be written.
func encodeWord(out *bytes.Buffer, word string) string {
	if strings.IndexByte(word, 0) >= 0 {
		return "has a byte of value zero, which nginx takes as the end of a text"
	}
	start := out.Len()
	if bare(word) {
		out.WriteString(word)
	} else {
		quote(out, word)
	}
	if out.Len()-start > MaxWordBytes {
		return "is longer than nginx reads"
	}
	return ""
}

// quote writes the word in double quotes, line ends and tabs as escapes so
// that a statement stays on its line.
func quote(out *bytes.Buffer, word string) {
	out.WriteByte('"')
	for i := range len(word) {
		switch c := word[i]; c {
		case '"', '\\':
			out.WriteByte('\\')
			out.WriteByte(c)
		case '\t':
			out.WriteString(`\t`)
		case '\r':
			out.WriteString(`\r`)
		case '\n':
			out.WriteString(`\n`)
		default:
			out.WriteByte(c)
		}
	}
	out.WriteByte('"')
}

// bare reports whether a word needs no quotes: only characters that mean
// nothing to nginx's reader wherever they stand.
func bare(word string) bool {
	for i := range len(word) {
		c := word[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("_-./:=~^*|?()@%+,!&[]<>$", c) >= 0:
		default:
			return false
		}
	}
	return word != ""
}
