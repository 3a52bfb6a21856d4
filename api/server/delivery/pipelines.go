package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	deliveryv1 "github.com/opnfv/clover/api/clover/delivery/v1"
	"github.com/opnfv/clover/spinnaker"
	"github.com/opnfv/clover/spinnaker/gate"
	"github.com/opnfv/clover/spinnaker/pipeline"
)

func summary(p pipeline.Pipeline) *deliveryv1.PipelineSummary {
	out := &deliveryv1.PipelineSummary{Id: p.ID, Application: p.Application, Name: p.Name}
	if err := p.Check(); err != nil {
		out.Problem = err.Error()
	}
	order, err := p.Order()
	if err != nil {
		return out
	}
	for _, ref := range order {
		s, _ := p.Stage(ref)
		out.Stages = append(out.Stages, s.Name)
	}
	return out
}

// ListPipelines implements deliveryv1.DeliveryServiceServer.
func (s *Service) ListPipelines(ctx context.Context, r *deliveryv1.ListPipelinesRequest) (*deliveryv1.ListPipelinesResponse, error) {
	g, err := s.needGate()
	if err != nil {
		return nil, err
	}
	all, err := g.Pipelines(ctx, r.GetApplication())
	if err != nil {
		return nil, asStatus(err)
	}
	res := &deliveryv1.ListPipelinesResponse{}
	for _, p := range all {
		res.Pipelines = append(res.Pipelines, summary(p))
	}
	return res, nil
}

// GetPipeline implements deliveryv1.DeliveryServiceServer.
func (s *Service) GetPipeline(ctx context.Context, r *deliveryv1.GetPipelineRequest) (*deliveryv1.GetPipelineResponse, error) {
	g, err := s.needGate()
	if err != nil {
		return nil, err
	}
	p, err := g.Pipeline(ctx, r.GetApplication(), r.GetName())
	if err != nil {
		return nil, asStatus(err)
	}
	all, err := toStruct(p)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "pipeline %s cannot be shown: %v", p.Name, err)
	}
	return &deliveryv1.GetPipelineResponse{Summary: summary(p), Pipeline: all}, nil
}

// SavePipeline implements deliveryv1.DeliveryServiceServer.
func (s *Service) SavePipeline(ctx context.Context, r *deliveryv1.SavePipelineRequest) (*deliveryv1.SavePipelineResponse, error) {
	g, err := s.needGate()
	if err != nil {
		return nil, err
	}
	data, err := fromStruct(r.GetPipeline())
	if err != nil {
		return nil, err
	}
	p, err := pipeline.Read(data)
	if err != nil {
		return nil, asStatus(err)
	}
	old, err := g.Pipeline(ctx, p.Application, p.Name)
	there := err == nil
	if err != nil && !errors.Is(err, spinnaker.ErrNotFound) {
		return nil, asStatus(err)
	}
	done := map[bool]map[bool]string{
		false: {false: "Created", true: "Replaced"},
		true:  {false: "Would create", true: "Would replace"},
	}[r.GetDryRun()][there]
	if there && p.ID == "" {
		p.ID = old.ID
	}
	if !r.GetDryRun() {
		if err := g.SavePipeline(ctx, p); err != nil {
			return nil, asStatus(err)
		}
	}
	return &deliveryv1.SavePipelineResponse{Message: done + " pipeline " + p.Name + " of application " + p.Application, Summary: summary(p)}, nil
}

// DeletePipeline implements deliveryv1.DeliveryServiceServer.
func (s *Service) DeletePipeline(ctx context.Context, r *deliveryv1.DeletePipelineRequest) (*deliveryv1.DeletePipelineResponse, error) {
	g, err := s.needGate()
	if err != nil {
		return nil, err
	}
	done := "Deleted"
	if r.GetDryRun() {
		done = "Would delete"
		_, err = g.Pipeline(ctx, r.GetApplication(), r.GetName())
	} else {
		err = g.DeletePipeline(ctx, r.GetApplication(), r.GetName())
	}
	if err != nil {
		return nil, asStatus(err)
	}
	return &deliveryv1.DeletePipelineResponse{Message: done + " pipeline " + r.GetName()}, nil
}

