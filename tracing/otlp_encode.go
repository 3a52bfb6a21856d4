package tracing

import (
	"encoding/binary"
	"slices"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// ToOTLP converts spans to OTLP with the attribute names of the current
// semantic conventions (Envoy's own where there are none: node_id,
// upstream_cluster, response_flags, guid:x-request-id, and istio.…), grouped
// by resource and scope in order of first appearance. FromOTLP(ToOTLP(spans))
// gives equal spans for normalised spans in one group's order. The spans are
// not changed.
func ToOTLP(spans []Span) []*tracepb.ResourceSpans {
	e := otlpEncoder{
		resources: make(map[string]*tracepb.ResourceSpans),
		scopes:    make(map[scopeKey]*tracepb.ScopeSpans),
	}
	for i := range spans {
		e.add(&spans[i])
	}
	return e.out
}

type scopeKey struct {
	resource *tracepb.ResourceSpans
	scope    string
}

type otlpEncoder struct {
	out       []*tracepb.ResourceSpans
	resources map[string]*tracepb.ResourceSpans
	scopes    map[scopeKey]*tracepb.ScopeSpans
	buf       []byte
}

func (e *otlpEncoder) add(s *Span) {
	scope := e.scope(e.resource(s), s.Scope)
	scope.Spans = append(scope.Spans, toOTLPSpan(s))
}

func (e *otlpEncoder) resource(s *Span) *tracepb.ResourceSpans {
	buf := appendResourceKey(e.buf[:0], s)
	e.buf = buf
	if r, ok := e.resources[string(buf)]; ok {
		return r
	}
	var f fields
	f.resource(s)
	r := &tracepb.ResourceSpans{Resource: &resourcepb.Resource{
		Attributes: appendKeyValues(toKeyValues(s.Resource), f.list),
	}}
	e.resources[string(buf)] = r
	e.out = append(e.out, r)
	return r
}

// appendResourceKey appends what tells the resource of one span from that of
// another.
func appendResourceKey(buf []byte, s *Span) []byte {
	for _, v := range [...]string{s.Service, s.Version, s.Namespace} {
		buf = appendKeyPart(buf, v)
	}
	for i := range s.Resource {
		a := &s.Resource[i]
		buf = appendKeyPart(append(buf, byte(a.Type)), a.Key)
		buf = appendKeyPart(buf, a.Value)
	}
	return buf
}

func appendKeyPart(buf []byte, s string) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(s))), s...)
}

func (e *otlpEncoder) scope(r *tracepb.ResourceSpans, scope string) *tracepb.ScopeSpans {
	k := scopeKey{resource: r, scope: scope}
	if s, ok := e.scopes[k]; ok {
		return s
	}
	name, version := splitScope(scope)
	s := &tracepb.ScopeSpans{Scope: &commonpb.InstrumentationScope{Name: valid(name), Version: valid(version)}}
	e.scopes[k] = s
	r.ScopeSpans = append(r.ScopeSpans, s)
	return s
}

func toOTLPSpan(s *Span) *tracepb.Span {
	out := &tracepb.Span{
		TraceId:           slices.Clone(s.TraceID[:]),
		SpanId:            slices.Clone(s.SpanID[:]),
		Name:              valid(s.Operation),
		Kind:              tracepb.Span_SpanKind(s.Kind),
		StartTimeUnixNano: unixNano(s.Start),
		EndTimeUnixNano:   unixNano(s.End()),
		Status:            &tracepb.Status{Message: valid(s.StatusMessage)},
	}
	if !s.ParentID.IsZero() {
		out.ParentSpanId = slices.Clone(s.ParentID[:])
	}
	own := ownFields{failed: s.Error}
	list := make([]*commonpb.KeyValue, 0, len(s.Attributes)+20)
	for i := range s.Attributes {
		if !own.restore(&s.Attributes[i]) {
			list = append(list, toKeyValue(&s.Attributes[i]))
		}
	}
	out.Status.Code, out.TraceState = own.status(), own.traceState
	out.DroppedAttributesCount, out.DroppedEventsCount, out.DroppedLinksCount = own.attributes, own.events, own.links
	var f fields
	f.span(s)
	out.Attributes = appendKeyValues(list, f.list)
	for _, event := range s.Events {
		out.Events = append(out.Events, &tracepb.Span_Event{
			TimeUnixNano: unixNano(event.Time), Name: valid(event.Name), Attributes: toKeyValues(event.Attributes),
		})
	}
	for _, link := range s.Links {
		out.Links = append(out.Links, &tracepb.Span_Link{
			TraceId: slices.Clone(link.TraceID[:]), SpanId: slices.Clone(link.SpanID[:]),
			Attributes: toKeyValues(link.Attributes),
		})
	}
	return out
}

func unixNano(t time.Time) uint64 {
	if ns := t.UnixNano(); !t.IsZero() && ns > 0 {
		return uint64(ns)
	}
	return 0
}
