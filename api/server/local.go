package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/engine"
)

// LocalDeps are what a local service answers from. Store, Analytics and
// Collector are needed.
type LocalDeps struct {
	Store     visibility.Store
	Analytics *visibility.Analytics
	Collector *visibility.Collector
	// Engines answer the statistics that are asked of an engine by its name;
	// nil: the store is the only one.
	Engines *engine.Chooser
	Ingest  *visibility.Ingest // nil: nothing is received
	Hub     *visibility.Hub    // nil: ObserveSpans answers Unimplemented
	// Sources says which sources a request may name; nil: any.
	Sources *SourcePolicy
	Version string
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
}

// Local answers from this process. Its methods may be called concurrently.
type Local struct {
	v1.UnimplementedVisibilityServiceServer
	deps      LocalDeps
	started   time.Time
	importing sync.Mutex // one ledger after the other
}

var _ v1.VisibilityServiceServer = (*Local)(nil)

// NewLocal returns a service over a collector and its store.
func NewLocal(deps LocalDeps) (*Local, error) {
	if deps.Store == nil || deps.Analytics == nil || deps.Collector == nil {
		return nil, errors.New("server: Store, Analytics and Collector are needed")
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	if deps.Engines == nil {
		var err error
		deps.Engines, err = engine.New(engine.Options{
			Store: deps.Store, Analytics: visibility.AnalyticsOptions{Clock: deps.Clock, Status: deps.Collector.Status},
		})
		if err != nil {
			return nil, err
		}
	}
	return &Local{deps: deps, started: deps.Clock()}, nil
}

// filterAndRange reads what most questions have.
func (l *Local) filterAndRange(filter string, r *v1.TimeRange) (*visibility.Filter, visibility.Range, error) {
	return l.filterAndRangeIn("range", filter, r)
}

// filterAndRangeIn is filterAndRange for a range in a field of another name.
func (l *Local) filterAndRangeIn(field, filter string, r *v1.TimeRange) (*visibility.Filter, visibility.Range, error) {
	out, err := fromRange(field, r, l.deps.Clock())
	if err != nil {
		return nil, out, err
	}
	f, err := visibility.ParseFilter(filter)
	return f, out, err
}

// GetStats implements v1.VisibilityServiceServer.
func (l *Local) GetStats(ctx context.Context, req *v1.GetStatsRequest) (*v1.GetStatsResponse, error) {
	filter, r, err := l.filterAndRange(req.GetFilter(), req.GetRange())
	if err != nil {
		return nil, asStatus(err)
	}
	dims, err := fromDimensions(req.GetGroupBy())
	if err != nil {
		return nil, asStatus(err)
	}
	order, err := fromMeasure("order_by", req.GetOrderBy())
	if err != nil {
		return nil, err
	}
	return l.stats(ctx, visibility.Query{
		Range: r, Filter: filter, GroupBy: dims, Count: fromCount(req.GetCount()),
		Step: req.GetStep().AsDuration(), OrderBy: order,
		Ascending: req.GetAscending(), Limit: int(req.GetLimit()),
	}, req)
}

// Bounds of the time between the answers of WatchStats.
const (
	minWatch     = time.Second
	maxWatch     = time.Hour
	defaultWatch = 5 * time.Second
)

// WatchStats implements v1.VisibilityServiceServer.
func (l *Local) WatchStats(req *v1.WatchStatsRequest, stream grpc.ServerStreamingServer[v1.WatchStatsResponse]) error {
	interval := defaultWatch
	if req.GetInterval() != nil {
		interval = req.GetInterval().AsDuration()
	}
	if interval < minWatch || interval > maxWatch {
		return invalid(fmt.Sprintf("interval: %v is not between %v and %v", interval, minWatch, maxWatch))
	}
	query := req.GetQuery()
	if query == nil {
		query = &v1.GetStatsRequest{}
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		res, err := l.GetStats(stream.Context(), query)
		if err != nil {
			return err
		}
		if err := stream.Send(&v1.WatchStatsResponse{Stats: res}); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-stream.Context().Done():
			return nil
		}
	}
}

