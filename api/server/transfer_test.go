package server_test

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/visibility/parquet"
)

// TestExportAndImport goes through pages of one trace each, and puts back what
// the store has.
func TestExportAndImport(t *testing.T) {
	f := start(t)
	req := &v1.ExportTracesRequest{PageSize: 1, Range: &v1.TimeRange{
		From: timestamppb.New(time.Now().Add(-time.Hour)), To: timestamppb.New(time.Now().Add(time.Hour)),
	}}
	pages := 0
	for {
		page, err := f.local.ExportTraces(t.Context(), req)
		check(t, err)
		spans, err := parquet.Decode(page.GetSpans())
		if err == nil && len(spans) == 0 && pages == 4 && page.GetNextPageToken() == "" {
			break // that the fourth was the last was not known yet
		}
		if err != nil || len(spans) != 3 {
			t.Fatalf("page %d: %d spans, %v", pages, len(spans), err)
		}
		pages++
		res, err := f.local.Import(t.Context(), &v1.ImportRequest{Spans: page.GetSpans()})
		if err != nil || res.GetKept() != 0 || res.GetDuplicates() != 3 {
			t.Errorf("put back: %v, %v", res, err)
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if pages != 4 {
		t.Errorf("%d pages, want 4", pages)
	}
	req.PageToken = "nonsense"
	if _, err := f.local.ExportTraces(t.Context(), req); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a wrong token: %v", err)
	}
	if _, err := f.local.ExportTraces(t.Context(), &v1.ExportTracesRequest{PageSize: -1}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a wrong size: %v", err)
	}
	for _, req := range []*v1.ImportRequest{
		{Spans: []byte("PAR1")},
		{Spans: bytes.Repeat([]byte("PAR1"), 100)},
		{Metrics: []*v1.MetricSeries{{Points: []*v1.MetricPoint{{}}}}},
		{Metrics: []*v1.MetricSeries{{Name: "up", Points: []*v1.MetricPoint{{}}}}},
	} {
		if _, err := f.local.Import(t.Context(), req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v is taken: %v", req, err)
		}
	}
}
