package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/opnfv/clover/api/jmeter"
	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/master"
	"github.com/opnfv/clover/jmeter/report"
)

// Service answers jmeter.Controller. Its methods may be called concurrently.
type Service struct {
	pb.UnimplementedControllerServer
	Master *master.Master
}

var _ pb.ControllerServer = Service{}

// GenTest implements jmeter.Controller.
func (s Service) GenTest(_ context.Context, r *pb.GenTestRequest) (*pb.GenTestResponse, error) {
	kept, err := s.Master.SetPlan(master.Plan{Name: r.GetName(), Text: r.GetPlan(), Files: r.GetFiles()})
	if err != nil {
		return nil, asStatus(err)
	}
	plan, err := s.plan(kept, false)
	if err != nil {
		return nil, asStatus(err)
	}
	message := "Created test plan"
	if kept.Name != master.DefaultPlan {
		message += " " + kept.Name
	}
	if !slices.Contains(plan.GetEngines(), master.JMeter) {
		if why := plan.GetProblems()[master.JMeter]; why != "" {
			message += "; for the engine " + master.Builtin + " only: " + why
		}
	}
	return &pb.GenTestResponse{Message: message, Plan: plan}, nil
}

// StartTest implements jmeter.Controller.
func (s Service) StartTest(ctx context.Context, r *pb.StartTestRequest) (*pb.StartTestResponse, error) {
	o := master.StartOptions{
		Plan: r.GetPlan(), Engine: r.GetEngine(), Slaves: int(r.GetSlaves()), Queue: r.GetQueue(), RunID: r.GetRunId(), Criteria: r.GetCriteria(),
	}
	if r.GetLimit() != nil {
		if err := r.GetLimit().CheckValid(); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "limit: %v", err)
		}
		o.Limit = r.GetLimit().AsDuration()
	}
	run, err := s.Master.Start(ctx, o)
	if err != nil {
		return nil, asStatus(err)
	}
	return &pb.StartTestResponse{Message: started(run), Run: runOf(run)}, nil
}

// started says what was started.
func started(r master.Run) string {
	where := "on the master"
	if n := len(r.Addresses); n > 0 {
		where = fmt.Sprintf("on %d slaves", n)
		if n == 1 {
			where = "on 1 slave"
		}
	}
	text := fmt.Sprintf("Started test plan %s by %s %s: run %s", r.Plan, r.Engine, where, r.ID)
	for _, n := range r.Notes {
		text += "\n" + n
	}
	return text
}

// StopTest implements jmeter.Controller.
func (s Service) StopTest(_ context.Context, r *pb.StopTestRequest) (*pb.StopTestResponse, error) {
	run, err := s.Master.Stop(r.GetRunId(), r.GetNow())
	if err != nil {
		return nil, asStatus(err)
	}
	message := "Stopping run " + run.ID
	if run.State.Over() {
		message = "Run " + run.ID + " will not begin"
	}
	return &pb.StopTestResponse{Message: message, Run: runOf(run)}, nil
}

// The formats of results beside those of package report.
const (
	logFormat    = "log"
	detailFormat = "detail"
)

// GetResults implements jmeter.Controller.
func (s Service) GetResults(_ context.Context, r *pb.GetResultsRequest) (*pb.GetResultsResponse, error) {
	var run master.Run
	var text string
	var next int64
	var err error
	switch format := r.GetFormat(); {
	case r.GetOffset() < 0 || r.GetOffset() > 0 && format != detailFormat:
		return nil, status.Errorf(codes.InvalidArgument, "offset: %d; want 0 or more, with the format %s", r.GetOffset(), detailFormat)
	case format == "" || format == logFormat:
		run, text, err = s.Master.Log(r.GetRunId())
	case format == detailFormat:
		run, text, next, err = s.Master.Detail(r.GetRunId(), r.GetOffset())
	case slices.Contains(report.Formats, format):
		run, text, err = s.report(r.GetRunId(), format)
	default:
		return nil, status.Errorf(codes.InvalidArgument, "format: %.40q; want %s, %s, %s", format, logFormat, detailFormat, strings.Join(report.Formats, ", "))
	}
	if err != nil {
		return nil, asStatus(err)
	}
	// What servers say need not be UTF-8, as texts in protobuf have to be.
	return &pb.GetResultsResponse{Message: strings.ToValidUTF8(text, "\uFFFD"), Run: runOf(run), NextOffset: next}, nil
}

