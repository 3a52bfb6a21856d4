package server

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// stamp converts a time; the zero time is unset.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func toRange(r visibility.Range) *v1.TimeRange {
	return &v1.TimeRange{From: stamp(r.From), To: stamp(r.To)}
}

// fromRange reads the range that a request has in field; now is the end of
// one that has a length only.
func fromRange(field string, r *v1.TimeRange, now time.Time) (visibility.Range, error) {
	var out visibility.Range
	for _, bound := range []struct {
		name string
		in   *timestamppb.Timestamp
		out  *time.Time
	}{{field + ".from", r.GetFrom(), &out.From}, {field + ".to", r.GetTo(), &out.To}} {
		if bound.in == nil {
			continue
		}
		if err := bound.in.CheckValid(); err != nil {
			return out, invalid(bound.name + ": " + err.Error())
		}
		*bound.out = bound.in.AsTime()
	}
	if r.GetLast() == nil {
		return out, nil
	}
	last := r.GetLast().AsDuration()
	switch {
	case !out.From.IsZero():
		return out, invalid(field + ".last: give last or from, not both")
	case last <= 0:
		return out, invalid(field + ".last: must be longer than 0s, e.g. 900s")
	}
	if out.To.IsZero() {
		out.To = now
	}
	out.From = out.To.Add(-last)
	return out, nil
}

func fromCount(c v1.CountMode) visibility.CountMode {
	if c == v1.CountMode_COUNT_MODE_SPANS {
		return visibility.CountSpans
	}
	return visibility.CountRequests
}

// fromMeasure reads the measure that a request has in field; "" stays.
func fromMeasure(field, name string) (visibility.Measure, error) {
	if name == "" {
		return "", nil
	}
	m, err := visibility.ParseMeasure(name)
	if err != nil {
		return "", inField(field, err)
	}
	return m, nil
}

func toCount(c visibility.CountMode) v1.CountMode {
	if c == visibility.CountSpans {
		return v1.CountMode_COUNT_MODE_SPANS
	}
	return v1.CountMode_COUNT_MODE_REQUESTS
}

func fromDimensions(names []string) ([]visibility.Dimension, error) {
	dims := make([]visibility.Dimension, len(names))
	for i, name := range names {
		d, err := visibility.ParseDimension(name)
		if err != nil {
			return nil, invalid("group_by: " + err.Error())
		}
		dims[i] = d
	}
	return dims, nil
}

// toStats converts an aggregate; span is what its rate is over.
func toStats(a *visibility.Aggregate, span time.Duration) *v1.Stats {
	lowest, highest := a.Extremes()
	return &v1.Stats{
		Count: a.Count, Errors: a.Errors,
		Rate:      visibility.MeasureRate.Of(a, span),
		ErrorRate: a.ErrorRate(),
		Min:       durationpb.New(lowest), Mean: durationpb.New(a.Mean()), Max: durationpb.New(highest),
		P50: durationpb.New(a.Quantile(.50)), P90: durationpb.New(a.Quantile(.90)),
		P95: durationpb.New(a.Quantile(.95)), P99: durationpb.New(a.Quantile(.99)),
		Sum:          durationpb.New(a.Sum),
		RequestBytes: a.RequestBytes, ResponseBytes: a.ResponseBytes,
	}
}

func toCompleteness(c visibility.Completeness) *v1.Completeness {
	out := &v1.Completeness{Complete: c.Complete, Watermark: stamp(c.Watermark), Open: c.Open}
	for _, n := range c.Notes {
		out.Notes = append(out.Notes, &v1.Note{
			Code: n.Code, Source: n.Source, Service: n.Service, Count: n.Count, Detail: n.Detail,
		})
	}
	return out
}

func toResult(r *visibility.Result) *v1.GetStatsResponse {
	span := r.Observed
	out := &v1.GetStatsResponse{
		Range: toRange(r.Range), Count: toCount(r.Count),
		Total: toStats(&r.Total, span), Rest: toStats(&r.Rest, span), RestGroups: int32(r.RestGroups),
		Completeness: toCompleteness(r.Completeness),
	}
	if r.Step > 0 {
		out.Step = durationpb.New(r.Step)
	}
	for _, d := range r.GroupBy {
		out.GroupBy = append(out.GroupBy, d.String())
	}
	for i := range r.Groups {
		g := &r.Groups[i]
		group := &v1.StatsGroup{Values: g.Values, Stats: toStats(&g.Aggregate, span)}
		for j := range g.Series {
			p := &g.Series[j]
			group.Series = append(group.Series, &v1.StatsPoint{Time: stamp(p.Time), Stats: toStats(&p.Aggregate, r.Step)})
		}
		out.Groups = append(out.Groups, group)
	}
	return out
}

func toValues(values []visibility.ValueCount, total int64) []*v1.ValueCount {
	out := make([]*v1.ValueCount, 0, len(values))
	for _, v := range values {
		c := &v1.ValueCount{Value: v.Value, Count: v.Count}
		if total > 0 {
			c.Share = float64(v.Count) / float64(total)
		}
		out = append(out, c)
	}
	return out
}

