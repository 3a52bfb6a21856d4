package loadbalancer

import (
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/opnfv/clover/internal/strictyaml"
)

// ReadConfig reads a whole configuration from YAML, in the names that
// FormatConfig writes; durations are written as 500ms or 1m30s. Keys may be
// written with "-" for "_", and in any case. Nothing else is accepted: each
// fault is a *FieldError, several are joined.
func ReadConfig(data []byte) (Config, error) {
	root, err := checkedDocument(data)
	if err != nil {
		return Config{}, err
	}
	var c Config
	r := &reader{}
	r.decode(root, "", reflect.ValueOf(&c).Elem())
	if err := r.faults.err(); err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

// FormatConfig writes a whole configuration as YAML, without what is zero.
func FormatConfig(c Config) ([]byte, error) { return yaml.Marshal(c) }

// decode reads a value into a part of a Config. The decoder of the YAML
// library takes a time that grows with the square of a list's length.
func (r *reader) decode(n ast.Node, at string, to reflect.Value) {
	if _, null := n.(*ast.NullNode); null {
		return
	}
	_, prefix := to.Interface().(netip.Prefix)
	switch {
	case to.Kind() == reflect.Struct && !prefix:
		if pairs, ok := strictyaml.Pairs(n); !ok || len(pairs) > 0 {
			r.mapping(n, at, r.fields(to))
		}
	case to.Kind() == reflect.Slice:
		r.list(n, at, to)
	default:
		text, ok := r.text(n, at)
		if !ok {
			return
		}
		if err := setText(to, text); err != nil {
			r.fault(n, at, "%s", err)
		}
	}
}

// fields are the keys of a structure.
func (r *reader) fields(to reflect.Value) []key {
	keys := make([]key, to.NumField())
	for i := range keys {
		name, _, _ := strings.Cut(to.Type().Field(i).Tag.Get("json"), ",")
		keys[i] = key{name, func(r *reader, n ast.Node, at string) { r.decode(n, at, to.Field(i)) }}
	}
	return keys
}

func (r *reader) list(n ast.Node, at string, to reflect.Value) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.fault(n, at, "%s; want a list", describe(n))
		return
	}
	to.Set(reflect.MakeSlice(to.Type(), len(seq.Values), len(seq.Values)))
	for i, e := range seq.Values {
		r.decode(e, index(at, i), to.Index(i))
	}
}

// setText sets a value that is written as one word.
func setText(to reflect.Value, text string) error {
	switch v := to.Addr().Interface().(type) {
	case *netip.Prefix:
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("%q; want a network such as 192.0.2.0/24", clip(text))
		}
		*v = p
		return nil
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q; want a duration such as 500ms", clip(text))
		}
		*v = d
		return nil
	case *bool:
		b, err := parseBool(text)
		*v = b
		return err
	}
	if to.Kind() == reflect.String {
		to.SetString(text)
		return nil
	}
	// What is left of a Config's types are whole numbers.
	i, err := strconv.ParseInt(text, 10, to.Type().Bits())
	if err != nil {
		return fmt.Errorf("%q; want a whole number", clip(text))
	}
	to.SetInt(i)
	return nil
}
