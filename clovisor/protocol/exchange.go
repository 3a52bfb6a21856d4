package protocol

import "time"

// Exchange is a request and its response as a parser sees them, or what there
// was of them.
type Exchange struct {
	Protocol string // as spans name it: "HTTP/1.1", "HTTP/2", "gRPC", "redis", "dns"
	Stream   uint32 // HTTP/2 stream, else 0
	Request  Message
	Response Message
	Outcome  Outcome

	// What HTTP and gRPC say. Redis and DNS have their command or query type
	// as the method, the first key or the name as the target.
	Method, Target, Host, Scheme string
	UserAgent, ContentType       string // ContentType is the response's
	RequestID                    string
	Status                       int // HTTP status, 0: none seen
	GRPCService, GRPCMethod      string
	GRPCStatus                   int // -1: not gRPC, or none seen
	Trace                        TraceContext

	Attributes []Attribute // what else was found

	Replies int // how many replies the request asks for; its parser's own

	weight int // of its texts, as accounted for
}

// Message is one side of a session.
type Message struct {
	First, Last            time.Time // kernel time of the first and last byte; zero: none seen
	HeaderBytes, BodyBytes int64     // on the wire, framing of chunks not counted as body
	Offset                 int64     // of the first byte in its direction, as [Chunk] counts
	Truncated              bool      // bytes were missing in it
	Complete               bool      // its end was seen
	Messages               int       // gRPC messages, 0 elsewhere
}

// Seen reports whether any of the message was seen.
func (m *Message) Seen() bool { return !m.First.IsZero() }

// Touch notes that a byte of the message was seen at that time.
func (m *Message) Touch(at time.Time) {
	if m.First.IsZero() {
		m.First = at
	}
	m.Last = at
}

// TraceContext is the trace that a request carries, in hexadecimal as it came.
type TraceContext struct {
	TraceID, SpanID string // empty: it carries none
	Sampled         bool
	State           string // tracestate
}

// Attribute is a name and value that a parser or plug-in found.
type Attribute struct{ Key, Value string }

// Outcome says whether a session is whole, or why not.
type Outcome string

// The outcomes of whole sessions.
const (
	Paired Outcome = "paired" // request and response
	Pushed Outcome = "pushed" // sent by the server unasked, as its protocol allows (Redis pub/sub)
)

// Truncated is the outcome of sessions with both sides, in one of which bytes
// were lost by the capture.
const Truncated Outcome = "truncated"

// Why a session is not whole.
const (
	NoResponseReset   Outcome = "no_response_reset"        // RST (or RST_STREAM) before the response was complete
	NoResponseClosed  Outcome = "no_response_closed"       // FIN (or GOAWAY) before
	NoResponseTimeout Outcome = "no_response_timeout"      // nothing followed for too long
	NoResponseStopped Outcome = "no_response_stopped"      // the capture ended before
	Unrequested       Outcome = "response_without_request" // the request was before the capture began
	Gap               Outcome = "gap"                      // the other half is lost, or which one it is cannot be told
	EvictedOutcome    Outcome = "evicted"                  // no room to wait for the response
	Ciphertext        Outcome = "ciphertext"               // a TLS connection, one session for all of it
	Undecodable       Outcome = "undecodable"              // not the protocol that was expected
	Ambiguous         Outcome = "ambiguous"                // its end can be read in two ways (request smuggling)
)

// Outcomes are all outcomes, in the order in which ledgers show them.
func Outcomes() []Outcome {
	return []Outcome{
		Paired, Pushed, Truncated, NoResponseReset, NoResponseClosed, NoResponseTimeout, NoResponseStopped,
		Unrequested, Gap, EvictedOutcome, Ciphertext, Undecodable, Ambiguous,
	}
}

// Whole reports whether nothing is missing in a session of this outcome.
func (o Outcome) Whole() bool { return o == Paired || o == Pushed }

// Unanswered is the outcome of a request whose response was not complete when
// its connection ended that way.
func (e End) Unanswered() Outcome {
	switch e {
	case Reset:
		return NoResponseReset
	case TimedOut:
		return NoResponseTimeout
	case Evicted:
		return EvictedOutcome
	case Stopped:
		return NoResponseStopped
	}
	return NoResponseClosed
}

// reset makes the exchange as new, keeping nothing.
func (x *Exchange) reset() { *x = Exchange{GRPCStatus: -1} }