func toSummary(s *visibility.TraceSummary) *v1.TraceSummary {
	return &v1.TraceSummary{
		TraceId: s.TraceID.String(), Start: stamp(s.Start), Duration: durationpb.New(s.Duration),
		RootService: s.Root, RootOperation: s.Operation, Url: s.URL, Status: int32(s.Status),
		Services: s.Services, Spans: int32(s.Spans), Errors: int32(s.Errors),
	}
}

func toSpan(s *tracing.Span) *v1.Span {
	out := &v1.Span{
		TraceId: s.TraceID.String(), SpanId: s.SpanID.String(), Kind: s.Kind.String(),
		Service: s.Service, Operation: s.Operation, Start: stamp(s.Start), Duration: durationpb.New(s.Duration),
		Method: s.Method, Url: s.URL, UrlTemplate: s.URLTemplate, Status: int32(s.StatusCode),
		UserAgent: s.UserAgent, Protocol: s.Protocol, UpstreamCluster: s.UpstreamCluster,
		Node: s.Node, Peer: s.Peer, RequestId: s.RequestID, ResponseFlags: s.ResponseFlags,
		Namespace: s.Namespace, Workload: s.Workload, Version: s.Version,
		Error: s.Error, StatusMessage: s.StatusMessage, Scope: s.Scope,
		Attributes: toAttributes(s.Attributes), Resource: toAttributes(s.Resource),
	}
	if !s.ParentID.IsZero() {
		out.ParentId = s.ParentID.String()
	}
	if s.GRPCStatus >= 0 {
		code := int32(s.GRPCStatus)
		out.GrpcStatus = &code
	}
	if s.RequestSize >= 0 {
		out.RequestSize = &s.RequestSize
	}
	if s.ResponseSize >= 0 {
		out.ResponseSize = &s.ResponseSize
	}
	for i := range s.Events {
		e := &s.Events[i]
		out.Events = append(out.Events, &v1.SpanEvent{Time: stamp(e.Time), Name: e.Name, Attributes: toAttributes(e.Attributes)})
	}
	return out
}

func toAttributes(list []tracing.Attribute) []*v1.Attribute {
	out := make([]*v1.Attribute, 0, len(list))
	for i := range list {
		out = append(out, &v1.Attribute{Key: list[i].Key, Value: list[i].Value})
	}
	return out
}

func toConfig(c visibility.Config) *v1.Config {
	interval := c.SampleInterval.Duration()
	return &v1.Config{
		Services: c.Services, MetricPrefixes: c.MetricPrefixes, MetricSuffixes: c.MetricSuffixes,
		CustomMetrics: c.CustomMetrics, SampleInterval: durationpb.New(interval),
		TracingUrls: c.Tracing, MonitoringUrl: c.Monitoring,
	}
}

// fromChange reads a change of the configuration.
func fromChange(c *v1.ConfigChange) (visibility.ConfigUpdate, error) {
	var u visibility.ConfigUpdate
	list := func(in *v1.StringList) []string {
		if in == nil {
			return nil
		}
		return append([]string{}, in.GetItems()...)
	}
	u.Services, u.MetricPrefixes = list(c.GetServices()), list(c.GetMetricPrefixes())
	u.MetricSuffixes, u.CustomMetrics = list(c.GetMetricSuffixes()), list(c.GetCustomMetrics())
	u.Tracing = list(c.GetTracingUrls())
	if c.GetSampleInterval() != nil {
		interval, err := visibility.ParseInterval(c.GetSampleInterval().AsDuration().String())
		if err != nil {
			return u, invalid("sample_interval: " + err.Error())
		}
		u.SampleInterval = interval
	}
	if c != nil {
		u.Monitoring = c.MonitoringUrl
	}
	return u, nil
}

func toSourceStatus(s *visibility.SourceStatus) *v1.SourceStatus {
	var lag *durationpb.Duration // unset until something was read
	if !s.Watermark.IsZero() || !s.LastSuccess.IsZero() {
		lag = durationpb.New(s.Lag)
	}
	return &v1.SourceStatus{
		Name: s.Name, Kind: string(s.Kind), Target: s.Target, State: string(s.State),
		Error: s.Error, LastError: s.LastError, LastErrorTime: stamp(s.LastErrorAt),
		LastSuccess: stamp(s.LastSuccess), NextTry: stamp(s.NextTry), Failures: int32(s.Failures),
		Lag: lag, Delivered: s.Delivered, Kept: s.Kept,
		Watermark: stamp(s.Watermark), Missing: s.Missing, Detail: s.Detail,
	}
}

func toLedgerEntry(e *visibility.LedgerEntry, now time.Time) *v1.LedgerEntry {
	return &v1.LedgerEntry{
		Source: e.Source, Service: e.Service, Seen: e.Seen, Kept: e.Kept, Duplicate: e.Duplicate,
		Truncated: e.Truncated, Rejected: e.Rejected, Dropped: e.Dropped,
		Watermark: stamp(e.Watermark), LastSpan: stamp(e.LastSpan), LastArrival: stamp(e.LastArrival),
		Lag: durationpb.New(e.Lag(now)), Balance: e.Balance(),
	}
}
