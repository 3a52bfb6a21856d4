package loadbalancer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/opnfv/clover/internal/strictyaml"
)

// Bounds of a file.
const (
	maxFileBytes = 256 << 10
	maxDepth     = 32
)

// key is one key of a file with the reader of its value.
type key struct {
	name string
	read func(r *reader, n ast.Node, at string)
}

// reader collects the faults of one file.
type reader struct{ faults validator }

// readFile reads a file of one mapping with those keys.
func readFile(data []byte, keys []key) error {
	root, err := checkedDocument(data)
	if err != nil {
		return err
	}
	r := &reader{}
	r.mapping(root, "", keys)
	return r.faults.err()
}

// checkedDocument returns what a file of one document holds, unless it is too
// large or too deep.
func checkedDocument(data []byte) (ast.Node, error) {
	root, fault := strictyaml.Document(data, strictyaml.Limits{Bytes: maxFileBytes, Depth: maxDepth})
	if fault != nil {
		return nil, fieldError(fault)
	}
	if root == nil {
		return nil, &FieldError{Msg: "empty; want keys with values, e.g. server_port: 9180"}
	}
	return root, nil
}

func fieldError(f *strictyaml.Fault) *FieldError {
	return &FieldError{Line: f.Line, Column: f.Column, Field: clip(f.Key), Msg: f.Msg}
}

// mapping reads a mapping with those keys. Keys may be written with "-" for
// "_", and in any case.
func (r *reader) mapping(n ast.Node, at string, keys []key) {
	pairs, ok := strictyaml.Pairs(n)
	if !ok || len(pairs) == 0 {
		r.fault(n, at, "%s; want keys with values: %s", describe(n), names(keys))
		return
	}
	seen := map[string]bool{}
	for _, p := range pairs {
		written, name := strictyaml.Key(p.Key)
		field := strictyaml.JoinKey(at, name)
		if seen[name] {
			r.fault(p.Key, field, "is there twice")
			continue
		}
		seen[name] = true
		if !r.value(p, name, field, keys) {
			r.fault(p.Key, strictyaml.JoinKey(at, clip(written)), "is not known; want %s", names(keys))
		}
	}
}

func (r *reader) value(p *ast.MappingValueNode, name, field string, keys []key) bool {
	for _, k := range keys {
		if k.name == name {
			k.read(r, p.Value, field)
			return true
		}
	}
	return false
}

func names(keys []key) string {
	list := make([]string, len(keys))
	for i, k := range keys {
		list[i] = k.name
	}
	return strings.Join(list, ", ")
}

// text reads a string or number as it was written.
func (r *reader) text(n ast.Node, at string) (string, bool) {
	s, ok := strictyaml.Scalar(n)
	if !ok {
		r.fault(n, at, "%s; want a string or number", describe(n))
	}
	return s, ok
}

func (r *reader) fault(n ast.Node, field, format string, args ...any) {
	r.faults.faults = append(r.faults.faults, fieldError(strictyaml.At(n, field, format, args...)))
}

// describe names what a node is, for messages.
func describe(n ast.Node) string {
	if _, ok := strictyaml.Scalar(n); ok {
		return "a plain value"
	}
	return strictyaml.Describe(n)
}

// into returns a reader of one value that parse checks.
func into[T any](to *T, parse func(string) (T, error)) func(*reader, ast.Node, string) {
	return func(r *reader, n ast.Node, at string) {
		text, ok := r.text(n, at)
		if !ok {
			return
		}
		v, err := parse(text)
		if err != nil {
			r.fault(n, at, "%s", message(err))
			return
		}
		*to = v
	}
}

// message is an error without a place of its own.
func message(err error) string {
	var f *FieldError
	if errors.As(err, &f) {
		return f.Msg
	}
	return err.Error()
}

// checked returns a parser of what check accepts.
func checked(check func(string) error) func(string) (string, error) {
	return func(text string) (string, error) { return text, check(text) }
}

// listInto returns a reader of a list. Its entries are read by entry; a single
// one may stand for a list of one.
func listInto[T any](to *[]T, limit int, entry func(r *reader, n ast.Node, at string) (T, bool)) func(*reader, ast.Node, string) {
	return func(r *reader, n ast.Node, at string) {
		entries := []ast.Node{n}
		if seq, ok := n.(*ast.SequenceNode); ok {
			entries = seq.Values
		}
		if len(entries) > limit {
			r.fault(n, at, "%d entries; at most %d", len(entries), limit)
			return
		}
		list := make([]T, 0, len(entries))
		for i, e := range entries {
			if v, ok := entry(r, e, index(at, i)); ok {
				list = append(list, v)
			}
		}
		*to = list
	}
}

// parseDuration reads a duration such as 500ms, or seconds.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if seconds, numErr := strconv.ParseFloat(text, 64); numErr == nil && seconds >= 0 && seconds <= MaxTimeout.Seconds() {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d < 0 || d > MaxTimeout {
		return 0, fmt.Errorf("%q; want seconds or a duration such as 500ms, at most %s", clip(text), MaxTimeout)
	}
	return d, nil
}

// parseInt reads a whole number up to limit.
func parseInt(limit int) func(string) (int, error) {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > limit {
			return 0, fmt.Errorf("%q; want a whole number from 0 to %d", clip(text), limit)
		}
		return n, nil
	}
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q; want true or false", clip(text))
}
