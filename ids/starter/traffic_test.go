package starter

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/ids"
	"github.com/opnfv/clover/internal/testutil"
)

// TestSuricataFindsTheAttacks has the real engine look at requests: each must
// raise the alert that it is for, and harmless ones none.
func TestSuricataFindsTheAttacks(t *testing.T) {
	engine := testutil.Suricata(t)
	dir := t.TempDir()
	set, _ := Rules(ids.Suricata)
	rules := filepath.Join(dir, "starter.rules")
	if err := ids.WriteFile(rules, set); err != nil {
		t.Fatal(err)
	}
	if out, err := engine.Test(rules); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	agent := func(a string) string { return "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: " + a + "\r\n\r\n" }
	uri := func(u string) string { return "GET " + u + " HTTP/1.1\r\nHost: a\r\nUser-Agent: Mozilla/5.0\r\n\r\n" }
	cases := []struct {
		sid     int // 0: nothing may be found
		request string
	}{
		{9000001, agent("asafaweb.com")}, {9000002, agent("sqlmap/1.8#stable (https://sqlmap.org)")}, {9000003, agent("Mozilla/5.00 (Nikto/2.5.0)")},
		{9000005, agent("Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)")}, {9000006, agent("Nuclei - Open-source project")},
		{9000007, agent("gobuster/3.6")}, {9000014, agent("Fuzz Faster U Fool v2.1.0")}, {9000015, agent("feroxbuster/2.10.1")}, {9000016, agent("Wfuzz/3.1.0")},
		{9000008, agent("masscan/1.3")}, {9000009, agent("Mozilla/5.0 zgrab/0.x")},
		{9000004, uri("/show?f=/etc/passwd")}, {9000020, uri("/static/../../secret")}, {9000021, uri("/static/%2e%2e%2fsecret")},
		{9000030, uri("/i?id=1%20UNION%20ALL%20SELECT%20a")}, {9000031, uri("/i?id=1%27%20OR%20%271%27=%271")}, {9000032, uri("/i?id=1%20AND%20sleep(5)")},
		{9000040, uri("/s?q=%3Cscript%3Ealert(1)%3C/script%3E")}, {9000041, uri("/s?q=%3Cimg%20src=x%20onerror=alert(1)%3E")},
		{9000050, uri("/?x=${jndi:ldap://a/b}")}, {9000051, "GET / HTTP/1.1\r\nHost: a\r\nX-Api-Version: ${JNDI:ldap://a/b}\r\n\r\n"},
		{9000052, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 22\r\n\r\nname=${jndi:ldap://a/b"},
		{9000060, uri("/ping?host=1.1.1.1%3B/bin/sh")}, {9000061, "GET / HTTP/1.1\r\nHost: a\r\nReferer: () { :;}; echo\r\n\r\n"},
		{9000070, uri("/.git/config")}, {9000071, uri("/app/.env")},
		{0, agent("Mozilla/5.0 (X11; Linux x86_64)")}, {0, uri("/select?union=credit&sort=desc")}, {0, uri("/search?q=salt%20or%20pepper")},
		{0, uri("/bin/list?page=1")}, {0, uri("/.environment")}, {0, uri("/a/../b")},
	}
	var packets [][]byte
	for i, c := range cases {
		packets = append(packets, conversation(netip.AddrFrom4([4]byte{10, 1, 0, byte(i + 1)}), c.request)...)
	}
	packets = append(packets, ping(netip.MustParseAddr("10.2.0.1")))
	for i := range 70 {
		packets = append(packets, segment(netip.MustParseAddr("10.2.0.2"), uint16(2000+i), uint16(i+1), 0, 0, 0x02, nil))
	}
	packets = append(packets, segment(netip.MustParseAddr("10.2.0.3"), 2000, 80, 0, 0, 0, nil), segment(netip.MustParseAddr("10.2.0.4"), 2000, 80, 0, 0, 0x29, nil))

	got := alerts(t, engine, rules, writePcap(t, dir, packets))
	for i, c := range cases {
		from := fmt.Sprintf("10.1.0.%d", i+1)
		if c.sid == 0 && len(got[from]) > 0 || c.sid != 0 && !slices.Contains(got[from], c.sid) {
			t.Errorf("%q raised %v, want %d", c.request, got[from], c.sid)
		}
	}
	for from, sid := range map[string]int{"10.2.0.1": 9000010, "10.2.0.2": 9000011, "10.2.0.3": 9000012, "10.2.0.4": 9000013} {
		if !slices.Contains(got[from], sid) {
			t.Errorf("packets of %s raised %v, want %d", from, got[from], sid)
		}
	}
}

// alerts returns the sids of alerts by source.
func alerts(t *testing.T, engine *testutil.SuricataEngine, rules, pcap string) map[string][]int {
	t.Helper()
	events, err := engine.ReadPcap(rules, pcap)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]int{}
	for _, e := range events {
		if alert, ok := e["alert"].(map[string]any); ok {
			source, sid := e["src_ip"].(string), int(alert["signature_id"].(float64))
			out[source] = append(out[source], sid)
		}
	}
	return out
}

var server = netip.MustParseAddr("192.168.0.9")

const serverPort = 9180

// conversation is one request and its answer over TCP.
func conversation(client netip.Addr, request string) [][]byte {
	const port = 40000
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	n, m := uint32(1+len(request)), uint32(1+len(answer))
	return [][]byte{
		segment(client, port, serverPort, 0, 0, 0x02, nil), reply(client, port, 0, 1, 0x12, nil), segment(client, port, serverPort, 1, 1, 0x10, nil),
		segment(client, port, serverPort, 1, 1, 0x18, []byte(request)), reply(client, port, 1, n, 0x18, []byte(answer)),
		segment(client, port, serverPort, n, m, 0x11, nil), reply(client, port, m, n+1, 0x11, nil), segment(client, port, serverPort, n+1, m+1, 0x10, nil),
	}
}

func segment(client netip.Addr, port, to uint16, seq, ack uint32, flags byte, data []byte) []byte {
	return ip(client, server, 6, tcp(port, to, seq, ack, flags, data))
}

func reply(client netip.Addr, port uint16, seq, ack uint32, flags byte, data []byte) []byte {
	return ip(server, client, 6, tcp(serverPort, port, seq, ack, flags, data))
}

func tcp(from, to uint16, seq, ack uint32, flags byte, data []byte) []byte {
	b := make([]byte, 20, 20+len(data))
	binary.BigEndian.PutUint16(b[0:], from)
	binary.BigEndian.PutUint16(b[2:], to)
	binary.BigEndian.PutUint32(b[4:], seq)
	binary.BigEndian.PutUint32(b[8:], ack)
	b[12], b[13] = 5<<4, flags
	binary.BigEndian.PutUint16(b[14:], 65535)
	return append(b, data...)
}

func ping(client netip.Addr) []byte {
	return ip(client, server, 1, append([]byte{8, 0, 0, 0, 0, 1, 0, 1}, strings.Repeat("a", 48)...))
}

// ip makes a packet; the engine is told not to look at checksums of what it
// carries.
func ip(from, to netip.Addr, protocol byte, payload []byte) []byte {
	b := make([]byte, 20, 20+len(payload))
	b[0], b[8], b[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	copy(b[12:], from.AsSlice())
	copy(b[16:], to.AsSlice())
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
	return append(b, payload...)
}

// writePcap writes packets of IP, a millisecond apart.
func writePcap(t *testing.T, dir string, packets [][]byte) string {
	t.Helper()
	const linkRaw = 101
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, 65535)
	b = binary.LittleEndian.AppendUint32(b, linkRaw)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, p := range packets {
		at = at.Add(time.Millisecond)
		b = binary.LittleEndian.AppendUint32(b, uint32(at.Unix()))
		b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()/1000))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	path := filepath.Join(dir, "traffic.pcap")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
