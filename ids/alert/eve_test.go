package alert

import (
	"errors"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestEVEOfSuricata(t *testing.T) {
	line, err := os.ReadFile("testdata/suricata-http.json")
	if err != nil {
		t.Fatal(err)
	}
	n, a, err := EVE().Next(line)
	if err != nil || n != len(line) || a == nil {
		t.Fatalf("%d, %+v, %v", n, a, err)
	}
	if a.SignatureID != 10000003 || a.GeneratorID != 1 || a.Revision != 1 || a.Signature != "scan" || a.Priority != 1 ||
		a.Category != "A Network Trojan was detected" || a.Action != "allowed" || a.Blocked != 0 {
		t.Errorf("rule: %+v", a)
	}
	if a.SourceIP.String() != "10.213.7.1" || a.SourcePort != 42344 || a.DestinationPort != 8000 || a.Protocol != 6 || a.Client() != a.SourceIP {
		t.Errorf("addresses: %+v", a)
	}
	if a.HTTP == nil || a.HTTP.UserAgent != "asafaweb.com" || a.HTTP.URL != "/" || a.HTTP.Method != "GET" || a.HTTP.Status != 200 {
		t.Errorf("http: %+v", a.HTTP)
	}
	if got := addrList(a.ForwardedFor); got != "1.2.3.4, 5.6.7.8" {
		t.Errorf("forwarded for %q", got)
	}
	if !strings.HasPrefix(string(a.Payload), "GET / HTTP/1.1\r\n") || len(a.Packets) != 1 || a.Packets[0].LinkType != 1 {
		t.Errorf("payload %q", a.Payload)
	}
	if f := a.Flow; f == nil || f.ID == 0 || f.ClientPort != 42344 || f.PacketsServer != 4 || f.Start.IsZero() {
		t.Errorf("flow %+v", f)
	}
	f := a.Fields(7)
	for k, want := range map[string]string{
		"event-id": "7", "signature-id": "10000003", "source-ip": "10.213.7.1", "sport-itype": "42344", "protocol": "6",
		"priority-id": "1", "pad2": "None", "blocked": "0", "http-user-agent": "asafaweb.com", "x-forwarded-for": "1.2.3.4, 5.6.7.8",
		"client-ip": "10.213.7.1", "event-microsecond": f["packet-microsecond"],
	} {
		if f[k] != want {
			t.Errorf("%s is %q, want %q", k, f[k], want)
		}
	}
}

func TestEVELines(t *testing.T) {
	const begin = `{"timestamp":"2026-01-02T03:04:05.000006+0100","event_type":"alert",`
	for _, c := range []struct {
		name, line string
		want       *Alert // nil: no alert
		bad        bool
	}{
		{"another event", `{"timestamp":"2026-01-02T03:04:05.000006+0100","event_type":"http"}`, nil, false},
		{"an event that mentions alerts", `{"event_type":"stats","stats":{"detect":{"alert":1}}}`, nil, false},
		{"no JSON", `{"event_type":`, nil, true},
		{"no JSON with the word", `{"alert":`, nil, true},
		{"no time", `{"event_type":"alert","alert":{"signature_id":1}}`, nil, true},
		{"icmp", begin + `"src_ip":"fe80::1%eth0","dest_ip":"::ffff:10.0.0.1","proto":"IPv6-ICMP","icmp_type":8,"icmp_code":2,"vlan":[7,8],"alert":{"action":"blocked","gid":1,"signature_id":5}}`, &Alert{
			Engine: "suricata", SourceIP: netip.MustParseAddr("fe80::1"), DestinationIP: netip.MustParseAddr("10.0.0.1"), Protocol: 58,
			SourcePort: 8, DestinationPort: 2, VLAN: 7, Action: "blocked", Blocked: 1, GeneratorID: 1, SignatureID: 5,
		}, false},
		{"an answer", begin + `"src_ip":"10.0.0.2","dest_ip":"10.0.0.1","direction":"to_client","proto":"132","xff":"10.9.9.9","alert":{"signature_id":5}}`, &Alert{
			Engine: "suricata", SourceIP: netip.MustParseAddr("10.0.0.2"), DestinationIP: netip.MustParseAddr("10.0.0.1"), Protocol: 132,
			ToClient: true, SignatureID: 5, ForwardedFor: []netip.Addr{netip.MustParseAddr("10.9.9.9")},
		}, false},
	} {
		a, err := ParseEVE([]byte(c.line))
		if c.bad != (err != nil) || c.bad && !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if c.want != nil {
			c.want.Time, c.want.Raw = time.Date(2026, 1, 2, 2, 4, 5, 6000, time.UTC), []byte(c.line)
		}
		if !reflect.DeepEqual(a, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, a, c.want)
		}
	}
	a, err := ParseEVE([]byte(begin + `"src_ip":"10.0.0.2","dest_ip":"10.0.0.1","direction":"to_client","alert":{"signature_id":5}}`))
	if err != nil || a.Client().String() != "10.0.0.1" {
		t.Errorf("client of an answer: %+v, %v", a, err)
	}
}