// ListValues implements v1.VisibilityServiceServer.
func (l *Local) ListValues(ctx context.Context, req *v1.ListValuesRequest) (*v1.ListValuesResponse, error) {
	filter, r, err := l.filterAndRange(req.GetFilter(), req.GetRange())
	if err != nil {
		return nil, asStatus(err)
	}
	dim, err := visibility.ParseDimension(req.GetDimension())
	if err != nil {
		return nil, inField("dimension", err)
	}
	v, err := l.deps.Analytics.Distinct(ctx, visibility.DistinctQuery{
		Range: r, Dimension: dim, Filter: filter, Count: fromCount(req.GetCount()),
		Prefix: req.GetPrefix(), Limit: int(req.GetLimit()),
	})
	if err != nil {
		return nil, asStatus(err)
	}
	return &v1.ListValuesResponse{
		Values: toValues(v.Values, v.Total), RestValues: int32(v.Rest), Total: v.Total,
		Completeness: toCompleteness(v.Completeness),
	}, nil
}

// GetGraph implements v1.VisibilityServiceServer.
func (l *Local) GetGraph(ctx context.Context, req *v1.GetGraphRequest) (*v1.GetGraphResponse, error) {
	filter, r, err := l.filterAndRange(req.GetFilter(), req.GetRange())
	if err != nil {
		return nil, asStatus(err)
	}
	g, err := l.deps.Analytics.Graph(ctx, r, filter)
	if err != nil {
		return nil, asStatus(err)
	}
	span := g.Observed
	out := &v1.GetGraphResponse{Range: toRange(g.Range), Completeness: toCompleteness(g.Completeness)}
	for i := range g.Nodes {
		out.Nodes = append(out.Nodes, &v1.GraphNode{Service: g.Nodes[i].Service, Stats: toStats(&g.Nodes[i].Aggregate, span)})
	}
	for i := range g.Edges {
		e := &g.Edges[i]
		out.Edges = append(out.Edges, &v1.GraphEdge{
			Source: e.Source, Destination: e.Destination, Mirrored: e.Mirrored, Stats: toStats(&e.Aggregate, span),
		})
	}
	return out, nil
}

// GetMovers implements v1.VisibilityServiceServer.
func (l *Local) GetMovers(ctx context.Context, req *v1.GetMoversRequest) (*v1.GetMoversResponse, error) {
	filter, target, err := l.filterAndRangeIn("target", req.GetFilter(), req.GetTarget())
	if err != nil {
		return nil, asStatus(err)
	}
	base, err := fromRange("base", req.GetBase(), l.deps.Clock())
	if err != nil {
		return nil, asStatus(err)
	}
	dims, err := fromDimensions(req.GetGroupBy())
	if err != nil {
		return nil, asStatus(err)
	}
	by, err := fromMeasure("by", req.GetBy())
	if err != nil {
		return nil, err
	}
	m, err := l.deps.Analytics.Movers(ctx, visibility.MoversQuery{
		Base: base, Target: target, GroupBy: dims, Filter: filter,
		By: by, Limit: int(req.GetLimit()),
	})
	if err != nil {
		return nil, asStatus(err)
	}
	out := &v1.GetMoversResponse{Base: toRange(m.Base), Target: toRange(m.Target), Completeness: toCompleteness(m.Completeness)}
	for i := range m.Movers {
		v := &m.Movers[i]
		mover := &v1.Mover{
			Values: v.Values, Change: v.Change,
			Base:   toStats(&v.Base, m.BaseObserved),
			Target: toStats(&v.Target, m.TargetObserved),
		}
		if v.HasRelative {
			mover.RelativeChange = &v.Relative
		}
		out.Movers = append(out.Movers, mover)
	}
	return out, nil
}

