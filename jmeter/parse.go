package jmeter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/opnfv/clover/internal/strictyaml"
)

// maxPlanDepth bounds the nesting of a file, which has controllers in one
// another at most MaxDepth deep.
const maxPlanDepth = 120

// ParsePlan reads a plan from YAML: the jmeter_testplan.yaml of 2019 as it is,
// and all that a [Plan] has. Keys may be written with "-" for "_", values as
// strings or numbers, times as seconds or such as 500ms. Each fault is a
// [*PlanError] with its place; several are joined, and all match ErrInvalid.
func ParsePlan(data []byte) (*Plan, error) {
	root, fault := strictyaml.Document(data, strictyaml.Limits{Bytes: MaxPlanBytes, Depth: maxPlanDepth})
	if fault != nil {
		return nil, (*PlanError)(fault)
	}
	if root == nil {
		return nil, &PlanError{Msg: "empty; want load_spec and url_list"}
	}
	r := &planReader{places: map[string]ast.Node{"": root}}
	p := r.plan(root)
	if len(r.faults) > 0 {
		return nil, errors.Join(r.faults...)
	}
	if err := p.Validate(); err != nil {
		return nil, r.located(err)
	}
	return p, nil
}

// planReader makes a plan of a tree and collects the faults on the way.
type planReader struct {
	places    map[string]ast.Node // keys → where
	faults    []error
	functions bool
}

// located gives the faults of Validate their places in the file.
func (r *planReader) located(err error) error {
	faults := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		faults = joined.Unwrap()
	}
	for i, f := range faults {
		var fault *PlanError
		if !errors.As(f, &fault) {
			continue
		}
		at := *fault
		if _, grouped := r.places["groups"]; !grouped {
			at.Key = strings.TrimPrefix(at.Key, "groups[0].")
		}
		for key := at.Key; ; key = key[:max(strings.LastIndexAny(key, ".["), 0)] {
			if n := r.places[key]; n != nil {
				at.Line, at.Column = strictyaml.Place(n)
				break
			}
		}
		faults[i] = &at
	}
	return errors.Join(faults...)
}

func (r *planReader) fault(n ast.Node, key, format string, args ...any) {
	if len(r.faults) < maxFaults {
		r.faults = append(r.faults, (*PlanError)(strictyaml.At(n, key, format, args...)))
	}
}

// field is one key of a mapping with what reads its value.
type field struct {
	name string
	read func(n ast.Node, key string)
}

// mapping reads a mapping of known keys.
func (r *planReader) mapping(n ast.Node, key string, fields []field) {
	pairs, ok := strictyaml.Pairs(n)
	if !ok {
		r.fault(n, key, "%s; want keys with values", strictyaml.Describe(n))
		return
	}
	for _, p := range pairs {
		written, name := strictyaml.Key(p.Key)
		at := strictyaml.JoinKey(key, name)
		f := fieldOf(fields, name)
		switch {
		case f == nil:
			r.fault(p.Key, strictyaml.JoinKey(key, written), "unknown key; %s", suggest(name, fields))
		case r.places[at] != nil:
			line, _ := strictyaml.Place(r.places[at])
			r.fault(p.Key, at, "given twice; first on line %d", line)
		default:
			r.places[at] = p.Value
			f.read(p.Value, at)
		}
	}
}

func fieldOf(fields []field, name string) *field {
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
	}
	return nil
}

// suggest names the key that was meant, or all.
func suggest(name string, fields []field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
		if strings.HasPrefix(f.name, name) || strings.HasPrefix(name, f.name) || strings.ReplaceAll(f.name, "_", "") == strings.ReplaceAll(name, "_", "") {
			return "did you mean " + f.name + "?"
		}
	}
	if name == "grpc" {
		return "gRPC is not part of a plan; use a tool such as ghz"
	}
	return "want one of " + strings.Join(names, ", ")
}

// list calls read for each entry of a list.
func (r *planReader) list(n ast.Node, key string, read func(n ast.Node, key string)) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.fault(n, key, "%s; want a list", strictyaml.Describe(n))
		return
	}
	for i, e := range seq.Values {
		at := fmt.Sprintf("%s[%d]", key, i)
		r.places[at] = e
		read(e, at)
	}
}

// pairs reads a mapping of names to values, in its order.
func (r *planReader) pairs(to *[]Pair) func(ast.Node, string) {
	return func(n ast.Node, key string) {
		pairs, ok := strictyaml.Pairs(n)
		if !ok {
			r.fault(n, key, "%s; want names with values, e.g. {name: value}", strictyaml.Describe(n))
			return
		}
		for _, p := range pairs {
			name, _ := strictyaml.Key(p.Key)
			at := key + "." + name
			r.places[at] = p.Value
			if value, ok := r.scalar(p.Value, at, "a text or number"); ok {
				*to = append(*to, Pair{name, value})
			}
		}
	}
}

func (r *planReader) scalar(n ast.Node, key, want string) (string, bool) {
	s, ok := strictyaml.Scalar(n)
	if !ok {
		r.fault(n, key, "%s; want %s", strictyaml.Describe(n), want)
	}
	return s, ok
}

func (r *planReader) text(to *string) func(ast.Node, string) {
	return func(n ast.Node, key string) {
		if s, ok := r.scalar(n, key, "a text"); ok {
			*to = s
		}
	}
}

func (r *planReader) integer(to *int) func(ast.Node, string) {
	return func(n ast.Node, key string) {
		s, ok := r.scalar(n, key, "a whole number")
		if !ok {
			return
		}
		v, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil {
			r.fault(n, key, "%q; want a whole number", s)
			return
		}
		*to = v
	}
}

func (r *planReader) real(to *float64) func(ast.Node, string) {
	return func(n ast.Node, key string) {
		s, ok := r.scalar(n, key, "a number")
		if !ok {
			return
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil {
			r.fault(n, key, "%q; want a number", s)
			return
		}
		*to = v
	}
}

func (r *planReader) boolean(to *bool) func(ast.Node, string) {
	return func(n ast.Node, key string) {
		s, ok := r.scalar(n, key, "true or false")
		if !ok {
			return
		}
		switch strings.ToLower(s) {
		case "true":
			*to = true
		case "false":
			*to = false
		default:
			r.fault(n, key, "%q; want true or false", s)
		}
	}
}

// not is boolean for a field that says the opposite.
func (r *planReader) not(to *bool) func(ast.Node, string) {
	return func(n ast.Node, key string) {
		on := !*to
		r.boolean(&on)(n, key)
		*to = !on
	}
}

func (r *planReader) duration(to *time.Duration) func(ast.Node, string) {
	return func(n ast.Node, key string) {
		s, ok := r.scalar(n, key, "seconds or a duration such as 500ms")
		if !ok {
			return
		}
		d, err := parseDuration(s)
		if err != nil {
			r.fault(n, key, "%v", err)
			return
		}
		*to = d
	}
}

// parseDuration reads seconds or a duration of Go.
func parseDuration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if !(f >= 0 && f <= maxDuration.Seconds()) {
			return 0, fmt.Errorf("%q; want 0 to %v seconds", s, maxDuration.Seconds())
		}
		return time.Duration(f * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > maxDuration {
		return 0, fmt.Errorf("%q; want seconds or a duration such as 500ms or 2m", s)
	}
	return d, nil
}
