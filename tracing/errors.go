package tracing

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrorKind says what a caller can do about an [Error].
type ErrorKind uint8

const (
	// ErrorUnknown: the error says nothing about its kind. Treat it as
	// permanent when sending data, as temporary when polling.
	ErrorUnknown ErrorKind = iota
	// ErrorTemporary: the same call may succeed later (connection refused,
	// overload, deadline passed).
	ErrorTemporary
	// ErrorPermanent: the same call will fail again (refused credentials,
	// an answer that cannot be understood).
	ErrorPermanent
	// ErrorInvalid: the caller's input is wrong.
	ErrorInvalid
	// ErrorUnsupported: the other end, or this platform, cannot do it.
	ErrorUnsupported
)

// Sentinels to match an [Error]'s kind with errors.Is. They are also fit to
// be wrapped by a [Sink] to say how its failure should be answered.
var (
	ErrTemporary   = errors.New("temporary")
	ErrPermanent   = errors.New("permanent")
	ErrInvalid     = errors.New("invalid input")
	ErrUnsupported = errors.New("unsupported")
)

var kindErrors = [...]error{nil, ErrTemporary, ErrPermanent, ErrInvalid, ErrUnsupported}

// String returns "unknown", "temporary", "permanent", "invalid input" or
// "unsupported".
func (k ErrorKind) String() string {
	if k == ErrorUnknown || int(k) >= len(kindErrors) {
		return "unknown"
	}
	return kindErrors[k].Error()
}

// Error is the error type of this package.
type Error struct {
	Op     string    // short operation, e.g. "search traces"
	Target string    // the other end or the offending option; may be ""
	Kind   ErrorKind // what can be done about it
	Err    error     // the cause; not nil

	// RetryAfter is how long the other end asked to wait before the next
	// try; 0 when it did not say. Meaningful for ErrorTemporary only.
	RetryAfter time.Duration
}

// Error returns "OP TARGET: CAUSE".
func (e *Error) Error() string {
	msg := e.Op
	if e.Target != "" {
		msg += " " + e.Target
	}
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	return msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the sentinel of e's kind, such as
// [ErrTemporary].
func (e *Error) Is(target error) bool {
	return e.Kind != ErrorUnknown && int(e.Kind) < len(kindErrors) && target == kindErrors[e.Kind]
}

// Classify tells the kind of any error: an [Error]'s own, a sentinel of this
// package found in the chain, a gRPC status, a network failure or a deadline.
// A cancelled context is permanent: the caller has gone. It returns
// ErrorUnknown for nil and for errors that it does not know.
func Classify(err error) ErrorKind {
	if err == nil {
		return ErrorUnknown
	}
	var own *Error
	if errors.As(err, &own) && own.Kind != ErrorUnknown {
		return own.Kind
	}
	for kind, sentinel := range kindErrors {
		if sentinel != nil && errors.Is(err, sentinel) {
			return ErrorKind(kind)
		}
	}
	if errors.Is(err, context.Canceled) {
		return ErrorPermanent
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return ErrorTemporary
	}
	if st, ok := status.FromError(err); ok {
		return KindOfCode(st.Code())
	}
	var netErr net.Error
	if errors.As(err, &netErr) {
		return ErrorTemporary
	}
	return ErrorUnknown
}

// KindOfCode classifies a gRPC status code as the OTLP specification does
// (docs/specification.md, "OTLP/gRPC Response"): CANCELLED,
// DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE and DATA_LOSS are
// temporary. RESOURCE_EXHAUSTED is temporary here; a sender of OTLP retries
// it only when the answer carries RetryInfo.
func KindOfCode(code codes.Code) ErrorKind {
	switch code {
	case codes.OK:
		return ErrorUnknown
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange,
		codes.Unavailable, codes.DataLoss, codes.ResourceExhausted:
		return ErrorTemporary
	case codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.AlreadyExists:
		return ErrorInvalid
	case codes.Unimplemented:
		return ErrorUnsupported
	default:
		return ErrorPermanent
	}
}

// KindOfHTTPStatus classifies an HTTP status code: 408, 429, 502, 503 and 504
// are temporary, 405, 415 and 501 unsupported, 400, 404, 413 and 422 invalid
// input, other errors permanent; below 400 it is ErrorUnknown.
func KindOfHTTPStatus(code int) ErrorKind {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return ErrorTemporary
	case http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusNotImplemented:
		return ErrorUnsupported
	case http.StatusBadRequest, http.StatusNotFound, http.StatusRequestEntityTooLarge,
		http.StatusUnprocessableEntity:
		return ErrorInvalid
	}
	if code >= http.StatusBadRequest {
		return ErrorPermanent
	}
	return ErrorUnknown
}
