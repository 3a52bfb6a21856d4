package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/visibility"
)

// completeness returns what answers are based on now.
func (l *Local) completeness(ctx context.Context) (*v1.Completeness, error) {
	c, err := l.deps.Analytics.Completeness(ctx)
	return toCompleteness(c), err
}

// missing lists the metrics that are selected but have no value.
func (l *Local) missing() (names []string) {
	for _, s := range l.deps.Collector.Status().Sources {
		names = append(names, s.Missing...)
	}
	return names
}

// ListMetrics implements v1.VisibilityServiceServer.
func (l *Local) ListMetrics(ctx context.Context, req *v1.ListMetricsRequest) (*v1.ListMetricsResponse, error) {
	series, err := l.deps.Store.Metrics(ctx, visibility.MetricQuery{Service: req.GetService(), Limit: 1})
	if err != nil {
		return nil, asStatus(err)
	}
	series = slices.DeleteFunc(series, func(s visibility.MetricSeries) bool { return !strings.HasPrefix(s.Name, req.GetPrefix()) })
	out := &v1.ListMetricsResponse{Missing: l.missing()}
	series, out.NextPageToken, err = page(series, req.GetPageSize(), req.GetPageToken(),
		func(s *visibility.MetricSeries) [2]string { return [2]string{s.Name, s.Service} })
	if err != nil {
		return nil, err
	}
	for _, s := range series {
		out.Metrics = append(out.Metrics, &v1.Metric{Name: s.Name, Service: s.Service, Newest: toPoint(s.Points[len(s.Points)-1])})
	}
	out.Completeness = toCompleteness(l.deps.Analytics.MetricsCompleteness())
	return out, nil
}

func toPoint(p visibility.MetricPoint) *v1.MetricPoint {
	return &v1.MetricPoint{Time: stamp(p.Time), Value: p.Value}
}

// GetMetrics implements v1.VisibilityServiceServer.
func (l *Local) GetMetrics(ctx context.Context, req *v1.GetMetricsRequest) (*v1.GetMetricsResponse, error) {
	r, err := fromRange("range", req.GetRange(), l.deps.Clock())
	if err != nil {
		return nil, asStatus(err)
	}
	if !r.From.IsZero() { // else everything up to its end
		if r, err = l.deps.Analytics.ResolveRange(r); err != nil {
			return nil, asStatus(err)
		}
	}
	if n := req.GetLimit(); n < 0 || n > visibility.MaxLimit {
		return nil, invalid(fmt.Sprintf("limit: %d is not between 1 and %d", n, visibility.MaxLimit))
	}
	series, err := l.deps.Store.Metrics(ctx, visibility.MetricQuery{
		Range: r, Name: req.GetName(), Service: req.GetService(), Limit: int(req.GetLimit()),
	})
	if err != nil {
		return nil, asStatus(err)
	}
	out := &v1.GetMetricsResponse{Missing: l.missing()}
	for _, s := range series {
		one := &v1.MetricSeries{Name: s.Name, Service: s.Service}
		for _, p := range s.Points {
			one.Points = append(one.Points, toPoint(p))
		}
		out.Series = append(out.Series, one)
	}
	out.Completeness = toCompleteness(l.deps.Analytics.MetricsCompleteness())
	return out, nil
}

// GetLedger implements v1.VisibilityServiceServer.
func (l *Local) GetLedger(ctx context.Context, req *v1.GetLedgerRequest) (*v1.GetLedgerResponse, error) {
	entries, err := l.deps.Store.Ledger(ctx)
	if err != nil {
		return nil, asStatus(err)
	}
	out := &v1.GetLedgerResponse{}
	entries, out.NextPageToken, err = page(entries, req.GetPageSize(), req.GetPageToken(),
		func(e *visibility.LedgerEntry) [2]string { return [2]string{e.Source, e.Service} })
	if err != nil {
		return nil, err
	}
	for i := range entries {
		out.Entries = append(out.Entries, toLedgerEntry(&entries[i], l.deps.Clock()))
	}
	out.Completeness, err = l.completeness(ctx)
	return out, asStatus(err)
}

