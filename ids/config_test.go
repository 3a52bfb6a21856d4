package ids

import (
	"errors"
	"strings"
	"testing"
)

func TestClassifications(t *testing.T) {
	const text = "# classes\r\n\r\nconfig classification: a,Some, more,1\r\n config  classification:b,B,2"
	f, err := ParseClassifications(text)
	if err != nil || f.String() != text {
		t.Fatalf("%q, %v", f, err)
	}
	all := f.All()
	if len(all) != 2 || *all[0] != (Classification{"a", "Some, more", 1}) || *all[1] != (Classification{"b", "B", 2}) {
		t.Errorf("%+v", all)
	}
	all[1].Priority = 3
	f.Add(Classification{"c", "C", 4})
	want := "# classes\r\n\r\nconfig classification: a,Some, more,1\r\nconfig classification: b,B,3\r\nconfig classification: c,C,4\r\n"
	if f.String() != want {
		t.Errorf("%q", f)
	}
	f, err = ParseClassifications("config classification: a,b\nconfig other: x\nconfig classification: a,b,c\nconfig classification: d,e,5\n")
	var faults SyntaxErrors
	if !errors.As(err, &faults) || len(faults) != 3 || faults[2].Position.Line != 3 || len(f.All()) != 1 || !strings.Contains(f.String(), "config other: x\n") {
		t.Errorf("%v, %q", err, f)
	}
}

func TestReferences(t *testing.T) {
	const text = "config reference: url http://\nconfig reference: cve  http://cve.example/\n"
	f, err := ParseReferences(text)
	if err != nil || f.String() != text || *f.All()[1] != (ReferenceSystem{"cve", "http://cve.example/"}) {
		t.Fatalf("%q, %v", f, err)
	}
	if _, err := ParseReferences("config reference:\n"); !errors.Is(err, ErrSyntax) {
		t.Error(err)
	}
}

func TestFilters(t *testing.T) {
	const text = `# limits
suppress gen_id 1, sig_id 2, track by_src, ip [10.0.0.1,10.0.0.2]
threshold gen_id 1, sig_id 3, type limit, track by_src, count 1, seconds 60
event_filter gen_id 1, sig_id 0, type both, track by_dst, count 5, seconds 9
rate_filter gen_id 135, sig_id 1, track by_rule, count 100, seconds 1, new_action drop, timeout 10
`
	f, err := ParseFilters(text)
	if err != nil || f.String() != text {
		t.Fatalf("%s, %v", f, err)
	}
	all := f.All()
	if all[0].IP != "[10.0.0.1,10.0.0.2]" || all[3].Timeout != 10 || all[2].SID != 0 || all[1].Count != 1 {
		t.Errorf("%+v", all)
	}
	for _, v := range all {
		again, err := parseFilter(v.String())
		if err != nil || again != *v {
			t.Errorf("%s became %+v, %v", v, again, err)
		}
	}
	for _, bad := range []string{"limit gen_id 1", "suppress gen_id x", "suppress other 1", "threshold gen_id 1, sig_id 2"} {
		if _, err := ParseFilters(bad); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestVariables(t *testing.T) {
	for _, c := range []struct {
		dialect Dialect
		text    string
	}{
		{Suricata, "%YAML 1.1\n---\nvars:\n  address-groups:\n    HOME_NET: \"[10.0.0.0/8]\"\n    EXTERNAL_NET: \"!$HOME_NET\"\n  port-groups:\n    HTTP_PORTS: 80\nother: {a: b}\n"},
		{Snort2, "# x\nipvar HOME_NET [10.0.0.0/8]\nvar EXTERNAL_NET !$HOME_NET\nportvar HTTP_PORTS 80\npreprocessor x\n"},
		{Snort3, "HOME_NET = '[10.0.0.0/8]'\nEXTERNAL_NET = \"!$HOME_NET\"\nHTTP_PORTS = [[ 80 ]]\nips = { enable = true }\nA_PORTS = HTTP_PORTS\n"},
	} {
		v, err := ParseVariables(c.text, c.dialect)
		if err != nil || v.Addresses["HOME_NET"] != "[10.0.0.0/8]" || v.Addresses["EXTERNAL_NET"] != "!$HOME_NET" || strings.Trim(v.Ports["HTTP_PORTS"], "[]") != "80" {
			t.Errorf("%s: %+v, %v", c.dialect, v, err)
		}
		if again, err := ParseVariables(v.String(), Snort2); err != nil || again.String() != v.String() {
			t.Errorf("%s became %s, %v", v, again, err)
		}
	}
	if _, err := ParseVariables("vars: [", Suricata); !errors.Is(err, ErrSyntax) {
		t.Error(err)
	}
	if _, err := ParseVariables("ipvar A\n", Snort2); !errors.Is(err, ErrSyntax) {
		t.Error(err)
	}
	if _, err := ReadVariables(t.TempDir()+"/none", Snort2); err == nil {
		t.Error("read a file that is not there")
	}
}

func TestDiff(t *testing.T) {
	from := mustParse(t, `alert tcp any any -> any any (msg:"same"; content:"a"; sid:1; rev:1;)
alert tcp any any -> any any (msg:"gone"; sid:2;)
alert tcp any any -> any any (msg:"other"; content:"a"; content:"b"; sid:3; rev:1;)
alert tcp any any -> any any (msg:"off"; sid:4;)
# alert tcp any any -> any any (msg:"on"; sid:5;)
alert tcp any any -> any any (msg:"order"; content:"a"; nocase; content:"b"; sid:6;)
`, Suricata)
	to := mustParse(t, `alert tcp any any -> any any (msg:"new"; sid:9;)
alert  tcp any any -> any any  (msg:"same";content:"a";sid:1;rev:1;)
drop tcp any any -> any 80 (msg:"other"; content:"a"; content:"c"; sid:3; rev:2;)
#alert tcp any any -> any any (msg:"off"; sid:4;)
alert tcp any any -> any any (msg:"on"; sid:5;)
alert tcp any any -> any any (msg:"order"; content:"a"; content:"b"; nocase; sid:6;)
`, Suricata)
	var got []string
	for _, c := range Diff(from, to) {
		got = append(got, c.String())
	}
	want := []string{
		`removed 1:2 gone`,
		`changed 1:3 other: action alert → drop; destination ports any → 80; content content:"b" → content:"c"; rev rev:1 → rev:2`,
		`disabled 1:4 off`,
		`enabled 1:5 on`,
		`changed 1:6 order: order of options msg:"order"; content:"a"; nocase; content:"b"; sid:6;  → msg:"order"; content:"a"; content:"b"; nocase; sid:6; `,
		`added 1:9 new`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if d := Diff(from, from); len(d) != 0 {
		t.Errorf("%v", d)
	}
}
