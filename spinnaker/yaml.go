package spinnaker

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of a file of an account.
const (
	maxFileBytes = 256 << 10
	maxItems     = 10_000
)

// key is a key of a file with the reader of its value.
type key struct {
	name string
	read func(r *reader, n *yaml.Node, at string)
}

// reader collects the faults of one file. Its messages never quote values:
// they may be secrets.
type reader struct{ faults []error }

// readFile reads a file of one mapping with those keys.
func readFile(data []byte, keys []key) error {
	root, err := document(data)
	if err != nil {
		return err
	}
	r := &reader{}
	r.mapping(root, "", keys)
	return errors.Join(r.faults...)
}

// document returns the only document of a file.
func document(data []byte) (*yaml.Node, error) {
	if len(data) > maxFileBytes {
		return nil, &FieldError{Msg: fmt.Sprintf("%d bytes; at most %d", len(data), maxFileBytes)}
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, second yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, &FieldError{Msg: "empty; want keys with values, e.g. name: my-account"}
	case err != nil:
		return nil, &FieldError{Msg: "not YAML" + lineOf(err)}
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, &FieldError{Line: second.Line, Column: second.Column, Msg: "more than one document; want one"}
	}
	return doc.Content[0], nil
}

// lineOf returns what may be told of a parser's error: the line, not the text.
func lineOf(err error) string {
	for _, word := range strings.Fields(err.Error()) {
		if n, convErr := strconv.Atoi(strings.TrimSuffix(word, ":")); convErr == nil {
			return fmt.Sprintf(": line %d cannot be read; check indentation, quotes and brackets there", n)
		}
	}
	return ": check indentation, quotes and brackets"
}

func (r *reader) fault(n *yaml.Node, at, format string, args ...any) {
	r.faults = append(r.faults, &FieldError{Line: n.Line, Column: n.Column, Field: at, Msg: fmt.Sprintf(format, args...)})
}

// mapping reads a mapping with those keys. Keys may be written with "_" or
// "-" between words, and in any case.
func (r *reader) mapping(n *yaml.Node, at string, keys []key) {
	if n.Kind != yaml.MappingNode {
		r.fault(n, at, "%s; want keys with values: %s", kindOf(n), names(keys))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		found := lookUp(keys, k.Value)
		if found == nil {
			r.fault(k, at, "unknown key %q; want one of: %s", clip(k.Value), names(keys))
			continue
		}
		if seen[found.name] {
			r.fault(k, at, "%s is given twice", found.name)
			continue
		}
		seen[found.name] = true
		if v.Kind == yaml.ScalarNode && v.Tag == "!!null" {
			continue // "password:" without a value
		}
		found.read(r, v, join(at, found.name))
	}
}

func lookUp(keys []key, name string) *key {
	for i := range keys {
		if plain(keys[i].name) == plain(name) {
			return &keys[i]
		}
	}
	return nil
}

func plain(name string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name))
}

func names(keys []key) string {
	list := make([]string, len(keys))
	for i, k := range keys {
		list[i] = k.name
	}
	return strings.Join(list, ", ")
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "a reference to another place (*)"
	default:
		return "one value"
	}
}

// scalar returns the text of a value, which may be a string, a number or a
// truth value.
func (r *reader) scalar(n *yaml.Node, at string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		r.fault(n, at, "%s; want one value", kindOf(n))
		return "", false
	}
	if strings.ContainsRune(n.Value, 0) {
		r.fault(n, at, "has a zero byte")
		return "", false
	}
	return n.Value, true
}

func text(to *string) func(*reader, *yaml.Node, string) {
	return func(r *reader, n *yaml.Node, at string) { *to, _ = r.scalar(n, at) }
}

func secret(to *Secret) func(*reader, *yaml.Node, string) {
	return func(r *reader, n *yaml.Node, at string) {
		v, _ := r.scalar(n, at)
		*to = NewSecret(v)
	}
}

func number(to *int64, least int64) func(*reader, *yaml.Node, string) {
	return func(r *reader, n *yaml.Node, at string) {
		v, ok := r.scalar(n, at)
		if !ok {
			return
		}
		i, err := strconv.ParseInt(v, 10, 64)
		if err != nil || i < least {
			r.fault(n, at, "not a whole number of at least %d", least)
			return
		}
		*to = i
	}
}

func truth(to *bool) func(*reader, *yaml.Node, string) {
	return func(r *reader, n *yaml.Node, at string) {
		v, ok := r.scalar(n, at)
		if !ok {
			return
		}
		switch strings.ToLower(v) {
		case "true", "yes", "on":
			*to = true
		case "false", "no", "off":
			*to = false
		default:
			r.fault(n, at, "not true or false")
		}
	}
}

// list reads a list, or one item without the list around it.
func list(item func(r *reader, n *yaml.Node, at string)) func(*reader, *yaml.Node, string) {
	return func(r *reader, n *yaml.Node, at string) {
		if n.Kind != yaml.SequenceNode {
			item(r, n, at)
			return
		}
		if len(n.Content) > maxItems {
			r.fault(n, at, "%d items; at most %d", len(n.Content), maxItems)
			return
		}
		for i, c := range n.Content {
			item(r, c, fmt.Sprintf("%s[%d]", at, i))
		}
	}
}

func texts(to *[]string) func(*reader, *yaml.Node, string) {
	return list(func(r *reader, n *yaml.Node, at string) {
		v, ok := r.scalar(n, at)
		if !ok {
			return
		}
		if v == "" {
			r.fault(n, at, "empty")
			return
		}
		*to = append(*to, v)
	})
}
