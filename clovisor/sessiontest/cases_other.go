package sessiontest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
)

// Command is a command of Redis as clients send it.
func Command(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

// other is a session of a protocol other than HTTP.
func (m *maker) other(proto, method, target, request, response string) session.Session {
	s := session.Session{Client: m.client, Server: m.server, Direction: packet.Ingress, Transport: packet.TCP,
		Protocol: proto, Outcome: session.Paired, Method: method, Target: target, GRPCStatus: -1}
	s.Request.BodyBytes, s.Request.Complete = int64(len(request)), request != ""
	s.Response.BodyBytes, s.Response.Complete = int64(len(response)), response != ""
	return s
}

func redisCases() []Case {
	var all []Case
	type pair struct{ method, target, request, reply, code string }
	large := strings.Repeat("v", 20000)
	pairs := []pair{
		{"SET", "key", Command("SET", "key", "secret value"), "+OK\r\n", ""},
		{"GET", "key", Command("get", "key"), "$12\r\nsecret value\r\n", ""},
		{"GET", "none", Command("GET", "none"), "$-1\r\n", ""},
		{"AUTH", "", Command("AUTH", "user", "password"), "-WRONGPASS invalid username-password pair\r\n", "WRONGPASS"},
		{"LPUSH", "list", Command("LPUSH", "list", large), ":1\r\n", ""},
		{"LRANGE", "list", Command("LRANGE", "list", "0", "-1"), "*2\r\n$20000\r\n" + large + "\r\n$0\r\n\r\n", ""},
		{"CONFIG", "SET", Command("CONFIG", "SET", "requirepass", "password"), "+OK\r\n", ""},
		{"HELLO", "", Command("HELLO", "3"), "%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n+proto\r\n:3\r\n", ""},
		{"HGETALL", "h", Command("HGETALL", "h"), "%1\r\n+a\r\n*2\r\n,1.5\r\n_\r\n", ""},
		{"SMEMBERS", "s", Command("SMEMBERS", "s"), "|1\r\n+ttl\r\n:3600\r\n~2\r\n#t\r\n(12345678901234567890\r\n", ""},
		{"PING", "", "PING\r\n", "+PONG\r\n", ""},
		{"EXISTS", "key", "EXISTS key\r\n", ":1\r\n", ""},
		{"EXEC", "", Command("EXEC"), "*3\r\n+OK\r\n*-1\r\n*0\r\n", ""},
		{"GET", "s", Command("GET", "s"), "$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n", ""},
		{"LRANGE", "l", Command("LRANGE", "l", "0", "-1"), "*?\r\n:1\r\n$?\r\n;1\r\na\r\n;0\r\n%?\r\n+k\r\n*1\r\n_\r\n.\r\n.\r\n", ""},
		{"LPUSH", "n", Command("LPUSH", "n"), "!21\r\nSYNTAX invalid syntax\r\n", "SYNTAX"},
	}
	want := func(m *maker, p pair) {
		w := m.other("redis", p.method, p.target, p.request, p.reply)
		if p.code != "" {
			w.Attributes = []session.Attribute{{Key: "db.response.status_code", Value: p.code}}
		}
		m.Want = append(m.Want, w)
	}
	quiet := []pair{ // without replies, but the last
		{"CLIENT", "REPLY", Command("CLIENT", "REPLY", "SKIP"), "", ""}, {"SET", "quiet", Command("SET", "quiet", "1"), "", ""},
		{"CLIENT", "REPLY", Command("CLIENT", "REPLY", "off"), "", ""}, {"SET", "quiet", Command("SET", "quiet", "2"), "", ""},
		{"CLIENT", "REPLY", Command("CLIENT", "REPLY", "ON"), "+OK\r\n", ""},
	}
	m := start("Redis, one after the other", Server)
	for _, p := range slices.Concat(quiet, pairs) {
		m.c.Client(p.request)
		m.c.Server(p.reply)
		want(m, p)
	}
	all = append(all, m.done())
	m = start("Redis, pipelined", Server)
	var requests, replies string
	for _, p := range pairs {
		requests, replies = requests+p.request, replies+p.reply
		want(m, p)
	}
	m.c.Client(requests)
	m.c.Server(replies)
	all = append(all, m.done(), pubSub("*"), pubSub(">"), unsubscribe("*"), unsubscribe(">"))
	m = start("Redis, lost command and reply", Server)
	for i, p := range pairs[:4] {
		if i == 1 {
			m.loses(protocol.Client, p.request, 0, len(p.request))
			m.loses(protocol.Server, p.reply, 0, len(p.reply))
			continue
		}
		m.c.Client(p.request)
		m.c.Server(p.reply)
		want(m, p)
	}
	return append(all, m.done())
}

// pubSub subscribes and gets what others publish.
func pubSub(push string) Case {
	m := start("Redis, pub/sub by "+push, Server)
	request := Command("SUBSCRIBE", "a", "b")
	first := push + "3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
	second := push + "3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
	message := push + "3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n"
	m.c.Client(request)
	m.c.Server(first)
	m.c.Server(message)
	m.c.Server(second + message)
	pushed := m.other("redis", "message", "a", "", message)
	pushed.Outcome = session.Pushed
	m.Want = append(m.Want, pushed, m.other("redis", "SUBSCRIBE", "a", request, first+second), pushed)
	return m.done()
}

// unsubscribe ends all subscriptions at once, twice.
func unsubscribe(push string) Case {
	m := start("Redis, unsubscribe by "+push, Server)
	confirm := func(kind, channel string, left int) string {
		return fmt.Sprintf("%s3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:%d\r\n", push, len(kind), kind, len(channel), channel, left)
	}
	none := func(kind string, left int) string {
		return fmt.Sprintf("%s3\r\n$%d\r\n%s\r\n$-1\r\n:%d\r\n", push, len(kind), kind, left)
	}
	for _, p := range []struct{ method, target, request, reply string }{
		{"SUBSCRIBE", "a", Command("SUBSCRIBE", "a", "b"), confirm("subscribe", "a", 1) + confirm("subscribe", "b", 2)},
		{"PSUBSCRIBE", "c*", Command("PSUBSCRIBE", "c*"), confirm("psubscribe", "c*", 3)},
		{"UNSUBSCRIBE", "", Command("UNSUBSCRIBE"), confirm("unsubscribe", "b", 2) + confirm("unsubscribe", "a", 1)},
		{"UNSUBSCRIBE", "", Command("UNSUBSCRIBE"), none("unsubscribe", 1)},
		{"PUNSUBSCRIBE", "", Command("PUNSUBSCRIBE"), confirm("punsubscribe", "c*", 0)},
		{"PING", "", Command("PING"), "+PONG\r\n"},
	} {
		m.c.Client(p.request)
		m.c.Server(p.reply)
		m.Want = append(m.Want, m.other("redis", p.method, p.target, p.request, p.reply))
	}
	return m.done()
}

// DNSMessage is a query, or the answer to it with one address.
func DNSMessage(id uint16, host string, answer bool, code dnsmessage.RCode) string {
	name := dnsmessage.MustNewName(host)
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, Response: answer, RCode: code, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	if answer && code == dnsmessage.RCodeSuccess {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 5},
			Body:   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}},
		}}
	}
	b, err := m.Pack()
	if err != nil {
		panic(err) // the names of the cases are right
	}
	return string(b)
}

