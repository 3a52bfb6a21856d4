package visibility

import (
	"errors"
	"fmt"
)

// Sentinels to match with errors.Is.
var (
	// ErrInvalid: the question or configuration is wrong; the message says
	// what would be right. Asking again unchanged does not help.
	ErrInvalid = errors.New("invalid input")
	// ErrNotFound: the thing asked for is not in the store.
	ErrNotFound = errors.New("not found")
	// ErrLimit: the answer would be larger than a limit allows.
	ErrLimit = errors.New("limit exceeded")
	// ErrUnavailable: a store or source cannot answer now; try again.
	ErrUnavailable = errors.New("unavailable")
	// ErrUnsupported: this store cannot do what was asked, or its data on
	// disk has a format this version does not know.
	ErrUnsupported = errors.New("unsupported")
	// ErrLocked: another process has the data directory open.
	ErrLocked = errors.New("in use by another process")
)

// invalidf returns an error that matches ErrInvalid and reads as the format
// says, without a prefix.
func invalidf(format string, args ...any) error {
	return &kindError{kind: ErrInvalid, msg: fmt.Sprintf(format, args...)}
}

type kindError struct {
	kind error
	msg  string
}

func (e *kindError) Error() string { return e.msg }
func (e *kindError) Unwrap() error { return e.kind }
