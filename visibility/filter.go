package visibility

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opnfv/clover/tracing"
)

// Filter is a parsed filter expression. Its methods may be called
// concurrently; a nil *Filter matches everything.
type Filter struct {
	root node
	// spanFields are the fields used that rollups do not have.
	spanFields []string
	// services are the names compared with by equality, to suggest others
	// when one of them was never seen.
	services []string
}

// MatchKey reports whether a rolled-up row matches. Fields that rollups do
// not have never match; see SpanOnly.
func (f *Filter) MatchKey(k *Key, mode CountMode, role Role) bool {
	return f == nil || f.root.match(&subject{key: k, mode: mode, role: role})
}

// MatchSpan reports whether a span matches.
func (f *Filter) MatchSpan(s *tracing.Span) bool {
	return f == nil || f.root.match(&subject{span: s, mode: CountSpans})
}

// SpanOnly lists the fields in the filter that statistics cannot answer,
// because they are not kept apart in rollups: duration, tags and others.
func (f *Filter) SpanOnly() []string {
	if f == nil {
		return nil
	}
	return f.spanFields
}

// String returns the filter in its canonical form, which parses to an equal
// filter.
func (f *Filter) String() string {
	if f == nil {
		return ""
	}
	return f.root.String()
}

// subject is what a filter is applied to: a row or a span.
type subject struct {
	key  *Key
	mode CountMode
	role Role
	span *tracing.Span
}

type node interface {
	match(s *subject) bool
	String() string
}

type allOf []node

func (n allOf) match(s *subject) bool {
	for _, c := range n {
		if !c.match(s) {
			return false
		}
	}
	return true
}

func (n allOf) String() string { return joinNodes(n, " and ") }

type anyOf []node

func (n anyOf) match(s *subject) bool {
	for _, c := range n {
		if c.match(s) {
			return true
		}
	}
	return false
}

func (n anyOf) String() string { return joinNodes(n, " or ") }

func joinNodes(nodes []node, sep string) string {
	parts := make([]string, len(nodes))
	for i, n := range nodes {
		parts[i] = n.String()
	}
	return "(" + strings.Join(parts, sep) + ")"
}

type not struct{ node }

func (n not) match(s *subject) bool { return !n.node.match(s) }
func (n not) String() string        { return "not " + n.node.String() }

// comparison is FIELD OP VALUE, or FIELD in (VALUES).
type comparison struct {
	field  *field
	tag    string // for the field "tag"
	op     string
	values []string
	number float64 // values[0], for ordered fields
	re     *regexp.Regexp
}

func (c *comparison) String() string {
	name := c.field.name
	if c.field.tag {
		name += "[" + strconv.Quote(c.tag) + "]"
	}
	if c.op == "in" {
		quoted := make([]string, len(c.values))
		for i, v := range c.values {
			quoted[i] = strconv.Quote(v)
		}
		return name + " in (" + strings.Join(quoted, ", ") + ")"
	}
	return name + " " + c.op + " " + strconv.Quote(c.values[0])
}

func (c *comparison) match(s *subject) bool {
	text, ok := c.field.text(s, c.tag)
	if !ok {
		// A value that is not there equals nothing, and differs from all.
		return c.op == "!=" || c.op == "!~"
	}
	switch c.op {
	case "=", "in":
		return slices.ContainsFunc(c.values, func(v string) bool { return c.field.equal(text, v) })
	case "!=":
		return !c.field.equal(text, c.values[0])
	case "~":
		return c.re.MatchString(text)
	case "!~":
		return !c.re.MatchString(text)
	}
	n, ok := c.field.number(text)
	if !ok {
		return false
	}
	switch c.op {
	case "<":
		return n < c.number
	case "<=":
		return n <= c.number
	case ">":
		return n > c.number
	default:
		return n >= c.number
	}
}

