package parquet

import (
	"fmt"
	"math"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// roles are the texts of the column role.
var roles = map[visibility.Role]string{
	visibility.RoleSpan: "span", visibility.RoleServer: "server", visibility.RoleClient: "client",
}

// rowsOf appends the rows of a trace, of which spans has all.
func rowsOf(spans []tracing.Span, rows []row) []row {
	views := make([]visibility.HopSpan, len(spans))
	for i := range spans {
		views[i] = visibility.HopSpanOf(&spans[i])
	}
	for i, hop := range visibility.ResolveHops(views, nil) {
		rows = append(rows, rowOf(&spans[i], hop))
	}
	return rows
}

func rowOf(s *tracing.Span, hop visibility.Hop) row {
	key := visibility.KeyOf(s)
	if hop.Role == visibility.RoleServer {
		key[visibility.Source] = hop.Source
	}
	r := row{
		TraceID: s.TraceID.String(), SpanID: s.SpanID.String(), KindCode: int32(s.Kind),
		Bucket:     s.Start.Truncate(visibility.MinStep).Unix(),
		StartNanos: nanos(s.Start), Start: s.Start.UnixMicro(), Duration: int64(s.Duration),
		Role: roles[hop.Role], Service: s.Service, Operation: s.Operation, URL: s.URL, URLTemplate: s.URLTemplate,
		StatusCode: int32(s.StatusCode), Method: s.Method, UserAgent: s.UserAgent, Cluster: s.UpstreamCluster,
		Node: s.Node, Kind: key[visibility.Kind], Source: key[visibility.Source], Destination: key[visibility.Destination],
		Version: s.Version, Error: s.Error, Mirrored: key.Mirrored(),
		RequestSize: s.RequestSize, ResponseSize: s.ResponseSize, GRPCStatus: int64(s.GRPCStatus),
		StatusMessage: s.StatusMessage, Protocol: s.Protocol, Peer: s.Peer, RequestID: s.RequestID,
		ResponseFlags: s.ResponseFlags, Namespace: s.Namespace, Workload: s.Workload, Scope: s.Scope,
		Attributes: attributesOf(s.Attributes), Resource: attributesOf(s.Resource),
	}
	if !s.ParentID.IsZero() {
		r.ParentID = s.ParentID.String()
	}
	for _, e := range s.Events {
		r.Events = append(r.Events, event{nanos(e.Time), e.Name, attributesOf(e.Attributes)})
	}
	for _, l := range s.Links {
		r.Links = append(r.Links, link{l.TraceID.String(), l.SpanID.String(), attributesOf(l.Attributes)})
	}
	r.makeValid()
	return r
}

func attributesOf(list []tracing.Attribute) (rows []attribute) {
	for _, a := range list {
		rows = append(rows, attribute{a.Key, a.Value, int32(a.Type)})
	}
	return rows
}

// noTime stands for the zero time, which is before what nanoseconds reach.
const noTime = math.MinInt64

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixNano()
}

func timeOf(n int64) time.Time {
	if n == noTime {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// span returns the span that a row was made from.
func (r *row) span() (tracing.Span, error) {
	r.restore()
	s := tracing.Span{
		Kind: tracing.Kind(r.KindCode), Service: r.Service, Operation: r.Operation,
		Start: timeOf(r.StartNanos), Duration: time.Duration(r.Duration),
		Method: r.Method, URL: r.URL, URLTemplate: r.URLTemplate, StatusCode: int(r.StatusCode),
		GRPCStatus: int(r.GRPCStatus), UserAgent: r.UserAgent, Protocol: r.Protocol, UpstreamCluster: r.Cluster,
		Node: r.Node, Peer: r.Peer, RequestID: r.RequestID, ResponseFlags: r.ResponseFlags, Namespace: r.Namespace,
		Workload: r.Workload, Version: r.Version, RequestSize: r.RequestSize, ResponseSize: r.ResponseSize,
		Error: r.Error, StatusMessage: r.StatusMessage, Scope: r.Scope,
		Attributes: spanAttributes(r.Attributes), Resource: spanAttributes(r.Resource),
	}
	var err error
	if s.TraceID, err = tracing.ParseTraceID(r.TraceID); err != nil {
		return s, err
	}
	if s.SpanID, err = tracing.ParseSpanID(r.SpanID); err != nil {
		return s, err
	}
	if r.ParentID != "" {
		if s.ParentID, err = tracing.ParseSpanID(r.ParentID); err != nil {
			return s, fmt.Errorf("parent of %s: %w", r.SpanID, err)
		}
	}
	for _, e := range r.Events {
		s.Events = append(s.Events, tracing.Event{Time: timeOf(e.Time), Name: e.Name, Attributes: spanAttributes(e.Attributes)})
	}
	for _, l := range r.Links {
		to := tracing.Link{Attributes: spanAttributes(l.Attributes)}
		if to.TraceID, err = tracing.ParseTraceID(l.TraceID); err != nil {
			return s, fmt.Errorf("link of %s: %w", r.SpanID, err)
		}
		if to.SpanID, err = tracing.ParseSpanID(l.SpanID); err != nil {
			return s, fmt.Errorf("link of %s: %w", r.SpanID, err)
		}
		s.Links = append(s.Links, to)
	}
	return s, nil
}

func spanAttributes(rows []attribute) (list []tracing.Attribute) {
	for _, a := range rows {
		list = append(list, tracing.Attribute{Key: a.Key, Value: a.Value, Type: tracing.ValueType(a.Type)})
	}
	return list
}
