package testutil

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// JaegerSpan is a span as Jaeger's /api/traces tells it, with just enough
// for a test to look at.
type JaegerSpan struct {
	TraceID, SpanID, ParentID string
	Service, Operation        string
	// StartMicros and DurationMicros are in microseconds, the start since
	// 1970.
	StartMicros, DurationMicros int64
	// Tags and Process are the span's and the process's tags as text.
	Tags, Process map[string]string
}

// Kind returns the span's kind: "server", "client", ... or "".
func (s JaegerSpan) Kind() string { return s.Tags["span.kind"] }

// jaegerTrace is a trace in the answer of /api/traces.
type jaegerTrace struct {
	TraceID string
	Spans   []struct {
		TraceID, SpanID, OperationName, ProcessID string
		References                                []struct{ RefType, SpanID string }
		StartTime, Duration                       int64
		Tags                                      []jaegerTag
	}
	Processes map[string]struct {
		ServiceName string
		Tags        []jaegerTag
	}
}

type jaegerTag struct {
	Key   string
	Value any
}

// Services lists the services that Jaeger knows.
func (s *JaegerServer) Services(ctx context.Context) ([]string, error) {
	var answer struct{ Data []string }
	if err := getJSON(ctx, s.QueryHTTP+"/api/services", &answer); err != nil {
		return nil, err
	}
	slices.Sort(answer.Data)
	return answer.Data, nil
}

// Spans returns every span that Jaeger holds, ordered by time. It asks for
// each service's traces and counts a trace once. It may be called from any
// goroutine.
func (s *JaegerServer) Spans(ctx context.Context) ([]JaegerSpan, error) {
	services, err := s.Services(ctx)
	if err != nil {
		return nil, err
	}
	traces := map[string]jaegerTrace{}
	for _, service := range services {
		var answer struct{ Data []jaegerTrace }
		// Jaeger refuses a limit above what its memory may hold.
		query := url.Values{"service": {service}, "limit": {strconv.Itoa(s.options.MaxTraces)},
			"start": {"0"}, "end": {"4102444800000000"}, "lookback": {"custom"}}
		if err := getJSON(ctx, s.QueryHTTP+"/api/traces?"+query.Encode(), &answer); err != nil {
			return nil, err
		}
		for _, trace := range answer.Data {
			// A trace may have grown since another service's answer.
			if len(trace.Spans) > len(traces[trace.TraceID].Spans) {
				traces[trace.TraceID] = trace
			}
		}
	}
	var spans []JaegerSpan
	for _, trace := range traces {
		spans = append(spans, trace.flatten()...)
	}
	slices.SortFunc(spans, func(a, b JaegerSpan) int {
		if a.StartMicros != b.StartMicros {
			return int(a.StartMicros - b.StartMicros)
		}
		return strings.Compare(a.SpanID, b.SpanID)
	})
	return spans, nil
}

func (t jaegerTrace) flatten() []JaegerSpan {
	spans := make([]JaegerSpan, 0, len(t.Spans))
	for _, s := range t.Spans {
		p := t.Processes[s.ProcessID]
		span := JaegerSpan{
			TraceID: s.TraceID, SpanID: s.SpanID,
			Service: p.ServiceName, Operation: s.OperationName,
			StartMicros: s.StartTime, DurationMicros: s.Duration,
			Tags: tagMap(s.Tags), Process: tagMap(p.Tags),
		}
		for _, r := range s.References {
			if r.RefType == "CHILD_OF" {
				span.ParentID = r.SpanID
			}
		}
		spans = append(spans, span)
	}
	return spans
}

func tagMap(tags []jaegerTag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.Key] = fmt.Sprint(t.Value)
	}
	return m
}
