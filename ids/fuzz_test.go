package ids

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// FuzzParse: any text prints as it came, also without the memory of its
// text; conversions and findings come to an end.
func FuzzParse(f *testing.F) {
	for _, d := range dialects {
		for r := range corpus(f, d).Rules() {
			f.Add(r.String(), uint8(d))
		}
	}
	f.Add("# alert tcp any any -> any any (msg:\"a\"; \\\r\n sid:1)\r\nalert", uint8(0))
	f.Add("alert http\n( /* ; */ pcre:\"/a;\";\n#x\nsid:1; ) #begin\n#end", uint8(2))
	f.Fuzz(func(t *testing.T, text string, dialect uint8) {
		d := Dialect(dialect % 3)
		s, err := Parse(text, ParseOptions{Dialect: d})
		if got := s.String(); got != text {
			t.Fatalf("%q became %q", text, got)
		}
		again, err2 := Parse(s.String(), ParseOptions{Dialect: d})
		if (err == nil) != (err2 == nil) || again.Len() != s.Len() {
			t.Fatalf("%q reads as %d rules, then as %d: %v, %v", text, s.Len(), again.Len(), err, err2)
		}
		for r := range s.Rules() {
			fuzzRule(t, r)
		}
		Lint(s, LintOptions{Disabled: true})
	})
}

func fuzzRule(t *testing.T, r *Rule) {
	fresh := r.Clone()
	fresh.source = ""
	// A text that is checked reads back as the same rule.
	if text, err := fresh.Text(); err == nil {
		if back, err := ParseRule(text, r.Dialect); err != nil || !back.Equal(r) {
			t.Fatalf("%q became %q: %v", r, text, err)
		}
	}
	r.Matches()
	for _, to := range dialects {
		if c, _ := Convert(r, to); c != nil {
			_ = c.String()
		}
	}
	edited := r.Clone()
	edited.Set("rev", "77")
	edited.Disabled = !edited.Disabled
	if text, err := edited.Text(); err == nil {
		if back, err := ParseRule(text, r.Dialect); err != nil || back.Rev() != 77 {
			t.Fatalf("%q, edited, became %q: %v", r, text, err)
		}
	}
}

// FuzzContract: what a field says is data. The rule reads back as exactly
// the message and the bytes that were meant, in every dialect.
func FuzzContract(f *testing.F) {
	f.Add("msg", `"asafaweb.com"`, "any", "80", uint8(0))
	f.Add(`a"; sid:1; msg:"b`, `"a"; sid:1; content:"b"`, "$HOME_NET", "[1:2,!3]", uint8(1))
	f.Add("x\\", `|0D 0A|\"`, "!10.0.0.0/8", "1:", uint8(2))
	f.Fuzz(func(t *testing.T, msg, content, address, port string, dialect uint8) {
		d := Dialect(dialect % 3)
		fields := map[string]any{"sid": 1000001, "protocol": "tcp", "msg": msg, "content": content, "dest_ip": address, "dest_port": port}
		text, err := yaml.Marshal(fields)
		if err != nil {
			return
		}
		c, err := ParseContract(text)
		if err != nil || c.Message != msg || c.Content != content {
			return // what the YAML library does not bring back is not for this test
		}
		r, err := c.Rule(d)
		if err != nil {
			return
		}
		back, err := ParseRule(r.String(), d)
		if err != nil || !back.Equal(r) {
			t.Fatalf("%q: %v", r, err)
		}
		names := []string{"msg", "content", "sid", "rev"}
		want, err := c.bytes()
		if err != nil {
			t.Fatal(err)
		}
		if want.Pattern == nil {
			names = []string{"msg", "sid", "rev"}
		}
		if got := optionNames(back); !slices.Equal(got, names) {
			t.Fatalf("%q has %v", r, got)
		}
		if back.Message() != strings.TrimSpace(msg) || back.SID() != 1000001 || back.Rev() != 1 {
			t.Fatalf("%q: message %q, want %q", r, back.Message(), msg)
		}
		if m := back.Matches(); want.Pattern != nil {
			if got := m[0].Pattern.(Content); !bytes.Equal(got.Pattern, want.Pattern) || got.Not != want.Not {
				t.Fatalf("%q: content %q, want %q", r, got.Pattern, want.Pattern)
			}
		}
	})
}

func optionNames(r *Rule) (names []string) {
	for _, o := range r.Options {
		names = append(names, o.Name)
	}
	return names
}

// FuzzPattern: any bytes come back from a content, and any expression that
// could be written is read as one option.
func FuzzPattern(f *testing.F) {
	f.Add([]byte("a;\"|\\:"), "a/b;\"", uint8(0))
	f.Fuzz(func(t *testing.T, pattern []byte, expr string, dialect uint8) {
		d := Dialect(dialect % 3)
		if len(pattern) == 0 {
			return
		}
		r := &Rule{Dialect: d, Header: Header{"alert", "tcp", Endpoint{"any", "any"}, "->", Endpoint{"any", "any"}}}
		r.Options = []Option{Content{Pattern: pattern}.Option(), PCRE{Expr: expr}.Option(), {Name: "sid", Value: "1"}}
		text, err := r.Text()
		if err != nil {
			if strings.ContainsAny(expr, "\x00") || expr == "" {
				return
			}
			t.Fatalf("%q: %v", r, err)
		}
		back, err := ParseRule(text, d)
		if err != nil || len(back.Options) != 3 {
			t.Fatalf("%q: %v", text, err)
		}
		c, err := DecodePattern(back.Options[0].Value, d)
		if err != nil || !bytes.Equal(c.Pattern, pattern) {
			t.Fatalf("%q: %q, %v", text, c.Pattern, err)
		}
	})
}

// FuzzConfig: files beside the rules print as they came.
func FuzzConfig(f *testing.F) {
	f.Add("# a\nconfig classification: a,b,1\r\nsuppress gen_id 1, sig_id 2\nconfig reference: url http://\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\r") || strings.Contains(text, "\r\n") && strings.Count(text, "\n") != strings.Count(text, "\r\n") {
			return // mixed line ends become those of the file
		}
		a, _ := ParseClassifications(text)
		b, _ := ParseReferences(text)
		c, _ := ParseFilters(text)
		for _, got := range []string{a.String(), b.String(), c.String()} {
			if got != text {
				t.Fatalf("%q became %q", text, got)
			}
		}
		for _, d := range dialects {
			_, _ = ParseVariables(text, d)
		}
	})
}
