package sessiontest

import (
	"fmt"
	"strings"
	"time"

	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
)

// loses sends text and loses its bytes from until to.
func (m *maker) loses(from protocol.Side, text string, start, end int) {
	m.c.Send(from, []byte(text[:start]))
	m.c.Lose(from, []byte(text[start:end]))
	m.c.Send(from, []byte(text[end:]))
	m.Lost += int64(end - start)
}

func lossCases() []Case {
	all := []Case{midStream(), lostExchange(), lostResponseHead(), lostRequestHead(), lostPipelined(), cutOff()}
	for i, side := range []protocol.Side{protocol.Client, protocol.Server} {
		m := start("lost part of a body, side "+fmt.Sprint(i), Server)
		h := Post(2, 5000, 6000)
		text, w := h.Request(), h.Want(m.client, m.server)
		if side == protocol.Server {
			text = h.Response()
		}
		m.exchange(Get(1))
		if side == protocol.Client {
			m.loses(side, text, 1000, 3000)
			m.c.Server(h.Response())
			w.Request.Truncated = true
		} else {
			m.c.Client(h.Request())
			m.loses(side, text, 1000, 3000)
			w.Response.Truncated = true
		}
		w.Outcome = session.Truncated
		m.Want = append(m.Want, w)
		m.exchange(Get(3))
		all = append(all, m.done())
	}
	return all
}

func midStream() Case {
	m := start("joined in a response", Server)
	m.c = Join(m.client, m.server)
	before := Post(1, 0, 500)
	m.c.Server(before.Reply) // the rest of a body
	m.exchange(Get(2), Get(3))
	return m.done()
}

// lostExchange loses a request and its response as a whole.
func lostExchange() Case {
	m := start("lost exchange", Server)
	m.exchange(Get(1))
	h := Get(2)
	m.loses(protocol.Client, h.Request(), 0, len(h.Request()))
	m.loses(protocol.Server, h.Response(), 0, len(h.Response()))
	m.exchange(Get(3), Get(4))
	return m.done()
}

// lostRequestHead loses a request; its response is there.
func lostRequestHead() Case {
	m := start("lost request", Server)
	m.exchange(Get(1))
	h := Get(2)
	m.loses(protocol.Client, h.Request(), 0, len(h.Request()))
	m.c.Server(h.Response())
	w := h.Alone(m.client, m.server, session.Unrequested) // the gap is known when the next request comes
	m.Want = append(m.Want, w)
	m.exchange(Get(3), Get(4))
	return m.done()
}

// lostResponseHead loses the start of a response; the body is there.
func lostResponseHead() Case {
	m := start("lost response head", Server)
	m.exchange(Get(1))
	h := Post(2, 10, 3000)
	m.c.Client(h.Request())
	m.loses(protocol.Server, h.Response(), 0, 200)
	m.Want = append(m.Want, h.Unanswered(m.client, m.server, session.Gap))
	m.exchange(Get(3), Get(4))
	return m.done()
}

// lostPipelined loses the first of four responses that were asked for at
// once: which requests the others answer is not known.
func lostPipelined() Case {
	m := start("lost response among pipelined", Server)
	m.exchange(Get(10), Get(11), Get(12), Get(13)) // it does wait for answers
	var requests, responses strings.Builder
	for i := range 4 {
		requests.WriteString(Get(i).Request())
		responses.WriteString(Get(i).Response())
	}
	m.c.Client(requests.String())
	m.loses(protocol.Server, responses.String(), 0, len(Get(0).Response()))
	for i := 1; i < 4; i++ {
		m.Want = append(m.Want, Get(i).Alone(m.client, m.server, session.Gap))
	}
	for i := range 4 {
		m.Want = append(m.Want, Get(i).Unanswered(m.client, m.server, session.Gap))
	}
	m.exchange(Get(5), Get(6))
	return m.done()
}

