package sessiontest

import (
	"fmt"
	"strings"

	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
)

func bodyCases() []Case {
	m := start("no body where none can be", Server)
	for _, h := range []HTTP{
		{Method: "HEAD", Target: "/h", Status: 200, ReplyHeader: "Content-Length: 5000\r\n"},
		{Method: "GET", Target: "/n", Status: 204, ReplyHeader: "X-A: b\r\n"},
		{Method: "GET", Target: "/m", Status: 304, ReplyHeader: "Content-Length: 77\r\n"},
		{Method: "HEAD", Target: "/c", Status: 200, ReplyHeader: "Transfer-Encoding: chunked\r\n"},
		{Method: "OPTIONS", Target: "*", Status: 200},
		{Method: "GET", Target: "http://other.example/absolute", Status: 200, Reply: "x"},
	} {
		m.exchange(h)
	}
	all := []Case{m.done(), interim(), early(), chunkedRequest()}
	m = start("chunks of every size", Server)
	const body = "every chunk boundary"
	for size := 1; size <= len(body); size++ {
		m.exchange(chunkedReply(size, body, size))
	}
	all = append(all, m.done())
	m = start("chunks in segments of one byte", Server)
	m.c.MSS = 1
	m.exchange(chunkedReply(1, body, 3, 1, 7), Get(2))
	all = append(all, m.done())
	for cut := 1; cut < 60; cut++ { // every boundary of a chunked body
		h := chunkedReply(cut, "ab", 1)
		m = start(fmt.Sprintf("chunked, cut %d bytes before the end", cut), Server)
		m.c.Client(h.Request())
		response := h.Response()
		m.c.Server(response[:len(response)-cut])
		m.c.Server(response[len(response)-cut:])
		m.want(h)
		all = append(all, m.done())
	}
	return all
}

// chunkedReply is an exchange whose response is chunked, with a trailer and
// an extension of the chunks.
func chunkedReply(i int, body string, sizes ...int) HTTP {
	h := Get(i)
	reply, framing := Chunked(body, ";name=\"v\"", sizes...)
	trailer := "Checksum: 1\r\n\r\n"
	h.Reply = strings.TrimSuffix(reply, "\r\n") + trailer
	h.Framing, h.Trailer = framing-2, len(trailer)
	h.ReplyHeader = "Transfer-Encoding: gzip, Chunked\r\nTrailer: Checksum\r\n"
	return h
}

func chunkedRequest() Case {
	m := start("chunked request", Server)
	body, framing := Chunked("a request in chunks", "", 4)
	request := "PUT /chunked HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: truth/1\r\nTransfer-Encoding: chunked\r\n\r\n"
	h := HTTP{Method: "PUT", Target: "/chunked", Status: 200, Reply: "ok"}
	m.c.Client(request + body)
	m.c.Server(h.Response())
	m.want(h)
	m.Want[0].Request.HeaderBytes = int64(len(request)) + 2 // the end of the empty trailer
	m.Want[0].Request.BodyBytes = int64(len(body) - framing)
	m.exchange(Get(2))
	return m.done()
}

func interim() Case {
	m := start("interim responses", Server)
	h := Post(1, 10, 3)
	h.Header, h.Interim = "Expect: 100-continue\r\n", "HTTP/1.1 100 Continue\r\n\r\n"
	request := h.Request()
	m.c.Client(request[:len(request)-10])
	m.c.Server(h.Interim)
	m.c.Client(request[len(request)-10:])
	m.c.Server(h.Response()[len(h.Interim):])
	m.want(h)
	h = Get(2)
	h.Interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n"
	m.exchange(h, Get(3))
	return m.done()
}

// early has responses that come before the request is complete.
func early() Case {
	m := start("early response", Server)
	h := Post(1, 4000, 30)
	request := h.Request()
	m.c.Client(request[:2000])
	m.c.Server(h.Response())
	m.c.Client(request[2000:])
	m.want(h)
	m.exchange(Get(2))
	h = Post(3, 4000, 30) // this one's client breaks off
	h.Status = 413
	request = h.Request()
	m.c.Client(request[:1000])
	m.c.Server(h.Response())
	w := h.Want(m.client, m.server)
	w.Request.BodyBytes -= int64(len(request) - 1000)
	w.Request.Complete = false
	m.Want = append(m.Want, w)
	return m.done()
}

// closeDelimited is a response whose end is that of the connection.
func closeDelimited(name, header string) Case {
	m := start(name, Server)
	h := Get(1)
	h.ReplyHeader, h.Reply = header, strings.Repeat("until the end ", 300)
	m.c.Client(h.Request())
	m.c.Server(h.Response())
	m.c.Finish(protocol.Server)
	m.c.Finish(protocol.Client)
	m.want(h)
	return m.stop()
}

