package ids

import (
	"slices"
	"strings"
	"testing"
)

func TestFindings(t *testing.T) {
	const tail = ` classtype:misc-activity; sid:1; rev:1;)`
	const head = `alert tcp any any -> any any (msg:"a"; flow:established; `
	for _, c := range []struct {
		code  Code
		rules string
		at    string
	}{
		{"", head + `content:"abcd"; nocase; depth:9;` + tail, ""},
		{"", `alert http any any -> any any (msg:"a"; http.host; content:"a.b"; content:"c"; distance:0; within:5;` + tail, ""},
		{CodeDuplicateSID, head + tail + "\n" + head + tail, "2:1"},
		{CodeMissingSID, `alert ip any any -> any any (msg:"a"; classtype:misc-activity; rev:1;)`, "1:1"},
		{CodeMissingRev, `alert ip any any -> any any (msg:"a"; classtype:misc-activity; sid:1;)`, "1:1"},
		{CodeMissingMsg, `alert ip any any -> any any (` + tail, "1:1"},
		{CodeMissingClass, `alert ip any any -> any any (msg:"a"; sid:1; rev:1;)`, "1:1"},
		{CodeDuplicate, head + `msg:"b";` + tail, "1:58"},
		{CodeUnknownOption, head + `made_up:1;` + tail, "1:58"},
		{CodeOptionTooNew, head + `entropy:value >= 4;` + tail, "1:58"},
		{CodeOptionRemoved, head + `luajit:x;` + tail, "1:58"},
		{CodeUnknownAction, `block ip any any -> any any (msg:"a";` + tail, "1:1"},
		{CodeUnknownProto, `alert zzz any any -> any any (msg:"a";` + tail, "1:1"},
		{CodeBadAddress, `alert ip 1.1.1 any -> any any (msg:"a";` + tail, "1:1"},
		{CodeBadPorts, `alert ip any 70000 -> any any (msg:"a";` + tail, "1:1"},
		{CodeBadDirection, `alert ip any any <- any any (msg:"a";` + tail, "1:1"},
		{CodeBadValue, head + `content:abcd;` + tail, "1:58"},
		{CodeBadValue, `alert ip any any -> any any (msg:a;` + tail, "1:30"},
		{CodeBadValue, head + `content:"abcd"; pcre:"/(a/";` + tail, "1:74"},
		{CodeValueMissing, head + `content;` + tail, "1:58"},
		{CodeValueExtra, head + `content:"abcd"; nocase:1;` + tail, "1:74"},
		{CodeNotEnded, `alert ip any any -> any any (msg:"a"; classtype:misc-activity; rev:1; sid:1)`, "1:71"},
		{CodeNotClosed, `alert ip any any -> any any (msg:"a"; classtype:misc-activity; rev:1; sid:1;`, "1:71"},
		{CodeSemicolon, `alert ip any any -> any any (msg:"a;b c";` + tail, "1:30"},
		{CodeVariable, `alert ip $NOWHERE any -> any any (msg:"a";` + tail, "1:1"},
		{CodeNoPattern, head + `nocase;` + tail, "1:58"},
		{CodeNoPattern, head + `http_uri;` + tail, "1:58"},
		{CodeContradiction, head + `content:"abcd"; depth:3;` + tail, "1:58"},
		{CodeContradiction, head + `content:"x"; content:"abcd"; distance:1; within:3;` + tail, "1:71"},
		{CodeContradiction, head + `content:"abcd"; depth:9; distance:1;` + tail, "1:58"},
		{CodeContradiction, head + `content:"abcd"; startswith; offset:1;` + tail, "1:58"},
		{CodeContradiction, head + `content:"abcd"; depth:9; depth:8;` + tail, "1:58"},
		{CodeContradiction, head + `content:!"abcd"; offset:1; fast_pattern; content:"efgh";` + tail, "1:58"},
		{CodeContradiction, `alert ip any any -> any any (msg:"a"; flow:to_server,to_client;` + tail, "1:39"},
		{CodeContradiction, `alert http any any -> any any (msg:"a"; http.host; content:"a.bc"; nocase;` + tail, "1:52"},
		{CodeContradiction, `alert http any any -> any any (msg:"a"; http.host; content:"A.bc";` + tail, "1:52"},
		{CodeNoEffect, head + `content:"1234"; nocase;` + tail, "1:58"},
		{CodeSlow, head + `pcre:"/abc/";` + tail, "1:1"},
		{CodeSlow, head + `content:"ab"; pcre:"/abc/";` + tail, "1:1"},
		{CodeSlow, head + `content:"abcd"; pcre:"/.*abc/";` + tail, "1:74"},
		{CodeNoFlow, `alert tcp any any -> any any (msg:"a"; content:"abcd";` + tail, "1:1"},
		{CodeClass, `alert ip any any -> any any (msg:"a"; classtype:other; sid:1; rev:1;)`, "1:39"},
		{CodeReference, head + `reference:other,x;` + tail, "1:58"},
		{CodeFlowbitsUnset, head + `flowbits:isset,b;` + tail, "1:58"},
		{CodeFlowbitsUnused, head + `flowbits:set,b;` + tail, "1:58"},
	} {
		s := mustParse(t, c.rules+"\n", Suricata)
		classes, _ := ParseClassifications("config classification: misc-activity,Misc,3\n")
		systems, _ := ParseReferences("config reference: url http://\n")
		got := Lint(s, LintOptions{Version: Version{7, 0}, Classifications: classes, References: systems})
		if c.code == CodeOptionRemoved {
			got = Lint(s, LintOptions{})
			got = slices.DeleteFunc(got, func(f Finding) bool { return f.Code != CodeOptionRemoved })
		}
		if c.code == "" {
			if len(got) > 0 {
				t.Errorf("%s: %v", c.rules, got)
			}
			continue
		}
		if len(got) != 1 || got[0].Code != c.code || got[0].Position.String() != "x.rules:"+c.at || got[0].Remedy == "" || got[0].Message == "" {
			t.Errorf("%s:\n%s: want %s at %s, found %v", c.code, c.rules, c.code, c.at, got)
		}
	}
}

func TestFindingsAcrossFiles(t *testing.T) {
	rule := func(sid, more string) string {
		return `alert ip any any -> any any (msg:"a"; classtype:misc-activity; ` + more + ` sid:` + sid + "; rev:1;)\n"
	}
	a, _ := Parse(rule("1", "flowbits:set,a;"), ParseOptions{Name: "a"})
	b, _ := Parse(rule("2", "flowbits:isset,a;")+rule("1", "")+"# "+rule("2", ""), ParseOptions{Name: "b"})
	got := LintAll([]*Ruleset{a, b}, LintOptions{})
	if len(got) != 1 || got[0].Code != CodeDuplicateSID || got[0].Position.String() != "b:2:1" || !strings.Contains(got[0].Message, "a:1:1") {
		t.Errorf("%v", got)
	}
	if got := LintAll([]*Ruleset{a, b}, LintOptions{Disabled: true}); len(got) != 2 {
		t.Errorf("%v", got)
	}
}

func TestOptionsOfAnotherDialect(t *testing.T) {
	const rule = `alert tcp any any -> any any (msg:"a"; flow:established; http.uri; content:"abcd"; classtype:misc-activity; sid:1; rev:1;)`
	for _, d := range dialects {
		found := false
		for _, f := range Lint(mustParse(t, rule, d), LintOptions{}) {
			found = found || f.Code == CodeUnknownOption && strings.Contains(f.Message, "http.uri")
		}
		if found == (d == Suricata) {
			t.Errorf("%s: %v", d, found)
		}
	}
}
