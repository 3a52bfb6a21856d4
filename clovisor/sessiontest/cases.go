package sessiontest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/opnfv/clover/clovisor/session"
)

// Case is traffic and what must come out of it.
type Case struct {
	Name     string
	Segments Segments
	Want     []session.Session
	Lost     int64 // bytes that the capture does not have
}

// Addresses of the cases. Client numbers them.
var (
	Server  = netip.MustParseAddrPort("10.0.0.2:80")
	Server6 = netip.MustParseAddrPort("[fd00::2]:80")
)

// Client is the i-th client's address, of the family of server.
func Client(i int, server netip.AddrPort) netip.AddrPort {
	host, port := byte(i>>14), uint16(20000+i&0x3FFF)
	if server.Addr().Is6() {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0: 0xFD, 14: host, 15: 9}), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 1 + host, 1}), port)
}

// Get is a small exchange, different for each i.
func Get(i int) HTTP {
	return HTTP{Method: "GET", Target: fmt.Sprintf("/item/%d?q=a%%20b", i), Status: 200, Reply: fmt.Sprintf("item %d", i)}
}

// Post is an exchange with bodies of the sizes given.
func Post(i, request, response int) HTTP {
	return HTTP{
		Method: "POST", Target: fmt.Sprintf("/item/%d", i), Body: strings.Repeat("b", request),
		Status: 201, Reply: strings.Repeat("r", response),
	}
}

// maker collects a case.
type maker struct {
	Case
	client, server netip.AddrPort
	c              *Conversation
}

func start(name string, server netip.AddrPort) *maker {
	m := &maker{Case: Case{Name: name}, client: Client(len(name), server), server: server}
	m.c = Open(m.client, m.server)
	return m
}

// exchange adds request and response in turn.
func (m *maker) exchange(all ...HTTP) {
	for _, h := range all {
		m.c.Client(h.Request())
		m.c.Server(h.Response())
		m.want(h)
	}
}

func (m *maker) want(all ...HTTP) {
	for _, h := range all {
		m.Want = append(m.Want, h.Want(m.client, m.server))
	}
}

func (m *maker) done() Case {
	m.c.Close()
	return m.stop()
}

// stop ends the case without ending the connection.
func (m *maker) stop() Case {
	m.Segments = append(m.Segments, m.c.Segments...)
	return m.Case
}

// Cases are all cases of some hundred segments at most; [KeepAlive],
// [Cuts] and [Flood] are larger.
func Cases() []Case {
	return slices.Concat(plainCases(), bodyCases(), endCases(), lossCases(), ambiguousCases(), http2Cases(), redisCases(), dnsCases())
}

func plainCases() []Case {
	var all []Case
	for _, server := range []netip.AddrPort{Server, Server6} {
		m := start(fmt.Sprintf("keep-alive, IPv%d", 4+2*(server.Addr().BitLen()/128)), server)
		m.exchange(Get(1), Post(2, 10, 20), Get(3), Post(4, 3000, 5000))
		all = append(all, m.done())
	}
	m := start("segments of one byte", Server)
	m.c.MSS = 1
	m.exchange(Get(1), Post(2, 5, 5), Get(3))
	all = append(all, m.done())
	m = start("super-packets", Server)
	m.c.MSS = 60000
	m.exchange(Post(1, 200000, 300000), Get(2), Post(3, 5, 100000))
	all = append(all, m.done())
	for n := 1; n <= 64; n *= 2 {
		all = append(all, Pipelined(n))
	}
	return append(all, interleaved(), traces(), folded())
}

// Pipelined sends n requests at once and answers them in order.
func Pipelined(n int) Case {
	m := start(fmt.Sprintf("%d pipelined", n), Server)
	var requests, responses strings.Builder
	for i := range n {
		h := Get(i)
		if i%3 == 2 {
			h = Post(i, i*7, i*5)
		}
		requests.WriteString(h.Request())
		responses.WriteString(h.Response())
		m.want(h)
	}
	m.c.Client(requests.String())
	m.c.Server(responses.String())
	return m.done()
}

func interleaved() Case {
	all := Case{Name: "interleaved connections"}
	for i := range 5 {
		m := start(strings.Repeat("x", 30+i), Server)
		m.c.MSS = 50 + i
		m.exchange(Get(i), Post(i, 300, 200), Get(i+10))
		one := m.done()
		all.Segments = append(all.Segments, one.Segments...)
		all.Want = append(all.Want, one.Want...)
	}
	slices.SortStableFunc(all.Segments, byTime)
	return all
}

// traces has a request for every form of trace context.
func traces() Case {
	m := start("trace context", Server)
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for _, v := range []struct {
		header string
		want   session.TraceContext
	}{
		{"traceparent: 00-" + trace + "-" + span + "-01\r\nTraceState: a=1,b=2\r\n", session.TraceContext{TraceID: trace, SpanID: span, Sampled: true, State: "a=1,b=2"}},
		{"b3: " + trace + "-" + span + "-1-05e3ac9a4f6e3b90\r\n", session.TraceContext{TraceID: trace, SpanID: span, Sampled: true}},
		{"b3: " + span + "-" + span + "-0\r\n", session.TraceContext{TraceID: span, SpanID: span}},
		{"B3: 0\r\n", session.TraceContext{}},
		{"X-B3-TraceId: " + trace + "\r\nX-B3-SpanId: " + span + "\r\nX-B3-Sampled: 1\r\n", session.TraceContext{TraceID: trace, SpanID: span, Sampled: true}},
		{"X-B3-TraceId: " + span + "\r\nX-B3-SpanId: " + span + "\r\nX-B3-Sampled: 0\r\n", session.TraceContext{TraceID: span, SpanID: span}},
		{"traceparent: 00-" + strings.Repeat("0", 32) + "-" + span + "-01\r\n", session.TraceContext{}},
		{"traceparent: ff-" + trace + "-" + span + "-01\r\n", session.TraceContext{}},
	} {
		h := Get(1)
		h.Header = v.header
		m.exchange(h)
		m.Want[len(m.Want)-1].Trace = v.want
	}
	return m.done()
}

func folded() Case {
	m := start("folded and unusual fields", Server)
	h := Get(1)
	h.Header = "X-Note: one\r\n two\r\n\tthree\r\nEmpty:\r\nX-Spaces: \t v \t \r\n"
	m.exchange(h)
	h = Get(2)
	h.ReplyHeader = "CONTENT-LENGTH:6\r\n"
	m.exchange(h)
	h = Get(3)
	h.Header = "Content-Length: 0\r\n"
	h.ReplyHeader = "Content-Length: 6, 6\r\n"
	m.exchange(h)
	return m.done()
}

// KeepAlive is n exchanges on one connection.
func KeepAlive(n int) Case {
	m := start(fmt.Sprintf("keep-alive, %d exchanges", n), Server)
	for i := range n {
		m.exchange(Get(i))
	}
	return m.done()
}

// Cuts is a connection of two requests for every place at which a stream may
// be cut, in the requests and in the responses.
func Cuts() []Case {
	first, second := Post(1, 4, 5), Get(2)
	requests, responses := first.Request()+second.Request(), first.Response()+second.Response()
	var all []Case
	for cut := 1; cut < max(len(requests), len(responses)); cut++ {
		m := start(fmt.Sprintf("cut at %d", cut), Server)
		for _, s := range []struct {
			send func(string)
			text string
		}{{m.c.Client, requests}, {m.c.Server, responses}} {
			n := min(cut, len(s.text))
			s.send(s.text[:n])
			s.send(s.text[n:])
		}
		m.want(first, second)
		all = append(all, m.done())
	}
	return all
}