// GetStatus implements v1.VisibilityServiceServer.
func (l *Local) GetStatus(ctx context.Context, _ *v1.GetStatusRequest) (*v1.GetStatusResponse, error) {
	st, err := l.deps.Store.Stats(ctx)
	if err != nil {
		return nil, asStatus(err)
	}
	collector := l.deps.Collector.Status()
	out := &v1.GetStatusResponse{
		Version: l.deps.Version, CollectorId: collector.ID, Collecting: !collector.Paused, Started: stamp(l.started),
		Members: collector.Members,
		Store: &v1.StoreStatus{
			Name: st.Name, Spans: st.Spans, Sessions: st.Sessions, Traces: st.Traces, Metrics: st.Metrics, Rows: st.Rows,
			BytesOnDisk: st.BytesOnDisk, Oldest: stamp(st.Oldest), Newest: stamp(st.Newest),
		},
	}
	for i := range collector.Sources {
		out.Sources = append(out.Sources, toSourceStatus(&collector.Sources[i]))
	}
	if l.deps.Ingest != nil {
		in := l.deps.Ingest.Status()
		out.Ingest = &v1.IngestStatus{
			InFlight: int32(in.InFlight), Deliveries: in.Deliveries, Failures: in.Failures, Spans: in.Spans,
			Dropped: in.Dropped, LastError: in.LastError, LastErrorTime: stamp(in.LastErrorAt), LastArrival: stamp(in.LastArrival),
		}
	}
	out.Completeness, err = l.completeness(ctx)
	return out, asStatus(err)
}

// GetSummary implements v1.VisibilityServiceServer.
func (l *Local) GetSummary(ctx context.Context, req *v1.GetSummaryRequest) (*v1.GetSummaryResponse, error) {
	r, err := fromRange("range", req.GetRange(), l.deps.Clock())
	if err == nil {
		r, err = l.deps.Analytics.ResolveRange(r)
	}
	if err != nil {
		return nil, asStatus(err)
	}
	f, err := visibility.ReadContractFigures(ctx, l.deps.Store, l.deps.Collector.Config().Services, r)
	if err != nil {
		return nil, asStatus(err)
	}
	out := &v1.GetSummaryResponse{
		TraceCount: f.Traces, SpanCount: f.Spans, MetricCount: f.Metrics, Values: map[string]*v1.CountedValues{},
	}
	for _, s := range f.ResponseTimes {
		out.ResponseTimes = append(out.ResponseTimes, &v1.ResponseTimes{
			Service: s.Service, AvgRt: s.AvgText(), MinRt: s.MinText(), MaxRt: s.MaxText(),
		})
	}
	for _, v := range f.Services {
		out.DiscoveredServices = append(out.DiscoveredServices, v.Value)
	}
	if err := addSets(out, f, req.GetStat()); err != nil {
		return nil, err
	}
	out.Completeness, err = l.completeness(ctx)
	return out, asStatus(err)
}

// addSets adds the sets of values asked for: all, or one by its name or by
// its key of 2019.
func addSets(out *v1.GetSummaryResponse, f *visibility.ContractFigures, stat string) error {
	sets := []struct {
		name, key string
		values    []visibility.ValueCount
	}{
		{"services", "tracing_services", f.Services},
		{"urls", "span_urls", f.URLs},
		{"user_agents", "span_user_agent", f.UserAgents},
		{"node_ids", "span_node_id", f.NodeIDs},
		{"operation_names", "span_operation_name", f.OperationNames},
		{"upstream_clusters", "span_upstream_cluster", f.UpstreamClusters},
		{"status_codes", "span_status_code", f.StatusCodes},
		{"status_code_urls", "span_status_codes_z", f.StatusCodeURLs},
		{"node_urls", "span_node_url_z", f.NodeURLs},
	}
	var names []string
	stat = strings.ReplaceAll(stat, "-", "_")
	for _, s := range sets {
		names = append(names, s.name)
		if stat != "" && stat != s.name && stat != s.key {
			continue
		}
		var total int64
		for _, v := range s.values {
			total += v.Count
		}
		out.Values[s.key] = &v1.CountedValues{Values: toValues(s.values, total)}
	}
	if len(out.Values) == 0 {
		slices.Sort(names)
		return invalid(fmt.Sprintf("stat: %q is not known; want one of %s", stat, strings.Join(names, ", ")))
	}
	return nil
}

// GetConfig implements v1.VisibilityServiceServer.
func (l *Local) GetConfig(context.Context, *v1.GetConfigRequest) (*v1.GetConfigResponse, error) {
	return &v1.GetConfigResponse{Config: toConfig(l.deps.Collector.Config())}, nil
}

// UpdateConfig implements v1.VisibilityServiceServer.
func (l *Local) UpdateConfig(ctx context.Context, req *v1.UpdateConfigRequest) (*v1.UpdateConfigResponse, error) {
	change, err := fromChange(req.GetChange())
	if err != nil {
		return nil, asStatus(err)
	}
	if err := l.allowSources(change); err != nil {
		return nil, err
	}
	config, err := l.deps.Collector.Update(ctx, change)
	if err != nil {
		return nil, asStatus(err)
	}
	return &v1.UpdateConfigResponse{Message: "Updated visibility config", Config: toConfig(config)}, nil
}

