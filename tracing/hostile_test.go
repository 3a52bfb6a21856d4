package tracing

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// The work grows with the size of the input, whatever is in it: it takes two
// seconds of the processor, which a busy machine may give it in a minute.
// Quadratic work would take a quarter of an hour and more, with the race
// detector.
func TestHostileInputIsLinear(t *testing.T) {
	const n = 200_000
	begin := time.Now()
	s := NewSpan()
	for i := range n {
		s.Attributes = append(s.Attributes, Attribute{Key: "http.method", Value: "GET"},
			Attribute{Key: "http.url", Value: strconv.Itoa(i)})
	}
	Normalize(&s)
	if s.Method != "GET" || len(s.Attributes) != n-1 {
		t.Errorf("method %q, %d attributes", s.Method, len(s.Attributes))
	}
	var rs []*tracepb.ResourceSpans
	for i := range n {
		name := &commonpb.KeyValue{Key: "service.name", Value: stringValue(strconv.Itoa(i))}
		rs = append(rs, &tracepb.ResourceSpans{
			Resource:   &resourcepb.Resource{Attributes: []*commonpb.KeyValue{name}},
			ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{}}}},
		})
	}
	if _, rejected := FromOTLP(rs); len(rejected) != n || len(partialSuccess(rejected).ErrorMessage) > 1000 {
		t.Errorf("%d rejections", len(rejected))
	}
	if took := time.Since(begin); took > 15*time.Minute {
		t.Errorf("took %v", took)
	}
}

func TestReceiverAndExporterTLS(t *testing.T) {
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	defer borrowed.Close()
	roots := x509.NewCertPool()
	roots.AddCert(borrowed.Certificate())
	sink := &memorySink{}
	server := &tls.Config{Certificates: borrowed.TLS.Certificates, MinVersion: tls.VersionTLS12}
	r, addr, _ := startReceiver(t, sink, ReceiverOptions{TLS: server})
	_, httpAddr := r.Addrs()
	client := &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}
	for i, endpoint := range []string{"grpcs://" + addr, "https://" + httpAddr.String()} {
		if stats := runExporter(t, endpoint, 5, ExporterOptions{TLS: client}); stats.Exported != 5 || sink.count() != 5*(i+1) {
			t.Errorf("%s: %+v", endpoint, stats)
		}
		// Without the authority's certificate nothing goes through.
		strict := ExporterOptions{DrainTimeout: 200 * time.Millisecond, MinBackoff: 50 * time.Millisecond}
		if stats := runExporter(t, endpoint, 1, strict); stats.Exported != 0 {
			t.Errorf("%s: an unknown certificate was trusted: %+v", endpoint, stats)
		}
	}
}
