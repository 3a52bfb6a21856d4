package server

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
)

// Forwarder passes every call on to a service in another process. Errors and
// deadlines pass through as they are, but for a refusal of this process
// itself, which is no fault of the caller's: that is Internal.
type Forwarder struct {
	v1.UnimplementedVisibilityServiceServer
	client v1.VisibilityServiceClient
	opts   ForwarderOptions
}

// ForwarderOptions of a Forwarder. The zero value works.
type ForwarderOptions struct {
	// Sources are looked at before a request that names some is passed on;
	// the zero value leaves that to the service behind.
	Sources CheckedSources
}

var _ v1.VisibilityServiceServer = (*Forwarder)(nil)

// NewForwarder returns a service that calls the one at conn, which stays the
// caller's to close.
func NewForwarder(conn grpc.ClientConnInterface, opts ForwarderOptions) *Forwarder {
	return &Forwarder{client: v1.NewVisibilityServiceClient(ownFaults{conn}), opts: opts}
}

// ownFaults tells refusals of this process from those of its callers.
type ownFaults struct{ grpc.ClientConnInterface }

// Invoke implements grpc.ClientConnInterface.
func (c ownFaults) Invoke(ctx context.Context, method string, req, res any, opts ...grpc.CallOption) error {
	return ownFault(c.ClientConnInterface.Invoke(ctx, method, req, res, opts...))
}

// NewStream implements grpc.ClientConnInterface.
func (c ownFaults) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := c.ClientConnInterface.NewStream(ctx, desc, method, opts...)
	if err != nil {
		return nil, ownFault(err)
	}
	return ownFaultStream{stream}, nil
}

type ownFaultStream struct{ grpc.ClientStream }

// RecvMsg implements grpc.ClientStream.
func (s ownFaultStream) RecvMsg(m any) error { return ownFault(s.ClientStream.RecvMsg(m)) }

func ownFault(err error) error {
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied:
		return status.Errorf(codes.Internal, "the collector refuses this controller: %s", status.Convert(err).Message())
	}
	return err
}

// GetStats implements v1.VisibilityServiceServer.
func (f *Forwarder) GetStats(ctx context.Context, r *v1.GetStatsRequest) (*v1.GetStatsResponse, error) {
	return f.client.GetStats(ctx, r)
}

// ListValues implements v1.VisibilityServiceServer.
func (f *Forwarder) ListValues(ctx context.Context, r *v1.ListValuesRequest) (*v1.ListValuesResponse, error) {
	return f.client.ListValues(ctx, r)
}

// GetGraph implements v1.VisibilityServiceServer.
func (f *Forwarder) GetGraph(ctx context.Context, r *v1.GetGraphRequest) (*v1.GetGraphResponse, error) {
	return f.client.GetGraph(ctx, r)
}

// GetMovers implements v1.VisibilityServiceServer.
func (f *Forwarder) GetMovers(ctx context.Context, r *v1.GetMoversRequest) (*v1.GetMoversResponse, error) {
	return f.client.GetMovers(ctx, r)
}

// GetHeatmap implements v1.VisibilityServiceServer.
func (f *Forwarder) GetHeatmap(ctx context.Context, r *v1.GetHeatmapRequest) (*v1.GetHeatmapResponse, error) {
	return f.client.GetHeatmap(ctx, r)
}

// SearchTraces implements v1.VisibilityServiceServer.
func (f *Forwarder) SearchTraces(ctx context.Context, r *v1.SearchTracesRequest) (*v1.SearchTracesResponse, error) {
	return f.client.SearchTraces(ctx, r)
}

// GetTrace implements v1.VisibilityServiceServer.
func (f *Forwarder) GetTrace(ctx context.Context, r *v1.GetTraceRequest) (*v1.GetTraceResponse, error) {
	return f.client.GetTrace(ctx, r)
}

// ListMetrics implements v1.VisibilityServiceServer.
func (f *Forwarder) ListMetrics(ctx context.Context, r *v1.ListMetricsRequest) (*v1.ListMetricsResponse, error) {
	return f.client.ListMetrics(ctx, r)
}

// GetMetrics implements v1.VisibilityServiceServer.
func (f *Forwarder) GetMetrics(ctx context.Context, r *v1.GetMetricsRequest) (*v1.GetMetricsResponse, error) {
	return f.client.GetMetrics(ctx, r)
}

