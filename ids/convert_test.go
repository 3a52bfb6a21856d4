package ids

import (
	"fmt"
	"strings"
	"testing"
)

// describe writes matches in one line each.
func describe(r *Rule) string {
	var parts []string
	for _, m := range r.Matches() {
		s := m.Buffer + " "
		switch p := m.Pattern.(type) {
		case Content:
			s += fmt.Sprintf("%q", p.Pattern)
		case PCRE:
			s += "/" + p.Expr + "/" + p.Flags
		default:
			s += "?"
		}
		for _, mod := range m.Modifiers {
			s += "," + mod.String()
		}
		for _, tr := range m.Transforms {
			s += " <" + tr.String()
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "; ")
}

func TestMatchesAreTheSameInEveryDialect(t *testing.T) {
	const want = `payload "a",nocase,depth 5; http.uri "/b",fast_pattern; http.uri /c/i; file.data "d"; file.data "e",distance 0`
	for _, c := range []struct {
		dialect Dialect
		options string
	}{
		{Suricata, `content:"a"; nocase; depth:5; http.uri; content:"/b"; fast_pattern; pcre:"/c/i"; file_data; content:"d"; content:"e"; distance:0;`},
		{Suricata, `content:"a"; nocase; depth:5; content:"/b"; http_uri; fast_pattern; pcre:"/c/Ui"; file.data; content:"d"; content:"e"; distance:0;`},
		{Snort2, `content:"a"; nocase; depth:5; uricontent:"/b"; fast_pattern; pcre:"/c/iU"; file_data; content:"d"; content:"e"; distance:0;`},
		{Snort3, `content:"a",nocase,depth 5; http_uri; content:"/b",fast_pattern; pcre:"/c/i"; file_data; content:"d"; content:"e",distance 0;`},
	} {
		r := mustRule(t, "alert tcp any any -> any any ("+c.options+" sid:1;)", c.dialect)
		if got := describe(r); got != want {
			t.Errorf("%s:\n%s, want\n%s", r, got, want)
		}
	}
	r := mustRule(t, `alert tls any any -> any any (tls.sni; to_lowercase; dotprefix; content:".a"; content:"b"; sid:1;)`, Suricata)
	if got := describe(r); got != `tls.sni ".a" <to_lowercase <dotprefix; tls.sni "b" <to_lowercase <dotprefix` {
		t.Error(got)
	}
	m := r.Matches()[0]
	if len(m.Options) != 3 || m.Relative() {
		t.Errorf("%+v", m)
	}
}

func TestConversions(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to Dialect
		rule     string
		want     string // empty: refused
		effects  string
	}{
		{"buffers become sticky", Snort2, Suricata,
			`alert tcp any any -> $HOME_NET 80 (msg:"a"; flow:to_server,established; content:"GET"; http_method; content:"/x"; nocase; http_uri; pcre:"/y/Ui"; metadata:service http, policy a; sid:1; rev:2;)`,
			`alert tcp any any -> $HOME_NET 80 (msg:"a"; flow:to_server,established; http.method; content:"GET"; http.uri; content:"/x"; nocase; pcre:"/y/i"; metadata:policy a; sid:1; rev:2;)`, ""},
		{"buffers of Snort 3", Snort2, Snort3,
			`alert tcp any any -> any 80 (msg:"a"; content:"/x"; http_uri; fast_pattern:2,3; content:"b"; distance:1; within:9; metadata:service http; sid:1;)`,
			`alert tcp any any -> any 80 ( msg:"a"; http_uri; content:"/x",fast_pattern,fast_pattern_offset 2,fast_pattern_length 3; pkt_data; content:"b",distance 1,within 9; service:http; sid:1; )`, ""},
		{"back to Snort 2", Snort3, Snort2,
			`alert http ( msg:"a"; flow:to_server; http_header:field user-agent; content:"b",nocase; http_uri; pcre:"/c/"; sid:1; )`,
			`alert tcp any any -> any any (msg:"a"; flow:to_server; content:"b"; nocase; http_header; pcre:"/c/U"; sid:1; metadata:service http;)`, "approximate"},
		{"a service becomes a protocol", Snort3, Suricata,
			`alert http ( msg:"a"; http_uri; content:"/x",fast_pattern,nocase; rem:"b"; sid:1; )`,
			`alert http any any -> any any (msg:"a"; http.uri; content:"/x"; fast_pattern; nocase; sid:1;)`, "note"},
		{"a protocol becomes a service", Suricata, Snort3,
			`alert tls any any -> any any (msg:"a"; content:"b"; startswith; sid:1;)`,
			`alert tcp any any -> any any ( msg:"a"; content:"b",depth 1; service:ssl; sid:1; )`, ""},
		{"ends", Suricata, Snort2,
			`alert http any any -> any any (http.uri; content:".php"; endswith; sid:1;)`,
			`alert tcp any any -> any any (content:".php"; http_uri; isdataat:!1,relative; sid:1; metadata:service http;)`, ""},
		{"hosts are in lower case", Snort3, Suricata,
			`alert http ( http_header:field host; content:"Example.ORG",nocase; sid:1; )`,
			`alert http any any -> any any (http.host; content:"example.org"; sid:1;)`, ""},
		{"lengths", Suricata, Snort3,
			`alert http any any -> any any (http.uri; bsize:>9; content:"a"; urilen:3<>9; dsize:4<>6; sid:1;)`,
			`alert tcp any any -> any any ( http_uri; bufferlen:>9; content:"a"; bufferlen:3<>9; dsize:4<>6; service:http; sid:1; )`, ""},
		{"both ends", Snort2, Suricata, `alert tcp any any -> any any (dsize:4<>6; sid:1;)`, `alert tcp any any -> any any (dsize:3<>7; sid:1;)`, ""},
		{"both ends to Snort 3", Snort2, Snort3, `alert tcp any any -> any any (dsize:4<>6; sid:1;)`, `alert tcp any any -> any any ( dsize:4<=>6; sid:1; )`, ""},
		{"from nothing", Snort3, Suricata, `alert tcp any any -> any any ( dsize:0<=>6; sid:1; )`, `alert tcp any any -> any any (dsize:<7; sid:1;)`, ""},
		{"inside", Suricata, Snort2, `alert tcp any any -> any any (dsize:3<>7; sid:1;)`, `alert tcp any any -> any any (dsize:4<>6; sid:1;)`, ""},
		{"actions", Snort2, Suricata, `sdrop tcp any any -> any any (sid:1;)`, `drop tcp any any -> any any (sid:1;)`, "approximate"},
		{"block", Snort3, Suricata, `block tcp any any -> any any ( sid:1; )`, `drop tcp any any -> any any (sid:1;)`, ""},
		{"thresholds", Suricata, Snort3, `alert tcp any any -> any any (threshold:type both, track by_src, count 5, seconds 9; sid:1;)`, `alert tcp any any -> any any ( detection_filter:track by_src, count 5, seconds 9; sid:1; )`, "approximate"},
		{"disabled by an option", Snort3, Suricata, `alert tcp any any -> any any ( enable:"no"; sid:1; )`, `# alert tcp any any -> any any (sid:1;)`, ""},
		{"DCE", Snort3, Suricata, `alert tcp any any -> any any ( dce_iface:uuid 367abb81-9844-35f1-ad32-98f038001003,version <2; dce_opnum:"15"; sid:1; )`, `alert tcp any any -> any any (dce_iface:367abb81-9844-35f1-ad32-98f038001003,<2; dce_opnum:15; sid:1;)`, ""},
		{"groups", Snort2, Suricata, `alert tcp any any -> any any (flowbits:isset,a&b; flowbits:set,c,g; sid:1;)`, `alert tcp any any -> any any (flowbits:isset,a; flowbits:isset,b; flowbits:set,c; sid:1;)`, "approximate"},
		{"bytes in the payload", Snort2, Suricata, `alert tcp any any -> any any (content:"a"; http_uri; byte_test:1,>,2,0; sid:1;)`, `alert tcp any any -> any any (http.uri; content:"a"; pkt_data; byte_test:1,>,2,0; sid:1;)`, ""},
		{"a condition is lost", Suricata, Snort3, `alert tcp any any -> any any (flowint:a,+,1; sid:1;)`, `alert tcp any any -> any any ( sid:1; )`, "wider"},
		{"no such buffer", Suricata, Snort2, `alert dns any any -> any any (dns.query; content:"a"; sid:1;)`, "", "approximate refused"},
		{"no such protocol", Suricata, Snort3, `alert websocket any any -> any any (sid:1;)`, "", "refused"},
		{"no such action", Snort2, Suricata, `log tcp any any -> any any (sid:1;)`, "", "refused"},
		{"transforms", Suricata, Snort3, `alert http any any -> any any (http.uri; to_md5; content:"a"; sid:1;)`, "", "refused"},
		{"files", Snort3, Suricata, `alert file ( content:"a"; sid:1; )`, "", "refused"},
		{"events", Snort3, Suricata, `alert ( gid:116; sid:1; )`, "", "refused"},
		{"other patterns", Snort3, Suricata, `alert tcp any any -> any any ( sd_pattern:"a"; sid:1; )`, "", "refused"},
		{"the same dialect", Snort2, Snort2, `alert tcp any any -> any any (sid:1;)`, `alert tcp any any -> any any (sid:1;)`, ""},
	} {
		r, issues := Convert(mustRule(t, c.rule, c.from), c.to)
		var effects []string
		for _, i := range issues {
			effects = append(effects, i.Effect.String())
			if i.SID != 1 || i.Reason == "" || i.Option == "" {
				t.Errorf("%s: %v", c.name, i)
			}
		}
		if got := strings.Join(effects, " "); got != c.effects {
			t.Errorf("%s: %v, want %s", c.name, issues, c.effects)
		}
		if r == nil {
			if c.want != "" {
				t.Errorf("%s: refused", c.name)
			}
			continue
		}
		if text, err := r.Text(); err != nil || text != c.want {
			t.Errorf("%s:\n%s\nwant\n%s\n%v", c.name, r, c.want, err)
		}
	}
}

