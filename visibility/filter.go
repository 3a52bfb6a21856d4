package visibility

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

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
	return f == nil || f.root.match(&subject{span: s})
}

// SpanOnly lists the fields in the filter that statistics cannot answer,
// because they are not kept apart in rollups: duration, tags and others.
func (f *Filter) SpanOnly() []string {
	if f == nil {
		return nil
	}
	return f.spanFields
}

// Services lists the services that the filter compares with by equality.
func (f *Filter) Services() []string {
	if f == nil {
		return nil
	}
	return f.services
}

// String returns the filter in its canonical form, which parses to an equal
// filter.
func (f *Filter) String() string {
	if f == nil {
		return ""
	}
	switch n := f.root.(type) {
	case allOf:
		return joinNodes(n, " and ")
	case anyOf:
		return joinNodes(n, " or ")
	}
	return f.root.String()
}

// subject is what a filter is applied to: a row or a span.
type subject struct {
	key  *Key // of a span: made when it is first needed
	mode CountMode
	role Role
	span *tracing.Span
}

// value returns a dimension's value.
func (s *subject) value(d Dimension) string {
	if s.span == nil {
		return s.key.Value(d, s.mode, s.role)
	}
	switch d {
	case Service:
		return s.span.Service
	case URL:
		return s.span.URL
	}
	if s.key == nil {
		k := KeyOf(s.span)
		s.key = &k
	}
	return s.key[d]
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

func (n allOf) String() string { return "(" + joinNodes(n, " and ") + ")" }

type anyOf []node

func (n anyOf) match(s *subject) bool {
	for _, c := range n {
		if c.match(s) {
			return true
		}
	}
	return false
}

func (n anyOf) String() string { return "(" + joinNodes(n, " or ") + ")" }

func joinNodes(nodes []node, sep string) string {
	parts := make([]string, len(nodes))
	for i, n := range nodes {
		parts[i] = n.String()
	}
	return strings.Join(parts, sep)
}

type not struct{ node }

func (n not) match(s *subject) bool { return !n.node.match(s) }
func (n not) String() string        { return "not " + n.node.String() }

// comparison is FIELD OP VALUE, or FIELD in (VALUES).
type comparison struct {
	field  *field
	tag    string // for the field "tag"
	op     string
	negate bool // of "in": not in
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
		if c.negate {
			name += " not"
		}
		return name + " in (" + strings.Join(quoted, ", ") + ")"
	}
	return name + " " + c.op + " " + strconv.Quote(c.values[0])
}

func (c *comparison) match(s *subject) bool {
	text, ok := c.field.text(s, c.tag)
	if !ok {
		// A value that is not there equals nothing, and differs from all.
		return c.op == "!=" || c.op == "!~" || c.negate
	}
	switch c.op {
	case "=":
		return c.field.equal(text, c.values[0])
	case "in":
		return slices.ContainsFunc(c.values, func(v string) bool { return c.field.equal(text, v) }) != c.negate
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
