// Package loadtests serves the load test area of Clover's API by asking the
// master of load tests, clover-jmeter-master in a cluster.
package loadtests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	loadtestv1 "github.com/opnfv/clover/api/clover/loadtest/v1"
	"github.com/opnfv/clover/api/jmeter"
)

// Service serves the load test area. Its methods may be called concurrently.
type Service struct {
	loadtestv1.UnimplementedLoadTestServiceServer
	client  jmeter.ControllerClient
	address string
	timeout time.Duration
}

var _ loadtestv1.LoadTestServiceServer = (*Service)(nil)

// DefaultTimeout bounds a call that is not a stream.
const DefaultTimeout = 20 * time.Second

// New returns a service that asks the master at conn, which stays the
// caller's to close. address names the master in errors.
func New(conn grpc.ClientConnInterface, address string) *Service {
	return &Service{client: jmeter.NewControllerClient(conn), address: address, timeout: DefaultTimeout}
}

// ask calls the master and explains its errors.
func ask[Req, Res any](ctx context.Context, s *Service, call func(context.Context, Req, ...grpc.CallOption) (Res, error), r Req) (Res, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	res, err := call(ctx, r)
	return res, s.explain(err)
}

// dialing is what gRPC puts around the reason why there is no connection.
var dialing = regexp.MustCompile(`^connection error: desc = "(?:transport: )?(?:Error while dialing: )?(.*)"$`)

// explain says of whom an error is, and what to do. What the master says of a
// plan or a run is the caller's to read.
func (s *Service) explain(err error) error {
	if err == nil {
		return nil
	}
	switch st := status.Convert(err); st.Code() {
	case codes.Unavailable:
		return status.Errorf(codes.Unavailable, "the master of load tests does not answer at %s: %s; create it with: cloverctl create system validation", s.address, dialing.ReplaceAllString(st.Message(), "$1"))
	case codes.DeadlineExceeded:
		return status.Errorf(codes.DeadlineExceeded, "the master of load tests at %s has not answered in time", s.address)
	case codes.Unauthenticated, codes.PermissionDenied:
		return status.Errorf(codes.Internal, "the master of load tests at %s refuses this controller: %s", s.address, st.Message())
	}
	return err
}

// CreatePlan implements loadtestv1.LoadTestServiceServer.
func (s *Service) CreatePlan(ctx context.Context, r *loadtestv1.CreatePlanRequest) (*loadtestv1.CreatePlanResponse, error) {
	plan := r.GetPlan()
	if plan == nil {
		plan = &jmeter.GenTestRequest{}
	}
	res, err := ask(ctx, s, s.client.GenTest, plan)
	if err != nil {
		return nil, err
	}
	return &loadtestv1.CreatePlanResponse{Message: res.GetMessage(), Plan: res.GetPlan()}, nil
}

// ListPlans implements loadtestv1.LoadTestServiceServer.
func (s *Service) ListPlans(ctx context.Context, _ *loadtestv1.ListPlansRequest) (*loadtestv1.ListPlansResponse, error) {
	res, err := ask(ctx, s, s.client.ListPlans, &jmeter.ListPlansRequest{})
	if err != nil {
		return nil, err
	}
	return &loadtestv1.ListPlansResponse{Plans: res.GetPlans()}, nil
}

// GetPlan implements loadtestv1.LoadTestServiceServer.
func (s *Service) GetPlan(ctx context.Context, r *loadtestv1.GetPlanRequest) (*loadtestv1.GetPlanResponse, error) {
	res, err := ask(ctx, s, s.client.GetPlan, &jmeter.GetPlanRequest{Name: r.GetName()})
	if err != nil {
		return nil, err
	}
	return &loadtestv1.GetPlanResponse{Plan: res.GetPlan()}, nil
}

// StartRun implements loadtestv1.LoadTestServiceServer.
func (s *Service) StartRun(ctx context.Context, r *loadtestv1.StartRunRequest) (*loadtestv1.StartRunResponse, error) {
	res, err := ask(ctx, s, s.client.StartTest, &jmeter.StartTestRequest{
		Plan: r.GetPlan(), Slaves: r.GetSlaves(), Engine: r.GetEngine(), Queue: r.GetQueue(), RunId: r.GetRunId(),
		Limit: r.GetLimit(), Criteria: r.GetCriteria(),
	})
	if err != nil {
		return nil, err
	}
	return &loadtestv1.StartRunResponse{Message: res.GetMessage(), Run: res.GetRun()}, nil
}

// StopRun implements loadtestv1.LoadTestServiceServer.
func (s *Service) StopRun(ctx context.Context, r *loadtestv1.StopRunRequest) (*loadtestv1.StopRunResponse, error) {
	res, err := ask(ctx, s, s.client.StopTest, &jmeter.StopTestRequest{RunId: r.GetRunId(), Now: r.GetNow()})
	if err != nil {
		return nil, err
	}
	return &loadtestv1.StopRunResponse{Message: res.GetMessage(), Run: res.GetRun()}, nil
}

// ListRuns implements loadtestv1.LoadTestServiceServer.
func (s *Service) ListRuns(ctx context.Context, _ *loadtestv1.ListRunsRequest) (*loadtestv1.ListRunsResponse, error) {
	res, err := ask(ctx, s, s.client.ListRuns, &jmeter.ListRunsRequest{})
	if err != nil {
		return nil, err
	}
	return &loadtestv1.ListRunsResponse{Runs: res.GetRuns(), Dropped: res.GetDropped()}, nil
}

// GetRun implements loadtestv1.LoadTestServiceServer.
func (s *Service) GetRun(ctx context.Context, r *loadtestv1.GetRunRequest) (*loadtestv1.GetRunResponse, error) {
	res, err := ask(ctx, s, s.client.GetRun, &jmeter.GetRunRequest{RunId: r.GetRunId()})
	if err != nil {
		return nil, err
	}
	return &loadtestv1.GetRunResponse{Run: res.GetRun()}, nil
}

// GetResults implements loadtestv1.LoadTestServiceServer.
func (s *Service) GetResults(ctx context.Context, r *loadtestv1.GetResultsRequest) (*loadtestv1.GetResultsResponse, error) {
	res, err := ask(ctx, s, s.client.GetResults, &jmeter.GetResultsRequest{RunId: r.GetRunId(), Format: r.GetFormat(), Offset: r.GetOffset()})
	if err != nil {
		return nil, err
	}
	return &loadtestv1.GetResultsResponse{Message: res.GetMessage(), Run: res.GetRun(), NextOffset: res.GetNextOffset()}, nil
}

// WatchRun implements loadtestv1.LoadTestServiceServer.
func (s *Service) WatchRun(r *loadtestv1.WatchRunRequest, out grpc.ServerStreamingServer[loadtestv1.WatchRunResponse]) error {
	in, err := s.client.WatchRun(out.Context(), &jmeter.WatchRunRequest{RunId: r.GetRunId()})
	if err != nil {
		return s.explain(err)
	}
	for {
		m, err := in.Recv()
		switch {
		case errors.Is(err, io.EOF), out.Context().Err() != nil:
			return nil //nolint:nilerr // nobody is left to tell
		case err != nil:
			return s.explain(err)
		}
		if err := out.Send(&loadtestv1.WatchRunResponse{Run: m.GetRun()}); err != nil {
			return fmt.Errorf("watch: %w", err)
		}
	}
}
