package loadbalancer

import (
	"errors"
	"fmt"
	"strings"
)

// What an error means for the caller, for errors.Is.
var (
	// ErrInvalid: the configuration can never work as it is.
	ErrInvalid = errors.New("invalid configuration")
	// ErrUnsupported: the driver cannot do what is asked for; another may.
	ErrUnsupported = errors.New("not supported")
	// ErrConflict: the change is based on a version that is no longer the
	// current one. Read the current one and try again.
	ErrConflict = errors.New("changed by somebody else meanwhile")
	// ErrRejected: the program that is driven refused the change or failed to
	// take it. The old configuration is in effect.
	ErrRejected = errors.New("rejected")
)

// FieldError is a fault at one place of a configuration. It matches
// ErrInvalid.
type FieldError struct {
	// Line and Column of the file that was read, from 1. 0: there is none.
	Line, Column int
	// Field is e.g. "groups[0].servers[1].address", or the key of a file.
	// Empty: the fault is in the whole.
	Field string
	// Msg says what is wrong and what would be right.
	Msg string
}

// Error returns "line L, column C: FIELD: MSG".
func (e *FieldError) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Column)
	}
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	return b.String() + e.Msg
}

// Unwrap returns ErrInvalid.
func (e *FieldError) Unwrap() error { return ErrInvalid }

// UnsupportedError lists what a driver cannot do. It matches ErrUnsupported.
type UnsupportedError struct {
	Driver   string
	Features []UnsupportedFeature
}

// UnsupportedFeature is a feature with the reason why a driver lacks it.
type UnsupportedFeature struct {
	Feature Feature
	Reason  string
}

// Error lists the features with their reasons.
func (e *UnsupportedError) Error() string {
	list := make([]string, len(e.Features))
	for i, f := range e.Features {
		list[i] = fmt.Sprintf("%s (%s)", f.Feature, f.Reason)
	}
	return fmt.Sprintf("%s does not support: %s", e.Driver, strings.Join(list, "; "))
}

// Unwrap returns ErrUnsupported.
func (e *UnsupportedError) Unwrap() error { return ErrUnsupported }

// ApplyError is a change that the driven program did not take. It matches
// ErrRejected and its cause.
type ApplyError struct {
	// Driver that tried.
	Driver string
	// Step that failed, e.g. "test", "reload", "verify", "listen".
	Step string
	// Output is what the program said, in its own words; may be empty.
	Output string
	// Err is the cause; may be nil where Output says it all.
	Err error
}

// Error returns "DRIVER: STEP: CAUSE: OUTPUT".
func (e *ApplyError) Error() string {
	parts := []string{e.Driver, e.Step}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	if out := strings.TrimSpace(e.Output); out != "" {
		parts = append(parts, out)
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns ErrRejected and the cause.
func (e *ApplyError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrRejected}
	}
	return []error{ErrRejected, e.Err}
}

// ConflictError refuses a change that is based on an old version. It matches
// ErrConflict.
type ConflictError struct {
	// Base is the version that the change is based on, Current the one there is.
	Base, Current uint64
}

// Error names both versions.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("the change is based on version %d, but the current one is %d: read it and try again", e.Base, e.Current)
}

// Unwrap returns ErrConflict.
func (e *ConflictError) Unwrap() error { return ErrConflict }
