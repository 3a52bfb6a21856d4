package sql

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
)

// TestJavaRegexp holds the forms that Java is given, and, of those that Go
// reads too, that they find the same.
func TestJavaRegexp(t *testing.T) {
	subjects := []string{
		"", "item", "ITEM", "a.b", "ab", "line\nfeed", "feed\n", "a\x00b", "K", "\u212a", "größe", "GRÖSSE", "straße", "x1_", "é", "日本", "a]b^c-d\\e",
	}
	for _, pattern := range []string{
		"item", "(?i)item", "a.b", "(?s)a.b", "[a-c]+", "[^a-z]", "^$", "(a|b)*", "a{2,3}b{1,}c?", `\d\D\w\W\s\S`, `\pL+`, `\P{Greek}`,
		"[[:alpha:]]", `[]^\\-]`, "(?i)k", `\Q.*\E`, "(?P<name>x)(y)", "a*?b+?c??", "", "(?:)", "|a", `\x{65e5}`,
	} {
		re, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		java := javaRegexp(re)
		translated, err := regexp.Compile(java)
		if err != nil {
			t.Errorf("%q became %q: %v", pattern, java, err)
			continue
		}
		original := regexp.MustCompile(pattern)
		for _, s := range subjects {
			if got, want := translated.MatchString(s), original.MatchString(s); got != want {
				t.Errorf("%q became %q: matches %q: %v, want %v", pattern, java, s, got, want)
			}
		}
	}
	for pattern, want := range map[string]string{
		"(?m)^a$":            `(?<![^\x{a}])\x{61}(?![^\x{a}])`,
		`a\b`:                `\x{61}(?:(?<=[0-9A-Za-z_])(?![0-9A-Za-z_])|(?<![0-9A-Za-z_])(?=[0-9A-Za-z_]))`,
		`[^\x00-\x{10FFFF}]`: `(?!)`,
	} {
		re, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		if got := javaRegexp(re); got != want {
			t.Errorf("%q became %q, want %q", pattern, got, want)
		}
	}
	if strings.Contains(barExpr, "NaN") || strings.Contains(barExpr, "Inf") {
		t.Error(barExpr)
	}
}