func (s Service) report(id, format string) (master.Run, string, error) {
	run, r, err := s.Master.Report(id)
	if err != nil {
		return run, "", err
	}
	var b bytes.Buffer
	err = r.Write(&b, format)
	return run, b.String(), err
}

// GetPlan implements jmeter.Controller.
func (s Service) GetPlan(_ context.Context, r *pb.GetPlanRequest) (*pb.GetPlanResponse, error) {
	kept, err := s.Master.Plan(r.GetName())
	if err != nil {
		return nil, asStatus(err)
	}
	plan, err := s.plan(kept, true)
	if err != nil {
		return nil, asStatus(err)
	}
	return &pb.GetPlanResponse{Plan: plan}, nil
}

// ListPlans implements jmeter.Controller.
func (s Service) ListPlans(context.Context, *pb.ListPlansRequest) (*pb.ListPlansResponse, error) {
	kept, err := s.Master.Plans()
	if err != nil {
		return nil, asStatus(err)
	}
	res := &pb.ListPlansResponse{}
	for _, k := range kept {
		plan, err := s.plan(k, false)
		if err != nil {
			return nil, asStatus(err)
		}
		res.Plans = append(res.Plans, plan)
	}
	return res, nil
}

// GetRun implements jmeter.Controller.
func (s Service) GetRun(_ context.Context, r *pb.GetRunRequest) (*pb.GetRunResponse, error) {
	run, err := s.Master.Get(r.GetRunId())
	if err != nil {
		return nil, asStatus(err)
	}
	return &pb.GetRunResponse{Run: runOf(run)}, nil
}

// ListRuns implements jmeter.Controller.
func (s Service) ListRuns(context.Context, *pb.ListRunsRequest) (*pb.ListRunsResponse, error) {
	runs, dropped := s.Master.Runs()
	res := &pb.ListRunsResponse{Dropped: dropped}
	for _, r := range runs {
		res.Runs = append(res.Runs, runOf(r))
	}
	return res, nil
}

// WatchRun implements jmeter.Controller.
func (s Service) WatchRun(r *pb.WatchRunRequest, out grpc.ServerStreamingServer[pb.WatchRunResponse]) error {
	return asStatus(s.Master.Watch(out.Context(), r.GetRunId(), func(run master.Run) error {
		return out.Send(&pb.WatchRunResponse{Run: runOf(run)})
	}))
}

// asStatus gives an error the gRPC code that callers can act on. A target that
// is not allowed is a fault of the plan, not a lack of rights.
func asStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	code := codes.Internal
	for _, c := range []struct {
		is   error
		code codes.Code
	}{
		{jmeter.ErrNotFound, codes.NotFound}, {jmeter.ErrBusy, codes.FailedPrecondition}, {jmeter.ErrDenied, codes.FailedPrecondition},
		{jmeter.ErrUnsupported, codes.FailedPrecondition}, {master.ErrNoSlaves, codes.FailedPrecondition},
		{master.ErrQueueFull, codes.ResourceExhausted}, {master.ErrExists, codes.AlreadyExists}, {jmeter.ErrInvalid, codes.InvalidArgument},
		{context.DeadlineExceeded, codes.DeadlineExceeded}, {context.Canceled, codes.Canceled},
	} {
		if errors.Is(err, c.is) {
			code = c.code
			break
		}
	}
	return status.Error(code, strings.ToValidUTF8(err.Error(), "\uFFFD"))
}
