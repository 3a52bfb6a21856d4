package visibility

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opnfv/clover/tracing"
)

// field is something a filter can ask for.
type field struct {
	name string
	// dim is the dimension that holds it, or −1 if only spans have it.
	dim  int
	span func(s *tracing.Span) string
	// number reads a value for < and >; nil: the field is not ordered.
	number func(string) (float64, bool)
	equal  func(have, want string) bool
	// check says what a value to compare with by equality has to be, "" if it
	// is right; nil: anything is.
	check func(value string) (want string)
	tag   bool
}

// text returns the field's value, false if there is none.
func (f *field) text(s *subject, tag string) (string, bool) {
	switch {
	case f.tag:
		if s.span == nil {
			return "", false
		}
		return s.span.Attribute(tag)
	case f.dim >= 0:
		v := s.value(Dimension(f.dim))
		return v, v != ""
	case s.span == nil:
		return "", false
	}
	v := f.span(s.span)
	return v, v != ""
}

// fields are all fields, by name.
var fields = func() map[string]*field {
	m := map[string]*field{}
	for _, f := range append(dimensionFields(), spanFields()...) {
		if f.equal == nil {
			f.equal = func(have, want string) bool { return have == want }
		}
		m[f.name] = f
	}
	return m
}()

// dimensionFields are the fields that rollups have.
func dimensionFields() (list []*field) {
	for dim := range Dimension(NumDimensions) {
		f := &field{name: dim.String(), dim: int(dim)}
		switch dim {
		case Service, Source, Destination:
			f.equal = SameService
		case Status:
			f.number, f.equal, f.check = plainNumber, equalStatus, checkStatus
		case Kind:
			f.equal, f.check = strings.EqualFold, checkKind
		case ErrorFlag:
			f.equal, f.check = strings.EqualFold, checkBool
		case Method:
			f.equal = strings.EqualFold
		}
		list = append(list, f)
	}
	return list
}

// spanFields are the fields that only spans have.
func spanFields() []*field {
	text := func(name string, of func(s *tracing.Span) string) *field {
		return &field{name: name, dim: -1, span: of}
	}
	list := []*field{
		text("request_id", func(s *tracing.Span) string { return s.RequestID }),
		text("protocol", func(s *tracing.Span) string { return s.Protocol }),
		text("peer", func(s *tracing.Span) string { return s.Peer }),
		text("namespace", func(s *tracing.Span) string { return s.Namespace }),
		text("workload", func(s *tracing.Span) string { return s.Workload }),
		text("scope", func(s *tracing.Span) string { return s.Scope }),
		text("response_flags", func(s *tracing.Span) string { return s.ResponseFlags }),
		{name: "tag", dim: -1, tag: true},
	}
	duration := text("duration", func(s *tracing.Span) string { return s.Duration.String() })
	duration.number, duration.equal, duration.check = durationNumber, equalDuration, checkDuration
	trace := text("trace_id", func(s *tracing.Span) string { return s.TraceID.String() })
	trace.equal, trace.check = equalTraceID, checkTraceID
	mirrored := text("mirrored", func(s *tracing.Span) string { return strconv.FormatBool(s.Mirrored()) })
	mirrored.equal, mirrored.check = strings.EqualFold, checkBool
	list = append(list, duration, trace, mirrored)
	for name, of := range map[string]func(s *tracing.Span) int64{
		"request_size":  func(s *tracing.Span) int64 { return s.RequestSize },
		"response_size": func(s *tracing.Span) int64 { return s.ResponseSize },
	} {
		f := text(name, func(s *tracing.Span) string { return size(of(s)) })
		f.number, f.equal, f.check = plainNumber, equalNumber, checkNumber
		list = append(list, f)
	}
	return list
}

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
	return n, err == nil && n == n // NaN compares with nothing
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

func equalNumber(have, want string) bool {
	a, okA := plainNumber(have)
	b, okB := plainNumber(want)
	return okA && okB && a == b
}

func equalTraceID(have, want string) bool {
	id, err := tracing.ParseTraceID(strings.ToLower(want))
	return err == nil && id.String() == have
}

func checkStatus(v string) string {
	if _, ok := statusClass(v); ok {
		return ""
	}
	if _, err := strconv.ParseUint(v, 10, 16); err != nil {
		return "a status such as 503 or a class such as 5xx"
	}
	return ""
}

func checkKind(v string) string {
	if tracing.ParseKind(v) == tracing.KindUnspecified && !strings.EqualFold(v, tracing.KindUnspecified.String()) {
		return "server, client, internal, producer, consumer or unspecified"
	}
	return ""
}

func checkBool(v string) string {
	if !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
		return "true or false"
	}
	return ""
}

func checkNumber(v string) string {
	if _, ok := plainNumber(v); !ok {
		return "a number"
	}
	return ""
}

func checkDuration(v string) string {
	if _, ok := durationNumber(v); !ok {
		return "a duration such as 250ms, or a number of seconds"
	}
	return ""
}

func checkTraceID(v string) string {
	if _, err := tracing.ParseTraceID(v); err != nil {
		return "1 to 32 hexadecimal digits"
	}
	return ""
}

func statusClass(s string) (byte, bool) {
	if len(s) == 3 && s[0] >= '1' && s[0] <= '5' && strings.EqualFold(s[1:], "xx") {
		return s[0], true
	}
	return 0, false
}
