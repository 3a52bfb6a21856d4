package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/opnfv/clover/spinnaker"
)

// maxFileBytes bounds a file of a pipeline.
const maxFileBytes = 4 << 20

// Read reads a pipeline from a file, JSON or YAML, and checks it.
func Read(data []byte) (Pipeline, error) {
	if len(data) > maxFileBytes {
		return Pipeline{}, &spinnaker.FieldError{Msg: fmt.Sprintf("%d bytes; at most %d", len(data), maxFileBytes)}
	}
	asJSON, err := toJSON(data)
	if err != nil {
		return Pipeline{}, err
	}
	var p Pipeline
	if err := json.Unmarshal(asJSON, &p); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return Pipeline{}, &spinnaker.FieldError{Field: wrong.Field, Msg: fmt.Sprintf("is a %s; want %s", wrong.Value, wrong.Type)}
		}
		return Pipeline{}, &spinnaker.FieldError{Msg: err.Error()}
	}
	return p, p.Check()
}

// toJSON returns the file's only object as JSON.
func toJSON(data []byte) ([]byte, error) {
	if json.Valid(data) { // YAML does not read all of JSON's escapes
		if text := strings.TrimSpace(string(data)); !strings.HasPrefix(text, "{") {
			return nil, &spinnaker.FieldError{Msg: "want keys with values: application, name, stages"}
		}
		return data, nil
	}
	var tree any
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	switch err := decoder.Decode(&tree); {
	case errors.Is(err, io.EOF):
		return nil, &spinnaker.FieldError{Msg: "empty; want a pipeline as Spinnaker exports it"}
	case err != nil:
		return nil, &spinnaker.FieldError{Msg: "neither JSON nor YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, &spinnaker.FieldError{Msg: "more than one document; want one pipeline"}
	}
	if _, ok := tree.(map[string]any); !ok {
		return nil, &spinnaker.FieldError{Msg: "want keys with values: application, name, stages"}
	}
	asJSON, err := json.Marshal(tree)
	if err != nil {
		return nil, &spinnaker.FieldError{Msg: "has keys or values that are not JSON: keys must be text, numbers finite"}
	}
	return asJSON, nil
}
