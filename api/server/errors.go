package server

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/opnfv/clover/visibility"
)

// asStatus gives an error the gRPC code that callers can act on. Wrong input
// carries a google.rpc.BadRequest that names the field.
func asStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	code := codes.Internal
	switch {
	case errors.Is(err, visibility.ErrInvalid):
		return invalid(err.Error())
	case errors.Is(err, visibility.ErrNotFound):
		code = codes.NotFound
	case errors.Is(err, visibility.ErrLimit):
		code = codes.ResourceExhausted
	case errors.Is(err, visibility.ErrUnavailable), errors.Is(err, visibility.ErrLocked):
		code = codes.Unavailable
	case errors.Is(err, visibility.ErrUnsupported):
		code = codes.Unimplemented
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	}
	return status.Error(code, err.Error())
}

// inField is asStatus for an error that the value of one field of the request
// caused.
func inField(field string, err error) error {
	if errors.Is(err, visibility.ErrInvalid) {
		return invalidIn(field, err.Error())
	}
	return asStatus(err)
}

// invalid returns an InvalidArgument whose message begins with the field, as
// the library's do.
func invalid(message string) error {
	field, _, ok := strings.Cut(message, ":")
	if !ok || strings.ContainsAny(field, " \"") {
		field = ""
	}
	return invalidIn(field, message)
}

// invalidIn returns an InvalidArgument that names the field in its details.
func invalidIn(field, message string) error {
	st := status.New(codes.InvalidArgument, message)
	detailed, err := st.WithDetails(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
		{Field: field, Description: message},
	}})
	if err != nil {
		return st.Err()
	}
	return detailed.Err()
}