// GetLedger implements v1.VisibilityServiceServer.
func (f *Forwarder) GetLedger(ctx context.Context, r *v1.GetLedgerRequest) (*v1.GetLedgerResponse, error) {
	return f.client.GetLedger(ctx, r)
}

// GetStatus implements v1.VisibilityServiceServer.
func (f *Forwarder) GetStatus(ctx context.Context, r *v1.GetStatusRequest) (*v1.GetStatusResponse, error) {
	return f.client.GetStatus(ctx, r)
}

// GetSummary implements v1.VisibilityServiceServer.
func (f *Forwarder) GetSummary(ctx context.Context, r *v1.GetSummaryRequest) (*v1.GetSummaryResponse, error) {
	return f.client.GetSummary(ctx, r)
}

// GetConfig implements v1.VisibilityServiceServer.
func (f *Forwarder) GetConfig(ctx context.Context, r *v1.GetConfigRequest) (*v1.GetConfigResponse, error) {
	return f.client.GetConfig(ctx, r)
}

// UpdateConfig implements v1.VisibilityServiceServer.
func (f *Forwarder) UpdateConfig(ctx context.Context, r *v1.UpdateConfigRequest) (*v1.UpdateConfigResponse, error) {
	if err := f.opts.Sources.checkChange(ctx, r.GetChange()); err != nil {
		return nil, err
	}
	return f.client.UpdateConfig(ctx, r)
}

// Init implements v1.VisibilityServiceServer.
func (f *Forwarder) Init(ctx context.Context, r *v1.InitRequest) (*v1.InitResponse, error) {
	return f.client.Init(ctx, r)
}

// Start implements v1.VisibilityServiceServer.
func (f *Forwarder) Start(ctx context.Context, r *v1.StartRequest) (*v1.StartResponse, error) {
	if err := f.opts.Sources.checkChange(ctx, r.GetChange()); err != nil {
		return nil, err
	}
	return f.client.Start(ctx, r)
}

// Stop implements v1.VisibilityServiceServer.
func (f *Forwarder) Stop(ctx context.Context, r *v1.StopRequest) (*v1.StopResponse, error) {
	return f.client.Stop(ctx, r)
}

// Clear implements v1.VisibilityServiceServer.
func (f *Forwarder) Clear(ctx context.Context, r *v1.ClearRequest) (*v1.ClearResponse, error) {
	return f.client.Clear(ctx, r)
}

// ExportTraces implements v1.VisibilityServiceServer.
func (f *Forwarder) ExportTraces(ctx context.Context, r *v1.ExportTracesRequest) (*v1.ExportTracesResponse, error) {
	return f.client.ExportTraces(ctx, r)
}

// Import implements v1.VisibilityServiceServer.
func (f *Forwarder) Import(ctx context.Context, r *v1.ImportRequest) (*v1.ImportResponse, error) {
	return f.client.Import(ctx, r)
}

// WatchStats implements v1.VisibilityServiceServer.
func (f *Forwarder) WatchStats(r *v1.WatchStatsRequest, out grpc.ServerStreamingServer[v1.WatchStatsResponse]) error {
	in, err := f.client.WatchStats(out.Context(), r)
	if err != nil {
		return err
	}
	return forward(in, out)
}

// ObserveSpans implements v1.VisibilityServiceServer.
func (f *Forwarder) ObserveSpans(r *v1.ObserveSpansRequest, out grpc.ServerStreamingServer[v1.ObserveSpansResponse]) error {
	in, err := f.client.ObserveSpans(out.Context(), r)
	if err != nil {
		return err
	}
	return forward(in, out)
}

// forward copies a stream until it ends, or until its reader or this server
// does: then there is no more to say, as with a local service.
func forward[T any](in grpc.ServerStreamingClient[T], out grpc.ServerStreamingServer[T]) error {
	for {
		m, err := in.Recv()
		switch {
		case errors.Is(err, io.EOF), out.Context().Err() != nil:
			return nil //nolint:nilerr // nobody is left to tell
		case err != nil:
			return err
		}
		if err := out.Send(m); err != nil {
			return err
		}
	}
}
