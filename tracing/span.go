package tracing

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// TraceID identifies a trace: 16 bytes, big endian, as in W3C Trace Context.
// A 64-bit Zipkin id occupies the low eight bytes.
type TraceID [16]byte

// SpanID identifies a span within a trace. Zipkin tracers may give a client
// span and its server span the same SpanID; see [Span.Identity].
type SpanID [8]byte

// IsZero reports whether id is the invalid all-zero id.
func (id TraceID) IsZero() bool { return id == TraceID{} }

// String returns the id as 32 lower-case hexadecimal digits.
func (id TraceID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether id is the invalid all-zero id, which as a parent
// means "no parent".
func (id SpanID) IsZero() bool { return id == SpanID{} }

// String returns the id as 16 lower-case hexadecimal digits.
func (id SpanID) String() string { return hex.EncodeToString(id[:]) }

// ParseTraceID reads 1 to 32 hexadecimal digits. Short ids, which Jaeger and
// Zipkin print without leading zeros, are padded on the left.
func ParseTraceID(s string) (TraceID, error) {
	var id TraceID
	if err := parseHex(id[:], s); err != nil {
		return TraceID{}, fmt.Errorf("trace id %q: %w", s, err)
	}
	return id, nil
}

// ParseSpanID reads 1 to 16 hexadecimal digits, padded on the left.
func ParseSpanID(s string) (SpanID, error) {
	var id SpanID
	if err := parseHex(id[:], s); err != nil {
		return SpanID{}, fmt.Errorf("span id %q: %w", s, err)
	}
	return id, nil
}

func parseHex(dst []byte, s string) error {
	width := 2 * len(dst)
	if s == "" || len(s) > width {
		return fmt.Errorf("want 1 to %d hexadecimal digits", width)
	}
	if len(s) < width {
		s = strings.Repeat("0", width-len(s)) + s
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		return fmt.Errorf("want 1 to %d hexadecimal digits", width)
	}
	return nil
}

// Kind is a span's role in a call. The values are those of OTLP's
// opentelemetry.proto.trace.v1.Span.SpanKind.
type Kind uint8

// The span kinds of OTLP.
const (
	KindUnspecified Kind = iota
	KindInternal
	KindServer
	KindClient
	KindProducer
	KindConsumer
)

var kindNames = [...]string{"unspecified", "internal", "server", "client", "producer", "consumer"}

// String returns the lower-case name, as Jaeger's span.kind tag has it.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// ParseKind reads the names that [Kind.String] gives, in any case.
// Anything else is KindUnspecified.
func ParseKind(s string) Kind {
	for k, name := range kindNames {
		if strings.EqualFold(s, name) {
			return Kind(k)
		}
	}
	return KindUnspecified
}

// ValueType says how an [Attribute]'s Value was typed where it came from.
type ValueType uint8

// The attribute types. Arrays, maps and bytes are kept as JSON of OTLP's
// AnyValue.
const (
	TypeString ValueType = iota
	TypeBool
	TypeInt
	TypeFloat
	TypeJSON
)

// Attribute is a key with a value. The value is held as text, with the type
// that it had, so that it can be exported as it came.
type Attribute struct {
	Key   string
	Value string
	Type  ValueType
}

// Event is something that happened at a point of time within a span
// (OTLP events, Jaeger logs, Zipkin annotations).
type Event struct {
	Time       time.Time
	Name       string
	Attributes []Attribute
}

// Link points to a span of this or another trace.
type Link struct {
	TraceID    TraceID
	SpanID     SpanID
	Attributes []Attribute
}

// Span is one operation of one service, in the one form that all dialects are
// brought into by [Normalize]. What a named field holds is not repeated in
// Attributes; everything no field covers stays there.
//
// A Span is a plain value: methods do not change it and it may be read
// concurrently. The slices of spans that came together may be shared between
// them (Resource in particular): replace a slice, do not change its elements.
//
// Make one with [NewSpan]: for GRPCStatus and the two sizes zero is a value,
// and unknown is -1.
type Span struct {
	TraceID  TraceID
	SpanID   SpanID
	ParentID SpanID // zero: a root
	Kind     Kind

	Service   string // service.name, e.g. "http-lb.default"
	Operation string // span name
	Start     time.Time
	Duration  time.Duration // never negative after Normalize

	Method          string // HTTP method
	URL             string // full URL as reported
	URLTemplate     string // http.route, or URL's path with ids replaced; see [Template]
	StatusCode      int    // HTTP status; 0: none known
	GRPCStatus      int    // gRPC status code; -1: not a gRPC call
	UserAgent       string
	Protocol        string // e.g. "HTTP/1.1"
	UpstreamCluster string // Envoy cluster, e.g. "outbound|9180||http-lb.default.svc.cluster.local"
	Node            string // Envoy node id, else host name
	Peer            string // address of the other end
	RequestID       string // x-request-id
	ResponseFlags   string // Envoy response flags; "" where Envoy says "-"
	Namespace       string // Kubernetes namespace
	Workload        string // istio.canonical_service or k8s workload
	Version         string // istio.canonical_revision or service.version
	RequestSize     int64  // bytes of the request body; -1: unknown
	ResponseSize    int64  // bytes of the response body; -1: unknown

	Error         bool // span status ERROR, status code >= 500, or a gRPC status that is the server's fault
	StatusMessage string

	Attributes []Attribute // sorted by key after Normalize
	Resource   []Attribute // what the resource (or Jaeger process) says beyond the fields
	Scope      string      // instrumentation scope "name version"
	Events     []Event
	Links      []Link
}

// NewSpan returns a span of which nothing is known yet: GRPCStatus,
// RequestSize and ResponseSize are -1, everything else is zero.
func NewSpan() Span {
	return Span{GRPCStatus: -1, RequestSize: -1, ResponseSize: -1}
}

// Identity is what makes two reports the same span. Zipkin tracers may share
// one id between client and server, so the kind is part of it; a chain of
// proxies without client spans may even share it between two server spans of
// different services, so the service is too.
type Identity struct {
	TraceID TraceID
	SpanID  SpanID
	Kind    Kind
	Service string
}

// Identity returns the span's identity.
func (s *Span) Identity() Identity {
	return Identity{TraceID: s.TraceID, SpanID: s.SpanID, Kind: s.Kind, Service: s.Service}
}

// End returns the time the span ended.
func (s *Span) End() time.Time { return s.Start.Add(s.Duration) }

// Attribute returns the value of the attribute with the given key, from the
// span or else from its resource.
func (s *Span) Attribute(key string) (string, bool) {
	for _, list := range [...][]Attribute{s.Attributes, s.Resource} {
		for i := range list {
			if list[i].Key == key {
				return list[i].Value, true
			}
		}
	}
	return "", false
}
