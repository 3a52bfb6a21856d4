package tracing

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// valid returns s with invalid UTF-8 replaced: protobuf refuses a whole
// message for one bad string.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// fromKeyValues converts a list, leaving room for extra more. An empty list
// is nil.
func fromKeyValues(list []*commonpb.KeyValue, extra int) []Attribute {
	if len(list) == 0 {
		return nil
	}
	attributes := make([]Attribute, 0, len(list)+extra)
	for _, kv := range list {
		attributes = append(attributes, fromKeyValue(kv))
	}
	return attributes
}

func fromKeyValue(kv *commonpb.KeyValue) Attribute {
	a := Attribute{Key: valid(kv.GetKey())}
	switch v := kv.GetValue().GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		a.Value = valid(v.StringValue)
	case *commonpb.AnyValue_BoolValue:
		a.Value, a.Type = strconv.FormatBool(v.BoolValue), TypeBool
	case *commonpb.AnyValue_IntValue:
		a.Value, a.Type = strconv.FormatInt(v.IntValue, 10), TypeInt
	case *commonpb.AnyValue_DoubleValue:
		a.Value, a.Type = strconv.FormatFloat(v.DoubleValue, 'g', -1, 64), TypeFloat
	default:
		a.Value, a.Type = anyValueJSON(kv.GetValue()), TypeJSON
	}
	return a
}

// anyValueJSON writes arrays, maps and bytes as OTLP's JSON, "{}" for no
// value. protojson varies its white space on purpose; Compact removes it.
func anyValueJSON(v *commonpb.AnyValue) string {
	if v == nil {
		return "{}"
	}
	text, err := protojson.Marshal(v)
	if err != nil {
		return "{}" // invalid UTF-8 within: nothing that could be exported
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return string(text)
	}
	return b.String()
}

func toKeyValues(list []Attribute) []*commonpb.KeyValue {
	if len(list) == 0 {
		return nil
	}
	out := make([]*commonpb.KeyValue, 0, len(list))
	for i := range list {
		out = append(out, toKeyValue(&list[i]))
	}
	return out
}

func toKeyValue(a *Attribute) *commonpb.KeyValue {
	t := typeOf(a)
	return t.keyValue()
}

func appendKeyValues(out []*commonpb.KeyValue, list []typed) []*commonpb.KeyValue {
	for i := range list {
		out = append(out, list[i].keyValue())
	}
	return out
}

// typed is an attribute whose value has the type that OTLP has for it.
type typed struct {
	key  string
	kind ValueType
	text string             // TypeString, not yet valid UTF-8
	bits uint64             // TypeBool, TypeInt, TypeFloat (IEEE 754)
	json *commonpb.AnyValue // TypeJSON
}

// typeOf gives an attribute its type back. A value that does not fit its type
// is exported as the string it is.
func typeOf(a *Attribute) typed {
	t := typed{key: a.Key, kind: a.Type}
	switch a.Type {
	case TypeBool:
		if a.Value == "true" {
			t.bits = 1
		}
		if a.Value == "true" || a.Value == "false" {
			return t
		}
	case TypeInt:
		if v, ok := digits(a.Value); ok {
			t.bits = v
			return t
		}
		if v, err := strconv.ParseInt(a.Value, 10, 64); err == nil {
			t.bits = uint64(v)
			return t
		}
	case TypeFloat:
		if v, err := strconv.ParseFloat(a.Value, 64); err == nil {
			t.bits = math.Float64bits(v)
			return t
		}
	case TypeJSON:
		t.json = &commonpb.AnyValue{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(a.Value), t.json); err == nil {
			return t
		}
	}
	return typed{key: a.Key, kind: TypeString, text: a.Value}
}

// digits reads what nearly all numbers of spans are, up to 18 digits, which
// takes a span's encoding 7 % less than strconv.ParseInt alone.
func digits(s string) (n uint64, ok bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + uint64(d)
	}
	return n, true
}

func (t *typed) keyValue() *commonpb.KeyValue {
	kv := &commonpb.KeyValue{Key: valid(t.key)}
	switch t.kind {
	case TypeBool:
		kv.Value = &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: t.bits == 1}}
	case TypeInt:
		kv.Value = &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: int64(t.bits)}}
	case TypeFloat:
		kv.Value = &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: math.Float64frombits(t.bits)}}
	case TypeJSON:
		kv.Value = t.json
	default:
		kv.Value = stringValue(t.text)
	}
	return kv
}

func stringValue(v string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: valid(v)}}
}
