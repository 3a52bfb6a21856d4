package tracing

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The numbers of OTLP's fields (opentelemetry-proto 1.x: trace_service.proto,
// trace.proto, resource.proto, common.proto).
const (
	requestResourceSpans protowire.Number = 1

	resourceSpansResource   protowire.Number = 1
	resourceSpansScopeSpans protowire.Number = 2
	resourceAttributes      protowire.Number = 1

	scopeSpansScope protowire.Number = 1
	scopeSpansSpans protowire.Number = 2
	scopeName       protowire.Number = 1
	scopeVersion    protowire.Number = 2

	spanTraceID           protowire.Number = 1
	spanSpanID            protowire.Number = 2
	spanTraceState        protowire.Number = 3
	spanParentID          protowire.Number = 4
	spanName              protowire.Number = 5
	spanKind              protowire.Number = 6
	spanStart             protowire.Number = 7
	spanEnd               protowire.Number = 8
	spanAttributes        protowire.Number = 9
	spanDroppedAttributes protowire.Number = 10
	spanEvents            protowire.Number = 11
	spanDroppedEvents     protowire.Number = 12
	spanLinks             protowire.Number = 13
	spanDroppedLinks      protowire.Number = 14
	spanStatus            protowire.Number = 15
	statusMessage         protowire.Number = 2
	statusCode            protowire.Number = 3

	eventTime       protowire.Number = 1
	eventName       protowire.Number = 2
	eventAttributes protowire.Number = 3
	linkTraceID     protowire.Number = 1
	linkSpanID      protowire.Number = 2
	linkAttributes  protowire.Number = 4

	keyValueKey   protowire.Number = 1
	keyValueValue protowire.Number = 2
	valueString   protowire.Number = 1
	valueBool     protowire.Number = 2
	valueInt      protowire.Number = 3
	valueDouble   protowire.Number = 4
)

// OTLPEncoder writes spans in OTLP's binary form without making its messages:
// what protobuf makes of an ExportTraceServiceRequest of [ToOTLP], at a
// fraction of its cost. It keeps its memory from one batch to the next. The
// zero value is ready; one goroutine may use it at a time.
type OTLPEncoder struct {
	buf    []byte
	places []place
	fields fields

	// Groups stay known from batch to batch, so that a batch like the one
	// before makes no new keys. Their numbers hold for one batch only.
	groups            map[string]*wireGroup
	key               []byte
	keyBytes          int // in groups
	batch             uint64
	resources, scopes int
}

// maxKeyBytes limits the keys of groups that are kept.
const maxKeyBytes = 1 << 20

// place says where in the request a span goes.
type place struct{ resource, scope, span int }

// wireGroup is a resource, or a scope of one.
type wireGroup struct {
	batch           uint64
	resource, scope int // in order of first appearance in the batch
}

// Encode returns the bytes of an ExportTraceServiceRequest with the spans,
// grouped like [ToOTLP]'s. They are valid until the next call. The spans are
// not changed.
func (e *OTLPEncoder) Encode(spans []Span) []byte {
	e.place(spans)
	e.buf = e.buf[:0]
	for p := e.places; len(p) > 0; {
		r := e.begin(requestResourceSpans, 3)
		e.resource(&spans[p[0].span])
		for resource := p[0].resource; len(p) > 0 && p[0].resource == resource; {
			s := e.begin(resourceSpansScopeSpans, 3)
			e.scope(spans[p[0].span].Scope)
			for scope := p[0].scope; len(p) > 0 && p[0].scope == scope; p = p[1:] {
				e.span(&spans[p[0].span])
			}
			e.end(s)
		}
		e.end(r)
	}
	return e.buf
}

// place brings the spans into the request's order.
func (e *OTLPEncoder) place(spans []Span) {
	if e.groups == nil || e.keyBytes > maxKeyBytes {
		e.groups, e.keyBytes = make(map[string]*wireGroup), 0
	}
	e.batch++
	e.resources, e.scopes = 0, 0
	e.places = e.places[:0]
	for i := range spans {
		g := e.group(&spans[i])
		e.places = append(e.places, place{g.resource, g.scope, i})
	}
	slices.SortFunc(e.places, func(a, b place) int {
		return cmp.Or(a.resource-b.resource, a.scope-b.scope, a.span-b.span)
	})
}