func TestConversionsOfEveryOption(t *testing.T) {
	for _, from := range dialects {
		for _, to := range dialects {
			for r := range corpus(t, from).Rules() {
				got, issues := Convert(r, to)
				if got == nil {
					if len(issues) == 0 {
						t.Errorf("%s → %s: refused without a reason: %s", from, to, r)
					}
					continue
				}
				if _, err := got.Text(); err != nil {
					t.Errorf("%s → %s: %s: %v", from, to, r, err)
				}
				for _, o := range got.Options {
					if _, ok := to.Keyword(o.Name); !ok {
						t.Errorf("%s → %s: %s has %s", from, to, got, o.Name)
					}
				}
				if got.SID() != r.SID() || got.Message() != r.Message() {
					t.Errorf("%s → %s: %s", from, to, got)
				}
			}
		}
	}
}

func TestConvertASet(t *testing.T) {
	s := mustParse(t, "/* two\n lines */\nalert http ( msg:\"a\";\n content:\"x\"; sid:1; )\ninclude x\nalert file ( sid:2; )\nalert tcp any any -> any any ( appids:\"a\"; sid:3; )\n", Snort3)
	out, issues := ConvertSet(s, Suricata)
	want := "# /* two\n#  lines */\nalert http any any -> any any (msg:\"a\"; content:\"x\"; sid:1;)\n# not converted: include x\n# not converted: alert file ( sid:2; )\n# alert tcp any any -> any any (sid:3;)\n"
	if got := out.String(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if len(issues) != 2 || issues[0].Position.String() != "x.rules:6:1" || !strings.Contains(issues[1].String(), "wider") {
		t.Errorf("%v", issues)
	}
	if _, err := Parse(out.String(), ParseOptions{}); err != nil {
		t.Error(err)
	}
}
