package ids_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opnfv/clover/ids"
	"github.com/opnfv/clover/ids/starter"
	"github.com/opnfv/clover/internal/testutil"
)

// engineVersion is the Suricata that the tests run.
var engineVersion = ids.Version{Major: 7, Minor: 0}

// needsMore are options that want a file or a setting that the engine of the
// tests has not got.
var needsMore = map[string]bool{
	"datarep": true, "filemd5": true, "filesha1": true, "filesha256": true, "geoip": true, "iprep": true, "lua": true, "luajit": true,
}

// known reports whether the engine of the tests has a rule's options.
func known(r *ids.Rule) bool {
	for _, o := range r.Options {
		if needsMore[o.Name] {
			return false
		}
	}
	set := &ids.Ruleset{Items: []ids.Item{{Kind: ids.KindRule, Rule: r}}}
	for _, f := range ids.Lint(set, ids.LintOptions{Version: engineVersion}) {
		if f.Code == ids.CodeOptionTooNew || f.Code == ids.CodeOptionRemoved {
			return false
		}
	}
	return true
}

// TestSuricataTakesTheRules has the real engine test every option that the
// tables say it has, the starter rules, and what becomes of rules of Snort.
func TestSuricataTakesTheRules(t *testing.T) {
	engine := testutil.Suricata(t)
	var text strings.Builder
	n := 0
	add := func(r *ids.Rule) {
		n++
		text.WriteString(r.String() + "\n")
	}
	for _, d := range []ids.Dialect{ids.Suricata, ids.Snort2, ids.Snort3} {
		raw, err := os.ReadFile("testdata/" + d.String() + ".rules")
		if err != nil {
			t.Fatal(err)
		}
		set, err := ids.Parse(string(raw), ids.ParseOptions{Dialect: d})
		if err != nil {
			t.Fatal(err)
		}
		for r := range set.Rules() {
			if r, issues := ids.Convert(r, ids.Suricata); whole(r, issues) && known(r) {
				add(r)
			}
		}
	}
	rules, _ := starter.Rules(ids.Suricata)
	for r := range rules.Rules() {
		add(r)
	}
	path := filepath.Join(t.TempDir(), "all.rules")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := engine.Test(path); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n < 450 {
		t.Errorf("only %d rules were tested", n)
	}
	t.Logf("%d rules", n)
}

// whole reports whether a conversion kept every condition.
func whole(r *ids.Rule, issues []ids.ConversionIssue) bool {
	for _, i := range issues {
		if i.Effect >= ids.EffectWider {
			return false
		}
	}
	return r != nil && !r.Disabled
}

// TestSuricataAndLintAgree gives the engine what Lint calls an error.
func TestSuricataAndLintAgree(t *testing.T) {
	engine := testutil.Suricata(t)
	for _, options := range []string{
		`made_up:1;`, `content:abcd;`, `content:"abcd"; depth:3;`, `content:"a|0|";`, `content:"a|zz|";`, `nocase;`,
		`content:"abcd"; depth:9; distance:1;`, `content:"abcd"; startswith; offset:1;`, `flow:to_server,to_client;`,
		`entropy:value >= 4;`, `content;`, `pcre:"(a";`, `content:"abcd"; content:"efg"; distance:0; within:2;`,
	} {
		text := `alert tcp any any -> any any (msg:"a"; ` + options + ` sid:1; rev:1;)` + "\n"
		set, err := ids.Parse(text, ids.ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range ids.Lint(set, ids.LintOptions{Version: engineVersion}) {
			found = found || f.Severity == ids.Error
		}
		path := filepath.Join(t.TempDir(), "one.rules")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := engine.Test(path); err == nil || !found {
			t.Errorf("%s: Suricata: %v, Lint: %v\n%s", options, err, found, out)
		}
	}
}
