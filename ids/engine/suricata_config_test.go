package engine

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// scalar returns the text of a value in a document of YAML.
func scalar(t *testing.T, n *yaml.Node, path ...string) string {
	t.Helper()
	for _, name := range path {
		switch n.Kind {
		case yaml.DocumentNode, yaml.SequenceNode:
			n = n.Content[0]
		default:
		}
		if name == "[0]" {
			continue
		}
		found := false
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				n, found = n.Content[i+1], true
				break
			}
		}
		if !found {
			t.Fatalf("no %s in %v", name, path)
		}
	}
	return n.Value
}

func TestConfigRefusesWhatIsNoName(t *testing.T) {
	for _, o := range []SuricataOptions{
		{Interfaces: []string{"eth0"}, Addresses: map[string]string{"A: b": "any"}},
		{Interfaces: []string{"eth0\nx: y"}},
		{Interfaces: []string{"eth0"}, Filter: "tcp\nx: y"},
		{Interfaces: []string{"eth0"}, Ports: map[string]string{"P": "80\x00"}},
		{Interfaces: []string{"eth0"}, EVE: EVE{Redis: &EVERedis{Key: "\u2028"}}},
		{},
		{Interfaces: []string{"eth0"}, Socket: strings.Repeat("x", maxSocketPath+1)},
	} {
		if _, err := NewSuricata(t.TempDir(), o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// TestTooLongRulesAreTold holds that a rule that Suricata reads in part only is
// refused in words of our own, at its first line.
func TestTooLongRulesAreTold(t *testing.T) {
	rule := func(bytes int) string {
		const head, end = `alert tcp any any -> any any (msg:"`, `"; sid:1;)`
		return head + strings.Repeat("m", bytes-len(head)-len(end)) + end
	}
	long := rule(maxRuleBytes + 1)
	for name, test := range map[string]struct {
		rules string
		lines []int
	}{
		"just right":          {rule(maxRuleBytes) + "\n" + rule(maxRuleBytes), nil},
		"one byte too many":   {"# short\n" + long + "\r\n" + rule(100) + "\n" + long, []int{2, 4}},
		"a comment":           {"#" + long, []int{1}},
		"on several lines":    {"\n" + long[:5000] + "\\\n" + long[5000:] + "\n" + rule(100), []int{2}},
		"continued, all fits": {rule(maxRuleBytes)[:5000] + "\\ \n" + rule(maxRuleBytes)[5000:], nil},
		"a comment ends":      {"# ends with \\\n" + rule(maxRuleBytes), nil},
	} {
		var lines []int
		for _, p := range tooLong(test.rules) {
			lines = append(lines, p.Line)
			if !strings.Contains(p.Message, "8191 at most") {
				t.Errorf("%s: %s", name, p.Message)
			}
		}
		if !slices.Equal(lines, test.lines) {
			t.Errorf("%s: lines %v, want %v", name, lines, test.lines)
		}
	}
}

// FuzzConfig has another parser read what is written: whatever a user gives
// is one value in it.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{"any", "[10.0.0.0/8,!10.1.0.0/16]", "yes", "null", "~", "0x10", "1e3", "", " x ", "a: b", "a\nb: c", "'\"", "# x", "- x", "%YAML", "---", "!x", "&a", "*a", "{a}", "a\tb", "\u2028", "\x01", "\u0085", "x\n", "\\n", "1:30", "2026-01-01", "|", ">", "@", "`", "\r", "\ufeff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		s := &Suricata{options: SuricataOptions{
			Addresses: map[string]string{"HOME_NET": text}, Interfaces: []string{text}, LogDir: text, EVE: EVE{Socket: text},
		}, rules: ruleFile{text}}
		data, err := s.config()
		if strings.ContainsFunc(text, unprintable) {
			if err == nil {
				t.Fatalf("%q is taken", text)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(data[len(yamlHeader):], &doc); err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		for _, path := range [][]string{{"vars", "address-groups", "HOME_NET"}, {"af-packet", "interface"}, {"default-log-dir"}} {
			if got := scalar(t, &doc, path...); got != text {
				t.Errorf("%v is %q, want %q\n%s", path, got, text, data)
			}
		}
	})
}