// allowSources refuses a change that names a source that requests may not.
func (l *Local) allowSources(change visibility.ConfigUpdate) error {
	for _, source := range change.Tracing {
		if _, err := l.deps.Sources.Resolve(source); err != nil {
			return invalidIn("tracing_urls", "tracing_urls: "+err.Error())
		}
	}
	if m := change.Monitoring; m != nil && *m != "" {
		if _, err := l.deps.Sources.Resolve(*m); err != nil {
			return invalidIn("monitoring_url", "monitoring_url: "+err.Error())
		}
	}
	return nil
}

// Init implements v1.VisibilityServiceServer.
func (l *Local) Init(ctx context.Context, _ *v1.InitRequest) (*v1.InitResponse, error) {
	store, err := l.deps.Collector.Init(ctx)
	if err != nil {
		return nil, asStatus(err)
	}
	return &v1.InitResponse{Message: "Added visibility schemas in " + store, Store: store}, nil
}

// Start implements v1.VisibilityServiceServer.
func (l *Local) Start(ctx context.Context, req *v1.StartRequest) (*v1.StartResponse, error) {
	if req.GetChange() != nil {
		if _, err := l.UpdateConfig(ctx, &v1.UpdateConfigRequest{Change: req.GetChange()}); err != nil {
			return nil, err
		}
	}
	if err := l.deps.Collector.Resume(ctx); err != nil {
		return nil, asStatus(err)
	}
	id := l.deps.Collector.ID()
	return &v1.StartResponse{Message: "Started collector on pid: " + id, CollectorId: id}, nil
}

// Stop implements v1.VisibilityServiceServer.
func (l *Local) Stop(ctx context.Context, _ *v1.StopRequest) (*v1.StopResponse, error) {
	if err := l.deps.Collector.Pause(ctx); err != nil {
		return nil, asStatus(err)
	}
	id := l.deps.Collector.ID()
	return &v1.StopResponse{Message: "Stopped collector on pid: " + id, CollectorId: id}, nil
}

// Clear implements v1.VisibilityServiceServer.
func (l *Local) Clear(ctx context.Context, _ *v1.ClearRequest) (*v1.ClearResponse, error) {
	st, err := l.deps.Store.Stats(ctx)
	if err == nil {
		err = l.deps.Collector.Clear(ctx)
	}
	if err != nil {
		return nil, asStatus(err)
	}
	return &v1.ClearResponse{
		Message: fmt.Sprintf("Cleared visibility data: %d traces, %d spans, %d metric points", st.Traces, st.Spans, st.Metrics),
		Spans:   st.Spans, Traces: st.Traces, Metrics: st.Metrics,
	}, nil
}

// ObserveSpans implements v1.VisibilityServiceServer.
func (l *Local) ObserveSpans(req *v1.ObserveSpansRequest, stream grpc.ServerStreamingServer[v1.ObserveSpansResponse]) error {
	if l.deps.Hub == nil {
		return status.Error(codes.Unimplemented, "this server has no live spans")
	}
	filter, err := visibility.ParseFilter(req.GetFilter())
	if err != nil {
		return asStatus(err)
	}
	if n := req.GetLimit(); n < 0 {
		return invalid(fmt.Sprintf("limit: %d is below 0", n))
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	live := l.deps.Hub.Subscribe(ctx, filter, 0)
	sign := time.NewTicker(signOfLife)
	defer sign.Stop()
	// The first tells the reader that it is subscribed.
	if err := stream.Send(dropped(0)); err != nil {
		return err
	}
	sent := int32(0)
	for {
		select {
		case <-sign.C:
			if err := stream.Send(dropped(0)); err != nil {
				return err
			}
		case span, ok := <-live:
			if !ok {
				return nil
			}
			if err := sendLive(stream, &span); err != nil {
				return err
			}
			if sent++; req.GetLimit() > 0 && sent >= req.GetLimit() {
				return nil
			}
		}
	}
}

// signOfLife is how often a quiet stream says that it is there.
const signOfLife = 15 * time.Second

func dropped(n int64) *v1.ObserveSpansResponse {
	return &v1.ObserveSpansResponse{Event: &v1.ObserveSpansResponse_Dropped{Dropped: n}}
}

// sendLive sends a span, after the number of those left out before it.
func sendLive(stream grpc.ServerStreamingServer[v1.ObserveSpansResponse], live *visibility.LiveSpan) error {
	if live.Missed > 0 {
		if err := stream.Send(dropped(live.Missed)); err != nil {
			return err
		}
	}
	return stream.Send(&v1.ObserveSpansResponse{Event: &v1.ObserveSpansResponse_Span{Span: toSpan(&live.Span)}})
}