// field is something a filter can ask for.
type field struct {
	name string
	// dim is the dimension that holds it, or −1 if only spans have it.
	dim  int
	span func(s *tracing.Span) string
	// number reads a value for < and >; nil: the field is not ordered.
	number func(string) (float64, bool)
	equal  func(have, want string) bool
	tag    bool
}

// text returns the field's value, false if there is none.
func (f *field) text(s *subject, tag string) (string, bool) {
	switch {
	case f.tag:
		if s.span == nil {
			return "", false
		}
		return s.span.Attribute(tag)
	case s.span != nil:
		v := f.span(s.span)
		return v, v != ""
	case f.dim < 0:
		return "", false
	}
	v := s.key.Value(Dimension(f.dim), s.mode, s.role)
	return v, v != ""
}

// fields are all fields, by name.
var fields = func() map[string]*field {
	m := map[string]*field{}
	add := func(f *field) {
		if f.equal == nil {
			f.equal = func(have, want string) bool { return have == want }
		}
		m[f.name] = f
	}
	for dim := range Dimension(NumDimensions) {
		f := &field{name: dim.String(), dim: int(dim), span: func(s *tracing.Span) string {
			k := KeyOf(s)
			return k[dim]
		}}
		switch dim {
		case Service, Source, Destination:
			f.equal = SameService
		case Status:
			f.number, f.equal = plainNumber, equalStatus
		case Method, Kind, ErrorFlag:
			f.equal = strings.EqualFold
		}
		add(f)
	}
	m[Service.String()].span = func(s *tracing.Span) string { return s.Service }
	m[URL.String()].span = func(s *tracing.Span) string { return s.URL }
	add(&field{name: "duration", dim: -1, number: durationNumber, equal: equalDuration,
		span: func(s *tracing.Span) string { return s.Duration.String() }})
	add(&field{name: "trace_id", dim: -1, span: func(s *tracing.Span) string { return s.TraceID.String() }})
	add(&field{name: "request_id", dim: -1, span: func(s *tracing.Span) string { return s.RequestID }})
	add(&field{name: "protocol", dim: -1, span: func(s *tracing.Span) string { return s.Protocol }})
	add(&field{name: "peer", dim: -1, span: func(s *tracing.Span) string { return s.Peer }})
	add(&field{name: "namespace", dim: -1, span: func(s *tracing.Span) string { return s.Namespace }})
	add(&field{name: "workload", dim: -1, span: func(s *tracing.Span) string { return s.Workload }})
	add(&field{name: "response_flags", dim: -1, span: func(s *tracing.Span) string { return s.ResponseFlags }})
	add(&field{name: "request_size", dim: -1, number: plainNumber, span: func(s *tracing.Span) string { return size(s.RequestSize) }})
	add(&field{name: "response_size", dim: -1, number: plainNumber, span: func(s *tracing.Span) string { return size(s.ResponseSize) }})
	add(&field{name: "mirrored", dim: -1, equal: strings.EqualFold, span: func(s *tracing.Span) string { return strconv.FormatBool(s.Mirrored()) }})
	add(&field{name: "tag", dim: -1, tag: true})
	return m
}()

// FilterFields lists the names of the fields that a filter may use.
func FilterFields() []string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func size(n int64) string {
	if n < 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func plainNumber(s string) (float64, bool) {
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

// durationNumber reads "250ms" or a number of seconds.
func durationNumber(s string) (float64, bool) {
	if d, err := time.ParseDuration(s); err == nil {
		return d.Seconds(), true
	}
	return plainNumber(s)
}

func equalDuration(have, want string) bool {
	a, okA := durationNumber(have)
	b, okB := durationNumber(want)
	return okA && okB && a == b
}

// equalStatus compares with a status or a class such as 5xx.
func equalStatus(have, want string) bool {
	if class, ok := statusClass(want); ok {
		return len(have) == 3 && have[0] == class
	}
	return have == want
}

func statusClass(s string) (byte, bool) {
	if len(s) == 3 && s[0] >= '1' && s[0] <= '5' && strings.EqualFold(s[1:], "xx") {
		return s[0], true
	}
	return 0, false
}
