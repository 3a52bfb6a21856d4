package pipeline

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
)

// The types below keep fields that they do not know in Other.

type (
	plainParameter    Parameter
	plainInput        Input
	plainMoniker      Moniker
	plainPrecondition Precondition
)

// MarshalJSON writes the parameter as Spinnaker has it.
func (p Parameter) MarshalJSON() ([]byte, error) { return merge(p.Other, plainParameter(p)) }

// UnmarshalJSON reads one.
func (p *Parameter) UnmarshalJSON(data []byte) error {
	var in plainParameter
	other, err := read(data, &in)
	*p = Parameter(in)
	p.Other = other
	return err
}

// MarshalJSON writes the artifact as Spinnaker has it.
func (i Input) MarshalJSON() ([]byte, error) { return merge(i.Other, plainInput(i)) }

// UnmarshalJSON reads one.
func (i *Input) UnmarshalJSON(data []byte) error {
	var in plainInput
	other, err := read(data, &in)
	*i = Input(in)
	i.Other = other
	return err
}

// MarshalJSON writes the moniker as Spinnaker has it.
func (m Moniker) MarshalJSON() ([]byte, error) { return merge(m.Other, plainMoniker(m)) }

// UnmarshalJSON reads one.
func (m *Moniker) UnmarshalJSON(data []byte) error {
	var in plainMoniker
	other, err := read(data, &in)
	*m = Moniker(in)
	m.Other = other
	return err
}

// MarshalJSON writes the precondition as Spinnaker has it.
func (p Precondition) MarshalJSON() ([]byte, error) { return merge(p.Other, plainPrecondition(p)) }

// UnmarshalJSON reads one.
func (p *Precondition) UnmarshalJSON(data []byte) error {
	var in plainPrecondition
	other, err := read(data, &in)
	*p = Precondition(in)
	p.Other = other
	return err
}

// read decodes an object into a struct and returns the fields that it has not.
func read[T any](data []byte, in *T) (map[string]any, error) {
	if err := json.Unmarshal(data, in); err != nil {
		return nil, err
	}
	return rest(data, *in)
}

// merge joins objects; of a field that several have, the last one's holds.
func merge(other map[string]any, values ...any) ([]byte, error) {
	out := map[string]any{}
	maps.Copy(out, other)
	for _, v := range values {
		if v == nil {
			continue
		}
		data, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(data, &fields); err != nil {
			return nil, err
		}
		for k, field := range fields {
			out[k] = field
		}
	}
	return json.Marshal(out)
}

// rest returns the fields of data that none of the values has.
func rest(data []byte, values ...any) (map[string]any, error) {
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	for _, v := range values {
		for _, name := range fieldNames(v) {
			delete(all, name)
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all, nil
}

// fieldNames returns the JSON names of a struct's fields.
func fieldNames(v any) []string {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var out []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			out = append(out, name)
		}
	}
	return out
}
