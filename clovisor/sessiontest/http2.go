package sessiontest

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/net/http2/hpack"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
)

// Preface is what a client of HTTP/2 sends first, with its SETTINGS.
var Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings

// settings is an empty SETTINGS frame.
var settings = Frame(4, 0, 0, "")

// Frame is an HTTP/2 frame.
func Frame(kind, flags byte, stream uint32, payload string) string {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return string(binary.BigEndian.AppendUint32(b, stream)) + payload
}

// HTTP2 writes the frames of a connection, with a dynamic table a side.
type HTTP2 struct {
	encoders [2]*hpack.Encoder
	blocks   [2]bytes.Buffer
}

// Headers is a HEADERS frame; after more than split bytes of the block
// CONTINUATION goes on, where split is not 0.
func (h *HTTP2) Headers(from protocol.Side, stream uint32, end bool, split int, fields ...string) string {
	b := &h.blocks[from]
	if h.encoders[from] == nil {
		h.encoders[from] = hpack.NewEncoder(b)
	}
	b.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = h.encoders[from].WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // to memory
	}
	var flags byte
	if end {
		flags = 1
	}
	block := b.String()
	if split == 0 || split >= len(block) {
		return Frame(1, flags|4, stream, block)
	}
	out := Frame(1, flags, stream, block[:split])
	for block = block[split:]; len(block) > split; block = block[split:] {
		out += Frame(9, 0, stream, block[:split])
	}
	return out + Frame(9, 4, stream, block)
}

// DataFrame is a DATA frame, padded where padding is not 0.
func DataFrame(stream uint32, end bool, padding byte, content string) string {
	var flags byte
	if end {
		flags = 1
	}
	if padding > 0 {
		flags |= 8
		content = string([]byte{padding}) + content + string(make([]byte, padding))
	}
	return Frame(0, flags, stream, content)
}

// Message is a message of gRPC.
func Message(content string) string {
	return string(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(content)))) + content
}

// h2 is a case of HTTP/2 that is being made.
type h2 struct {
	*maker
	HTTP2
}

func startHTTP2(name string) *h2 {
	h := &h2{maker: start(name, Server)}
	h.c.Client(Preface)
	h.c.Server(settings)
	h.c.Client(Frame(4, 1, 0, ""))
	return h
}

// request is a GET, and want the session of it with a response.
func (h *h2) request(stream uint32, target string) (string, session.Session) {
	text := h.Headers(protocol.Client, stream, true, 0, ":method", "GET", ":scheme", "http", ":authority", "shop.example",
		":path", target, "user-agent", "truth/2", "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	w := session.Session{
		Client: h.client, Server: h.server, Direction: packet.Ingress, Transport: packet.TCP,
		Protocol: "HTTP/2", Stream: stream, Outcome: session.Paired, Method: "GET", Target: target, Host: "shop.example",
		Scheme: "http", UserAgent: "truth/2", Status: 200, GRPCStatus: -1,
		Trace: session.TraceContext{TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", SpanID: "00f067aa0ba902b7", Sampled: true},
	}
	w.Request.HeaderBytes, w.Request.Complete, w.Response.Complete = int64(len(text)), true, true
	return text, w
}

// response answers with content in frames of a size.
func (h *h2) response(w *session.Session, content string, size int) string {
	text := h.Headers(protocol.Server, w.Stream, content == "", 0, ":status", "200", "content-type", "text/plain", "x-stream", "yes")
	w.ContentType = "text/plain"
	w.Response.HeaderBytes, w.Response.BodyBytes = int64(len(text)), int64(len(content))
	for len(content) > 0 {
		n := min(size, len(content))
		text += DataFrame(w.Stream, n == len(content), 0, content[:n])
		content = content[n:]
	}
	return text
}
