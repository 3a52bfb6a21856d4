package parquet

import (
	"context"
	"errors"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// ReadPage returns the spans of a page of traces, one trace after the other,
// and the cursor of the next page; "" at the end. There are fewer traces than
// q allows where those would have more than maxSpans spans together.
func ReadPage(ctx context.Context, from visibility.TraceReader, q visibility.TraceQuery, maxSpans int) (spans []tracing.Span, next string, err error) {
	page, err := from.Traces(ctx, q)
	if err != nil {
		return nil, "", err
	}
	sum, fit := 0, 0
	for i := range page.Traces {
		if sum += page.Traces[i].Spans; sum > maxSpans && fit > 0 {
			break
		}
		fit++
	}
	if fit < len(page.Traces) { // the cursor is that of a shorter page
		q.Limit = fit
		if page, err = from.Traces(ctx, q); err != nil {
			return nil, "", err
		}
	}
	for i := range page.Traces {
		trace, err := from.Trace(ctx, page.Traces[i].TraceID)
		if errors.Is(err, visibility.ErrNotFound) {
			continue // it has expired since the page was read
		}
		if err != nil {
			return nil, "", err
		}
		spans = append(spans, trace...)
	}
	return spans, page.Next, nil
}
