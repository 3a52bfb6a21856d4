// Package session makes sessions of segments: it puts streams together,
// finds requests and responses in them, pairs each request with its response,
// and keeps the ledger that accounts for all of them. [Engine] is the way in.
package session

import (
	"net/netip"
	"strings"
	"time"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
)

// Session is one request and its response, or what there was of them.
type Session struct {
	Interface      uint32 // where it was seen, see [packet.Segment]
	Client, Server netip.AddrPort
	Direction      packet.Direction // of the request: Ingress where the workload is the server; 0: the capture does not say
	Transport      packet.Transport

	Protocol string // as spans name it: "HTTP/1.1", "HTTP/2", "gRPC", "redis", "dns", "tls"; "": not known
	Stream   uint32 // HTTP/2 stream, else 0
	Request  Message
	Response Message
	Outcome  Outcome

	// What HTTP and gRPC say. For Redis Method is the command and Target its
	// first key, for DNS the query's type and name; empty elsewhere.
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

// The parts of a session that parsers fill in.
type (
	// Message is one side of a session.
	Message = protocol.Message
	// TraceContext is the trace that a request carries, in hexadecimal.
	TraceContext = protocol.TraceContext
	// Attribute is a name and value that a parser or plug-in found.
	Attribute = protocol.Attribute
	// Outcome says whether a session is whole, or why not.
	Outcome = protocol.Outcome
)

// The outcomes; package protocol says what each means.
const (
	Paired            = protocol.Paired
	Pushed            = protocol.Pushed
	Truncated         = protocol.Truncated
	NoResponseReset   = protocol.NoResponseReset
	NoResponseClosed  = protocol.NoResponseClosed
	NoResponseTimeout = protocol.NoResponseTimeout
	NoResponseStopped = protocol.NoResponseStopped
	Unrequested       = protocol.Unrequested
	Gap               = protocol.Gap
	Evicted           = protocol.EvictedOutcome
	Ciphertext        = protocol.Ciphertext
	Undecodable       = protocol.Undecodable
	Ambiguous         = protocol.Ambiguous
)

// TCP is what happened to the connection below a session, both ways.
type TCP struct {
	Retransmissions, OutOfOrder, ZeroWindows, Resets int
	RoundTrip                                        time.Duration // smoothed estimate, 0: none
	LostBytes                                        int64         // bytes that the capture never saw
}

// URL is what an HTTP request asked for, built from its target and Host;
// empty for other protocols.
func (s *Session) URL() string {
	switch {
	case s.Scheme == "" || s.Target == "" && s.Host == "":
		return ""
	case strings.Contains(s.Target, "://"): // absolute form
		return s.Target
	case s.Method == connect: // authority form
		return s.Scheme + "://" + s.Target
	}
	host := s.Host
	if host == "" {
		host = s.Server.String()
	}
	if s.Target == "*" {
		return s.Scheme + "://" + host
	}
	return s.Scheme + "://" + host + s.Target
}

// connect is the method whose target is an authority.
const connect = "CONNECT"
