package tracing

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// jaegerAnswer is what one request found.
type jaegerAnswer struct {
	spans    []Span
	rejected []Rejection
	traces   map[string]struct{} // by the id's text or bytes, valid or not
	norm     normalizer
}

func (a *jaegerAnswer) saw(trace string) {
	if a.traces == nil {
		a.traces = map[string]struct{}{}
	}
	a.traces[trace] = struct{}{}
}

func (a *jaegerAnswer) reject(r Rejection) {
	i := slices.IndexFunc(a.rejected, func(b Rejection) bool {
		return b.Service == r.Service && b.Reason == r.Reason
	})
	if i < 0 {
		a.rejected = append(a.rejected, r)
		return
	}
	a.rejected[i].Count += r.Count
}

func (a *jaegerAnswer) addOTLP(list []*tracepb.ResourceSpans) {
	for _, r := range list {
		for _, scope := range r.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				if id := span.GetTraceId(); !a.has(id) {
					a.saw(string(id))
				}
			}
		}
	}
	spans, rejected := FromOTLP(list)
	a.spans = append(a.spans, spans...)
	for _, r := range rejected {
		a.reject(r)
	}
}

func (a *jaegerAnswer) has(trace []byte) bool {
	_, ok := a.traces[string(trace)]
	return ok
}

// legacyTrace is a trace as Jaeger's UI gets it (internal/uimodel/model.go).
type legacyTrace struct {
	TraceID   string                   `json:"traceID"`
	Spans     []legacySpan             `json:"spans"`
	Processes map[string]legacyProcess `json:"processes"`
}

type legacySpan struct {
	TraceID       string            `json:"traceID"`
	SpanID        string            `json:"spanID"`
	ParentSpanID  string            `json:"parentSpanID"` // before 1.8
	OperationName string            `json:"operationName"`
	References    []legacyReference `json:"references"`
	StartTime     json.Number       `json:"startTime"` // µs since 1970
	Duration      json.Number       `json:"duration"`  // µs
	Tags          []legacyTag       `json:"tags"`
	Logs          []legacyLog       `json:"logs"`
	ProcessID     string            `json:"processID"`
	Process       *legacyProcess    `json:"process"`
}

type legacyReference struct {
	RefType string `json:"refType"`
	TraceID string `json:"traceID"`
	SpanID  string `json:"spanID"`
}

type legacyLog struct {
	Timestamp json.Number `json:"timestamp"` // µs since 1970
	Fields    []legacyTag `json:"fields"`
}

type legacyProcess struct {
	ServiceName string      `json:"serviceName"`
	Tags        []legacyTag `json:"tags"`
	resource    []Attribute // Tags, converted once
}

