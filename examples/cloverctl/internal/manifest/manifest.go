// Package manifest reads YAML files into protobuf messages by the names of
// their fields, and says of each fault where it is.
package manifest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// MaxBytes bounds a file.
const MaxBytes = 1 << 20

// maxDepth is far deeper than any message; the time to parse YAML grows with
// the square of the depth.
const maxDepth = 64

// Error is a fault at one place of a file.
type Error struct {
	Line, Column int    // from 1; 0: the file as a whole
	Key          string // e.g. "lb_list[1].url"; "" if the fault has none
	Msg          string // what is wrong and what would be right
}

// Error returns "line L, column C: KEY: MSG".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Column)
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	return b.String() + e.Msg
}

// Read reads a file of one YAML document. Its keys are the names of fields,
// with "-" or "_"; every value may be written as a string. Faults are *Error,
// several are joined.
func Read(data []byte, into proto.Message) error {
	if len(data) > MaxBytes {
		return &Error{Msg: fmt.Sprintf("%d bytes; at most %d are read", len(data), MaxBytes)}
	}
	if !utf8.Valid(data) {
		return &Error{Msg: "not UTF-8"}
	}
	if line := tooDeep(data); line > 0 {
		return &Error{Line: line, Column: 1, Msg: "nested too deeply"}
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			at := syntax.Token.Position
			return &Error{Line: at.Line, Column: at.Column, Msg: "not YAML: " + syntax.Message}
		}
		return &Error{Msg: "not YAML: " + err.Error()}
	}
	r := &reader{}
	docs := 0
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if docs++; docs > 1 {
			r.fault(doc.Body, "", "a second document; one is read")
			break
		}
		r.message(doc.Body, "", into.ProtoReflect())
	}
	if docs == 0 {
		return &Error{Msg: "empty; want some of " + strings.Join(fieldNames(into.ProtoReflect().Descriptor()), ", ")}
	}
	return errors.Join(r.errs...)
}

// tooDeep returns the first line whose nesting exceeds maxDepth, by a count
// of brackets and indentation that needs no parser; 0: none.
func tooDeep(data []byte) int {
	brackets := 0
	for n, line := range strings.Split(string(data), "\n") {
		brackets += strings.Count(line, "[") + strings.Count(line, "{") - strings.Count(line, "]") - strings.Count(line, "}")
		if indent := len(line) - len(strings.TrimLeft(line, " \t-?")); brackets > maxDepth || indent > 2*maxDepth {
			return n + 1
		}
	}
	return 0
}

type reader struct{ errs []error }

func (r *reader) fault(n ast.Node, key, format string, args ...any) {
	e := &Error{Key: key, Msg: fmt.Sprintf(format, args...)}
	if t := n.GetToken(); t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	r.errs = append(r.errs, e)
}

// message reads a mapping.
func (r *reader) message(n ast.Node, key string, into protoreflect.Message) {
	values, ok := mapping(n)
	if !ok {
		r.fault(n, key, "want a mapping with some of %s", strings.Join(fieldNames(into.Descriptor()), ", "))
		return
	}
	seen := map[string]bool{}
	for _, v := range values {
		name := strings.Trim(v.Key.String(), `"'`)
		field := into.Descriptor().Fields().ByName(protoreflect.Name(strings.ReplaceAll(name, "-", "_")))
		switch {
		case field == nil:
			r.fault(v.Key, join(key, name), "is not known; want one of %s", strings.Join(fieldNames(into.Descriptor()), ", "))
		case seen[string(field.Name())]:
			r.fault(v.Key, join(key, name), "is there twice")
		case v.Value.Type() == ast.NullType: // as if it were not there
		case field.IsList():
			r.list(v.Value, join(key, name), field, into.Mutable(field).List())
		default:
			if value, ok := r.value(v.Value, join(key, name), field, into.NewField(field)); ok {
				into.Set(field, value)
			}
		}
		if field != nil {
			seen[string(field.Name())] = true
		}
	}
}

func mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

func (r *reader) list(n ast.Node, key string, field protoreflect.FieldDescriptor, into protoreflect.List) {
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		r.fault(n, key, "want a list")
		return
	}
	for i, item := range sequence.Values {
		if value, ok := r.value(item, fmt.Sprintf("%s[%d]", key, i), field, into.NewElement()); ok {
			into.Append(value)
		}
	}
}

// value reads one value; of a message into empty.
func (r *reader) value(n ast.Node, key string, field protoreflect.FieldDescriptor, empty protoreflect.Value) (protoreflect.Value, bool) {
	if field.Kind() == protoreflect.MessageKind {
		if field.Message().FullName() != "google.protobuf.Duration" {
			faults := len(r.errs)
			r.message(n, key, empty.Message())
			return empty, len(r.errs) == faults
		}
	}
	text, ok := scalar(n)
	if !ok {
		r.fault(n, key, "want one value, not a list, a mapping or a reference")
		return empty, false
	}
	value, err := parse(text, field)
	if err != nil {
		r.fault(n, key, "%q; %v", text, err)
		return empty, false
	}
	return value, true
}

// scalar returns the text of a value as it is written, so that "001" stays.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func parse(text string, field protoreflect.FieldDescriptor) (protoreflect.Value, error) {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text), nil
	case protoreflect.BoolKind:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return protoreflect.Value{}, errors.New("want true or false")
		}
		return protoreflect.ValueOfBool(b), nil
	case protoreflect.Int32Kind:
		i, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return protoreflect.Value{}, errors.New("want a whole number")
		}
		return protoreflect.ValueOfInt32(int32(i)), nil
	case protoreflect.Uint32Kind:
		i, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return protoreflect.Value{}, errors.New("want a whole number, 0 or more")
		}
		return protoreflect.ValueOfUint32(uint32(i)), nil
	case protoreflect.Uint64Kind:
		i, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return protoreflect.Value{}, errors.New("want a whole number, 0 or more")
		}
		return protoreflect.ValueOfUint64(i), nil
	case protoreflect.MessageKind: // a Duration
		d, err := duration(text)
		return protoreflect.ValueOfMessage(durationpb.New(d).ProtoReflect()), err
	}
	return protoreflect.Value{}, fmt.Errorf("fields of kind %s are not for files", field.Kind())
}

// duration reads seconds, or a duration with its unit.
func duration(text string) (time.Duration, error) {
	if s, err := strconv.ParseFloat(text, 64); err == nil {
		text = strconv.FormatFloat(s, 'f', -1, 64) + "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New("want seconds, or a duration such as 500ms or 2m")
	}
	return d, nil
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

func fieldNames(d protoreflect.MessageDescriptor) (names []string) {
	for i := range d.Fields().Len() {
		names = append(names, string(d.Fields().Get(i).Name()))
	}
	return names
}