func TestForwardedForIsReadFromTheRight(t *testing.T) {
	for header, want := range map[string]string{
		"":                                    "",
		"1.2.3.4":                             "1.2.3.4",
		" 1.2.3.4 ,5.6.7.8":                   "1.2.3.4, 5.6.7.8",
		"unknown, 5.6.7.8":                    "5.6.7.8",
		"1.1.1.1, nonsense, 5.6.7.8":          "5.6.7.8",
		"5.6.7.8, nonsense":                   "",
		"[2001:db8::1]:80, 1.2.3.4:99, [::1]": "2001:db8::1, 1.2.3.4, ::1",
		"::ffff:1.2.3.4":                      "1.2.3.4",
	} {
		if got := addrList(ParseForwardedFor(header)); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

func TestSnortJSON(t *testing.T) {
	line := `{ "seconds" : 1524609217, "timestamp" : "18/04/24-22:33:37.726997", "proto" : "TCP", "dir" : "C2S", "src_addr" : "10.0.0.1", "src_port" : 4000, "dst_addr" : "10.0.0.2", "dst_port" : 80, "gid" : 1, "sid" : 10000003, "rev" : 2, "rule" : "1:10000003:2", "msg" : "scan", "class" : "none", "priority" : 1, "action" : "would_drop", "service" : "http", "b64_data" : "R0VU" }`
	a, err := ParseSnortJSON([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	local := time.Date(2018, 4, 24, 22, 33, 37, 726997000, time.Local)
	if !a.Time.Equal(local) || a.SignatureID != 10000003 || a.Revision != 2 || a.Category != "" || a.Blocked != 2 || a.Protocol != 6 ||
		a.SourceIP.String() != "10.0.0.1" || a.SourcePort != 4000 || string(a.Payload) != "GET" || a.AppProtocol != "http" {
		t.Errorf("%+v", a)
	}
	a, err = ParseSnortJSON([]byte(`{ "timestamp" : "04/24-22:33:37.726997", "pkt_num" : 2, "proto" : "ICMP", "pkt_gen" : "raw", "src_ap" : "2001:db8::1:0", "dst_ap" : "10.0.0.2:0", "icmp_type" : 8, "icmp_code" : 0, "rule" : "1:5:1", "action" : "allow" }`))
	if err != nil || a.SignatureID != 5 || a.SourceIP.String() != "2001:db8::1" || a.DestinationIP.String() != "10.0.0.2" || a.SourcePort != 8 || a.Time.After(time.Now()) {
		t.Errorf("%+v, %v", a, err)
	}
	for _, bad := range []string{`{`, `{}`, `{"sid":1}`, `{"sid":1,"timestamp":"yesterday"}`} {
		if _, err := ParseSnortJSON([]byte(bad)); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzEVE(f *testing.F) {
	line, err := os.ReadFile("testdata/suricata-http.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte("{\"event_type\":\"alert\",\"alert\":{}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, format := range []Format{EVE(), SnortJSON()} {
			drain(t, format, data)
		}
	})
}

// drain reads all records and checks what every format promises.
func drain(t *testing.T, format Format, data []byte) (alerts []*Alert) {
	t.Helper()
	for len(data) > 0 {
		n, a, err := format.Next(data)
		if n < 0 || n > len(data) || format.Held() < 0 {
			t.Fatalf("n %d of %d, held %d", n, len(data), format.Held())
		}
		if a != nil {
			alerts = append(alerts, a)
			if _, err := encodeRecord(entry{Source: "s", Alert: a}); err != nil {
				t.Fatal(err)
			}
			a.Fields(1)
		}
		if err != nil && n == 0 || n == 0 {
			break
		}
		data = data[n:]
	}
	if a := format.Flush(); a != nil {
		alerts = append(alerts, a)
	}
	return alerts
}