// GetHeatmap implements v1.VisibilityServiceServer.
func (l *Local) GetHeatmap(ctx context.Context, req *v1.GetHeatmapRequest) (*v1.GetHeatmapResponse, error) {
	filter, r, err := l.filterAndRange(req.GetFilter(), req.GetRange())
	if err != nil {
		return nil, asStatus(err)
	}
	h, err := l.deps.Analytics.Heatmap(ctx, visibility.HeatmapQuery{
		Range: r, Filter: filter, Count: fromCount(req.GetCount()),
		Step: req.GetStep().AsDuration(), Bands: int(req.GetMaxBands()),
	})
	if err != nil {
		return nil, asStatus(err)
	}
	out := &v1.GetHeatmapResponse{
		Range: toRange(h.Range), Step: durationpb.New(h.Step), Total: h.Total,
		Completeness: toCompleteness(h.Completeness),
	}
	for _, b := range h.Bands {
		out.Bands = append(out.Bands, &v1.HeatmapBand{Lower: durationpb.New(b.Lower), Upper: durationpb.New(b.Upper)})
	}
	for _, c := range h.Columns {
		out.Columns = append(out.Columns, &v1.HeatmapColumn{Time: stamp(c.Time), Counts: c.Counts})
	}
	return out, nil
}

// SearchTraces implements v1.VisibilityServiceServer.
func (l *Local) SearchTraces(ctx context.Context, req *v1.SearchTracesRequest) (*v1.SearchTracesResponse, error) {
	filter, r, err := l.filterAndRange(req.GetFilter(), req.GetRange())
	if err == nil {
		r, err = l.deps.Analytics.ResolveRange(r)
	}
	if err != nil {
		return nil, asStatus(err)
	}
	if n := req.GetPageSize(); n < 0 || n > visibility.MaxLimit {
		return nil, invalid(fmt.Sprintf("page_size: %d is not between 1 and %d", n, visibility.MaxLimit))
	}
	if d := req.GetMinDuration().AsDuration(); d < 0 {
		return nil, invalid(fmt.Sprintf("min_duration: %v is below 0", d))
	}
	page, err := l.deps.Store.Traces(ctx, visibility.TraceQuery{
		Range: r, Filter: filter, Service: req.GetService(), MinDuration: req.GetMinDuration().AsDuration(),
		Limit: int(req.GetPageSize()), Cursor: req.GetPageToken(),
	})
	if err != nil && req.GetPageToken() != "" { // all else was checked above
		return nil, inField("page_token", err)
	}
	if err != nil {
		return nil, asStatus(err)
	}
	if len(page.Traces) == 0 && page.Next == "" && req.GetPageToken() == "" {
		if err := l.knownServices(ctx, filter, req.GetService()); err != nil {
			return nil, asStatus(err)
		}
	}
	out := &v1.SearchTracesResponse{NextPageToken: page.Next}
	for i := range page.Traces {
		out.Traces = append(out.Traces, toSummary(&page.Traces[i]))
	}
	out.Completeness, err = l.completeness(ctx)
	return out, asStatus(err)
}

// knownServices refuses a search for a service that was never seen.
func (l *Local) knownServices(ctx context.Context, filter *visibility.Filter, service string) error {
	if service != "" {
		if err := l.deps.Analytics.KnownServices(ctx, service); err != nil {
			return err
		}
	}
	return l.deps.Analytics.KnownServices(ctx, filter.Services()...)
}

// GetTrace implements v1.VisibilityServiceServer.
func (l *Local) GetTrace(ctx context.Context, req *v1.GetTraceRequest) (*v1.GetTraceResponse, error) {
	id, err := tracing.ParseTraceID(req.GetTraceId())
	if err != nil {
		return nil, invalid("trace_id: " + err.Error())
	}
	spans, err := l.deps.Store.Trace(ctx, id)
	if err != nil {
		return nil, asStatus(err)
	}
	summary := visibility.SummarizeTrace(spans)
	out := &v1.GetTraceResponse{Summary: toSummary(&summary)}
	for i := range spans {
		out.Spans = append(out.Spans, toSpan(&spans[i]))
	}
	out.Completeness, err = l.completeness(ctx)
	return out, asStatus(err)
}
