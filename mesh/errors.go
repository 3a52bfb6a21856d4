package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Sentinels for errors.Is: the kinds of an [Error], and ErrInvalid for an
// [InvalidError] too.
var (
	// ErrTemporary: the same call may succeed later.
	ErrTemporary = errors.New("temporary")
	// ErrPermanent: the same call fails again until somebody changes
	// something, such as a permission or another manager's field.
	ErrPermanent = errors.New("permanent")
	// ErrInvalid: the resources are wrong.
	ErrInvalid = errors.New("invalid input")
	// ErrUnsupported: the cluster has no Istio, or not this part of it.
	ErrUnsupported = errors.New("unsupported")
)

// Error is a failure while acting on a cluster.
type Error struct {
	Op     string // short operation: "apply", "wait", ...
	Target string // "KIND NAMESPACE/NAME", or what else was acted on
	Kind   error  // one of the sentinels
	Err    error  // the cause; not nil
}

// Error returns "OP TARGET: CAUSE".
func (e *Error) Error() string { return e.Op + " " + e.Target + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the sentinel of e's kind.
func (e *Error) Is(target error) bool { return target == e.Kind }

// Problem is one fault of a resource.
type Problem struct {
	// Object is "KIND NAMESPACE/NAME".
	Object string
	// Field is the path of the fault, such as "spec.http[0].route[1].weight".
	Field string
	// Message says what is wrong and what would be right.
	Message string
}

// String returns "OBJECT: FIELD: MESSAGE".
func (p Problem) String() string { return p.Object + ": " + p.Field + ": " + p.Message }

// InvalidError lists every fault that [Set.Validate] found.
type InvalidError struct {
	Problems []Problem
}

// Error returns one line a problem.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Is reports whether target is [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// fault makes an [Error] of what the API server or the network answered.
func fault(op, target string, err error) error {
	var done *Error
	if errors.As(err, &done) {
		return err
	}
	hint, kind := classify(err)
	if hint != "" {
		err = fmt.Errorf("%w (%s)", err, hint)
	}
	return &Error{Op: op, Target: target, Kind: kind, Err: err}
}

// classify tells what to do about an error, and its kind.
func classify(err error) (hint string, kind error) {
	var network net.Error
	switch {
	case isUnknownKind(err):
		return "the cluster does not know this kind: install Istio 1.31 or its resource definitions", ErrUnsupported
	case apierrors.IsConflict(err):
		return "another manager owns the field: change it there, or apply with Options.Force", ErrPermanent
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return "ask for this permission with 'kubectl auth can-i'", ErrPermanent
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return "", ErrInvalid
	case apierrors.IsServerTimeout(err), apierrors.IsTimeout(err), apierrors.IsTooManyRequests(err),
		apierrors.IsServiceUnavailable(err), apierrors.IsInternalError(err),
		errors.Is(err, context.DeadlineExceeded), errors.As(err, &network),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "", ErrTemporary
	}
	return "", ErrPermanent
}

// isUnknownKind tells "no such kind" from "no such resource", which are the
// same status of HTTP.
func isUnknownKind(err error) bool {
	return apierrors.IsNotFound(err) && strings.Contains(err.Error(), "could not find the requested resource")
}
