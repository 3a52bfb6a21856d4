package tracing

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// errShape is matched by the errors for JSON that is not as the API writes
// it.
var errShape = errors.New("not as Jaeger writes it")

// decodeObject reads an object or null, calling field for each name; field
// reads the value, or returns false to have it skipped.
func decodeObject(dec *json.Decoder, field func(name string) (bool, error)) error {
	return decodeNested(dec, '{', func() error {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		name, ok := token.(string)
		if !ok {
			return fmt.Errorf("%w: %v for a name", errShape, token)
		}
		known, err := field(name)
		if err != nil || known {
			return err
		}
		return skipValue(dec)
	})
}

// decodeArray reads an array or null, calling element for each element.
func decodeArray(dec *json.Decoder, element func() error) error {
	return decodeNested(dec, '[', element)
}

func decodeNested(dec *json.Decoder, open json.Delim, next func() error) error {
	token, err := dec.Token()
	if err != nil || token == nil {
		return noEOF(err)
	}
	if token != open {
		return fmt.Errorf("%w: %v in place of %v", errShape, token, open)
	}
	for dec.More() {
		if err := next(); err != nil {
			return noEOF(err)
		}
	}
	_, err = dec.Token()
	return noEOF(err)
}

// noEOF tells an answer that breaks off from one that ends.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// skipValue reads a value of any size without keeping it.
func skipValue(dec *json.Decoder) error {
	for depth := 0; ; {
		token, err := dec.Token()
		if err != nil {
			return noEOF(err)
		}
		if delim, ok := token.(json.Delim); ok {
			if delim == '{' || delim == '[' {
				depth++
			} else {
				depth--
			}
		}
		if depth == 0 {
			return nil
		}
	}
}

// decodeList reads a field that is a list of small values, and reports
// whether the field is there.
func decodeList[T any](dec *json.Decoder, name string, list *[]T) (found bool, err error) {
	err = decodeObject(dec, func(field string) (bool, error) {
		if field != name {
			return false, nil
		}
		found = true
		return true, dec.Decode(list)
	})
	return found, err
}

// kindedOperation is an operation as both HTTP APIs write it.
type kindedOperation struct {
	Name     string `json:"name"`
	SpanKind string `json:"spanKind"`
}

func toOperations(list []kindedOperation) []Operation {
	operations := make([]Operation, len(list))
	for i, o := range list {
		operations[i] = Operation{Name: o.Name, Kind: ParseKind(o.SpanKind)}
	}
	return operations
}
