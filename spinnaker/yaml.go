package spinnaker

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/opnfv/clover/internal/strictyaml"
)

// Bounds of a file of an account.
const (
	maxFileBytes = 256 << 10
	maxItems     = 10_000
	maxDepth     = 50
)

// key is a key of a file with the reader of its value.
type key struct {
	name string
	read func(r *reader, n ast.Node, at string)
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
func document(data []byte) (ast.Node, error) {
	root, fault := strictyaml.Document(data, strictyaml.Limits{Bytes: maxFileBytes, Depth: maxDepth, Secret: true})
	switch {
	case fault != nil:
		return nil, &FieldError{Line: fault.Line, Column: fault.Column, Msg: fault.Msg}
	case root == nil:
		return nil, &FieldError{Msg: "empty; want keys with values, e.g. name: my-account"}
	}
	return root, nil
}

func (r *reader) fault(n ast.Node, at, format string, args ...any) {
	line, column := strictyaml.Place(n)
	r.faults = append(r.faults, &FieldError{Line: line, Column: column, Field: at, Msg: fmt.Sprintf(format, args...)})
}

// mapping reads a mapping with those keys. Keys may be written with "_" or
// "-" between words, and in any case.
func (r *reader) mapping(n ast.Node, at string, keys []key) {
	pairs, ok := strictyaml.Pairs(n)
	if !ok {
		r.fault(n, at, "%s; want keys with values: %s", strictyaml.Describe(n), names(keys))
		return
	}
	seen := map[string]bool{}
	for _, p := range pairs {
		written, _ := strictyaml.Key(p.Key)
		found := lookUp(keys, written)
		if found == nil {
			r.fault(p.Key, at, "unknown key %q; want one of: %s", clip(written), names(keys))
			continue
		}
		if seen[found.name] {
			r.fault(p.Key, at, "%s is given twice", found.name)
			continue
		}
		seen[found.name] = true
		if _, none := p.Value.(*ast.NullNode); none {
			continue // "password:" without a value
		}
		found.read(r, p.Value, strictyaml.JoinKey(at, found.name))
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

// scalar returns the text of a value, which may be a string, a number or a
// truth value.
func (r *reader) scalar(n ast.Node, at string) (string, bool) {
	v, ok := strictyaml.Scalar(n)
	if !ok {
		r.fault(n, at, "%s; want one value", strictyaml.Describe(n))
		return "", false
	}
	if strings.ContainsRune(v, 0) {
		r.fault(n, at, "has a zero byte")
		return "", false
	}
	return v, true
}

func text(to *string) func(*reader, ast.Node, string) {
	return func(r *reader, n ast.Node, at string) { *to, _ = r.scalar(n, at) }
}

func secret(to *Secret) func(*reader, ast.Node, string) {
	return func(r *reader, n ast.Node, at string) {
		v, _ := r.scalar(n, at)
		*to = NewSecret(v)
	}
}

func number(to *int64, least int64) func(*reader, ast.Node, string) {
	return func(r *reader, n ast.Node, at string) {
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

func truth(to *bool) func(*reader, ast.Node, string) {
	return func(r *reader, n ast.Node, at string) {
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
func list(item func(r *reader, n ast.Node, at string)) func(*reader, ast.Node, string) {
	return func(r *reader, n ast.Node, at string) {
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			item(r, n, at)
			return
		}
		if len(seq.Values) > maxItems {
			r.fault(n, at, "%d items; at most %d", len(seq.Values), maxItems)
			return
		}
		for i, c := range seq.Values {
			item(r, c, fmt.Sprintf("%s[%d]", at, i))
		}
	}
}

func texts(to *[]string) func(*reader, ast.Node, string) {
	return list(func(r *reader, n ast.Node, at string) {
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
