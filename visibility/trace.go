package visibility

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/opnfv/clover/tracing"
)

// SummarizeTrace returns the summary of a trace's spans, which must not be
// empty. The root is the span without a parent that starts first, or the
// span that starts first if all have one. The answer does not depend on the
// order of spans.
func SummarizeTrace(spans []tracing.Span) TraceSummary {
	root := &spans[0]
	end := root.End()
	sum := TraceSummary{TraceID: root.TraceID, Start: root.Start, Spans: len(spans)}
	for i := range spans {
		s := &spans[i]
		if s.Start.Before(sum.Start) {
			sum.Start = s.Start
		}
		if s.End().After(end) {
			end = s.End()
		}
		if s.Error {
			sum.Errors++
		}
		sum.Services = append(sum.Services, s.Service)
		if rootBefore(s, root) {
			root = s
		}
	}
	slices.Sort(sum.Services)
	sum.Services = slices.Compact(sum.Services)
	sum.Duration = end.Sub(sum.Start)
	sum.Root, sum.Operation, sum.URL, sum.Status = root.Service, root.Operation, root.URL, root.StatusCode
	return sum
}

// rootBefore reports whether a is rather the root than b. Of spans that start
// together it is the one that encloses the others; the rest of the order makes
// the answer one that does not depend on the order of spans.
func rootBefore(a, b *tracing.Span) bool {
	if a.ParentID.IsZero() != b.ParentID.IsZero() {
		return a.ParentID.IsZero()
	}
	return cmp.Or(
		a.Start.Compare(b.Start),
		cmp.Compare(b.Duration, a.Duration),
		bytes.Compare(a.SpanID[:], b.SpanID[:]),
		cmp.Compare(a.Service, b.Service),
		cmp.Compare(a.Kind, b.Kind),
	) < 0
}
