package export

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/tracing"
)

// Scope is the instrumentation scope of Clovisor's spans, by which they are
// told from those of sidecars and applications.
const Scope = "github.com/opnfv/clover/clovisor"

// Span returns a session as a span, which is whole: it shares nothing with
// the session but strings. It is as [tracing.ToOTLP] wants it and not
// normalised.
//
// The kind is server where the request came in to the workload and client
// where it went out; internal beside a sidecar whose trace the request
// carries, as the sidecar's own span counts as the request then. Start is the
// first byte seen, and the duration reaches to the last one of either side.
//
// The ids are computed from the client's address and port, the TCP sequence
// numbers of request and response and the HTTP/2 stream. So the same session
// has the same ids on every interface and after a restart, and is counted once
// by whoever counts spans by their identity. Address translation of the server
// (Kubernetes services) does not change them, that of the client does. Both
// ends of a connection give one trace and one span id, and differ in kind, as
// Zipkin's shared spans do. UDP has no sequence numbers: there the time of the
// first byte counts, and each interface gives its own span.
func Span(s *session.Session, p Place) tracing.Span {
	return span(s, p, p.resource())
}

// Spans makes spans as [Span] does, and keeps what those of one place have in
// common: for whoever makes many. The zero value is ready; it is not safe for
// concurrent use.
type Spans struct{ resources map[Place][]tracing.Attribute }

// maxPlaces bounds the places that are kept.
const maxPlaces = 4096

// Span returns a session as a span. Its resource is shared with other spans.
func (m *Spans) Span(s *session.Session, p Place) tracing.Span {
	r, ok := m.resources[p]
	if !ok {
		if m.resources == nil || len(m.resources) >= maxPlaces {
			m.resources = map[Place][]tracing.Attribute{}
		}
		r = p.resource()
		m.resources[p] = r
	}
	return span(s, p, r)
}

func span(s *session.Session, p Place, resource []tracing.Attribute) tracing.Span {
	out := tracing.NewSpan()
	out.Kind, out.Scope = tracing.KindServer, Scope
	own, peer := s.Server, s.Client
	if s.Direction == packet.Egress {
		out.Kind, own, peer = tracing.KindClient, s.Client, s.Server
	}
	out.Service, out.Namespace, out.Resource = p.serviceName(own), p.Namespace, resource
	out.Peer = peer.String()
	identify(&out, s)
	if p.Sidecar != "" && s.Trace.Sampled && !out.ParentID.IsZero() {
		out.Kind = tracing.KindInternal
	}
	out.Start, out.Duration = times(s)
	protocol(&out, s)
	out.RequestID = clip(s.RequestID)
	a := attributes{list: make([]tracing.Attribute, 0, 24+len(s.Attributes))}
	a.session(s, own, failure(&out, s))
	a.parsers(s.Attributes)
	a.flag("clovisor.clipped", a.clipped || isClipped(s))
	slices.SortStableFunc(a.list, func(x, y tracing.Attribute) int { return cmp.Compare(x.Key, y.Key) })
	out.Attributes = a.list
	return out
}

// times returns when a session began and how long it took.
func times(s *session.Session) (start time.Time, duration time.Duration) {
	var end time.Time
	for _, t := range [...]time.Time{s.Request.First, s.Request.Last, s.Response.First, s.Response.Last} {
		if t.IsZero() {
			continue
		}
		if start.IsZero() || t.Before(start) {
			start = t
		}
		if t.After(end) {
			end = t
		}
	}
	return start, end.Sub(start)
}

// FirstByte returns the time from the first byte of the request to that of
// the response, 0 if one of them was not seen.
func FirstByte(s *session.Session) time.Duration {
	if s.Request.First.IsZero() || s.Response.First.IsZero() {
		return 0
	}
	return s.Response.First.Sub(s.Request.First)
}

// Complete reports whether nothing of the session is missing.
func Complete(s *session.Session) bool {
	return s.Outcome.Whole() && !s.Request.Truncated && !s.Response.Truncated && s.TCP.LostBytes == 0
}

// methods are those that the conventions know by name.
var methods = map[string]bool{
	"CONNECT": true, "DELETE": true, "GET": true, "HEAD": true, "OPTIONS": true,
	"PATCH": true, "POST": true, "PUT": true, "QUERY": true, "TRACE": true,
}

// isHTTP reports whether a session is one of HTTP, gRPC included.
func isHTTP(s *session.Session) bool {
	return strings.HasPrefix(s.Protocol, "HTTP/") || isGRPC(s)
}

func isGRPC(s *session.Session) bool { return s.Protocol == "gRPC" || s.GRPCService != "" }

// protocol fills what the application's protocol says, and the name.
func protocol(out *tracing.Span, s *session.Session) {
	out.Protocol = strings.ToUpper(s.Protocol)
	out.Operation = cmp.Or(operation(s), s.Protocol, "unknown")
	if !isHTTP(s) {
		return
	}
	out.Method, out.URL, out.StatusCode, out.UserAgent = s.Method, URL(s), s.Status, clip(s.UserAgent)
	if !s.Request.First.IsZero() {
		out.RequestSize = s.Request.BodyBytes
	}
	if !s.Response.First.IsZero() {
		out.ResponseSize = s.Response.BodyBytes
	}
	out.Operation = s.Method
	if !methods[s.Method] {
		out.Operation, out.Method = "HTTP", ""
		if s.Method != "" {
			out.Method = "_OTHER"
		}
	}
	if isGRPC(s) {
		out.Protocol, out.GRPCStatus = "HTTP/2", s.GRPCStatus
		out.Operation = cmp.Or(strings.Trim(s.GRPCService+"/"+s.GRPCMethod, "/"), "gRPC")
	}
}

// operation is the name of a call in a protocol other than HTTP: its method,
// or what its parser says under one of the conventions' names.
func operation(s *session.Session) string {
	if s.Method != "" {
		return clip(s.Method)
	}
	for _, a := range s.Attributes {
		switch a.Key {
		case "db.operation.name", "rpc.method", "messaging.operation.name":
			return clip(a.Value)
		}
	}
	return ""
}

// failure says what went wrong, if that is known, and returns its error.type.
// A response that is missing is only a fault where the connection was reset.
func failure(out *tracing.Span, s *session.Session) (errorType string) {
	switch {
	case s.Outcome == session.NoResponseReset:
		out.StatusMessage, errorType = "the connection was reset before a response", "connection_reset"
	case s.Status >= 500:
		errorType = itoa(int64(s.Status))
	case isGRPC(s) && serverFault(s.GRPCStatus):
		errorType = codes.Code(s.GRPCStatus).String()
	}
	out.Error = errorType != ""
	return errorType
}

// serverFault reports whether a gRPC status is the server's fault, by the
// conventions' list.
func serverFault(status int) bool {
	if status < 0 {
		return false
	}
	switch codes.Code(status) {
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		return true
	}
	return false
}
