package sessiontest

import (
	"fmt"
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
)

func http2Cases() []Case {
	all := []Case{
		http2Plain("HTTP/2", 0), http2Plain("HTTP/2 in segments of one byte", 1), interleavedStreams(), http2Odd(), http2Ends(),
		http2Upgrade(), http2Joined(), http2Lost(), http2LostBody(),
	}
	for _, mss := range []int{0, 1, 3} {
		all = append(all, grpcCalls(mss))
	}
	return all
}

func http2Plain(name string, mss int) Case {
	h := startHTTP2(name)
	h.c.MSS = mss
	for i := range uint32(5) {
		text, w := h.request(2*i+1, fmt.Sprintf("/item/%d", i))
		h.c.Client(text)
		h.c.Server(h.response(&w, strings.Repeat("x", int(i)*100), 150))
		h.Want = append(h.Want, w)
	}
	return h.done()
}

// interleavedStreams asks for all at once, and gets the answers mixed.
func interleavedStreams() Case {
	h := startHTTP2("interleaved streams")
	var sessions []session.Session
	for i := range uint32(10) {
		text, w := h.request(2*i+1, fmt.Sprintf("/item/%d", i))
		h.c.Client(text)
		sessions = append(sessions, w)
	}
	var ends string
	for i := range sessions {
		w := &sessions[len(sessions)-1-i]
		text := h.response(w, strings.Repeat("y", 3000), 1000)
		cut := len(text) - 1009
		h.c.Server(text[:cut] + Frame(6, 0, 0, "pingpong") + Frame(8, 0, 0, "\x00\x01\x00\x00"))
		ends = text[cut:] + ends
	}
	h.c.Server(ends)
	h.Want = append(h.Want, sessions...)
	return h.done()
}

