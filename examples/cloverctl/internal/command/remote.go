package command

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/client"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/parquet"
)

const (
	// maxSent bounds the spans of a request as they are encoded, unless it is
	// one span: a server takes 2 MiB with everything.
	maxSent = 700 << 10
	// attempts is how often a request is made while the controller or its
	// collector is away or busy, with pauses of reconnect.
	attempts = 15
)

// remote is the store behind a controller: what an export reads and an import
// writes.
type remote struct {
	*app
	client *client.Client
	pause  time.Duration // before a request is made again
}

// Stats implements parquet.Source.
func (r *remote) Stats(ctx context.Context) (visibility.StoreStats, error) {
	res := &v1.GetStatusResponse{}
	if _, err := r.client.Get(ctx, "status", nil, res); err != nil {
		return visibility.StoreStats{}, err
	}
	s := res.GetStore()
	return visibility.StoreStats{
		Name: s.GetName(), Spans: s.GetSpans(), Traces: s.GetTraces(), Metrics: s.GetMetrics(),
		Oldest: timeOf(s.GetOldest()), Newest: timeOf(s.GetNewest()),
	}, nil
}

// timeOf is the zero time if t is not set.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// Trace implements visibility.TraceReader. It is not used: TracePage is, as
// the API's traces lack what only another store wants.
func (r *remote) Trace(context.Context, tracing.TraceID) ([]tracing.Span, error) {
	return nil, errors.ErrUnsupported
}

// pageQuery are the parameters of what has traces in pages.
func pageQuery(q visibility.TraceQuery) url.Values {
	v := url.Values{"range.from": {q.Range.From.Format(time.RFC3339Nano)}, "range.to": {q.Range.To.Format(time.RFC3339Nano)}}
	if q.Limit > 0 {
		v.Set("page_size", fmt.Sprint(q.Limit))
	}
	if q.Cursor != "" {
		v.Set("page_token", q.Cursor)
	}
	return v
}

// Traces implements visibility.TraceReader, as far as an export asks it.
func (r *remote) Traces(ctx context.Context, q visibility.TraceQuery) (page visibility.TracePage, err error) {
	res := &v1.SearchTracesResponse{}
	err = r.patiently(ctx, func() error {
		_, err := r.client.Get(ctx, "traces", pageQuery(q), res)
		return err
	})
	if err != nil {
		return page, err
	}
	for _, t := range res.GetTraces() {
		id, err := tracing.ParseTraceID(t.GetTraceId())
		if err != nil {
			return page, err
		}
		page.Traces = append(page.Traces, visibility.TraceSummary{TraceID: id, Start: t.GetStart().AsTime(), Spans: int(t.GetSpans())})
	}
	page.Next = res.GetNextPageToken()
	return page, nil
}

// TracePage implements parquet.TracePager.
func (r *remote) TracePage(ctx context.Context, q visibility.TraceQuery) (spans []tracing.Span, next string, err error) {
	res := &v1.ExportTracesResponse{}
	err = r.patiently(ctx, func() error {
		_, err := r.client.Get(ctx, "export", pageQuery(q), res)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	spans, err = parquet.Decode(res.GetSpans())
	return spans, res.GetNextPageToken(), err
}

// Metrics implements visibility.MetricReader, as far as an export asks it.
func (r *remote) Metrics(ctx context.Context, q visibility.MetricQuery) ([]visibility.MetricSeries, error) {
	v := url.Values{"limit": {fmt.Sprint(q.Limit)}}
	for name, value := range map[string]string{"name": q.Name, "service": q.Service} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if !q.Range.To.IsZero() {
		v.Set("range.to", q.Range.To.Format(time.RFC3339Nano))
	}
	res := &v1.GetMetricsResponse{}
	err := r.patiently(ctx, func() error {
		_, err := r.client.Get(ctx, "metrics/points", v, res)
		return err
	})
	var list []visibility.MetricSeries
	for _, s := range res.GetSeries() {
		series := visibility.MetricSeries{Name: s.GetName(), Service: s.GetService()}
		for _, p := range s.GetPoints() {
			series.Points = append(series.Points, visibility.MetricPoint{
				Name: series.Name, Service: series.Service, Time: p.GetTime().AsTime(), Value: p.GetValue(),
			})
		}
		list = append(list, series)
	}
	return list, err
}

// Write implements visibility.Writer for what an import writes. Spans go in
// as many requests as their size wants.
func (r *remote) Write(ctx context.Context, b *visibility.Batch) (receipt visibility.Receipt, err error) {
	data, err := parquet.Encode(b.Spans)
	if err != nil {
		return receipt, err
	}
	if len(b.Spans) > 1 && base64.StdEncoding.EncodedLen(len(data)) > maxSent {
		half := len(b.Spans) / 2
		for _, part := range []visibility.Batch{{Spans: b.Spans[:half]}, {Spans: b.Spans[half:], Metrics: b.Metrics}} {
			more, err := r.Write(ctx, &part)
			if err != nil {
				return receipt, err
			}
			receipt.Add(more)
		}
		return receipt, nil
	}
	res := &v1.ImportResponse{}
	if err := r.send(ctx, &v1.ImportRequest{Spans: data, Metrics: seriesOf(b.Metrics)}, res); err != nil {
		return receipt, err
	}
	receipt.Kept, receipt.Duplicates, receipt.Spooled = int(res.GetKept()), int(res.GetDuplicates()), int(res.GetSpooled())
	receipt.Rejected = map[string]int{}
	for reason, n := range res.GetRejected() {
		receipt.Rejected[reason] = int(n)
	}
	return receipt, nil
}

func (r *remote) send(ctx context.Context, in *v1.ImportRequest, out proto.Message) error {
	return r.patiently(ctx, func() error {
		_, err := r.client.Send(ctx, "POST", "import", in, out)
		return err
	})
}

// seriesOf groups points that follow each other.
func seriesOf(points []visibility.MetricPoint) (list []*v1.MetricSeries) {
	for i, p := range points {
		if i == 0 || p.Name != points[i-1].Name || p.Service != points[i-1].Service {
			list = append(list, &v1.MetricSeries{Name: p.Name, Service: p.Service})
		}
		last := list[len(list)-1]
		last.Points = append(last.Points, &v1.MetricPoint{Time: timestamppb.New(p.Time), Value: p.Value})
	}
	return list
}

// patiently makes a request, again while nobody answers or the answer is to
// come later: a long transfer outlives a restart of what it talks to. All
// requests may be made twice.
func (r *remote) patiently(ctx context.Context, request func() error) error {
	for attempt := 1; ; attempt++ {
		err := request()
		if err == nil || attempt == attempts || ctx.Err() != nil || !passing(err) && !busy(err) {
			return err
		}
		if attempt == 1 && !busy(err) {
			reason, _, _ := strings.Cut(err.Error(), "\n")
			fmt.Fprintf(r.Err, "%s; trying again for a while\n", show.Clean(reason))
		}
		select {
		case <-time.After(r.pause):
		case <-ctx.Done():
			return err
		}
	}
}

// busy reports whether the server has said to come later.
func busy(err error) bool {
	var st *client.StatusError
	return errors.As(err, &st) && (st.Code == codes.ResourceExhausted || st.Code == codes.DeadlineExceeded)
}
