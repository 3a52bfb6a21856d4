package loadbalancer

import (
	"errors"

	"github.com/goccy/go-yaml"
)

// ReadConfig reads a whole configuration from YAML, in the names that
// FormatConfig writes; durations are written as 500ms or 1m30s. Nothing else
// is accepted: each fault is a *FieldError, several are joined.
func ReadConfig(data []byte) (Config, error) {
	var c Config
	if _, err := checkedDocument(data); err != nil {
		return c, err
	}
	if err := yaml.UnmarshalWithOptions(data, &c, yaml.Strict()); err != nil {
		return Config{}, configFault(err)
	}
	return c, c.Validate()
}

// configFault says where a fault of the decoder is.
func configFault(err error) error {
	var fault yaml.Error
	if !errors.As(err, &fault) || fault.GetToken() == nil {
		return &FieldError{Msg: err.Error()}
	}
	at := fault.GetToken().Position
	return &FieldError{Line: at.Line, Column: at.Column, Msg: fault.GetMessage()}
}

// FormatConfig writes a whole configuration as YAML, without what is zero.
func FormatConfig(c Config) ([]byte, error) { return yaml.Marshal(c) }
