package tracing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // so that senders may compress
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Export is OTLP's TraceService/Export. Its errors are gRPC statuses.
func (r *Receiver) Export(ctx context.Context, req *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	r.requests.Add(1)
	room, err := r.gate.enter(ctx, int64(proto.Size(req)))
	if err != nil {
		return nil, r.refusal(err).Err()
	}
	defer room.leave()
	resp, st := r.consume(ctx, SourceOTLPGRPC, room, req)
	return resp, st.Err()
}

// consume hands a request to the sink. The status is nil for success.
func (r *Receiver) consume(ctx context.Context, source string, room *pass, req *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, *status.Status) {
	if err := room.call(ctx); err != nil {
		return nil, r.refusal(err)
	}
	spans, rejected := FromOTLP(req.ResourceSpans)
	if len(spans) > 0 || len(rejected) > 0 {
		if err := r.sink.ConsumeSpans(ctx, source, spans, rejected); err != nil {
			r.failed.Add(1)
			r.o.Logger.Warn("sink did not take spans", "source", source, "spans", len(spans), "error", err)
			return nil, r.failure(err)
		}
	}
	r.spans.Add(uint64(len(spans)))
	resp := &coltracepb.ExportTraceServiceResponse{}
	if len(rejected) > 0 {
		resp.PartialSuccess = partialSuccess(rejected)
		r.rejected.Add(uint64(resp.PartialSuccess.RejectedSpans))
	}
	return resp, nil
}

// partialSuccess tells the sender how many spans were invalid, and why.
func partialSuccess(rejected []Rejection) *coltracepb.ExportTracePartialSuccess {
	p := &coltracepb.ExportTracePartialSuccess{}
	var b strings.Builder
	for i, rejection := range rejected {
		p.RejectedSpans += int64(rejection.Count)
		switch {
		case i > 9:
			continue
		case i == 9:
			b.WriteString("; …")
			continue
		case i > 0:
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%d of service %q: %s", rejection.Count, rejection.Service, rejection.Reason)
	}
	p.ErrorMessage = b.String()
	return p
}

// refusal answers a request that found no room, or whose sender went away.
func (r *Receiver) refusal(err error) *status.Status {
	if !errors.Is(err, errBusy) {
		return status.FromContextError(err)
	}
	r.refused.Add(1)
	return withRetry(codes.ResourceExhausted, err.Error()+", come again", r.o.RetryAfter)
}

// failure answers with a sink's error, by its kind (OTLP specification,
// "OTLP/gRPC Response"): only temporary failures are repeated by senders.
func (r *Receiver) failure(err error) *status.Status {
	message := valid(err.Error())
	switch Classify(err) {
	case ErrorPermanent:
		if errors.Is(err, context.Canceled) {
			return status.New(codes.Canceled, message)
		}
		return status.New(codes.Internal, message)
	case ErrorInvalid:
		return status.New(codes.InvalidArgument, message)
	case ErrorUnsupported:
		return status.New(codes.Unimplemented, message)
	}
	after := r.o.RetryAfter
	var own *Error
	if errors.As(err, &own) && own.RetryAfter > 0 {
		after = own.RetryAfter
	}
	return withRetry(codes.Unavailable, message, after)
}

func withRetry(code codes.Code, message string, after time.Duration) *status.Status {
	st := status.New(code, message)
	with, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	if err != nil {
		return st
	}
	return with
}

// retryDelay returns the RetryInfo of a status; ok is false if it has none.
func retryDelay(st *status.Status) (after time.Duration, ok bool) {
	for _, detail := range st.Details() {
		if info, isInfo := detail.(*errdetails.RetryInfo); isInfo {
			return info.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}
