package spinnaker

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// What an error means for the caller, for errors.Is.
var (
	// ErrInvalid: what was given can never work as it is.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound: there is no such account, pipeline or execution.
	ErrNotFound = errors.New("not found")
	// ErrExists: there is one of that name already.
	ErrExists = errors.New("exists already")
	// ErrDenied: the server does not know who asks, or does not allow it.
	ErrDenied = errors.New("not allowed")
	// ErrTemporary: the same request may work later.
	ErrTemporary = errors.New("temporary")
	// ErrProtocol: the answer is not one of Spinnaker's: another server, a
	// proxy's page, or an answer over the limit.
	ErrProtocol = errors.New("unexpected answer")
	// ErrUnsupported: this installation cannot do what is asked for.
	ErrUnsupported = errors.New("not supported")
)

// Error is a request that failed. It matches its Kind and its cause.
type Error struct {
	// Op is what was tried, e.g. "add account".
	Op string
	// Target is what it was tried on: an account, or the server's address
	// without user and password.
	Target string
	// Kind is one of the sentinels above, nil where none fits.
	Kind error
	// Status is the HTTP status of the answer; 0: there was none.
	Status int
	// Err is the cause.
	Err error
}

// Error returns "OP TARGET: CAUSE".
func (e *Error) Error() string {
	parts := []string{strings.TrimSpace(e.Op + " " + e.Target)}
	switch {
	case e.Err != nil:
		parts = append(parts, e.Err.Error())
	case e.Kind != nil:
		parts = append(parts, e.Kind.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	var all []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// FieldError is a fault at one place of a file or value. It matches
// ErrInvalid.
type FieldError struct {
	// Line and Column of the file that was read, from 1. 0: there is none.
	Line, Column int
	// Field is e.g. "dockerRegistries[0].accountName". Empty: the whole.
	Field string
	// Msg says what is wrong and what would be right. It never holds the
	// value of a secret.
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

// Cause returns what is behind an error of net/http, without the URL that it
// repeats and which may hold a password.
func Cause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