type legacyTag struct {
	Key   string          `json:"key"`
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

// jaegerNoService is what Jaeger's storage has for spans without service.name.
const jaegerNoService = "OTLPResourceNoServiceName"

func (p *legacyProcess) convert() {
	if p.ServiceName == jaegerNoService {
		p.ServiceName = ""
	}
	p.resource = legacyAttributes(p.Tags)
	sortAttributes(p.resource)
}

// addLegacy converts a trace and adds it.
func (a *jaegerAnswer) addLegacy(t *legacyTrace) {
	for id, process := range t.Processes {
		process.convert()
		t.Processes[id] = process
	}
	if t.TraceID != "" {
		a.saw(t.TraceID)
	}
	for i := range t.Spans {
		in := &t.Spans[i]
		if in.TraceID != t.TraceID {
			a.saw(in.TraceID)
		}
		process := t.Processes[in.ProcessID]
		if in.Process != nil {
			in.Process.convert()
			process = *in.Process
		}
		s := NewSpan()
		s.Service, s.Resource = process.ServiceName, process.resource
		if reason := in.convert(&s); reason != "" {
			a.reject(Rejection{Service: s.Service, Reason: reason, Count: 1})
			continue
		}
		a.norm.normalize(&s)
		a.spans = append(a.spans, s)
	}
}

// convert fills s, or returns why the span is invalid.
func (in *legacySpan) convert(s *Span) (reason string) {
	var err error
	if s.TraceID, err = ParseTraceID(in.TraceID); err != nil {
		return ReasonBadTraceID
	}
	if s.SpanID, err = ParseSpanID(in.SpanID); err != nil {
		return ReasonBadSpanID
	}
	start, okStart := parseMicro(in.StartTime)
	duration, okDuration := parseMicro(in.Duration)
	switch {
	case s.TraceID.IsZero():
		return ReasonNoTraceID
	case s.SpanID.IsZero():
		return ReasonNoSpanID
	case in.StartTime == "" || in.StartTime == "0":
		return ReasonNoStart
	case !okDuration && okStart:
		return ReasonEndBeforeTime // Jaeger writes a negative one as 2⁶⁴ - d
	case !okStart || start > math.MaxInt64/1000-duration:
		return ReasonBadTime
	}
	if reason := in.references(s); reason != "" {
		return reason
	}
	s.Operation = in.OperationName
	s.Start = time.UnixMicro(start).UTC()
	s.Duration = time.Duration(duration) * time.Microsecond
	s.Attributes = legacyAttributes(in.Tags)
	for _, log := range in.Logs {
		s.Events = append(s.Events, log.event())
	}
	return ""
}

// parseMicro reads a time or a duration that fits a time.Duration.
func parseMicro(n json.Number) (int64, bool) {
	if n == "" {
		return 0, true
	}
	v, err := strconv.ParseInt(string(n), 10, 64)
	return v, err == nil && v >= 0 && v <= math.MaxInt64/1000
}

// references sets the parent and the links as Jaeger itself does for OTLP:
// the parent is the first CHILD_OF of the same trace, else the first
// FOLLOWS_FROM; what is not a CHILD_OF the parent is a link.
func (in *legacySpan) references(s *Span) (reason string) {
	follows := SpanID{}
	for _, ref := range in.References {
		trace, errTrace := ParseTraceID(ref.TraceID)
		span, errSpan := ParseSpanID(ref.SpanID)
		if errTrace != nil || errSpan != nil {
			return ReasonBadParentID
		}
		childOf := ref.RefType == "CHILD_OF"
		if trace == s.TraceID && childOf && (s.ParentID.IsZero() || s.ParentID == span) {
			s.ParentID = span
			continue
		}
		if trace == s.TraceID && !childOf && follows.IsZero() {
			follows = span
		}
		kind := "follows_from"
		if childOf {
			kind = "child_of"
		}
		s.Links = append(s.Links, Link{TraceID: trace, SpanID: span,
			Attributes: []Attribute{{Key: "opentracing.ref_type", Value: kind}}})
	}
	if s.ParentID.IsZero() {
		s.ParentID = follows
	}
	if s.ParentID.IsZero() && in.ParentSpanID != "" {
		parent, err := ParseSpanID(in.ParentSpanID)
		if err != nil {
			return ReasonBadParentID
		}
		s.ParentID = parent
	}
	return ""
}

// event converts a log; its field "event" is the event's name, as in Jaeger's
// own translation of OTLP.
func (log *legacyLog) event() Event {
	micro, _ := parseMicro(log.Timestamp)
	e := Event{Time: time.UnixMicro(micro).UTC()}
	for _, a := range legacyAttributes(log.Fields) {
		if a.Key == "event" && a.Type == TypeString && e.Name == "" {
			e.Name = a.Value
			continue
		}
		e.Attributes = append(e.Attributes, a)
	}
	return e
}

func legacyAttributes(tags []legacyTag) []Attribute {
	if len(tags) == 0 {
		return nil
	}
	list := make([]Attribute, 0, len(tags))
	for i := range tags {
		list = append(list, tags[i].attribute())
	}
	return list
}

// attribute converts a tag. Jaeger writes an int64 beyond 2⁵³ as a string,
// and bytes as base64.
func (t *legacyTag) attribute() Attribute {
	a := Attribute{Key: t.Key, Value: string(t.Value)}
	var text string // null is ""
	isString := json.Unmarshal(t.Value, &text) == nil
	if isString {
		a.Value = text
	}
	switch {
	case t.Type == "binary" && isString:
		a.Type, a.Value = TypeJSON, `{"bytesValue":`+string(t.Value)+`}`
	case t.Type == "bool":
		a.Type = TypeBool
	case t.Type == "int64":
		a.Type = TypeInt
	case t.Type == "float64":
		a.Type, a.Value = TypeFloat, canonicalFloat(a.Value)
	case !isString: // an old Jaeger, or another program's JSON
		a.Type = typeOfJSON(a.Value)
	}
	return a
}

// canonicalFloat writes a number as FromOTLP does.
func canonicalFloat(v string) string {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return v
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func typeOfJSON(v string) ValueType {
	if v == "true" || v == "false" {
		return TypeBool
	}
	if _, err := strconv.ParseInt(v, 10, 64); err == nil {
		return TypeInt
	}
	if _, err := strconv.ParseFloat(v, 64); err == nil {
		return TypeFloat
	}
	return TypeJSON
}