func endCases() []Case {
	all := []Case{
		closeDelimited("body until the end", "X-A: b\r\n"),
		closeDelimited("coding that is not chunked", "Transfer-Encoding: gzip\r\n"),
		halfClosed(), tunnels("CONNECT", 200), tunnels("GET", 101), refusedTunnel(), oldVersion(),
	}
	m := start("reset before the response", Server)
	m.exchange(Get(1))
	h := Get(2)
	m.c.Client(h.Request())
	m.c.Reset(protocol.Server)
	m.Want = append(m.Want, h.Unanswered(m.client, m.server, session.NoResponseReset))
	all = append(all, m.stop())
	m = start("closed in the response", Server)
	h = Get(1)
	m.c.Client(h.Request())
	response := h.Response()
	m.c.Server(response[:len(response)-3])
	m.c.Finish(protocol.Server)
	m.c.Finish(protocol.Client)
	w := h.Want(m.client, m.server)
	w.Outcome, w.Response.Complete, w.Response.BodyBytes = session.NoResponseClosed, false, w.Response.BodyBytes-3
	m.Want = append(m.Want, w)
	all = append(all, m.stop())
	m = start("the capture ends before the response", Server)
	m.c.Client(h.Request())
	m.Want = append(m.Want, h.Unanswered(m.client, m.server, session.NoResponseStopped))
	return append(all, m.stop(), portReuse(), ciphertext(), notHTTP())
}

func halfClosed() Case {
	m := start("half closed", Server)
	h := Post(1, 50, 4000)
	m.c.Client(h.Request())
	m.c.Finish(protocol.Client)
	m.c.Server(h.Response())
	m.c.Finish(protocol.Server)
	m.want(h)
	return m.stop()
}

func oldVersion() Case {
	m := start("HTTP/1.0", Server)
	h := Get(1)
	m.c.Client(strings.Replace(h.Request(), "HTTP/1.1", "HTTP/1.0", 1))
	m.c.Server(strings.Replace(h.Response(), "HTTP/1.1", "HTTP/1.0", 1))
	m.want(h)
	m.Want[0].Protocol = "HTTP/1.0"
	return m.done()
}

// tunnels leaves HTTP by CONNECT or Upgrade.
func tunnels(method string, status int) Case {
	m := start(fmt.Sprintf("tunnel by %s", method), Server)
	m.exchange(Get(1))
	h := HTTP{Method: method, Target: "/chat", Status: status, Header: "Connection: Upgrade\r\nUpgrade: websocket\r\n",
		ReplyHeader: "Connection: Upgrade\r\nUpgrade: websocket\r\n"}
	m.c.Client(h.Request())
	m.c.Server(h.Response())
	m.c.Client("\x81\x85GET / HTTP/1.1\r\n\r\n")
	m.c.Server(strings.Repeat("\x82", 3000))
	m.want(h)
	m.Want[1].Request.BodyBytes, m.Want[1].Response.BodyBytes = 20, 3000
	return m.done()
}

func refusedTunnel() Case {
	m := start("refused tunnel", Server)
	m.exchange(HTTP{Method: "CONNECT", Target: "shop.example:443", Status: 405, Reply: "no"}, Get(2))
	return m.done()
}

// portReuse has two connections with the same addresses; the first is never
// closed.
func portReuse() Case {
	m := start("port reused", Server)
	h := Get(1)
	m.c.Client(h.Request())
	m.Want = append(m.Want, h.Unanswered(m.client, m.server, session.NoResponseClosed))
	m.Segments = m.c.Segments
	now := m.c.Now
	m.c = Open(m.client, m.server)
	shift(m.c.Segments, now.Sub(Start), 5000)
	m.c.Now = m.c.Now.Add(now.Sub(Start))
	m.c.seq[0], m.c.ack[1] = m.c.seq[0]+5000, m.c.ack[1]+5000
	m.c.seq[1], m.c.ack[0] = m.c.seq[1]+5000, m.c.ack[0]+5000
	m.exchange(Get(2))
	return m.done()
}

func ciphertext() Case {
	m := start("TLS", Server)
	m.c.Client("\x16\x03\x01\x00\xa5\x01" + strings.Repeat("x", 164))
	m.c.Server("\x16\x03\x03\x00\x7a\x02" + strings.Repeat("y", 121))
	m.c.Client("\x17\x03\x03\x10\x00" + strings.Repeat("z", 4096))
	m.Want = append(m.Want, bare(m, session.Ciphertext, "tls"))
	return m.done()
}

func notHTTP() Case {
	m := start("no known protocol", Server)
	m.c.Server("220 mail.example ESMTP ready\r\n")
	m.c.Client("EHLO client.example\r\n")
	m.Want = append(m.Want, bare(m, session.Undecodable, ""))
	return m.done()
}

func bare(m *maker, o session.Outcome, proto string) session.Session {
	s := Get(1).Want(m.client, m.server)
	return session.Session{Client: s.Client, Server: s.Server, Direction: s.Direction, Transport: s.Transport,
		Protocol: proto, Outcome: o, GRPCStatus: -1}
}