// http2Odd has CONTINUATION, padding, trailers, an interim response and a
// frame of a type that nobody knows.
func http2Odd() Case {
	h := startHTTP2("HTTP/2, unusual frames")
	_, w := h.request(1, "/odd")
	h.encoders[0] = nil // the table of a connection that begins
	text := h.Headers(protocol.Client, 1, false, 7, ":method", "POST", ":scheme", "http", ":authority", "shop.example",
		":path", "/odd", "user-agent", "truth/2", "x-long", strings.Repeat("long ", 100),
		"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	trailer := h.Headers(protocol.Client, 1, true, 0, "x-checksum", "1")
	h.c.Client(text + DataFrame(1, false, 10, "padded content") + DataFrame(1, false, 3, "") + Frame(0xBE, 0xFF, 1, "unknown") + trailer)
	w.Method = "POST"
	w.Request.HeaderBytes, w.Request.BodyBytes = int64(len(text)+len(trailer)), 14
	interim := h.Headers(protocol.Server, 1, false, 0, ":status", "103", "link", "</a>")
	h.c.Server(interim + h.response(&w, "", 1))
	w.Response.HeaderBytes += int64(len(interim))
	h.Want = append(h.Want, w)
	// A size update of the dynamic table, down and up again.
	h.encoders[0].SetMaxDynamicTableSize(0)
	h.encoders[0].SetMaxDynamicTableSize(4096)
	text, w = h.request(3, "/after")
	h.c.Client(text)
	h.c.Server(h.response(&w, "z", 1))
	h.Want = append(h.Want, w)
	return h.done()
}

// http2Ends has streams that end otherwise than by END_STREAM.
func http2Ends() Case {
	h := startHTTP2("HTTP/2, reset and GOAWAY")
	text, w := h.request(1, "/reset")
	h.c.Client(text)
	h.c.Client(Frame(3, 0, 1, "\x00\x00\x00\x08"))
	w.Outcome, w.Status, w.Response = session.NoResponseReset, 0, session.Message{}
	w.Attributes = []session.Attribute{{Key: "http2.error_code", Value: "8"}}
	h.Want = append(h.Want, w)
	// The response that was under way comes for nobody.
	_, late := h.request(1, "/reset")
	h.c.Server(h.response(&late, "late", 4))

	post := h.Headers(protocol.Client, 3, false, 0, ":method", "POST", ":scheme", "http", ":authority", "shop.example", ":path", "/early")
	h.c.Client(post + DataFrame(3, false, 0, "a part"))
	_, w = h.request(3, "/early")
	h.encoders[0] = nil
	response := h.response(&w, "no more", 7)
	h.c.Server(response + Frame(3, 0, 3, "\x00\x00\x00\x00"))
	w.Method, w.UserAgent, w.Trace = "POST", "", session.TraceContext{}
	w.Request.HeaderBytes, w.Request.BodyBytes, w.Request.Complete = int64(len(post)), 6, false
	h.Want = append(h.Want, w)
	return h.goAway()
}

func (h *h2) goAway() Case {
	h.encoders[0] = nil
	first, w := h.request(5, "/last")
	h.encoders[0].SetMaxDynamicTableSize(0) // what was sent before is not in this encoder
	second, x := h.request(7, "/too-late")
	h.c.Client(first + second)
	h.c.Server(Frame(7, 0, 0, "\x00\x00\x00\x05\x00\x00\x00\x00"))
	x.Outcome, x.Status, x.Response = session.NoResponseClosed, 0, session.Message{}
	h.c.Server(h.response(&w, "ok", 2))
	h.Want = append(h.Want, x, w)
	return h.done()
}

func http2Upgrade() Case {
	h := &h2{maker: start("upgrade to HTTP/2", Server)}
	request := HTTP{Method: "GET", Target: "/up", Header: "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"}
	w := request.Want(h.client, h.server)
	h.c.Client(request.Request())
	switching := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
	w.Stream, w.Protocol, w.Status = 1, "HTTP/2", 200
	h.c.Server(switching + settings)
	h.c.Client(Preface)
	h.c.Server(h.response(&w, "upgraded", 3))
	w.Response.HeaderBytes += int64(len(switching))
	h.Want = append(h.Want, w)
	text, w := h.request(3, "/next")
	h.c.Client(text)
	h.c.Server(h.response(&w, "next", 3))
	h.Want = append(h.Want, w)
	return h.done()
}

// http2Joined begins after the first request: what refers to the dynamic table
// from before cannot be decoded, and says so.
func http2Joined() Case {
	h := startHTTP2("HTTP/2, joined later")
	text, w := h.request(1, "/before")
	h.c.Client(text)
	h.c.Server(h.response(&w, "before", 6))
	h.c.Segments = nil
	text, w = h.request(3, "/after")
	h.c.Client(text)
	h.c.Server(h.response(&w, "after", 6))
	w.Outcome, w.Host, w.UserAgent, w.Trace, w.ContentType = session.Truncated, "", "", session.TraceContext{}, ""
	w.Request.Truncated, w.Response.Truncated = true, true
	h.Want = append(h.Want, w)
	c := h.done()
	return c
}

// http2Lost loses a request and its response as a whole.
func http2Lost() Case {
	h := startHTTP2("HTTP/2, lost exchange")
	fresh := func() { h.encoders = [2]*hpack.Encoder{} }
	text, w := h.request(1, "/first")
	h.c.Client(text)
	h.c.Server(h.response(&w, "first", 6))
	h.Want = append(h.Want, w)
	text, w = h.request(3, "/lost")
	h.loses(protocol.Client, text, 0, len(text))
	text = h.response(&w, "lost", 6)
	h.loses(protocol.Server, text, 0, len(text))
	fresh() // an encoder that begins again refers to nothing that is lost
	text, w = h.request(5, "/third")
	h.c.Client(text)
	h.c.Server(h.response(&w, "third", 6))
	h.Want = append(h.Want, w)
	return h.done()
}

// http2LostBody loses a part of the content of one frame.
func http2LostBody() Case {
	h := startHTTP2("HTTP/2, lost part of a body")
	text, w := h.request(1, "/body")
	h.c.Client(text)
	text = h.response(&w, strings.Repeat("b", 9000), 8000)
	h.loses(protocol.Server, text, 1000, 3000)
	w.Outcome, w.Response.Truncated = session.Truncated, true
	h.Want = append(h.Want, w)
	return h.done()
}

func grpcCalls(mss int) Case {
	h := startHTTP2(fmt.Sprintf("gRPC, segments of %d bytes", mss))
	h.c.MSS = mss
	call := func(stream uint32, method string, messages []string) session.Session {
		head := h.Headers(protocol.Client, stream, false, 0, ":method", "POST", ":scheme", "http", ":path", "/nginx.Controller/"+method,
			":authority", "shop.example", "content-type", "application/grpc+proto", "te", "trailers", "user-agent", "grpc-truth/1")
		body := strings.Join(messages, "")
		w := session.Session{
			Client: h.client, Server: h.server, Direction: packet.Ingress, Transport: packet.TCP,
			Protocol: "gRPC", Stream: stream, Outcome: session.Paired, Method: "POST", Target: "/nginx.Controller/" + method,
			Host: "shop.example", Scheme: "http", UserAgent: "grpc-truth/1", ContentType: "application/grpc+proto",
			Status: 200, GRPCService: "nginx.Controller", GRPCMethod: method,
		}
		w.Request.HeaderBytes, w.Request.BodyBytes, w.Request.Messages = int64(len(head)), int64(len(body)), len(messages)
		w.Request.Complete, w.Response.Complete = true, true
		h.c.Client(head)
		for len(body) > 0 { // messages over the borders of frames
			n := min(11, len(body))
			h.c.Client(DataFrame(stream, n == len(body), 0, body[:n]))
			body = body[n:]
		}
		return w
	}
	w := call(1, "ProcessAlerts", []string{Message("one"), Message(""), Message(strings.Repeat("x", 40))})
	head := h.Headers(protocol.Server, 1, false, 0, ":status", "200", "content-type", "application/grpc+proto")
	reply := Message("reply") + Message("another")
	trailer := h.Headers(protocol.Server, 1, true, 0, "grpc-status", "0", "grpc-message", "")
	h.c.Server(head + DataFrame(1, false, 0, reply) + trailer)
	w.Response.HeaderBytes, w.Response.BodyBytes, w.Response.Messages = int64(len(head)+len(trailer)), int64(len(reply)), 2
	h.Want = append(h.Want, w)
	w = call(3, "ModifyLB", []string{Message("x")})
	only := h.Headers(protocol.Server, 3, true, 0, ":status", "200", "content-type", "application/grpc+proto", "grpc-status", "12", "grpc-message", "no")
	h.c.Server(only)
	w.Response.HeaderBytes, w.GRPCStatus = int64(len(only)), 12
	h.Want = append(h.Want, w)
	return h.done()
}
