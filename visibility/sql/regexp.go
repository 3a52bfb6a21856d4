package sql

import (
	"fmt"
	"regexp/syntax"
	"strings"
	"unicode"
)

// javaRegexp prints a regular expression of Go so that Java's
// java.util.regex finds the same texts. It leaves nothing to what the two
// understand differently: each character is written by its number, each class
// by its ranges, and each assertion as a look around.
func javaRegexp(re *syntax.Regexp) string {
	var b strings.Builder
	writeJava(&b, re)
	return b.String()
}

// assertions are Java's forms of what matches between characters.
var assertions = map[syntax.Op]string{
	syntax.OpEmptyMatch:     `(?:)`,
	syntax.OpNoMatch:        `(?!)`,
	syntax.OpAnyChar:        `(?s:.)`,
	syntax.OpAnyCharNotNL:   `[^\x{a}]`,
	syntax.OpBeginLine:      `(?<![^\x{a}])`,
	syntax.OpEndLine:        `(?![^\x{a}])`,
	syntax.OpBeginText:      `\A`,
	syntax.OpEndText:        `\z`,
	syntax.OpWordBoundary:   `(?:(?<=[0-9A-Za-z_])(?![0-9A-Za-z_])|(?<![0-9A-Za-z_])(?=[0-9A-Za-z_]))`,
	syntax.OpNoWordBoundary: `(?:(?<=[0-9A-Za-z_])(?=[0-9A-Za-z_])|(?<![0-9A-Za-z_])(?![0-9A-Za-z_]))`,
}

func writeJava(b *strings.Builder, re *syntax.Regexp) {
	if text, ok := assertions[re.Op]; ok {
		b.WriteString(text)
		return
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			writeJavaRune(b, r, re.Flags&syntax.FoldCase != 0)
		}
	case syntax.OpCharClass:
		writeJavaClass(b, re.Rune)
	case syntax.OpCapture:
		writeJavaGroup(b, re.Sub[0])
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		// Greedy or not: whether there is a match does not depend on it.
		writeJavaGroup(b, re.Sub[0])
		b.WriteString(repetition(re))
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			writeJava(b, sub)
		}
	case syntax.OpAlternate:
		b.WriteString("(?:")
		for i, sub := range re.Sub {
			if i > 0 {
				b.WriteByte('|')
			}
			writeJava(b, sub)
		}
		b.WriteByte(')')
	}
}

func writeJavaGroup(b *strings.Builder, re *syntax.Regexp) {
	b.WriteString("(?:")
	writeJava(b, re)
	b.WriteByte(')')
}

func repetition(re *syntax.Regexp) string {
	switch {
	case re.Op == syntax.OpStar:
		return "*"
	case re.Op == syntax.OpPlus:
		return "+"
	case re.Op == syntax.OpQuest:
		return "?"
	case re.Max < 0:
		return fmt.Sprintf("{%d,}", re.Min)
	}
	return fmt.Sprintf("{%d,%d}", re.Min, re.Max)
}

// writeJavaRune writes a character, and all that are the same but for their
// case if fold is set.
func writeJavaRune(b *strings.Builder, r rune, fold bool) {
	next := unicode.SimpleFold(r)
	if !fold || next == r {
		fmt.Fprintf(b, `\x{%x}`, r)
		return
	}
	fmt.Fprintf(b, `[\x{%x}`, r)
	for ; next != r; next = unicode.SimpleFold(next) {
		fmt.Fprintf(b, `\x{%x}`, next)
	}
	b.WriteByte(']')
}

// writeJavaClass writes a class, given as pairs of its first and last runes.
func writeJavaClass(b *strings.Builder, pairs []rune) {
	if len(pairs) == 0 {
		b.WriteString(assertions[syntax.OpNoMatch])
		return
	}
	b.WriteByte('[')
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(b, `\x{%x}-\x{%x}`, pairs[i], pairs[i+1])
	}
	b.WriteByte(']')
}
