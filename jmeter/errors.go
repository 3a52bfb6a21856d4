package jmeter

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinels to match with errors.Is.
var (
	// ErrInvalid: a plan or a file is wrong; the message says what would be right.
	ErrInvalid = errors.New("invalid input")
	// ErrUnsupported: a runner cannot do what a plan asks for.
	ErrUnsupported = errors.New("unsupported")
	// ErrBusy: another test runs where only one may.
	ErrBusy = errors.New("another test is running")
	// ErrNotFound: there is no such plan or run.
	ErrNotFound = errors.New("not found")
	// ErrDenied: the policy does not allow a target.
	ErrDenied = errors.New("target is not allowed")
)

// PlanError is a fault at one place of a plan. It matches ErrInvalid.
type PlanError struct {
	Line, Column int    // from 1; 0: not known
	Key          string // e.g. "url_list[1].method"
	Msg          string // what is wrong and what would be right
}

// Error returns "line L, column C: KEY: MSG".
func (e *PlanError) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Column)
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	return b.String() + e.Msg
}

// Unwrap returns ErrInvalid.
func (e *PlanError) Unwrap() error { return ErrInvalid }

// UnsupportedError lists what a runner cannot do with a plan. It matches
// ErrUnsupported.
type UnsupportedError struct {
	Runner  string
	Reasons []string
}

func (e *UnsupportedError) Error() string {
	return e.Runner + " cannot run this plan: " + strings.Join(e.Reasons, "; ")
}

// Unwrap returns ErrUnsupported.
func (e *UnsupportedError) Unwrap() error { return ErrUnsupported }
