package ids_test

import (
	"fmt"

	"github.com/opnfv/clover/ids"
)

func Example() {
	set, err := ids.Parse(`# Local rules.
alert tcp any any -> $HOME_NET 80 (msg: "Scanner";  content:"sqlmap"; nocase; sid:1000001; rev:1;)
# alert icmp any any -> any any (msg:"Ping"; itype:8; sid:1000002; rev:1;)
`, ids.ParseOptions{Name: "local.rules"})
	if err != nil {
		fmt.Println(err)
	}
	set.Find(1, 1000001).Set("rev", "2")
	set.Find(1, 1000002).Disabled = false
	fmt.Print(set)
	// Output:
	// # Local rules.
	// alert tcp any any -> $HOME_NET 80 (msg: "Scanner";  content:"sqlmap"; nocase; sid:1000001; rev:2;)
	// alert icmp any any -> any any (msg:"Ping"; itype:8; sid:1000002; rev:1;)
}

func ExampleParse_faults() {
	set, err := ids.Parse(`alert tcp any any -> any (msg:"no ports"; sid:1;)
alert tcp any any -> any any (msg:"right"; sid:2;)
`, ids.ParseOptions{Name: "local.rules"})
	fmt.Println(err)
	fmt.Println(set.Len(), "rule:", set.Find(1, 2).Message())
	// Output:
	// local.rules:1:25: header has 6 fields: want action, protocol, addresses, ports, direction, addresses, ports
	// 1 rule: right
}

func ExampleLint() {
	set, _ := ids.Parse(`alert tcp any any -> $HOME_NET 80 (msg:"a"; flow:established; content:"abcd"; depth:2; classtype:misc-activity; sid:1; rev:1;)`,
		ids.ParseOptions{Name: "local.rules"})
	for _, f := range ids.Lint(set, ids.LintOptions{}) {
		fmt.Println(f)
	}
	// Output:
	// local.rules:1:63: error: depth 2 is shorter than the pattern, which has 4 bytes [contradictory-modifiers]: make it at least as long
}

func ExampleConvert() {
	rule, _ := ids.ParseRule(`alert tcp any any -> any 80 (msg:"a"; content:"/admin"; nocase; http_uri; tag:session,5,packets; metadata:service http; sid:1;)`, ids.Snort2)
	for _, to := range []ids.Dialect{ids.Suricata, ids.Snort3} {
		converted, issues := ids.Convert(rule, to)
		fmt.Println(converted)
		for _, i := range issues {
			fmt.Println(i.Effect, i.Option, i.Reason)
		}
	}
	// Output:
	// alert tcp any any -> any 80 (msg:"a"; http.uri; content:"/admin"; nocase; tag:session,5,packets; sid:1;)
	// alert tcp any any -> any 80 ( msg:"a"; http_uri; content:"/admin",nocase; service:http; sid:1; )
	// note tag:session,5,packets Snort 3 writes it differently
}

func ExampleRule_Matches() {
	rule, _ := ids.ParseRule(`alert http ( http_uri; content:"/a|20|b",nocase,depth 9; pcre:"/c+/i"; sid:1; )`, ids.Snort3)
	for _, m := range rule.Matches() {
		switch p := m.Pattern.(type) {
		case ids.Content:
			fmt.Printf("%s has %q %v\n", m.Buffer, p.Pattern, m.Modifiers)
		case ids.PCRE:
			fmt.Printf("%s matches %s\n", m.Buffer, p.Expr)
		}
	}
	// Output:
	// http.uri has "/a b" [nocase depth 9]
	// http.uri matches c+
}

func ExampleContract_Rule() {
	fields, err := ids.ParseContract([]byte(`
sid: "10000003"
protocol: tcp
dest_ip: $HOME_NET
msg: MALWARE-CNC User-Agent ASafaWeb Scan
rev: "001"
content: '"asafaweb.com"; sid:1; content:"'
`))
	if err != nil {
		fmt.Println(err)
	}
	rule, err := fields.Rule(ids.Suricata)
	fmt.Println(rule, err)
	// Output:
	// alert tcp any any -> $HOME_NET any (msg:"MALWARE-CNC User-Agent ASafaWeb Scan"; content:"asafaweb.com|22 3B| sid|3A|1|3B| content|3A|"; sid:10000003; rev:1;) <nil>
}

func ExampleDiff() {
	old, _ := ids.Parse(`alert tcp any any -> any any (msg:"a"; sid:1; rev:1;)`, ids.ParseOptions{})
	now, _ := ids.Parse(`drop tcp any any -> any any (msg:"a"; sid:1; rev:2;)`, ids.ParseOptions{})
	for _, c := range ids.Diff(old, now) {
		fmt.Println(c)
	}
	// Output:
	// changed 1:1 a: action alert → drop; rev rev:1 → rev:2
}
