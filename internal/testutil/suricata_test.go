package testutil

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSuricataTestsRules(t *testing.T) {
	s := Suricata(t)
	rules := filepath.Join(t.TempDir(), "test.rules")
	for text, want := range map[string]bool{
		`alert http any any -> any any (msg:"x"; flow:established,to_server; http.user_agent; content:"asafaweb.com"; sid:1; rev:1;)`: true,
		`alert http any any -> any any (msg:"x"; http.user_agentt; content:"asafaweb.com"; sid:1; rev:1;)`:                            false,
	} {
		if err := os.WriteFile(rules, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := s.Test(rules)
		if (err == nil) != want {
			t.Errorf("%s: %v\n%s", text, err, out)
		}
		if !want && !strings.Contains(out, "unknown rule keyword 'http.user_agentt'") {
			t.Errorf("the engine says\n%s", out)
		}
	}
	for _, name := range []string{"dns-events.rules", "modbus-events.rules", "http-events.rules"} {
		if out, err := s.Test(filepath.Join(s.Etc, "rules", name)); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
