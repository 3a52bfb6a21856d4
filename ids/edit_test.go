package ids

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEditsKeepTheRest(t *testing.T) {
	const plain = `alert tcp any any -> any any (msg: "a";  content:"x"; sid:1; rev:1;) # why`
	const lines = "alert tcp any any -> any any (\\\n  msg:\"a\"; \\\n  content:\"x\"; \\\n  sid:1;)"
	const three = "alert http\n(\n    msg:\"a\"; # why\n    content:\"x\";\n    sid:1;\n)"
	for _, c := range []struct {
		name    string
		dialect Dialect
		text    string
		edit    func(*Rule)
		want    string
	}{
		{"nothing", Suricata, plain, func(*Rule) {}, plain},
		{"back and forth", Suricata, plain, func(r *Rule) { r.Action = "drop"; r.Action = "alert" }, plain},
		{"action", Suricata, plain, func(r *Rule) { r.Action = "drop" }, `drop tcp any any -> any any (msg: "a";  content:"x"; sid:1; rev:1;) # why`},
		{"disable", Suricata, plain, func(r *Rule) { r.Disabled = true }, "# " + plain},
		{"enable", Suricata, "  ## " + plain, func(r *Rule) { r.Disabled = false }, plain},
		{"value", Suricata, plain, func(r *Rule) { r.Set("msg", `"b"`); r.Set("rev", "2") }, `alert tcp any any -> any any (msg: "b";  content:"x"; sid:1; rev:2;) # why`},
		{"add", Suricata, plain, func(r *Rule) { r.Set("classtype", "misc-activity") }, `alert tcp any any -> any any (msg: "a";  content:"x";  classtype:misc-activity; sid:1; rev:1;) # why`},
		{"remove", Suricata, plain, func(r *Rule) { r.Remove("content") }, `alert tcp any any -> any any (msg: "a"; sid:1; rev:1;) # why`},
		{"remove all", Suricata, plain, func(r *Rule) { r.Options = nil }, `alert tcp any any -> any any () # why`},
		{"addresses", Suricata, plain, func(r *Rule) { r.Destination.Addresses = "[10.0.0.1, 10.0.0.2]" }, `alert tcp any any -> [10.0.0.1, 10.0.0.2] any (msg: "a";  content:"x"; sid:1; rev:1;) # why`},
		{"continued", Suricata, lines, func(r *Rule) { r.Set("content", `"y"`); r.Set("rev", "2") }, "alert tcp any any -> any any (\\\n  msg:\"a\"; \\\n  content:\"y\"; \\\n  sid:1; \\\n  rev:2;)"},
		{"disable continued", Suricata, lines, func(r *Rule) { r.Disabled = true }, `# alert tcp any any -> any any (msg:"a"; content:"x"; sid:1;)`},
		{"free lines", Snort3, three, func(r *Rule) { r.Set("sid", "2"); r.Set("service", "http") }, "alert http\n(\n    msg:\"a\"; # why\n    content:\"x\"; service:http;\n    sid:2;\n)"},
		{"without a semicolon", Snort2, "alert tcp any any -> any any (msg:\"a\"; sid:1)", func(r *Rule) { r.Set("rev", "1") }, "alert tcp any any -> any any (msg:\"a\"; sid:1; rev:1;)"},
		{"without options", Snort2, "log tcp any any -> any 23", func(r *Rule) { r.Set("sid", "1") }, "log tcp any any -> any 23 (sid:1;)"},
	} {
		r := mustRule(t, c.text, c.dialect)
		if c.name == "enable" {
			r = mustParse(t, c.text, c.dialect).Items[0].Rule
		}
		c.edit(r)
		got, err := r.Text()
		want := c.want
		if c.name == "enable" {
			want = "  " + plain
			got = r.String()
			err = nil
		}
		if err != nil || got != want {
			t.Errorf("%s:\n%s\nwant\n%s\n%v", c.name, got, want, err)
		}
	}
}

func TestOnlyTheEditedRuleChanges(t *testing.T) {
	const text = "# head\r\nalert tcp any any -> any any (sid:1;)\r\n\r\n#alert  tcp any any -> any any (sid:2;)\r\nnonsense\r\nalert tcp any any -> any any  (sid:3;)"
	s, _ := Parse(text, ParseOptions{})
	s.Find(1, 3).Set("rev", "2")
	want := strings.Replace(text, "(sid:3;)", "(sid:3;rev:2;)", 1)
	if got := s.String(); got != want {
		t.Errorf("%q", got)
	}
	if replaced, err := s.Put(mustRule(t, "alert udp any any -> any any (sid:2;)", Suricata)); !replaced || err != nil {
		t.Errorf("%v, %v", replaced, err)
	}
	if replaced, err := s.Put(mustRule(t, "alert udp any any -> any any (sid:4;)", Suricata)); replaced || err != nil {
		t.Errorf("%v, %v", replaced, err)
	}
	want = strings.Replace(want, "#alert  tcp any any -> any any (sid:2;)", "alert udp any any -> any any (sid:2;)", 1) +
		"\r\nalert udp any any -> any any (sid:4;)\r\n"
	if got := s.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if s.Delete(0, 4) != 1 || s.Delete(0, 4) != 0 || s.Len() != 3 {
		t.Errorf("%d rules", s.Len())
	}
}

func TestPutRefusesWhatWouldReadDifferently(t *testing.T) {
	s := mustParse(t, "alert tcp any any -> any any (sid:1;)\n", Suricata)
	before := s.String()
	for name, edit := range map[string]func(*Rule){
		"no sid":            func(r *Rule) { r.Remove("sid") },
		"another dialect":   func(r *Rule) { r.Dialect = Snort2 },
		"an end in a value": func(r *Rule) { r.Set("msg", `"a"; sid:5`) },
		"a name":            func(r *Rule) { r.Options = append(r.Options, Option{Name: "a;b"}) },
		"an address":        func(r *Rule) { r.Source.Addresses = "any any" },
		"a line end":        func(r *Rule) { r.Set("msg", "\"a\nb\"") },
		"no action":         func(r *Rule) { r.Action = "" },
	} {
		r := mustRule(t, "alert tcp any any -> any any (sid:2;)", Suricata)
		edit(r)
		if _, err := s.Put(r); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if s.String() != before {
			t.Errorf("%s: the set has changed: %s", name, s)
		}
	}
}

func TestPutFileCanBeTakenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "local.rules")
	rule := mustRule(t, "alert tcp any any -> any any (sid:1; rev:1;)", Suricata)
	first, err := PutFile(path, rule)
	if err != nil || first.Replaced {
		t.Fatalf("%+v, %v", first, err)
	}
	rule.Set("rev", "2")
	second, err := PutFile(path, rule)
	if err != nil || !second.Replaced {
		t.Fatalf("%+v, %v", second, err)
	}
	if err := first.Undo(); !errors.Is(err, ErrChanged) {
		t.Errorf("an edit under another one: %v", err)
	}
	if err := second.Undo(); err != nil {
		t.Error(err)
	}
	if s, err := ReadFile(path, Suricata); err != nil || s.Find(1, 1).Rev() != 1 {
		t.Errorf("%s, %v", s, err)
	}
	if err := first.Undo(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	left, _ := os.ReadDir(filepath.Dir(path))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWriteFileKeepsPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.rules")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, mustParse(t, "# x\n", Suricata)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := WriteFile(filepath.Join(t.TempDir(), "no", "x"), &Ruleset{}); err == nil {
		t.Error("wrote into a folder that is not there")
	}
}
