package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/session"
)

// Record is a session as a line of JSON has it. Names and units stay; more
// fields may come. Fields without a value are left away.
type Record struct {
	Time       time.Time `json:"time"` // first byte seen, UTC
	DurationNS int64     `json:"duration_ns"`
	TTFBNS     int64     `json:"time_to_first_byte_ns,omitempty"`
	Direction  string    `json:"direction,omitempty"` // "ingress": to the workload, "egress": from it

	Node      string `json:"node,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Container string `json:"container,omitempty"`
	Workload  string `json:"workload,omitempty"`
	Service   string `json:"service,omitempty"`

	Client    netip.AddrPort `json:"client"`
	Server    netip.AddrPort `json:"server"`
	Transport string         `json:"transport"` // "tcp" or "udp"
	Protocol  string         `json:"protocol,omitempty"`
	Stream    uint32         `json:"stream,omitempty"` // of HTTP/2

	Method      string `json:"method,omitempty"`
	URL         string `json:"url,omitempty"`
	Target      string `json:"target,omitempty"` // as sent: path, key, name
	Host        string `json:"host,omitempty"`
	Status      int    `json:"status,omitempty"`
	GRPCService string `json:"grpc_service,omitempty"`
	GRPCMethod  string `json:"grpc_method,omitempty"`
	GRPCStatus  *int   `json:"grpc_status,omitempty"`
	UserAgent   string `json:"user_agent,omitempty"`
	ContentType string `json:"content_type,omitempty"`
	RequestID   string `json:"request_id,omitempty"`

	Request  RecordMessage `json:"request"`
	Response RecordMessage `json:"response"`
	TCP      *RecordTCP    `json:"tcp,omitempty"`
	Outcome  string        `json:"outcome,omitempty"`
	Complete bool          `json:"complete"`

	TraceID    string            `json:"trace_id"`
	SpanID     string            `json:"span_id"`
	ParentID   string            `json:"parent_id,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"` // of parsers and plug-ins
}

// RecordMessage is one side of a session.
type RecordMessage struct {
	Seen        bool  `json:"seen"`
	HeaderBytes int64 `json:"header_bytes,omitempty"`
	BodyBytes   int64 `json:"body_bytes,omitempty"`
	Messages    int   `json:"messages,omitempty"`
	Truncated   bool  `json:"truncated,omitempty"`
}

// RecordTCP is what the connection went through.
type RecordTCP struct {
	Retransmissions int   `json:"retransmissions,omitempty"`
	OutOfOrder      int   `json:"out_of_order,omitempty"`
	ZeroWindows     int   `json:"zero_windows,omitempty"`
	Resets          int   `json:"resets,omitempty"`
	RoundTripNS     int64 `json:"round_trip_ns,omitempty"`
	LostBytes       int64 `json:"lost_bytes,omitempty"`
}

// NewRecord returns a session as a Record.
func NewRecord(s *session.Session, p Place) Record {
	span := Span(s, p)
	r := Record{
		Time: span.Start.UTC(), DurationNS: int64(span.Duration), TTFBNS: int64(FirstByte(s)), Direction: "ingress",
		Node: p.Node, Namespace: p.Namespace, Pod: p.Pod, Container: p.Container, Workload: p.Workload, Service: p.Service,
		Client: s.Client, Server: s.Server, Transport: transport(s), Protocol: s.Protocol, Stream: s.Stream,
		Method: clip(s.Method), URL: span.URL, Target: clip(target(s)), Host: clip(withoutUser(s.Host)), Status: s.Status, GRPCService: clip(s.GRPCService), GRPCMethod: clip(s.GRPCMethod),
		UserAgent: span.UserAgent, ContentType: clip(s.ContentType), RequestID: span.RequestID,
		Request: recordMessage(&s.Request), Response: recordMessage(&s.Response),
		Outcome: string(s.Outcome), Complete: Complete(s),
		TraceID: span.TraceID.String(), SpanID: span.SpanID.String(),
	}
	switch s.Direction {
	case packet.Egress:
		r.Direction = "egress"
	case 0:
		r.Direction = ""
	}
	if isGRPC(s) && s.GRPCStatus >= 0 {
		r.GRPCStatus = &s.GRPCStatus
	}
	if !span.ParentID.IsZero() {
		r.ParentID = span.ParentID.String()
	}
	if t := s.TCP; t != (session.TCP{}) {
		r.TCP = &RecordTCP{Retransmissions: t.Retransmissions, OutOfOrder: t.OutOfOrder, ZeroWindows: t.ZeroWindows,
			Resets: t.Resets, RoundTripNS: int64(t.RoundTrip), LostBytes: t.LostBytes}
	}
	for i, a := range s.Attributes {
		if i == maxAttributes {
			break
		}
		if r.Attributes == nil {
			r.Attributes = map[string]string{}
		}
		r.Attributes[clip(a.Key)] = clip(a.Value)
	}
	return r
}

func recordMessage(m *session.Message) RecordMessage {
	return RecordMessage{Seen: !m.First.IsZero(), HeaderBytes: m.HeaderBytes, BodyBytes: m.BodyBytes,
		Messages: m.Messages, Truncated: m.Truncated}
}

// appendJSON appends a session as one object. Beyond what JSON asks for, all
// that is not printable is escaped: the line may end up on a terminal.
func appendJSON(b []byte, s *session.Session, p Place) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(NewRecord(s, p)); err != nil {
		// A Record has nothing that cannot be encoded, but a time far off.
		return fmt.Appendf(b, `{"error":%q}`, err.Error())
	}
	text := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r >= ' ' && r < 0x7f || r >= utf8.RuneSelf && unicode.IsPrint(r):
			b = append(b, text[i:i+n]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		i += n
	}
	return b
}
