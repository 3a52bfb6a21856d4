package ids

import (
	"errors"
	"strings"
	"testing"
)

const scanYAML = `sid: "10000003"
protocol: tcp
dest_port: any
dest_ip: $HOME_NET
src_port: any
src_ip: any
msg: MALWARE-CNC User-Agent ASafaWeb Scan
rev: "001"
content: '"asafaweb.com"'
`

func TestTheContractsRule(t *testing.T) {
	c, err := ParseContract([]byte(scanYAML))
	if err != nil {
		t.Fatal(err)
	}
	for d, want := range map[Dialect]string{
		Suricata: `alert tcp any any -> $HOME_NET any (msg:"MALWARE-CNC User-Agent ASafaWeb Scan"; content:"asafaweb.com"; sid:10000003; rev:1;)`,
		Snort2:   `alert tcp any any -> $HOME_NET any (msg:"MALWARE-CNC User-Agent ASafaWeb Scan"; content:"asafaweb.com"; sid:10000003; rev:1;)`,
		Snort3:   `alert tcp any any -> $HOME_NET any ( msg:"MALWARE-CNC User-Agent ASafaWeb Scan"; content:"asafaweb.com"; sid:10000003; rev:1; )`,
	} {
		r, err := c.Rule(d)
		if err != nil || r.String() != want {
			t.Errorf("%s: %s, %v", d, r, err)
		}
	}
}

func TestFieldsOfTheContract(t *testing.T) {
	for _, c := range []struct{ name, change, to, want string }{
		{"numbers", `"10000003"`, "10000003", "sid:10000003"},
		{"ping", "protocol: tcp", "protocol: icmp\ncontent: ''", "icmp any any -> $HOME_NET any (msg"},
		{"ports", "dest_port: any", "dest_port: 9180", "-> $HOME_NET 9180"},
		{"port list", "dest_port: any", `dest_port: "[80, 8000:8100,!8080]"`, "[80,8000:8100,!8080]"},
		{"addresses", "src_ip: any", `src_ip: "!10.0.0.0/8"`, "tcp !10.0.0.0/8 any"},
		{"nothing to look for", `'"asafaweb.com"'`, "''", `Scan"; sid:`},
		{"without quotes", `'"asafaweb.com"'`, "asafaweb.com", `content:"asafaweb.com";`},
		{"a way out of the quotes", `'"asafaweb.com"'`, `'"a"; sid:1; content:"b"'`, `content:"a|22 3B| sid|3A|1|3B| content|3A 22|b";`},
		{"another way out", `'"asafaweb.com"'`, `'a"; )'`, `content:"a|22 3B| )";`},
		{"hexadecimal", `'"asafaweb.com"'`, `'"|0D 0a|x"'`, `content:"|0D 0A|x";`},
		{"negated", `'"asafaweb.com"'`, `'!"x"'`, `content:!"x";`},
		{"a text with syntax", "msg: MALWARE", "msg: a\";)# MALWARE", `msg:"a\"\;)# MALWARE`},
		{"more fields", "protocol: tcp", "protocol: http\nflow: established,to_server\nbuffer: http.user_agent\nnocase: true\nclasstype: misc-activity\npriority: 2\naction: drop", `drop http any any -> $HOME_NET any (msg:"MALWARE-CNC User-Agent ASafaWeb Scan"; flow:established,to_server; http.user_agent; content:"asafaweb.com"; nocase; classtype:misc-activity; priority:2; sid:10000003; rev:1;)`},
	} {
		text := strings.Replace(scanYAML, c.change, c.to, 1)
		if strings.Contains(c.to, "content:") {
			text = strings.Replace(text, "content: '\"asafaweb.com\"'\n", "", 1)
		}
		fields, err := ParseContract([]byte(text))
		if err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, text)
			continue
		}
		r, err := fields.Rule(Suricata)
		if err != nil || !strings.Contains(r.String(), c.want) {
			t.Errorf("%s: %s, %v", c.name, r, err)
		}
	}
}

func TestFieldsThatAreRefused(t *testing.T) {
	for field, values := range map[string][]string{
		"sid":       {"", "x", "0", "-1", "4294967296", "1;"},
		"rev":       {"x", "0", "1; sid:2"},
		"protocol":  {"", "tcp any", "gre"},
		"src_ip":    {"1.1.1", "any any", "$A;", "any)"},
		"dest_ip":   {"[1.1.1.1"},
		"src_port":  {"65536", "http", "1 2"},
		"dest_port": {"any -> any"},
		"msg":       {"", "a\nb", "\x00"},
		"content":   {`"|0|"`, `"|zz|"`, `"a\"`, strings.Repeat("x", 300)},
		"action":    {"log"},
		"direction": {"<-"},
		"classtype": {"a;b"},
		"priority":  {"0"},
		"flow":      {"to_server;"},
		"nocase":    {"maybe"},
		"buffer":    {"http.uri;", "made_up"},
	} {
		for _, v := range values {
			c, _ := ParseContract([]byte(scanYAML))
			*map[string]*string{
				"sid": &c.SID, "rev": &c.Rev, "protocol": &c.Protocol, "src_ip": &c.SrcIP, "dest_ip": &c.DestIP, "src_port": &c.SrcPort,
				"dest_port": &c.DestPort, "msg": &c.Message, "content": &c.Content, "action": &c.Action, "direction": &c.Direction,
				"classtype": &c.Class, "priority": &c.Priority, "flow": &c.Flow, "nocase": &c.NoCase, "buffer": &c.Buffer,
			}[field] = v
			r, err := c.Rule(Suricata)
			var fault *FieldError
			if !errors.As(err, &fault) || fault.Field != field || fault.Reason == "" || !errors.Is(err, ErrInvalid) {
				t.Errorf("%s %q: %s, %v", field, v, r, err)
			}
		}
	}
	for _, text := range []string{"sid: [1]\n", "sids: 1\n", "- a\n", "sid: 'x\n"} {
		if c, err := ParseContract([]byte(text)); err == nil || !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
	c, _ := ParseContract([]byte(scanYAML))
	c.Protocol, c.Buffer = "tcp", "http.user_agent"
	if _, err := c.Rule(Snort2); err == nil {
		t.Error("Snort 2 has no buffer of the user agent")
	}
}