// cutOff has packets of which only the start was captured.
func cutOff() Case {
	m := start("packets cut off", Server)
	h := Post(1, 0, 4000)
	m.exchange(h, Get(2))
	c := m.done()
	for i := range c.Segments {
		if s := &c.Segments[i]; len(s.Payload) > 300 {
			c.Lost += int64(len(s.Payload) - 300)
			s.Payload = s.Payload[:300]
		}
	}
	c.Want[0].Outcome, c.Want[0].Response.Truncated = session.Truncated, true
	return c
}

// Elide leaves out of every segment what is beyond n bytes, as a capture does
// that knows that it is not needed.
func Elide(segments Segments, n int) Segments {
	out := append(Segments(nil), segments...)
	for i := range out {
		if s := &out[i]; len(s.Payload) > n {
			s.Payload, s.Elided = s.Payload[:n], true
		}
	}
	return out
}

func ambiguousCases() []Case {
	var all []Case
	smuggled := Get(99).Request()
	for _, v := range []struct{ why, head, body string }{
		{"Content-Length and Transfer-Encoding", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"},
		{"two different Content-Length", "Content-Length: 6\r\nContent-Length: 5\r\n", "abcdef"},
		{"two different Content-Length", "Content-Length: 6, 7\r\n", "abcdef"},
		{"Content-Length is no number", "Content-Length: +6\r\n", "abcdef"},
		{"Content-Length is no number", "Content-Length: 0x6\r\n", "abcdef"},
		{"more than one Transfer-Encoding", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"},
		{"Transfer-Encoding does not end in chunked", "Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"},
		{"Transfer-Encoding does not end in chunked", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"},
		{"a header line that is no field", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n"},
		{"a field that says the length is folded", "Content-Length:\r\n 6\r\n", "abcdef"},
		{"CR inside a line", "X-A: b\rContent-Length: 6\r\n", "abcdef"},
		{"line ended by LF alone", "X-A: b\nContent-Length: 6\r\n", "abcdef"},
		{"chunk size is no number", "Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n"},
		{"chunk size is no number", "Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"},
		{"chunk not followed by CRLF", "Transfer-Encoding: chunked\r\n", "5\r\nhello!!\r\n0\r\n\r\n"},
		{"line ended by LF alone", "Transfer-Encoding: chunked\r\n", "5\nhello\r\n0\r\n\r\n"},
	} {
		m := start(fmt.Sprintf("smuggling %d: %s", len(all), v.why), Server)
		m.exchange(Get(1))
		h := Get(2)
		h.Method, h.Header, h.Status = "POST", v.head, 400
		m.c.Client(h.Request() + v.body + smuggled)
		m.c.Server(h.Response())
		w := h.Want(m.client, m.server)
		w.Outcome, w.Request.Complete = session.Ambiguous, false
		w.Attributes = []session.Attribute{{Key: "http.ambiguity", Value: v.why}}
		if v.head == "Transfer-Encoding: chunked\r\n" && strings.HasPrefix(v.why, "chunk not") {
			w.Request.BodyBytes = 5
		}
		m.Want = append(m.Want, w)
		all = append(all, m.done())
	}
	return all
}

// Flood is n connections, each with exchanges requests of which the last is
// not answered, none of them closed, all interleaved.
func Flood(n, exchanges int) Case {
	all := Case{Name: fmt.Sprintf("flood of %d connections", n)}
	conversations := make([]*Conversation, n)
	for i := range conversations {
		conversations[i] = Open(Client(i, Server), Server)
	}
	for j := range exchanges {
		for i, c := range conversations {
			h := Get(j)
			c.Client(h.Request())
			w := h.Want(Client(i, Server), Server)
			if j < exchanges-1 {
				c.Server(h.Response())
			} else {
				w = h.Unanswered(Client(i, Server), Server, session.NoResponseStopped)
			}
			all.Want = append(all.Want, w)
		}
	}
	// One round of every connection after the other.
	for round := 0; ; round++ {
		some := false
		for _, c := range conversations {
			if round < len(c.Segments) {
				s := c.Segments[round]
				s.Time = Start.Add(time.Duration(len(all.Segments)) * time.Microsecond)
				all.Segments, some = append(all.Segments, s), true
			}
		}
		if !some {
			return all
		}
	}
}
