package tracing

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
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
	buf := e.buf[:0]
	for _, v := range [...]string{s.Service, s.Version, s.Namespace} {
		buf = appendKeyPart(buf, v)
	}
	for i := range s.Resource {
		a := &s.Resource[i]
		buf = appendKeyPart(append(buf, byte(a.Type)), a.Key)
		buf = appendKeyPart(buf, a.Value)
	}
	e.buf = buf
	if r, ok := e.resources[string(buf)]; ok {
		return r
	}
	a := encoder{have: [2][]Attribute{s.Resource, s.Attributes}, list: toKeyValues(s.Resource)}
	a.text(keyServiceName, s.Service)
	a.text(keyServiceVersion, s.Version)
	a.text(keyK8sNamespace, s.Namespace)
	r := &tracepb.ResourceSpans{Resource: &resourcepb.Resource{Attributes: a.list}}
	e.resources[string(buf)] = r
	e.out = append(e.out, r)
	return r
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
	if s.Error {
		out.Status.Code = tracepb.Status_STATUS_CODE_ERROR
	}
	e := encoder{have: [2][]Attribute{s.Attributes, s.Resource}}
	e.list = make([]*commonpb.KeyValue, 0, len(s.Attributes)+20)
	for i := range s.Attributes {
		if !restoreField(out, &s.Attributes[i]) {
			e.list = append(e.list, toKeyValue(&s.Attributes[i]))
		}
	}
	e.http(s)
	e.mesh(s)
	out.Attributes = e.list
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

// restoreField puts an attribute that stands for one of OTLP's own fields
// back into it.
func restoreField(out *tracepb.Span, a *Attribute) bool {
	var count *uint32
	switch a.Key {
	case attrStatusCode:
		if a.Value == "OK" && out.Status.Code == tracepb.Status_STATUS_CODE_UNSET {
			out.Status.Code = tracepb.Status_STATUS_CODE_OK
			return true
		}
		return false
	case attrTraceState:
		out.TraceState = valid(a.Value)
		return true
	case attrDroppedAttributes:
		count = &out.DroppedAttributesCount
	case attrDroppedEvents:
		count = &out.DroppedEventsCount
	case attrDroppedLinks:
		count = &out.DroppedLinksCount
	default:
		return false
	}
	n, err := strconv.ParseUint(a.Value, 10, 32)
	if err != nil || n == 0 || a.Type != TypeInt {
		return false
	}
	*count = uint32(n)
	return true
}

// encoder appends attributes for fields. A key that the span has already,
// with a value that contradicts the field, is not written twice.
type encoder struct {
	list []*commonpb.KeyValue
	have [2][]Attribute // the list that is written to goes first
}

func (e *encoder) has(k key) bool {
	name := keyNames[k]
	return slices.ContainsFunc(e.have[0], func(a Attribute) bool { return a.Key == name })
}

func (e *encoder) text(k key, v string) {
	if v != "" && !e.has(k) {
		e.list = append(e.list, &commonpb.KeyValue{Key: keyNames[k], Value: stringValue(v)})
	}
}

func (e *encoder) number(k key, v int64) {
	if !e.has(k) {
		e.list = append(e.list, &commonpb.KeyValue{Key: keyNames[k], Value: intValue(v)})
	}
}

func (e *encoder) port(k key, v string) {
	if n, err := strconv.ParseUint(v, 10, 16); err == nil && strconv.FormatUint(n, 10) == v {
		e.number(k, int64(n))
	} else {
		e.text(k, v)
	}
}

func (e *encoder) http(s *Span) {
	e.text(keyRequestMethod, s.Method)
	if s.StatusCode != 0 {
		e.number(keyResponseStatus, int64(s.StatusCode))
	}
	if s.GRPCStatus >= 0 {
		e.number(keyRPCGRPCStatus, int64(s.GRPCStatus))
	}
	e.text(keyUserAgentOriginal, s.UserAgent)
	if s.RequestSize >= 0 {
		e.number(keyRequestBodySize, s.RequestSize)
	}
	if s.ResponseSize >= 0 {
		e.number(keyResponseBodySize, s.ResponseSize)
	}
	e.url(s)
	if name, version, ok := splitProtocol(s.Protocol); ok {
		e.text(keyProtocolName, name)
		e.text(keyProtocolVersion, version)
	} else {
		e.text(keyHTTPProtocol, s.Protocol)
	}
}

// url writes the whole URL, and the parts that the conventions require of
// each side.
func (e *encoder) url(s *Span) {
	e.text(keyURLFull, s.URL)
	p := splitURL(s.URL)
	switch {
	case s.Kind == KindServer && p.path != "":
		e.text(keyURLScheme, p.scheme)
		e.text(keyURLPath, p.path)
		e.text(keyURLQuery, p.query)
	case s.Kind == KindClient && p.host != "" && !e.has(keyServerAddress) && !e.has(keyServerPort):
		e.text(keyServerAddress, p.host)
		e.port(keyServerPort, p.port)
	}
	if s.URLTemplate != Template(s.URL) {
		if s.Kind == KindClient {
			e.text(keyURLTemplate, s.URLTemplate)
		} else {
			e.text(keyRoute, s.URLTemplate)
		}
	}
}

func (e *encoder) mesh(s *Span) {
	if host, port := splitPort(s.Peer); port != "" && strings.Trim(host, "[]") != "" {
		e.text(keyPeerAddr, strings.Trim(host, "[]"))
		e.port(keyPeerPort, port)
	} else {
		e.text(keyPeerAddr, s.Peer)
	}
	e.text(keyUpstreamCluster, s.UpstreamCluster)
	e.text(keyResponseFlags, s.ResponseFlags)
	e.text(keyRequestID, s.RequestID)
	e.text(keyCanonicalService, s.Workload)
	var n normalizer
	n.attrs.scan(s.Attributes)
	n.res.scan(s.Resource)
	node := ""
	if n.fallback(&node, keyHostName, keyHostname, keyPodName); node != s.Node {
		e.text(keyNodeID, s.Node)
	}
	// The resource says something else under the conventions' names.
	if v, ok := n.res.value(keyServiceVersion); ok && v != s.Version {
		e.text(keyCanonicalRevision, s.Version)
	}
	if v, ok := n.res.value(keyK8sNamespace); ok && v != s.Namespace {
		e.text(keyIstioNamespace, s.Namespace)
	}
}