// group returns the group of a span's scope, numbered for this batch.
func (e *OTLPEncoder) group(s *Span) *wireGroup {
	e.key = appendResourceKey(e.key[:0], s)
	n := len(e.key)
	e.key = appendKeyPart(append(e.key, 0xff), s.Scope) // no attribute's type
	scope := e.known(e.key)
	if scope.batch != e.batch {
		resource := e.known(e.key[:n])
		if resource.batch != e.batch {
			resource.batch, resource.resource = e.batch, e.resources
			e.resources++
		}
		scope.batch, scope.resource, scope.scope = e.batch, resource.resource, e.scopes
		e.scopes++
	}
	return scope
}

func (e *OTLPEncoder) known(key []byte) *wireGroup {
	g := e.groups[string(key)]
	if g == nil {
		g = &wireGroup{}
		e.groups[string(key)] = g
		e.keyBytes += len(key)
	}
	return g
}

func (e *OTLPEncoder) resource(s *Span) {
	r := e.begin(resourceSpansResource, 2)
	e.attributes(resourceAttributes, s.Resource)
	e.fields.resource(s)
	e.typed(resourceAttributes, e.fields.list)
	e.end(r)
}

func (e *OTLPEncoder) scope(scope string) {
	name, version := splitScope(scope)
	s := e.begin(scopeSpansScope, 1)
	e.text(scopeName, name)
	e.text(scopeVersion, version)
	e.end(s)
}

func (e *OTLPEncoder) span(s *Span) {
	span := e.begin(scopeSpansSpans, 2)
	e.bytes(spanTraceID, s.TraceID[:])
	e.bytes(spanSpanID, s.SpanID[:])
	if !s.ParentID.IsZero() {
		e.bytes(spanParentID, s.ParentID[:])
	}
	e.text(spanName, s.Operation)
	e.number(spanKind, uint64(s.Kind))
	e.fixed(spanStart, unixNano(s.Start))
	e.fixed(spanEnd, unixNano(s.End()))
	own := ownFields{failed: s.Error}
	for i := range s.Attributes {
		if a := &s.Attributes[i]; !own.restore(a) {
			t := typeOf(a)
			e.keyValue(spanAttributes, &t)
		}
	}
	e.fields.span(s)
	e.typed(spanAttributes, e.fields.list)
	for i := range s.Events {
		event := e.begin(spanEvents, 1)
		e.fixed(eventTime, unixNano(s.Events[i].Time))
		e.text(eventName, s.Events[i].Name)
		e.attributes(eventAttributes, s.Events[i].Attributes)
		e.end(event)
	}
	for i := range s.Links {
		link := e.begin(spanLinks, 1)
		e.bytes(linkTraceID, s.Links[i].TraceID[:])
		e.bytes(linkSpanID, s.Links[i].SpanID[:])
		e.attributes(linkAttributes, s.Links[i].Attributes)
		e.end(link)
	}
	status := e.begin(spanStatus, 1)
	e.text(statusMessage, s.StatusMessage)
	e.number(statusCode, uint64(own.status()))
	e.end(status)
	e.text(spanTraceState, own.traceState)
	e.number(spanDroppedAttributes, uint64(own.attributes))
	e.number(spanDroppedEvents, uint64(own.events))
	e.number(spanDroppedLinks, uint64(own.links))
	e.end(span)
}

func (e *OTLPEncoder) attributes(field protowire.Number, list []Attribute) {
	for i := range list {
		t := typeOf(&list[i])
		e.keyValue(field, &t)
	}
}

func (e *OTLPEncoder) typed(field protowire.Number, list []typed) {
	for i := range list {
		e.keyValue(field, &list[i])
	}
}

