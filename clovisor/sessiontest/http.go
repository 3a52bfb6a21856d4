package sessiontest

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/session"
)

// HTTP is a request and its response, from which both the bytes and the
// session that must come out are made.
type HTTP struct {
	Method, Target string
	Header         string // more request header lines, each with CRLF
	Body           string // of the request
	Status         int
	Reply          string // body of the response
	ReplyHeader    string // instead of Content-Length, each line with CRLF
	Interim        string // sent before the response
	Framing        int    // bytes of Reply and Trailer that are chunk framing
	Trailer        int    // bytes of Reply that are trailer fields
}

// Request is the request's bytes.
func (h HTTP) Request() string {
	length := ""
	if h.Body != "" {
		length = fmt.Sprintf("Content-Length: %d\r\n", len(h.Body))
	}
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: truth/1\r\n%s%s\r\n%s",
		h.Method, h.Target, h.Header, length, h.Body)
}

// Response is the response's bytes.
func (h HTTP) Response() string { return h.Interim + h.head() + h.Reply }

func (h HTTP) head() string {
	header := h.ReplyHeader
	if header == "" {
		header = fmt.Sprintf("Content-Length: %d\r\n", len(h.Reply))
	}
	return fmt.Sprintf("HTTP/1.1 %d Text\r\nContent-Type: text/plain\r\n%s\r\n", h.Status, header)
}

// Want is the session that must come out.
func (h HTTP) Want(client, server netip.AddrPort) session.Session {
	s := session.Session{
		Client: client, Server: server, Direction: packet.Ingress, Transport: packet.TCP,
		Protocol: "HTTP/1.1", Outcome: session.Paired, Method: h.Method, Target: h.Target, Host: "shop.example",
		Scheme: "http", UserAgent: "truth/1", ContentType: "text/plain", Status: h.Status, GRPCStatus: -1,
	}
	s.Request.HeaderBytes = int64(len(h.Request()) - len(h.Body))
	s.Request.BodyBytes = int64(len(h.Body))
	s.Request.Complete, s.Response.Complete = true, true
	s.Response.HeaderBytes = int64(len(h.Interim) + len(h.head()) + h.Trailer)
	s.Response.BodyBytes = int64(len(h.Reply) - h.Framing - h.Trailer)
	return s
}

// Unanswered is the session of the request alone.
func (h HTTP) Unanswered(client, server netip.AddrPort, o session.Outcome) session.Session {
	s := h.Want(client, server)
	s.Outcome, s.Status, s.ContentType = o, 0, ""
	s.Response = session.Message{}
	return s
}

// Alone is the session of the response alone.
func (h HTTP) Alone(client, server netip.AddrPort, o session.Outcome) session.Session {
	s := h.Want(client, server)
	s.Outcome, s.Method, s.Target, s.Host, s.Scheme, s.UserAgent = o, "", "", "", "", ""
	s.Request = session.Message{}
	return s
}

// Chunked writes a body in chunks of the sizes given, the last repeated, and
// returns the bytes and how many of them are framing.
func Chunked(body string, extension string, sizes ...int) (string, int) {
	var b strings.Builder
	total := len(body)
	for i := 0; len(body) > 0; i++ {
		n := min(sizes[min(i, len(sizes)-1)], len(body))
		fmt.Fprintf(&b, "%x%s\r\n%s\r\n", n, extension, body[:n])
		body = body[n:]
	}
	b.WriteString("0" + extension + "\r\n\r\n")
	return b.String(), b.Len() - total
}
