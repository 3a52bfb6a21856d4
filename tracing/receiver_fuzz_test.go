package tracing

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// FuzzReceiverHTTP posts anything: each request gets an answer of OTLP's, and
// what is taken can be sent on.
func FuzzReceiverHTTP(f *testing.F) {
	wire, err := proto.Marshal(oneGoodOneBad())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire, false)
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"01","spanId":"0100000000000000"},null]},null]},null]}`), true)
	sink := SinkFunc(func(_ context.Context, _ string, spans []Span, _ []Rejection) error {
		_, err := proto.Marshal(&coltracepb.ExportTraceServiceRequest{ResourceSpans: ToOTLP(spans)})
		if err != nil {
			f.Error(err)
		}
		return nil
	})
	r, err := NewReceiver(sink, ReceiverOptions{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, isJSON bool) {
		req := httptest.NewRequest(http.MethodPost, TracesPath, bytes.NewReader(body))
		req.Header.Set("Content-Type", typeProtobuf)
		if isJSON {
			req.Header.Set("Content-Type", typeJSON)
		}
		answer := httptest.NewRecorder()
		r.ServeHTTP(answer, req)
		if answer.Code != http.StatusOK && answer.Code != http.StatusBadRequest {
			t.Errorf("status %d %q", answer.Code, answer.Body)
		}
	})
}

func BenchmarkReceiverGRPC(b *testing.B) {
	var n atomic.Uint64
	sink := SinkFunc(func(_ context.Context, _ string, spans []Span, _ []Rejection) error {
		n.Add(uint64(len(spans)))
		return nil
	})
	_, addr, _ := startReceiver(b, sink, ReceiverOptions{})
	client := grpcClient(b, addr)
	sample := sampleSpans(b, sampleNames[0])
	var spans []Span
	for len(spans) < 500 {
		spans = append(spans, sample...)
	}
	req := &coltracepb.ExportTraceServiceRequest{ResourceSpans: ToOTLP(spans)}
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := client.Export(context.Background(), req); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "spans/s")
}
