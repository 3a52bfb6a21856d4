package config

import (
	"errors"
	"fmt"
	"strings"
)

// ErrInvalid matches every fault of a configuration.
var ErrInvalid = errors.New("invalid configuration")

// maxFaults is how many faults of one layer are reported at once.
const maxFaults = 10

// FieldError is a fault at one place of a configuration. It matches
// [ErrInvalid].
type FieldError struct {
	// Source is where the value was: "redis", "flags" or a file's name.
	Source string
	// Line and Column of a file, from 1. 0: there is none.
	Line, Column int
	// Key as it is written there: "clovisor_labels" in Redis, "labels" in a
	// file. Empty: the fault is in the whole.
	Key string
	// Index of the entry in a list as LRANGE counts, -1: not in a list.
	Index int
	// Field of a hash or mapping. Empty: not in one.
	Field string
	// Msg says what is wrong and what would be right.
	Msg string
}

// Error returns "SOURCE: line L, column C: KEY[INDEX]: MSG".
func (e *FieldError) Error() string {
	var b strings.Builder
	if e.Source != "" {
		b.WriteString(e.Source + ": ")
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Column)
	}
	switch {
	case e.Key == "":
		return b.String() + e.Msg
	case e.Index >= 0:
		fmt.Fprintf(&b, "%s[%d]: ", e.Key, e.Index)
	case e.Field != "":
		fmt.Fprintf(&b, "%s[%q]: ", e.Key, e.Field)
	default:
		b.WriteString(e.Key + ": ")
	}
	return b.String() + e.Msg
}

// Unwrap returns ErrInvalid.
func (e *FieldError) Unwrap() error { return ErrInvalid }

// faults collects what is wrong with one layer.
type faults struct {
	source string
	errs   []error
	more   int
}

func (f *faults) add(e FieldError) {
	if len(f.errs) == maxFaults {
		f.more++
		return
	}
	e.Source = f.source
	f.errs = append(f.errs, &e)
}

func (f *faults) err() error {
	if f.more > 0 {
		f.errs = append(f.errs, &FieldError{Source: f.source, Index: -1, Msg: fmt.Sprintf("%d more faults", f.more)})
	}
	return errors.Join(f.errs...)
}

// clip shortens a user's value for a message; %q makes it printable.
func clip(s string) string {
	const limit = 100
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
