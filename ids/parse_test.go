package ids

import (
	"errors"
	"strings"
	"testing"
)

// mustRule parses one rule.
func mustRule(t testing.TB, text string, d Dialect) *Rule {
	t.Helper()
	r, err := ParseRule(text, d)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

func mustParse(t testing.TB, text string, d Dialect) *Ruleset {
	t.Helper()
	s, err := Parse(text, ParseOptions{Name: "x.rules", Dialect: d})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// kinds writes the kinds of items by their first letters.
func kinds(s *Ruleset) string {
	var b strings.Builder
	for _, it := range s.Items {
		if it.Rule != nil && it.Rule.Disabled {
			b.WriteByte('R')
			continue
		}
		b.WriteByte(it.Kind.String()[0])
	}
	return b.String()
}

func TestEveryFormPrintsAsItCame(t *testing.T) {
	for _, c := range []struct {
		name    string
		dialect Dialect
		kinds   string // b blank, c comment, r rule, R disabled rule, d directive
		text    string
	}{
		{"empty", Suricata, "", ""},
		{"blank lines", Suricata, "bb", "\n \t\n"},
		{"no last line end", Suricata, "r", `alert tcp any any -> any any (msg:"a"; sid:1;)`},
		{"line ends of Windows", Suricata, "crb", "# hello\r\nalert tcp any any -> any any (sid:1;)\r\n\r\n"},
		{"byte order mark", Suricata, "r", "\ufeffalert tcp any any -> any any (sid:1;)\n"},
		{"disabled", Suricata, "RRRcc", "#alert tcp any any -> any any (sid:1;)\n# alert tcp any any -> any any (sid:2;)\n  ## drop ip any any <> any any (sid:3;)  \n# alert on all (of it)\n#\n"},
		{"continued", Suricata, "rr", "alert tcp any any -> \\\n  any any (msg:\"a\\\nb\"; \\ \n  sid:1;)\nalert tcp any any -> any any (sid:2;)\n"},
		{"odd blanks", Suricata, "r", "  alert\ttcp  [any, !10.0.0.0/8] any  ->  any any  ( msg : \"a\" ;sid:1 ; ) \n"},
		{"repeated and unknown options", Suricata, "r", "alert new-proto any any -> any any (made.up; made_up:x,y; content:\"a\"; content:\"a\"; sid:1;)\n"},
		{"comment after the rule", Suricata, "r", "alert tcp any any -> any any (sid:1;) # why\n"},
		{"no parenthesis", Suricata, "r", "alert tcp any any -> any any (msg:\"a\"; sid:1;\n"},
		{"semicolons in quotes", Suricata, "rr", "alert tcp any any -> any any (msg:\"a;b; c\"; content:!\"x; y\" ; sid:1;)\nalert tcp any any -> any any (sid:2;)\n"},
		{"no last semicolon", Suricata, "r", "alert tcp any any -> any any (msg:\"a\"; sid:1)\n"},
		{"action config", Suricata, "r", "config dns any any -> any any (config:logging disable, type tx, scope tx; sid:1;)\n"},
		{"firewall", Suricata, "r", "accept:hook http1:request_started any any -> any any (sid:1;)\n"},
		{"both sides of a transaction", Suricata, "r", "alert http any any => any any (sid:1;)\n"},
		{"directives", Snort2, "ddddr", "include a.rules\nvar A any\nipvar B \\\n [1.1.1.1]\nconfig x: y\nalert tcp any any -> any any (sid:1;)\n"},
		{"no options", Snort2, "r", "log tcp any any -> any 23\n"},
		{"decoder", Snort2, "r", "alert ( msg:\"a\"; sid:1; gid:116; )\n"},
		{"dynamic", Snort2, "rr", "activate tcp any any -> any 23 (activates:1; msg:\"a\"; sid:1;)\ndynamic tcp any any -> any 23 (activated_by:1; count:50;)\n"},
		{"several lines", Snort3, "rbr", "alert http\n(\n    msg:\"a; b) c\"; # why\n    /* and; so) on */\n    content:\"x\", depth 3,\n        nocase;\n    sid:1;\n)\n\nalert tcp any any -> any any ( sid:2; )\n"},
		{"services and files", Snort3, "rrrr", "alert http ( sid:1; )\nalert file ( sid:2; )\nalert ( gid:116; sid:3; )\nfile_id ( file_meta:type A, id 1; sid:4; )\n"},
		{"no ports", Snort3, "r", "alert tcp any -> any ( sid:1; )\n"},
		{"block comments", Snort3, "ccrc", "/* a\n alert tcp any any -> any any (sid:9;)\n*/\n#begin\nalert tcp any any -> any any (sid:8;)\n#end\nalert tcp any any -> any any ( sid:1; )\n# x\n"},
		{"two on a line", Snort3, "rr", "alert http ( sid:1; ) alert http ( sid:2; )\n"},
		{"remark", Snort3, "r", "alert http ( rem:\"not; an end)\"; sid:1; )\n"},
		{"expressions run to the semicolon", Snort3, "r", "alert http ( pcre:\"/a\"b)c/\"; sid:1; )\n"},
		{"free text", Snort3, "r", "alert http ( reference:url,x/(y); metadata:a (b),c; sid:1; )\n"},
		{"include", Snort3, "dr", "include a.rules\nalert http ( sid:1; )\n"},
	} {
		s, err := Parse(c.text, ParseOptions{Dialect: c.dialect})
		if err != nil || kinds(s) != c.kinds {
			t.Errorf("%s: %s, want %s: %v", c.name, kinds(s), c.kinds, err)
		}
		if got := s.String(); got != c.text {
			t.Errorf("%s: printed %q, want %q", c.name, got, c.text)
		}
		for r := range s.Rules() {
			if r.SID() == 0 && !strings.Contains(c.name, "no options") && !strings.Contains(c.name, "dynamic") {
				t.Errorf("%s: no sid in %s", c.name, r)
			}
		}
	}
}

func TestFaultsHaveTheirPlaceAndCostOneRule(t *testing.T) {
	const good = "alert tcp any any -> any any (sid:7;)\n"
	for _, c := range []struct {
		name    string
		dialect Dialect
		text    string
		at      string
		words   string
	}{
		{"few fields", Suricata, "alert tcp any (sid:1;)\n", "1:14", "3 fields"},
		{"many fields", Suricata, "alert tcp any any -> any any any (sid:1;)\n", "1:30", "more than 7"},
		{"no direction", Suricata, "alert tcp any any to any any (sid:1;)\n", "1:19", "direction"},
		{"open list", Suricata, "alert tcp [any any -> any any (sid:1;)\n", "1:11", "list"},
		{"no options", Suricata, "alert tcp any any -> any any\n", "1:29", "no options"},
		{"not closed", Suricata, "alert tcp any any -> any any (msg:\"a\";\n", "1:39", "not closed"},
		{"no semicolon at all", Suricata, "alert tcp any any -> any any (sid:1\n", "1:36", "not closed"},
		{"semicolon in a text", Suricata, "alert tcp any any -> any any (msg:a;b c; sid:1;)\n", "1:38", "unescaped"},
		{"text after", Suricata, "alert tcp any any -> any any (sid:1;) x\n", "1:38", "after the rule"},
		{"second line", Suricata, "\n  alert tcp any any \\\n -> any (sid:1;)\n", "3:8", "fields"},
		{"in a continued option", Suricata, "alert tcp any any -> any any (msg:\"a\"; \\\n  b@d:1; sid:1;)\n", "2:4", "character"},
		{"open string", Snort3, "alert http ( msg:\"a; sid:1; )\n", "1:18", "string"},
		{"open comment", Snort3, "\n/* a", "2:1", "comment"},
		{"open rule", Snort3, "alert http\n( sid:1;\n", "3:1", "before this rule"},
		{"no meaning", Snort3, "hello world this is none\n", "1:25", "fields"},
	} {
		text := c.text
		if c.name != "open comment" {
			text += good
		}
		s, err := Parse(text, ParseOptions{Dialect: c.dialect})
		var faults SyntaxErrors
		if !errors.As(err, &faults) || !errors.Is(err, ErrSyntax) || len(faults) != 1 {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		f := faults[0]
		if got := f.Position.String(); got != c.at || !strings.Contains(f.Message, c.words) {
			t.Errorf("%s: %v, want %s … %s", c.name, f, c.at, c.words)
		}
		before := text[:f.Position.Offset]
		if line := 1 + strings.Count(before, "\n"); line != f.Position.Line || f.Position.Offset-strings.LastIndex(before, "\n") != f.Position.Column {
			t.Errorf("%s: offset %d is not %s", c.name, f.Position.Offset, f.Position)
		}
		if c.name != "open comment" && s.Find(1, 7) == nil {
			t.Errorf("%s: the rule after it is lost", c.name)
		}
		if s.String() != text {
			t.Errorf("%s: printed %q", c.name, s.String())
		}
	}
}

func TestPartsOfARule(t *testing.T) {
	r := mustRule(t, `drop tcp [$HOME_NET,!10.0.0.1] 1024: <> !any [80,443] (msg:"a \"b\"\; c"; content:"x"; nocase; content:!"|00|"; gid:3; sid:12; rev:4; classtype:misc-activity;)`, Suricata)
	want := Header{"drop", "tcp", Endpoint{"[$HOME_NET,!10.0.0.1]", "1024:"}, "<>", Endpoint{"!any", "[80,443]"}}
	if r.Header != want {
		t.Errorf("%+v", r.Header)
	}
	if r.Message() != `a "b"; c` || r.SID() != 12 || r.GID() != 3 || r.Rev() != 4 || r.Class() != "misc-activity" {
		t.Errorf("%q %d %d %d %q", r.Message(), r.SID(), r.GID(), r.Rev(), r.Class())
	}
	var at []int
	for i, o := range r.All("CONTENT") {
		at = append(at, i)
		if p := r.OptionPosition(i); r.source[p.Offset:][:7] != o.Name {
			t.Errorf("position of option %d: %v", i, p)
		}
	}
	if len(at) != 2 || at[0] != 1 || at[1] != 3 {
		t.Errorf("contents at %v", at)
	}
}

func TestPositionsInContinuedRules(t *testing.T) {
	s := mustParse(t, "# x\nalert tcp any any -> any any (\\\n  msg:\"a\"; \\\n  content:\"b\"; sid:1;)\n", Suricata)
	r := s.Find(0, 1)
	if r == nil {
		t.Fatal("no rule")
	}
	if got := r.OptionPosition(1).String(); got != "4:3" {
		t.Errorf("content at %s", got)
	}
	if got := r.Position().String(); got != "2:1" {
		t.Errorf("rule at %s", got)
	}
}

func TestOneRuleOnly(t *testing.T) {
	for _, text := range []string{"", "# x", "alert tcp any any -> any any (sid:1;)\nalert tcp any any -> any any (sid:2;)", "include x"} {
		if r, err := ParseRule(text, Snort2); err == nil || !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
}

func TestBlankLineEndsAContinuedRule(t *testing.T) {
	s := mustParse(t, "include x \\\n   \nalert tcp any any -> any any (sid:1;)\n", Snort2)
	if kinds(s) != "dr" {
		t.Error(kinds(s))
	}
}

// TestHostileTextsTakeLinearTime would run for minutes if what is left open
// were searched for again from each line.
func TestHostileTextsTakeLinearTime(t *testing.T) {
	const size = 1 << 20
	for _, d := range dialects {
		for _, unit := range []string{
			"x (pcre:\"\n\n", "x (a:\"\n\n", "x [\n\n", "x /*\n\n", "x (/*\n\n", "alert http ( sid:1 /*\n", "x (a:b\n\n", "alert tcp any any -> any any (a;\\\n",
			"a:\\;", "\\\n", " \\\n", "(", "[", "#begin\n", "alert", "# alert tcp any any -> any any (a:", "a;", "\"", ";", "alert http ( msg:\"a\n",
		} {
			head := ""
			if len(unit) < 5 {
				head = "alert tcp any any -> any any ("
			}
			s, _ := Parse(head+strings.Repeat(unit, size/len(unit)), ParseOptions{Dialect: d})
			_ = Lint(s, LintOptions{Disabled: true})
			_ = s.String()
			for r := range s.Rules() {
				r.Matches()
			}
		}
	}
}
