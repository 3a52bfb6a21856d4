package sql_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/opnfv/clover/visibility/sql"
)

var hostile = []string{
	"", "'", `\`, `\'`, `''`, "a'b", `a\`, "\x00", "a\x00b\x00", "';DROP TABLE spans;--", "`", `"`, "$x ${y}", "\n\r\t",
	"\u2028", "\u202e", "😀", `\u0027`, "%", "_", "/*", "--", ";", "\ufeff",
}

// FuzzText reads literals by the rules of each dialect: nothing may end one
// but its end, and what it means is what went in.
func FuzzText(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want := strings.ToValidUTF8(text, "\uFFFD")
		if got, ok := readDuckDB(sql.DuckDB.Text(text)); !ok || got != want {
			t.Errorf("DuckDB reads %q (%v), want %q", got, ok, want)
		}
		if got, ok := readSpark(sql.Spark.Text(text)); !ok || got != want {
			t.Errorf("Spark reads %q (%v), want %q", got, ok, want)
		}
	})
}

// readDuckDB reads literals joined by the character NUL.
func readDuckDB(s string) (string, bool) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "("), ")")
	var b strings.Builder
	for {
		if !strings.HasPrefix(s, "'") {
			return b.String(), false
		}
		s = s[1:]
		for {
			end := strings.IndexByte(s, '\'')
			if end < 0 || strings.Contains(s[:end], "\x00") {
				return b.String(), false
			}
			b.WriteString(s[:end])
			if s = s[end+1:]; !strings.HasPrefix(s, "'") {
				break
			}
			b.WriteByte('\'')
			s = s[1:]
		}
		if s == "" {
			return b.String(), true
		}
		var ok bool
		if s, ok = strings.CutPrefix(s, " || chr(0) || "); !ok {
			return b.String(), false
		}
		b.WriteByte(0)
	}
}

// readSpark reads a literal in which \uXXXX is the only escape.
func readSpark(s string) (string, bool) {
	if len(s) < 2 || s[0] != '\'' || s[len(s)-1] != '\'' {
		return s, false
	}
	var b strings.Builder
	for s = s[1 : len(s)-1]; s != ""; {
		if s[0] != '\\' {
			if strings.ContainsRune("';\n\x00", rune(s[0])) {
				return b.String(), false
			}
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		if len(s) < 6 || s[1] != 'u' {
			return b.String(), false
		}
		n, err := strconv.ParseUint(s[2:6], 16, 16)
		if err != nil {
			return b.String(), false
		}
		b.WriteRune(rune(n))
		s = s[6:]
	}
	return b.String(), true
}
