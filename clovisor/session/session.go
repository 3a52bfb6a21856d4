// Package session makes sessions of segments: it puts streams together,
// parses them, and pairs each request with its response.
package session

import (
	"net/netip"
	"time"

	"github.com/opnfv/clover/clovisor/packet"
)

// Session is one request and its response, or what there was of them.
type Session struct {
	Interface      uint32 // where it was seen, see [packet.Segment]
	Client, Server netip.AddrPort
	Direction      packet.Direction // of the request: Ingress where the workload is the server
	Transport      packet.Transport

	Protocol string // as spans name it: "HTTP/1.1", "HTTP/2", "gRPC", "redis", "dns"
	Stream   uint32 // HTTP/2 stream, else 0
	Request  Message
	Response Message
	Outcome  Outcome

	// What HTTP and gRPC say; empty elsewhere.
	Method, Target, Host, Scheme string
	UserAgent, ContentType       string // ContentType is the response's
	RequestID                    string
	Status                       int // HTTP status, 0: none seen
	GRPCService, GRPCMethod      string
	GRPCStatus                   int // -1: not gRPC, or none seen
	Trace                        TraceContext

	// RequestSeq and ResponseSeq are the TCP sequence numbers of the first
	// bytes, which are the same wherever the session is seen. Both 0: UDP.
	RequestSeq, ResponseSeq uint32

	TCP        TCP         // what the connection went through since the last session
	Attributes []Attribute // what parsers found beyond the fields, in their order
}

// Message is one side of a session.
type Message struct {
	First, Last            time.Time // kernel time of the first and last byte; zero: none seen
	HeaderBytes, BodyBytes int64     // on the wire, framing of chunks not counted as body
	Truncated              bool      // bytes were missing in it
	Messages               int       // gRPC messages, 0 elsewhere
}

// TraceContext is the trace that a request carries, in hexadecimal as it came.
type TraceContext struct {
	TraceID, SpanID string // empty: it carries none
	Sampled         bool
	State           string // tracestate
}

// TCP is what happened to the connection below a session, both ways.
type TCP struct {
	Retransmissions, OutOfOrder, ZeroWindows, Resets int
	RoundTrip                                        time.Duration // smoothed estimate, 0: none
	LostBytes                                        int64         // bytes that the capture never saw
}

// Attribute is a name and value that a parser or plug-in found.
type Attribute struct{ Key, Value string }

// Outcome says whether a session is whole, or why not.
type Outcome string

// The outcomes.
const (
	Paired Outcome = "paired"
)