// StartPipeline implements deliveryv1.DeliveryServiceServer.
func (s *Service) StartPipeline(ctx context.Context, r *deliveryv1.StartPipelineRequest) (*deliveryv1.StartPipelineResponse, error) {
	g, err := s.needGate()
	if err != nil {
		return nil, err
	}
	t := gate.Trigger{Parameters: r.GetParameters().AsMap(), DryRun: r.GetDryRun()}
	for _, raw := range r.GetArtifacts() {
		data, err := fromStruct(raw)
		if err != nil {
			return nil, err
		}
		var a pipeline.Artifact
		if err := json.Unmarshal(data, &a); err != nil || a.Type == "" {
			return nil, status.Error(codes.InvalidArgument, "artifacts: want objects with type, name and reference, e.g. s3/object")
		}
		t.Artifacts = append(t.Artifacts, a)
	}
	id, err := g.Start(ctx, r.GetApplication(), r.GetName(), t)
	if err != nil {
		return nil, asStatus(err)
	}
	return &deliveryv1.StartPipelineResponse{Message: "Started pipeline " + r.GetName() + ", execution " + id, ExecutionId: id}, nil
}

// ListExecutions implements deliveryv1.DeliveryServiceServer.
func (s *Service) ListExecutions(ctx context.Context, r *deliveryv1.ListExecutionsRequest) (*deliveryv1.ListExecutionsResponse, error) {
	const most = 500
	g, err := s.needGate()
	switch {
	case err != nil:
		return nil, err
	case r.GetApplication() == "":
		return nil, status.Error(codes.InvalidArgument, "application: is missing")
	case r.GetLimit() < 0 || r.GetLimit() > most:
		return nil, status.Errorf(codes.InvalidArgument, "limit: %d; want 1 to %d", r.GetLimit(), most)
	}
	all, err := g.Executions(ctx, r.GetApplication(), gate.ExecutionFilter{Pipeline: r.GetPipeline(), Limit: int(r.GetLimit())})
	if err != nil {
		return nil, asStatus(err)
	}
	res := &deliveryv1.ListExecutionsResponse{}
	for _, x := range all {
		res.Executions = append(res.Executions, execution(x))
	}
	return res, nil
}

// GetExecution implements deliveryv1.DeliveryServiceServer.
func (s *Service) GetExecution(ctx context.Context, r *deliveryv1.GetExecutionRequest) (*deliveryv1.GetExecutionResponse, error) {
	g, err := s.needGate()
	if err != nil {
		return nil, err
	}
	x, err := g.Execution(ctx, r.GetId())
	if err != nil {
		return nil, asStatus(err)
	}
	return &deliveryv1.GetExecutionResponse{Execution: execution(x)}, nil
}

// CancelExecution implements deliveryv1.DeliveryServiceServer.
func (s *Service) CancelExecution(ctx context.Context, r *deliveryv1.CancelExecutionRequest) (*deliveryv1.CancelExecutionResponse, error) {
	g, err := s.needGate()
	if err != nil {
		return nil, err
	}
	if err := g.Cancel(ctx, r.GetId(), r.GetReason()); err != nil {
		return nil, asStatus(err)
	}
	return &deliveryv1.CancelExecutionResponse{Message: "Canceled execution " + r.GetId()}, nil
}

func execution(x gate.Execution) *deliveryv1.Execution {
	out := &deliveryv1.Execution{
		Id: x.ID, Application: x.Application, Pipeline: x.Name, Status: string(x.Status),
		Complete: x.Status.Complete(), Failed: x.Status.Failed(), StartTime: at(x.StartTime), EndTime: at(x.EndTime),
		CancellationReason: x.CancellationReason,
	}
	for _, s := range x.Stages {
		if s.ParentStageID != "" && !s.Status.Failed() {
			continue // Orca's own, unless it says what went wrong
		}
		out.Stages = append(out.Stages, &deliveryv1.ExecutionStage{
			RefId: s.RefID, Name: s.Name, Type: s.Type, Status: string(s.Status), StartTime: at(s.StartTime), EndTime: at(s.EndTime), Errors: s.Errors(),
		})
	}
	return out
}

// at returns milliseconds since 1970 as a time; 0 is none.
func at(millis int64) *timestamppb.Timestamp {
	if millis <= 0 {
		return nil
	}
	return timestamppb.New(time.UnixMilli(millis))
}
