package tracing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestClassify(t *testing.T) {
	tests := []struct {
		err  error
		want ErrorKind
	}{
		{nil, ErrorUnknown},
		{errors.New("x"), ErrorUnknown},
		{fmt.Errorf("a: %w", &Error{Op: "x", Kind: ErrorUnsupported, Err: errors.New("y")}), ErrorUnsupported},
		{&Error{Op: "x", Err: fmt.Errorf("a: %w", ErrPermanent)}, ErrorPermanent},
		{fmt.Errorf("a: %w", ErrTemporary), ErrorTemporary},
		{context.DeadlineExceeded, ErrorTemporary},
		{context.Canceled, ErrorPermanent},
		{fmt.Errorf("a: %w", &net.OpError{Op: "dial", Err: errors.New("refused")}), ErrorTemporary},
		{status.Error(codes.Unavailable, ""), ErrorTemporary},
		{status.Error(codes.Unimplemented, ""), ErrorUnsupported},
		{status.Error(codes.InvalidArgument, ""), ErrorInvalid},
		{status.Error(codes.PermissionDenied, ""), ErrorPermanent},
	}
	for _, test := range tests {
		if got := Classify(test.err); got != test.want {
			t.Errorf("%v: %s, want %s", test.err, got, test.want)
		}
	}
}

func TestErrorIs(t *testing.T) {
	cause := errors.New("cause")
	err := error(&Error{Op: "search traces", Target: "http://j", Kind: ErrorTemporary, Err: cause})
	if !errors.Is(err, ErrTemporary) || errors.Is(err, ErrPermanent) || !errors.Is(err, cause) {
		t.Errorf("%v is not what it should be", err)
	}
	if got := err.Error(); got != "search traces http://j: cause" {
		t.Errorf("text %q", got)
	}
	for code, want := range map[int]ErrorKind{200: ErrorUnknown, 400: ErrorInvalid, 401: ErrorPermanent, 415: ErrorUnsupported, 500: ErrorPermanent, 503: ErrorTemporary} {
		if got := KindOfHTTPStatus(code); got != want {
			t.Errorf("HTTP %d: %s, want %s", code, got, want)
		}
	}
}
