package control

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/opnfv/clover/api/snort"
)

// Snort answers snort.Controller.
type Snort struct {
	snort.UnimplementedControllerServer
	Engine Engine
}

// AddRules implements snort.Controller.
func (s *Snort) AddRules(ctx context.Context, r *snort.AddRulesRequest) (*snort.AddRulesResponse, error) {
	rule, err := ParseRule(r.GetSid(), r.GetRev(), r.GetProtocol(), r.GetMsg(), r.GetContent(),
		End{Address: r.GetSrcIp(), Port: r.GetSrcPort()}, End{Address: r.GetDestIp(), Port: r.GetDestPort()})
	if err != nil {
		return nil, rpcError(err)
	}
	rules, err := s.Engine.AddRule(ctx, rule)
	if err != nil {
		return nil, rpcError(err)
	}
	return &snort.AddRulesResponse{Message: "Added to local rules", Rule: rule.String(), Rules: int32(rules)}, nil
}

// StartSnort implements snort.Controller.
func (s *Snort) StartSnort(ctx context.Context, _ *snort.StartSnortRequest) (*snort.StartSnortResponse, error) {
	e, err := s.Engine.Start(ctx)
	if err != nil {
		return nil, rpcError(err)
	}
	return &snort.StartSnortResponse{
		Message: fmt.Sprintf("Started %s on pid: %d", e.Engine, e.PID), Engine: e.Engine, Pid: int32(e.PID),
	}, nil
}

// StopSnort implements snort.Controller.
func (s *Snort) StopSnort(ctx context.Context, _ *snort.StopSnortRequest) (*snort.StopSnortResponse, error) {
	e, err := s.Engine.Stop(ctx)
	if err != nil {
		return nil, rpcError(err)
	}
	return &snort.StopSnortResponse{
		Message: fmt.Sprintf("Stopped %s on pid: %d, Cleared %s logs", e.Engine, e.PID, e.Engine),
		Engine:  e.Engine, Pid: int32(e.PID),
	}, nil
}

// rpcError gives an error its gRPC code.
func rpcError(err error) error {
	switch {
	case errors.Is(err, ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return status.FromContextError(err).Err()
	default:
		return status.Error(codes.FailedPrecondition, err.Error())
	}
}
