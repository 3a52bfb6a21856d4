package ids

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// corpus reads the rules of testdata that have one rule for each option.
func corpus(t testing.TB, d Dialect) *Ruleset {
	t.Helper()
	text, err := os.ReadFile("testdata/" + d.String() + ".rules")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(string(text), ParseOptions{Name: d.String() + ".rules", Dialect: d})
	if err != nil {
		t.Fatal(err)
	}
	if s.String() != string(text) {
		t.Errorf("%s does not print as it came", s.Name)
	}
	return s
}

var dialects = []Dialect{Suricata, Snort2, Snort3}

func TestCorporaHaveEveryOption(t *testing.T) {
	for _, d := range dialects {
		used := map[string]bool{}
		for r := range corpus(t, d).Rules() {
			for _, o := range r.Options {
				used[o.Name] = true
				// What Snort 3 writes inside content.
				if typed, err := o.Typed(d); err == nil && o.Is("content") {
					for _, m := range typed.(Content).Modifiers {
						used[m.Name] = true
					}
				}
			}
		}
		n := 0
		for k := range d.Keywords() {
			n++
			if !used[k.Name] {
				t.Errorf("%s: no rule with %s", d, k.Name)
			}
			delete(used, k.Name)
		}
		t.Logf("%s: %d options", d, n)
	}
}

func TestCorporaHaveNoFaults(t *testing.T) {
	for _, d := range dialects {
		for _, f := range Lint(corpus(t, d), LintOptions{}) {
			if f.Severity == Error && f.Code != CodeOptionRemoved {
				t.Error(f)
			}
		}
	}
}

func TestTypedOptionsEncodeToThemselves(t *testing.T) {
	for _, d := range dialects {
		for r := range corpus(t, d).Rules() {
			for _, o := range r.Options {
				typed, err := o.Typed(d)
				if err != nil {
					t.Errorf("%s: %s: %v", d, o, err)
					continue
				}
				again, err := typed.Option().Typed(d)
				if err != nil || !reflect.DeepEqual(again, typed) {
					t.Errorf("%s: %s became %s: %v", d, o, typed.Option(), err)
				}
			}
		}
	}
}

func TestRulesWithoutTheirTextPrintTheSame(t *testing.T) {
	for _, d := range dialects {
		for r := range corpus(t, d).Rules() {
			fresh := r.Clone()
			fresh.source = ""
			if text, err := fresh.Text(); err != nil || text != r.String() {
				t.Errorf("%s\nbecame\n%s\n%v", r, text, err)
			}
		}
	}
}

// TestCutTexts cuts and joins the corpora in many ways: whatever comes of
// it, it prints as it came, and the rules behind a cut are still found.
func TestCutTexts(t *testing.T) {
	for _, d := range dialects {
		text := corpus(t, d).String()
		for from := 0; from+400 < len(text); from += 331 {
			part := text[from : from+400]
			for _, damage := range []string{part, part[:200] + "\\\n" + part[200:], part[:200] + "\"" + part[200:], part[:100] + "\n" + part[150:], strings.ReplaceAll(part, ";", "")} {
				s, _ := Parse(damage+"\nalert tcp any any -> any any (sid:77;)\n", ParseOptions{Dialect: d})
				if got := s.String(); got != damage+"\nalert tcp any any -> any any (sid:77;)\n" {
					t.Fatalf("%s: %q became %q", d, damage, got)
				}
				if s.Find(1, 77) == nil {
					t.Errorf("%s: the rule after %q is lost", d, damage)
				}
			}
		}
	}
}
