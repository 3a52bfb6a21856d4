package tracing

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// realJaeger is a running Jaeger with its storage in memory.
type realJaeger struct {
	http, grpc, otlp, zipkin string // HOST:PORT
}

// jaegerVersions are the programs of both generations.
var jaegerVersions = map[string]func() components.Component{
	"1.76": components.JaegerV1,
	"2":    components.JaegerV2,
}

// startJaeger starts a Jaeger with a base path for the duration of a test.
func startJaeger(t *testing.T, version string, maxTraces int) *realJaeger {
	t.Helper()
	binary := testutil.Require(t, jaegerVersions[version]())
	port := freePorts(t, 9)
	j := &realJaeger{http: port[0], grpc: port[1], otlp: port[2], zipkin: port[3]}
	args := []string{
		"--query.http-server.host-port=" + j.http, "--query.grpc-server.host-port=" + j.grpc,
		"--collector.otlp.grpc.host-port=" + j.otlp, "--collector.otlp.http.host-port=" + port[4],
		"--collector.zipkin.host-port=" + j.zipkin, "--admin.http.host-port=" + port[5],
		"--collector.grpc-server.host-port=" + port[6], "--collector.http-server.host-port=" + port[7],
		fmt.Sprintf("--memory.max-traces=%d", maxTraces), "--log-level=warn",
		"--query.base-path=/jaeger", "--collector.queue-size=100000",
	}
	if version == "2" {
		config := fmt.Sprintf(jaegerConfig, j.http, j.grpc, maxTraces, port[5], j.otlp, j.zipkin)
		path := filepath.Join(t.TempDir(), "jaeger.yaml")
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		args = []string{"--config=" + path}
	}
	runServer(t, binary, args, "http://"+j.http+"/jaeger/api/services", j.otlp)
	return j
}

const jaegerConfig = `
service:
  extensions: [jaeger_storage, jaeger_query, healthcheckv2]
  pipelines:
    traces: {receivers: [otlp, zipkin], processors: [], exporters: [jaeger_storage_exporter]}
  telemetry:
    metrics: {level: none}
    logs: {level: warn}
extensions:
  jaeger_query:
    base_path: /jaeger
    storage: {traces: memory}
    http: {endpoint: "%s"}
    grpc: {endpoint: "%s"}
  jaeger_storage:
    backends: {memory: {memory: {max_traces: %d}}}
  healthcheckv2: {use_v2: true, http: {endpoint: "%s"}}
receivers:
  otlp: {protocols: {grpc: {endpoint: "%s"}}}
  zipkin: {endpoint: "%s"}
exporters:
  jaeger_storage_exporter: {trace_storage: memory}
`

// runServer runs a program until the test ends, and waits for it to answer.
func runServer(t *testing.T, binary string, args []string, url, addr string) {
	t.Helper()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	server := testutil.Start(t, testutil.Command{Name: "jaeger", Path: binary, Args: args})
	server.WaitReady(30*time.Second, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// poll repeats check until it returns nil, and fails with its last error
// after the limit.
func poll(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); ; <-tick.C {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %v", limit, err)
		}
	}
}

func freePorts(t *testing.T, n int) (addrs []string) {
	t.Helper()
	for range n {
		addrs = append(addrs, testutil.FreeAddr(t))
	}
	return addrs
}

// send delivers spans by OTLP.
func (r *realJaeger) send(t *testing.T, spans []Span) {
	t.Helper()
	conn, err := grpc.NewClient(r.otlp, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
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
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post("http://"+r.zipkin+"/api/v2/spans", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("zipkin: %s", resp.Status)
	}
}
