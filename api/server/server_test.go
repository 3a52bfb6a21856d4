package server_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/collector"
	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/embedded"
)

func TestMain(m *testing.M) { leak.Main(m) }

// fixture is a server over a store with four requests of two services.
type fixture struct {
	rest  string
	conn  *grpc.ClientConn
	store *embedded.Store
	hub   *visibility.Hub
	local *server.Local
}

func start(t *testing.T) *fixture {
	t.Helper()
	return startWith(t, func(*server.LocalDeps) {})
}

func startWith(t *testing.T, adjust func(*server.LocalDeps)) *fixture {
	t.Helper()
	f := &fixture{hub: &visibility.Hub{}}
	var err error
	f.store, err = embedded.Open(t.TempDir(), embedded.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, f.store.Close()) })
	_, err = f.store.Write(t.Context(), &visibility.Batch{Source: "test", Spans: spans()})
	check(t, err)
	c, err := visibility.NewCollector(f.store, visibility.CollectorOptions{ID: "44"})
	check(t, err)
	analytics, err := visibility.NewAnalytics(f.store, visibility.AnalyticsOptions{Status: c.Status})
	check(t, err)
	deps := server.LocalDeps{Store: f.store, Analytics: analytics, Collector: c, Hub: f.hub, Version: "test"}
	adjust(&deps)
	f.local, err = server.NewLocal(deps)
	check(t, err)
	f.rest, f.conn = serve(t, f.local)
	return f
}

// serve runs a service until the test ends.
func serve(t *testing.T, service v1.VisibilityServiceServer) (rest string, conn *grpc.ClientConn) {
	t.Helper()
	rest, conn, _ = serveWith(t, service, server.Options{MaxRequestBytes: 1000, Grace: 2 * time.Second})
	return rest, conn
}

// serveWith runs a service until stop is called or the test ends.
func serveWith(t *testing.T, service v1.VisibilityServiceServer, o server.Options) (rest string, conn *grpc.ClientConn, stop func()) {
	t.Helper()
	o.GRPCAddr, o.RESTAddr = "127.0.0.1:0", "127.0.0.1:0"
	srv, err := server.New(t.Context(), service, o)
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	grpcAddr, restAddr := srv.Addrs()
	conn, err = grpc.NewClient(grpcAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	t.Cleanup(func() {
		check(t, conn.Close())
		http.DefaultClient.CloseIdleConnections()
		stop()
	})
	return "http://" + restAddr, conn, stop
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// spans are four requests to "web", two of which fail; it asks "db".
func spans() []tracing.Span {
	var list []tracing.Span
	start := time.Now().Add(-time.Minute) // of all: a step of time could end between two
	for i := range byte(4) {
		web := tracing.NewSpan()
		web.TraceID, web.SpanID = tracing.TraceID{1, i}, tracing.SpanID{1}
		web.Service, web.Kind, web.Operation = "web", tracing.KindServer, "GET /"
		web.Start, web.Duration = start, time.Duration(i+1)*time.Millisecond
		web.StatusCode, web.Method, web.URL = 200, "GET", "http://web/<script>"
		if i%2 == 1 {
			web.StatusCode, web.Error = 503, true
		}
		client := web
		client.SpanID, client.ParentID, client.Kind = tracing.SpanID{2}, web.SpanID, tracing.KindClient
		db := web
		db.SpanID, db.ParentID, db.Service = tracing.SpanID{3}, client.SpanID, "db"
		list = append(list, web, client, db)
	}
	return list
}

// get asks REST and decodes the answer.
func get(t *testing.T, url string) (int, map[string]any) {
	t.Helper()
	res, err := http.Get(url)
	check(t, err)
	defer res.Body.Close()
	var body map[string]any
	check(t, json.NewDecoder(res.Body).Decode(&body))
	return res.StatusCode, body
}

func TestStatsByRESTAndByGRPC(t *testing.T) {
	f := start(t)
	code, body := get(t, f.rest+"/api/v1/visibility/stats?group_by=service&filter=status%3D5xx&range.last=600s")
	groups, _ := body["groups"].([]any)
	if code != http.StatusOK || len(groups) != 2 {
		t.Fatalf("%d %v", code, body)
	}
	stats := groups[0].(map[string]any)["stats"].(map[string]any)
	if stats["count"] != "2" || stats["errors"] != "2" || stats["max"] != "0.004s" {
		t.Errorf("stats %v", stats)
	}
	res, err := v1.NewVisibilityServiceClient(f.conn).GetStats(t.Context(), &v1.GetStatsRequest{
		GroupBy: []string{"source", "destination"}, Step: durationpb.New(10 * time.Second), OrderBy: "mean",
	})
	check(t, err)
	if len(res.GetGroups()) != 2 || res.GetTotal().GetCount() != 8 || len(res.GetGroups()[0].GetSeries()) != 1 {
		t.Errorf("answer %v", res)
	}
	if !res.GetCompleteness().GetComplete() {
		t.Errorf("not complete: %v", res.GetCompleteness())
	}
}

func TestControlAsIn2019(t *testing.T) {
	f := start(t)
	ctl := collector.NewControllerClient(f.conn)
	init, err := ctl.InitVisibility(t.Context(), &collector.InitVisibilityRequest{})
	check(t, err)
	started, err := ctl.StartCollector(t.Context(), &collector.StartCollectorRequest{
		THost: "tracing.istio-system", TPort: "80", MHost: "prometheus.istio-system", MPort: "9090", SampleInterval: "2",
	})
	check(t, err)
	config, err := f.local.GetConfig(t.Context(), &v1.GetConfigRequest{})
	check(t, err)
	stopped, err := ctl.StopCollector(t.Context(), &collector.StopCollectorRequest{})
	check(t, err)
	cleared, err := ctl.TruncateVisibility(t.Context(), &collector.TruncateVisibilityRequest{})
	check(t, err)
	for got, want := range map[string]string{
		init.GetMessage():                               "Added visibility schemas in embedded",
		started.GetMessage():                            "Started collector on pid: 44",
		stopped.GetMessage():                            "Stopped collector on pid: 44",
		cleared.GetMessage():                            "Cleared visibility data: 4 traces, 12 spans, 0 metric points",
		config.GetConfig().GetTracingUrls()[0]:          "http://tracing.istio-system:80",
		config.GetConfig().GetMonitoringUrl():           "http://prometheus.istio-system:9090",
		config.GetConfig().GetSampleInterval().String(): durationpb.New(2 * time.Second).String(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// rates move with the clock too.
var rates = regexp.MustCompile(`"(rate|change)":[-+.e0-9]+`)

func TestTheForwarderAnswersAsTheServiceBehindIt(t *testing.T) {
	f := start(t)
	rest, _ := serve(t, server.NewForwarder(f.conn, server.ForwarderOptions{}))
	for _, path := range []string{
		"stats?group_by=service", "stats?group_by=nothing", "values/url", "graph", "movers", "heatmap",
		"traces", "traces/ffff", "ledger", "summary", "config", "metrics", "metrics/points",
	} {
		fixed := "&range.from=2026-01-01T00:00:00Z"
		if !strings.Contains(path, "?") {
			fixed = "?"
		}
		wantCode, want := get(t, f.rest+"/api/v1/visibility/"+path+strings.TrimSuffix(fixed, "?"))
		gotCode, got := get(t, rest+"/api/v1/visibility/"+path+strings.TrimSuffix(fixed, "?"))
		for _, b := range []map[string]any{want, got} { // these move with the clock
			delete(b, "range")
			delete(b, "base")
			delete(b, "target")
			delete(b, "completeness")
			delete(b, "entries")
		}
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got)
		a, b = rates.ReplaceAll(a, nil), rates.ReplaceAll(b, nil)
		if gotCode != wantCode || string(a) != string(b) {
			t.Errorf("%s:\n%d %s\nwant\n%d %s", path, gotCode, b, wantCode, a)
		}
	}
}

func TestWhatToolsExpect(t *testing.T) {
	f := start(t)
	health, err := healthpb.NewHealthClient(f.conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "clover.visibility.v1.VisibilityService"})
	check(t, err)
	if health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health %v", health)
	}
	stream, err := reflectionpb.NewServerReflectionClient(f.conn).ServerReflectionInfo(t.Context())
	check(t, err)
	check(t, stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}))
	answer, err := stream.Recv()
	check(t, err)
	if list := answer.String(); !strings.Contains(list, "collector.Controller") || !strings.Contains(list, "VisibilityService") {
		t.Errorf("reflection lists %s", list)
	}
	check(t, stream.CloseSend())
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "store embedded: 12 spans", "/metrics": "", "/openapi.json": `"swagger"`} {
		res, err := http.Get(f.rest + path)
		check(t, err)
		body, err := io.ReadAll(res.Body)
		check(t, err)
		res.Body.Close()
		if res.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %.80s", path, res.StatusCode, body)
		}
	}
}