// keyValue writes a KeyValue. Its value is written even if it is zero: that
// says which type it has. Most of a span are attributes, so lengths are
// reckoned and not written in later.
func (e *OTLPEncoder) keyValue(field protowire.Number, t *typed) {
	if t.kind == TypeJSON {
		e.keyJSON(field, t)
		return
	}
	const tag = 1 // byte: the numbers of the fields are small
	key, text, size := valid(t.key), "", tag
	switch t.kind {
	case TypeBool, TypeInt:
		size += protowire.SizeVarint(t.bits)
	case TypeFloat:
		size += protowire.SizeFixed64()
	default:
		text = valid(t.text)
		size += protowire.SizeBytes(len(text))
	}
	all := tag + protowire.SizeBytes(size)
	if key != "" {
		all += tag + protowire.SizeBytes(len(key))
	}
	b := protowire.AppendVarint(protowire.AppendTag(e.buf, field, protowire.BytesType), uint64(all))
	if key != "" {
		b = protowire.AppendString(protowire.AppendTag(b, keyValueKey, protowire.BytesType), key)
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, keyValueValue, protowire.BytesType), uint64(size))
	switch t.kind {
	case TypeBool:
		b = protowire.AppendVarint(protowire.AppendTag(b, valueBool, protowire.VarintType), t.bits)
	case TypeInt:
		b = protowire.AppendVarint(protowire.AppendTag(b, valueInt, protowire.VarintType), t.bits)
	case TypeFloat:
		b = protowire.AppendFixed64(protowire.AppendTag(b, valueDouble, protowire.Fixed64Type), t.bits)
	default:
		b = protowire.AppendString(protowire.AppendTag(b, valueString, protowire.BytesType), text)
	}
	e.buf = b
}

// keyJSON writes a KeyValue whose value is an array or mapping.
func (e *OTLPEncoder) keyJSON(field protowire.Number, t *typed) {
	kv := e.begin(field, 1)
	e.text(keyValueKey, t.key)
	value := e.begin(keyValueValue, 1)
	// It was read from JSON, which has no text that protobuf refuses.
	if buf, err := (proto.MarshalOptions{}).MarshalAppend(e.buf, t.json); err == nil {
		e.buf = buf
	}
	e.end(value)
	e.end(kv)
}

func (e *OTLPEncoder) text(field protowire.Number, v string) {
	if v != "" {
		e.buf = protowire.AppendString(protowire.AppendTag(e.buf, field, protowire.BytesType), valid(v))
	}
}

func (e *OTLPEncoder) bytes(field protowire.Number, v []byte) {
	e.buf = protowire.AppendBytes(protowire.AppendTag(e.buf, field, protowire.BytesType), v)
}

func (e *OTLPEncoder) number(field protowire.Number, v uint64) {
	if v != 0 {
		e.buf = protowire.AppendVarint(protowire.AppendTag(e.buf, field, protowire.VarintType), v)
	}
}

func (e *OTLPEncoder) fixed(field protowire.Number, v uint64) {
	if v != 0 {
		e.buf = protowire.AppendFixed64(protowire.AppendTag(e.buf, field, protowire.Fixed64Type), v)
	}
}

// message is an embedded message that is being written.
type message struct{ at, room int }

// begin starts a message. room is how many bytes its length will probably
// take; if that is wrong, end moves the message.
func (e *OTLPEncoder) begin(field protowire.Number, room int) message {
	e.buf = protowire.AppendTag(e.buf, field, protowire.BytesType)
	m := message{at: len(e.buf), room: room}
	var length [8]byte
	e.buf = append(e.buf, length[:room]...)
	return m
}

func (e *OTLPEncoder) end(m message) {
	from := m.at + m.room
	n := len(e.buf) - from
	if size := protowire.SizeVarint(uint64(n)); size != m.room {
		e.buf = slices.Grow(e.buf, size)[:m.at+size+n]
		copy(e.buf[m.at+size:], e.buf[from:from+n])
	}
	protowire.AppendVarint(e.buf[:m.at], uint64(n))
}
