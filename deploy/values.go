package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// ValuesError says which values the chart does not take, and why.
type ValuesError struct {
	// Problems has a line for each value at fault, such as
	// "controller.replicas: want a number from 1 to 10".
	Problems []string
}

func (e *ValuesError) Error() string {
	return "deploy: values: " + strings.Join(e.Problems, "; ")
}

// schemaURL names the schema in itself.
const schemaURL = "values.schema.json"

// valuesSchema reads the schema that Helm holds values against too. Each
// schema of a single value has a description of what is wanted.
type valuesSchema struct {
	document  map[string]any
	validator *jsonschema.Schema
}

var loadSchema = sync.OnceValues(func() (*valuesSchema, error) {
	data, err := files.ReadFile("chart/values.schema.json")
	if err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaURL, document); err != nil {
		return nil, err
	}
	validator, err := c.Compile(schemaURL)
	if err != nil {
		return nil, err
	}
	return &valuesSchema{document.(map[string]any), validator}, nil
})

// checkValues returns values as Helm reads them from a file, or a
// [*ValuesError].
func checkValues(values map[string]any) (map[string]any, error) {
	s, err := loadSchema()
	if err != nil {
		return nil, fmt.Errorf("deploy: %s: %w", schemaURL, err)
	}
	if values == nil {
		values = map[string]any{}
	}
	data, err := json.Marshal(values)
	if err != nil {
		return nil, &ValuesError{Problems: []string{err.Error()}}
	}
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, &ValuesError{Problems: []string{err.Error()}}
	}
	var invalid *jsonschema.ValidationError
	if err := s.validator.Validate(plain); errors.As(err, &invalid) {
		problems := s.problems(invalid)
		slices.Sort(problems)
		return nil, &ValuesError{Problems: slices.Compact(problems)}
	} else if err != nil {
		return nil, fmt.Errorf("deploy: %s: %w", schemaURL, err)
	}
	return plain.(map[string]any), nil
}

// problems has a line for each value that an error is about.
func (s *valuesSchema) problems(e *jsonschema.ValidationError) []string {
	at := strings.Join(e.InstanceLocation, ".")
	node := s.at(e.SchemaURL)
	if want, ok := node["description"].(string); ok {
		return []string{at + ": want " + want}
	}
	if extra, ok := e.ErrorKind.(*kind.AdditionalProperties); ok {
		known, _ := node["properties"].(map[string]any)
		var out []string
		for _, name := range extra.Properties {
			path := strings.Join(append(slices.Clone(e.InstanceLocation), name), ".")
			out = append(out, fmt.Sprintf("%s: there is no such value; there are %s", path, strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
		}
		return out
	}
	if len(e.Causes) == 0 {
		return []string{at + ": " + e.ErrorKind.LocalizedString(message.NewPrinter(language.English))}
	}
	var out []string
	for _, cause := range e.Causes {
		out = append(out, s.problems(cause)...)
	}
	return out
}

// at returns the part of the schema that a location points to.
func (s *valuesSchema) at(location string) map[string]any {
	_, pointer, _ := strings.Cut(location, "#")
	node := s.document
	for _, key := range strings.Split(strings.Trim(pointer, "/"), "/") {
		next, ok := node[key].(map[string]any)
		if !ok {
			break
		}
		node = next
	}
	return node
}