func TestListening(t *testing.T) {
	f := start(t)
	taken := strings.TrimPrefix(f.rest, "http://")
	_, err := server.New(t.Context(), f.local, server.Options{GRPCAddr: "127.0.0.1:0", RESTAddr: taken})
	if err == nil || !strings.Contains(err.Error(), "choose another address with --rest-addr") {
		t.Errorf("port in use: %v", err)
	}
	_, err = server.New(t.Context(), f.local, server.Options{GRPCAddr: "0.0.0.0:0", RESTAddr: "-"})
	if err == nil || !strings.Contains(err.Error(), "--allow-remote") {
		t.Errorf("not loopback: %v", err)
	}
}

// panicking panics and fails where a fault in the library would.
type panicking struct {
	v1.UnimplementedVisibilityServiceServer
}

func (panicking) GetStats(context.Context, *v1.GetStatsRequest) (*v1.GetStatsResponse, error) {
	panic("fault")
}

func (panicking) GetGraph(context.Context, *v1.GetGraphRequest) (*v1.GetGraphResponse, error) {
	return nil, status.Error(codes.Internal, "checksum of block 7 is wrong")
}

func TestAFaultIsAnAnswerAndIsLogged(t *testing.T) {
	var log testutil.Output
	_, conn, _ := serveWith(t, panicking{}, server.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	client := v1.NewVisibilityServiceClient(conn)
	_, err := client.GetStats(t.Context(), &v1.GetStatsRequest{})
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "goroutine") {
		t.Errorf("panic: %v, want INTERNAL without the stack", err)
	}
	_, err = client.GetGraph(t.Context(), &v1.GetGraphRequest{})
	if status.Code(err) != codes.Internal {
		t.Errorf("fault: %v, want INTERNAL", err)
	}
	for _, want := range []string{"server: panic", "server_test.go", "checksum of block 7", "GetGraph"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not have %q:\n%s", want, log.String())
		}
	}
}
