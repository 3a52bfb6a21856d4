package tracing

import (
	"math"
	"strconv"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// Rejection counts spans that were not taken, by the service that sent them
// and the reason.
type Rejection struct {
	Service string
	Reason  string // short and of a fixed set, fit for a metric's label
	Count   int
}

// The reasons for which [FromOTLP] rejects a span.
const (
	ReasonNoTraceID     = "trace id is zero"
	ReasonBadTraceID    = "trace id is not 16 bytes"
	ReasonNoSpanID      = "span id is zero"
	ReasonBadSpanID     = "span id is not 8 bytes"
	ReasonBadParentID   = "parent span id is not 8 bytes"
	ReasonNoStart       = "no start time"
	ReasonBadTime       = "time after the year 2262"
	ReasonEndBeforeTime = "end before start"
	ReasonNilSpan       = "empty span"
)

// Attributes that stand for what OTLP has beside attributes, named by
// OpenTelemetry's "Transformation to non-OTLP Formats".
const (
	attrTraceState        = "w3c.tracestate"
	attrStatusCode        = "otel.status_code"
	attrDroppedAttributes = "otel.dropped_attributes_count"
	attrDroppedEvents     = "otel.dropped_events_count"
	attrDroppedLinks      = "otel.dropped_links_count"
)

// FromOTLP converts spans from OTLP (opentelemetry-proto 1.x, trace.proto)
// and normalises them. Invalid spans are left out and counted, by service and
// reason; the others keep their order.
//
// Trace state, dropped counts and an explicit status OK become attributes
// (w3c.tracestate, otel.dropped_…_count, otel.status_code), a scope's
// attributes become the span's. Flags and schema URLs are not kept. A link
// with invalid ids keeps its attributes and has zero ids.
//
// The spans share rs's strings, and those of one resource share Resource. rs
// itself is not changed and may be reused.
func FromOTLP(rs []*tracepb.ResourceSpans) ([]Span, []Rejection) {
	var d otlpDecoder
	total := 0
	for _, r := range rs {
		for _, scope := range r.GetScopeSpans() {
			total += len(scope.GetSpans())
		}
	}
	d.spans = make([]Span, 0, total)
	for _, r := range rs {
		d.resource(r)
	}
	return d.spans, d.rejected
}

type otlpDecoder struct {
	spans    []Span
	rejected []Rejection
	reasons  map[Rejection]int // position in rejected, by service and reason
	norm     normalizer
}

func (d *otlpDecoder) resource(r *tracepb.ResourceSpans) {
	resource := fromKeyValues(r.GetResource().GetAttributes(), 0)
	sortAttributes(resource)
	service := ""
	for _, a := range resource {
		if a.Key == keyNames[keyServiceName] {
			service = a.Value
			break
		}
	}
	for _, scoped := range r.GetScopeSpans() {
		name := joinScope(valid(scoped.GetScope().GetName()), valid(scoped.GetScope().GetVersion()))
		for _, span := range scoped.GetSpans() {
			s := NewSpan()
			if reason := checkOTLP(span); reason != "" {
				d.reject(service, reason)
				continue
			}
			s.Resource, s.Scope = resource, name
			fromOTLPSpan(&s, span, scoped.GetScope().GetAttributes())
			d.norm.normalize(&s)
			d.spans = append(d.spans, s)
		}
	}
}

func (d *otlpDecoder) reject(service, reason string) {
	what := Rejection{Service: service, Reason: reason}
	i, ok := d.reasons[what]
	if !ok {
		if d.reasons == nil {
			d.reasons = make(map[Rejection]int)
		}
		i = len(d.rejected)
		d.reasons[what] = i
		d.rejected = append(d.rejected, what)
	}
	d.rejected[i].Count++
}

// checkOTLP returns why a span is invalid, "" if it is not.
func checkOTLP(span *tracepb.Span) string {
	start, end := span.GetStartTimeUnixNano(), span.GetEndTimeUnixNano()
	switch {
	case span == nil:
		return ReasonNilSpan
	case allZero(span.TraceId):
		return ReasonNoTraceID
	case len(span.TraceId) != len(TraceID{}):
		return ReasonBadTraceID
	case allZero(span.SpanId):
		return ReasonNoSpanID
	case len(span.SpanId) != len(SpanID{}):
		return ReasonBadSpanID
	case len(span.ParentSpanId) != 0 && len(span.ParentSpanId) != len(SpanID{}):
		return ReasonBadParentID
	case start == 0:
		return ReasonNoStart
	case start > math.MaxInt64 || end > math.MaxInt64:
		return ReasonBadTime
	case end < start:
		return ReasonEndBeforeTime
	}
	return ""
}

func allZero(id []byte) bool {
	for _, b := range id {
		if b != 0 {
			return false
		}
	}
	return true
}

func fromOTLPSpan(s *Span, span *tracepb.Span, scopeAttributes []*commonpb.KeyValue) {
	copy(s.TraceID[:], span.TraceId)
	copy(s.SpanID[:], span.SpanId)
	copy(s.ParentID[:], span.ParentSpanId)
	if kind := span.Kind; kind >= 0 && int(kind) < len(kindNames) {
		s.Kind = Kind(kind)
	}
	s.Operation = valid(span.Name)
	s.Start = time.Unix(0, int64(span.StartTimeUnixNano)).UTC()
	s.Duration = time.Duration(span.EndTimeUnixNano - span.StartTimeUnixNano)
	s.Attributes = fromKeyValues(span.Attributes, len(scopeAttributes)+1)
	for _, kv := range scopeAttributes {
		s.Attributes = append(s.Attributes, fromKeyValue(kv))
	}
	s.StatusMessage = valid(span.Status.GetMessage())
	switch span.Status.GetCode() {
	case tracepb.Status_STATUS_CODE_ERROR:
		s.Error = true
	case tracepb.Status_STATUS_CODE_OK:
		s.Attributes = append(s.Attributes, Attribute{Key: attrStatusCode, Value: "OK"})
	}
	if span.TraceState != "" {
		s.Attributes = append(s.Attributes, Attribute{Key: attrTraceState, Value: valid(span.TraceState)})
	}
	s.Attributes = appendCount(s.Attributes, attrDroppedAttributes, span.DroppedAttributesCount)
	s.Attributes = appendCount(s.Attributes, attrDroppedEvents, span.DroppedEventsCount)
	s.Attributes = appendCount(s.Attributes, attrDroppedLinks, span.DroppedLinksCount)
	for _, e := range span.Events {
		s.Events = append(s.Events, Event{
			Time:       time.Unix(0, int64(min(e.GetTimeUnixNano(), math.MaxInt64))).UTC(),
			Name:       valid(e.GetName()),
			Attributes: fromKeyValues(e.GetAttributes(), 0),
		})
	}
	for _, l := range span.Links {
		link := Link{Attributes: fromKeyValues(l.GetAttributes(), 0)}
		if len(l.GetTraceId()) == len(link.TraceID) && len(l.GetSpanId()) == len(link.SpanID) {
			copy(link.TraceID[:], l.TraceId)
			copy(link.SpanID[:], l.SpanId)
		}
		s.Links = append(s.Links, link)
	}
}

func appendCount(list []Attribute, key string, n uint32) []Attribute {
	if n == 0 {
		return list
	}
	return append(list, Attribute{Key: key, Value: strconv.FormatUint(uint64(n), 10), Type: TypeInt})
}
