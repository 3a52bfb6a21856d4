// Package delivery serves the delivery area of Clover's API by asking a
// Spinnaker installation: Halyard and Gate.
package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	deliveryv1 "github.com/opnfv/clover/api/clover/delivery/v1"
	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/gate"
	"github.com/opnfv/clover/spinnaker/halyard"
)

// Options of a Service. Without Halyard and Gate all calls say that there is
// no Spinnaker.
type Options struct {
	// Halyard keeps accounts. "": Gate does.
	Halyard halyard.Options
	// KubeconfigPaths says that the daemon takes kubeconfigs as paths on its
	// own disk, not as content.
	KubeconfigPaths bool
	// Gate is for pipelines, and for accounts where Halyard.URL is "".
	Gate gate.Options
	// AllowExec takes kubeconfigs whose credentials come from a program: it
	// would be run where Spinnaker runs.
	AllowExec bool
}

// Service serves the delivery area. Its methods may be called concurrently.
type Service struct {
	deliveryv1.UnimplementedDeliveryServiceServer
	opts           Options
	halyard, quick *halyard.Client // quick skips validation; both may be nil
	gate           *gate.Client    // may be nil
}

var _ deliveryv1.DeliveryServiceServer = (*Service)(nil)

// New checks the options. It makes no request.
func New(o Options) (*Service, error) {
	s := &Service{opts: o}
	var err error
	if o.Halyard.URL != "" {
		if s.halyard, err = halyard.New(o.Halyard); err != nil {
			return nil, err
		}
		o.Halyard.SkipValidation = true
		if s.quick, err = halyard.New(o.Halyard); err != nil {
			return nil, err
		}
	}
	if o.Gate.URL != "" {
		if s.gate, err = gate.New(o.Gate); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// providers are the spellings of users and of Spinnaker.
var providers = map[string]string{
	"docker-registry": spinnaker.DockerRegistryProvider,
	"dockerregistry":  spinnaker.DockerRegistryProvider,
	"kubernetes":      spinnaker.KubernetesProvider,
}

// provider returns a provider as Spinnaker spells it; those without a
// spelling of their own are passed on.
func provider(name string) (string, error) {
	if p := providers[strings.ToLower(name)]; p != "" {
		return p, nil
	}
	if name == "" || strings.ContainsAny(name, "/?#% ") {
		return "", status.Error(codes.InvalidArgument, "provider: want e.g. docker-registry, kubernetes")
	}
	return name, nil
}

// spoken returns a provider as users spell it.
func spoken(provider string) string {
	if provider == spinnaker.DockerRegistryProvider {
		return "docker-registry"
	}
	return provider
}

// needGate returns Gate, or says that there is none.
func (s *Service) needGate() (*gate.Client, error) {
	if s.gate == nil {
		return nil, status.Error(codes.FailedPrecondition, "the controller knows no Gate of Spinnaker; start it with --gate URL")
	}
	return s.gate, nil
}

// asStatus gives an error the gRPC code that callers can act on.
func asStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	code := codes.Internal
	for kind, c := range map[error]codes.Code{
		spinnaker.ErrDenied: codes.FailedPrecondition, spinnaker.ErrExists: codes.AlreadyExists,
		spinnaker.ErrTemporary: codes.Unavailable, spinnaker.ErrProtocol: codes.FailedPrecondition,
		spinnaker.ErrUnsupported: codes.FailedPrecondition,
	} {
		if errors.Is(err, kind) {
			code = c
		}
	}
	switch {
	case errors.Is(err, spinnaker.ErrNotFound):
		code = codes.NotFound
	case errors.Is(err, spinnaker.ErrInvalid):
		return invalid(err)
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	}
	return status.Error(code, err.Error())
}

// invalid returns an InvalidArgument that names the field.
func invalid(err error) error {
	st := status.New(codes.InvalidArgument, err.Error())
	var fault *spinnaker.FieldError
	if !errors.As(err, &fault) || fault.Field == "" {
		return st.Err()
	}
	detailed, detailErr := st.WithDetails(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
		{Field: fault.Field, Description: fault.Msg},
	}})
	if detailErr != nil {
		return st.Err()
	}
	return detailed.Err()
}

// toStruct returns a value as a Struct.
func toStruct(v any) (*structpb.Struct, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	out := &structpb.Struct{}
	return out, protojson.Unmarshal(data, out)
}

// fromStruct returns the JSON of a Struct.
func fromStruct(s *structpb.Struct) ([]byte, error) {
	if s == nil {
		return nil, status.Error(codes.InvalidArgument, "empty; want keys with values")
	}
	return json.Marshal(s.AsMap())
}
