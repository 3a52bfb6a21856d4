package tracing

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/opnfv/clover/internal/testutil"
)

// poll repeats check until it returns nil.
func poll(t *testing.T, check func() error) {
	t.Helper()
	testutil.Eventually(t, time.Minute, func() (bool, string) {
		err := check()
		return err == nil, fmt.Sprint(err)
	})
}

// realJaeger is a running Jaeger with its storage in memory and a base path.
type realJaeger struct{ *testutil.JaegerServer }

func startJaeger(t *testing.T, version testutil.JaegerVersion, maxTraces int) *realJaeger {
	t.Helper()
	return &realJaeger{testutil.Jaeger(t, testutil.JaegerOptions{Version: version, MaxTraces: maxTraces, BasePath: "/jaeger"})}
}

// send delivers spans by OTLP.
func (r *realJaeger) send(t *testing.T, spans []Span) {
	t.Helper()
	conn, err := grpc.NewClient(r.OTLPGRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for len(spans) > 0 {
		n := min(len(spans), 500)
		request := &coltracepb.ExportTraceServiceRequest{ResourceSpans: ToOTLP(spans[:n])}
		answer, err := coltracepb.NewTraceServiceClient(conn).Export(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		if answer.GetPartialSuccess().GetRejectedSpans() > 0 {
			t.Fatalf("rejected: %v", answer)
		}
		spans = spans[n:]
	}
}

// sendZipkin delivers spans as Zipkin's JSON v2.
func (r *realJaeger) sendZipkin(t *testing.T, body string) {
	t.Helper()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(r.Zipkin+"/api/v2/spans", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("zipkin: %s", resp.Status)
	}
}
