package storekit

import (
	"slices"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// maxAhead is how far ahead of the clock a span may start.
const maxAhead = time.Hour

// Refuse returns the reason for which a span cannot be stored, or "". Spans
// that start before floor are gone.
func Refuse(s *tracing.Span, now, floor time.Time) string {
	switch {
	case s.TraceID.IsZero() || s.SpanID.IsZero():
		return visibility.RejectInvalid
	case s.Start.After(now.Add(maxAhead)):
		return visibility.RejectFuture
	case s.Start.Before(floor) || s.Start.Unix() < 0:
		return visibility.RejectExpired
	}
	return ""
}

// Measured is what a span adds to an aggregate.
type Measured struct {
	Duration                    time.Duration
	RequestBytes, ResponseBytes int64
	Error                       bool
}

// MeasuredOf returns that of a span.
func MeasuredOf(s *tracing.Span) Measured {
	return Measured{s.Duration, s.RequestSize, s.ResponseSize, s.Error}
}

// AddTo counts the span in an aggregate.
func (m Measured) AddTo(a *visibility.Aggregate) {
	a.Observe(&tracing.Span{Duration: m.Duration, RequestSize: m.RequestBytes, ResponseSize: m.ResponseBytes, Error: m.Error})
}

// TakeFrom takes the span out of an aggregate.
func (m Measured) TakeFrom(a *visibility.Aggregate) {
	var one visibility.Aggregate
	m.AddTo(&one)
	n := one.Negate()
	a.Merge(&n)
}

// Identifying are the dimensions that even a row keeps in which the others are
// folded into visibility.Other.
var Identifying = [...]visibility.Dimension{
	visibility.Service, visibility.Status, visibility.Kind, visibility.Source,
	visibility.Destination, visibility.ErrorFlag,
}

// MaxValueLen is the length in bytes beyond which a value is not worth a row of
// its own.
const MaxValueLen = 1024

// Matches reports whether a trace is one of those that q asks for, its range
// and start apart.
func Matches(q *visibility.TraceQuery, spans []tracing.Span) bool {
	sum := visibility.SummarizeTrace(spans)
	if sum.Duration < q.MinDuration {
		return false
	}
	if q.Service != "" && !slices.ContainsFunc(sum.Services, func(name string) bool {
		return visibility.SameService(name, q.Service)
	}) {
		return false
	}
	return q.Filter == nil || slices.ContainsFunc(spans, func(s tracing.Span) bool { return q.Filter.MatchSpan(&s) })
}