// Resolver is the server of the DNS cases.
var Resolver = netip.MustParseAddrPort("10.0.0.3:53")

func dnsCases() []Case {
	attributes := func(code, answers string) []session.Attribute {
		return []session.Attribute{{Key: "dns.response_code", Value: code}, {Key: "dns.answers", Value: answers}}
	}
	m := &maker{Case: Case{Name: "DNS over UDP"}, client: Client(7, Resolver), server: Resolver}
	m.c = &Conversation{Now: Start, client: m.client, server: m.server}
	q1, q2, q3 := DNSMessage(1, "a.example.", false, 0), DNSMessage(2, "b.example.", false, 0), DNSMessage(3, "c.example.", false, 0)
	a1, a2 := DNSMessage(1, "a.example.", true, 0), DNSMessage(2, "B.example.", true, dnsmessage.RCodeNameError)
	m.c.Datagram(protocol.Client, q1)
	m.c.Datagram(protocol.Client, q2)
	m.c.Datagram(protocol.Server, a2) // in another order
	m.c.Datagram(protocol.Server, a1)
	m.c.Datagram(protocol.Client, q3)
	for _, v := range []struct{ target, q, a, code, n string }{
		{"b.example.", q2, a2, "NXDOMAIN", "0"}, {"a.example.", q1, a1, "NOERROR", "1"}, {"c.example.", q3, "", "", ""},
	} {
		w := m.other("dns", "A", v.target, v.q, v.a)
		w.Transport, w.Attributes = packet.UDP, attributes(v.code, v.n)
		if v.a == "" {
			w.Outcome, w.Attributes = session.NoResponseStopped, nil
		}
		m.Want = append(m.Want, w)
	}
	overUDP := m.stop()
	m = start("DNS over TCP", Resolver)
	frame := func(s string) string { return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s }
	m.c.Client(frame(q1) + frame(q2))
	m.c.Server(frame(a2) + frame(a1))
	m.Want = append(m.Want, m.other("dns", "A", "b.example.", q2, a2), m.other("dns", "A", "a.example.", q1, a1))
	m.Want[0].Attributes, m.Want[1].Attributes = attributes("NXDOMAIN", "0"), attributes("NOERROR", "1")
	return []Case{overUDP, m.done()}
}

// Datagram sends a UDP datagram.
func (c *Conversation) Datagram(from protocol.Side, payload string) {
	c.push(from, 0, []byte(payload))
	s := &c.Segments[len(c.Segments)-1]
	s.Transport, s.Seq, s.Ack, s.Window, s.Flags = packet.UDP, 0, 0, 0, 0
}
