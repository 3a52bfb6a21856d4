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

	"github.com/goccy/go-yaml/ast"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/opnfv/clover/internal/strictyaml"
)

// MaxBytes bounds a file.
const MaxBytes = 1 << 20

// maxDepth is far deeper than any message.
const maxDepth = 64

// Error is a fault at one place of a file.
type Error = strictyaml.Fault

// Read reads a file of one YAML document. Its keys are the names of fields,
// with "-" or "_"; every value may be written as a string. Faults are *Error,
// several are joined.
func Read(data []byte, into proto.Message) error {
	if !utf8.Valid(data) {
		return &Error{Msg: "not UTF-8"}
	}
	root, fault := strictyaml.Document(data, strictyaml.Limits{Bytes: MaxBytes, Depth: maxDepth})
	if fault != nil {
		return fault
	}
	if root == nil {
		return &Error{Msg: "empty; want some of " + strings.Join(fieldNames(into.ProtoReflect().Descriptor()), ", ")}
	}
	r := &reader{}
	r.message(root, "", into.ProtoReflect())
	return errors.Join(r.errs...)
}

type reader struct{ errs []error }

func (r *reader) fault(n ast.Node, key, format string, args ...any) {
	r.errs = append(r.errs, strictyaml.At(n, key, format, args...))
}

// message reads a mapping.
func (r *reader) message(n ast.Node, key string, into protoreflect.Message) {
	values, ok := strictyaml.Pairs(n)
	if !ok {
		r.fault(n, key, "want a mapping with some of %s", strings.Join(fieldNames(into.Descriptor()), ", "))
		return
	}
	seen := map[string]bool{}
	for _, v := range values {
		name, _ := strictyaml.Key(v.Key)
		field := into.Descriptor().Fields().ByName(protoreflect.Name(strings.ReplaceAll(name, "-", "_")))
		switch {
		case field == nil:
			r.fault(v.Key, strictyaml.JoinKey(key, name), "is not known; want one of %s", strings.Join(fieldNames(into.Descriptor()), ", "))
		case seen[string(field.Name())]:
			r.fault(v.Key, strictyaml.JoinKey(key, name), "is there twice")
		case v.Value.Type() == ast.NullType: // as if it were not there
		case field.IsList():
			r.list(v.Value, strictyaml.JoinKey(key, name), field, into.Mutable(field).List())
		default:
			if value, ok := r.value(v.Value, strictyaml.JoinKey(key, name), field, into.NewField(field)); ok {
				into.Set(field, value)
			}
		}
		if field != nil {
			seen[string(field.Name())] = true
		}
	}
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
	text, ok := strictyaml.Scalar(n)
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

func fieldNames(d protoreflect.MessageDescriptor) (names []string) {
	for i := range d.Fields().Len() {
		names = append(names, string(d.Fields().Get(i).Name()))
	}
	return names
}
