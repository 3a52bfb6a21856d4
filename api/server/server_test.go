package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/opnfv/clover/api"
	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/collector"
	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
	f.local, err = server.NewLocal(server.LocalDeps{Store: f.store, Analytics: analytics, Collector: c, Hub: f.hub, Version: "test"})
	check(t, err)
	f.rest, f.conn = serve(t, f.local)
	return f
}

// serve runs a service until the test ends.
func serve(t *testing.T, service v1.VisibilityServiceServer) (rest string, conn *grpc.ClientConn) {
	t.Helper()
	srv, err := server.New(t.Context(), service, server.Options{
		GRPCAddr: "127.0.0.1:0", RESTAddr: "127.0.0.1:0", MaxRequestBytes: 1000, Grace: 2 * time.Second,
	})
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	grpcAddr, restAddr := srv.Addrs()
	conn, err = grpc.NewClient(grpcAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	t.Cleanup(func() {
		check(t, conn.Close())
		http.DefaultClient.CloseIdleConnections()
		stop()
		check(t, <-done)
	})
	return "http://" + restAddr, conn
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
	for i := range byte(4) {
		web := tracing.NewSpan()
		web.TraceID, web.SpanID = tracing.TraceID{1, i}, tracing.SpanID{1}
		web.Service, web.Kind, web.Operation = "web", tracing.KindServer, "GET /"
		web.Start, web.Duration = time.Now().Add(-time.Minute), time.Duration(i+1)*time.Millisecond
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

func TestErrorsNameTheFieldAndTheRemedy(t *testing.T) {
	f := start(t)
	for path, want := range map[string]struct {
		http  int
		code  float64
		text  string
		field string
	}{
		"stats?filter=statuss%3D1":              {400, 3, "did you mean status?", "filter"},
		"stats?group_by=servce":                 {400, 3, "did you mean service?", "group_by"},
		"stats?limit=-1":                        {400, 3, "between 1 and 10000", "limit"},
		"stats?order_by=p100":                   {400, 3, "p10", ""},
		"stats?step=3s":                         {400, 3, "multiple of 10s", "step"},
		"stats?range.from=2030-01-01T00:00:00Z": {400, 3, "not before", "range"},
		"stats?range.last=-5s":                  {400, 3, "longer than 0s", "range.last"},
		"stats?filter=duration%3E1s":            {400, 3, "search traces", "filter"},
		"stats?filter=service%3Dwebb":           {404, 5, "did you mean web?", ""},
		"traces/zz":                             {400, 3, "hexadecimal", "trace_id"},
		"traces/ffff":                           {404, 5, "not found", ""},
		"traces?page_token=zz":                  {400, 3, "cursor", ""},
		"summary?stat=nothing":                  {400, 3, "want one of", "stat"},
		"stats?filtr=x":                         {400, 3, "is not a parameter", ""},
		"stats?range.form=x":                    {400, 3, "is not a parameter", ""},
		"nothing":                               {404, 5, "Not Found", ""},
	} {
		code, body := get(t, f.rest+"/api/v1/visibility/"+path)
		message, _ := body["message"].(string)
		if code != want.http || body["code"] != want.code || !strings.Contains(message, want.text) {
			t.Errorf("%s: %d %v, want %d with %q", path, code, body, want.http, want.text)
		}
		if raw, _ := json.Marshal(body["details"]); want.field != "" && !strings.Contains(string(raw), `"field":"`+want.field+`"`) {
			t.Errorf("%s: details %s do not name the field %s", path, raw, want.field)
		}
	}
}

func TestWhatAForeignPageCouldSendIsRefused(t *testing.T) {
	f := start(t)
	for name, c := range map[string]struct {
		method, host, contentType, body string
		want                            int
	}{
		"a form":            {"POST", "", "text/plain", "{}", http.StatusUnsupportedMediaType},
		"no content type":   {"POST", "", "", "", http.StatusUnsupportedMediaType},
		"DNS rebinding":     {"GET", "evil.example", "", "", http.StatusForbidden},
		"reading by POST":   {"GET", "", "", "", http.StatusMethodNotAllowed},
		"a large body":      {"POST", "", "application/json", strings.Repeat(" ", 2000) + "{}", http.StatusRequestEntityTooLarge},
		"as cloverctl does": {"POST", "localhost", "application/json", "{}", http.StatusOK},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, f.rest+"/api/v1/visibility/clear", strings.NewReader(c.body))
		check(t, err)
		if c.host != "" {
			req.Host = c.host
		}
		if c.contentType != "" {
			req.Header.Set("Content-Type", c.contentType)
		}
		res, err := http.DefaultClient.Do(req)
		check(t, err)
		text, err := io.ReadAll(res.Body)
		check(t, err)
		res.Body.Close()
		want := c.want
		if name == "reading by POST" {
			want = http.StatusNotImplemented // grpc-gateway's answer to a wrong method
		}
		if res.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", name, res.StatusCode, text, want)
		}
	}
}

func TestLiveSpansAsEvents(t *testing.T) {
	f := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.rest+"/api/v1/visibility/spans?filter=service%3Ddb&limit=4", nil)
	check(t, err)
	req.Header.Set("Accept", "text/event-stream")
	answered := make(chan *http.Response, 1)
	go func() {
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			close(answered)
			return
		}
		answered <- res
	}()
	for f.hub.Stats().Subscribers == 0 {
		if ctx.Err() != nil {
			t.Fatal("nobody subscribed")
		}
		time.Sleep(time.Millisecond)
	}
	f.hub.Publish(spans())
	res, ok := <-answered
	if !ok {
		return
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q", got)
	}
	events := 0
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var event struct {
			Result struct {
				Span *struct{ Service, URL string }
			}
		}
		check(t, json.Unmarshal([]byte(data), &event))
		if event.Result.Span == nil {
			continue // the sign of life at the start
		}
		if event.Result.Span.Service != "db" {
			t.Errorf("event %s", data)
		}
		events++
	}
	if events != 4 {
		t.Errorf("%d events, want 4", events)
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

func TestTheForwarderAnswersAsTheServiceBehindIt(t *testing.T) {
	f := start(t)
	rest, _ := serve(t, server.NewForwarder(f.conn))
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

func TestOpenAPIHasEveryRoute(t *testing.T) {
	var doc struct{ Paths map[string]map[string]any }
	check(t, json.Unmarshal(api.OpenAPI, &doc))
	routes := 0
	for path, methods := range doc.Paths {
		if !strings.HasPrefix(path, "/api/v1/visibility/") {
			t.Errorf("route %s is not under /api/v1/visibility", path)
		}
		routes += len(methods)
	}
	if want := len(v1.VisibilityService_ServiceDesc.Methods) + len(v1.VisibilityService_ServiceDesc.Streams); routes != want {
		t.Errorf("%d routes, %d methods", routes, want)
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

// panicking panics where a fault in the library would.
type panicking struct {
	v1.UnimplementedVisibilityServiceServer
}

func (panicking) GetStats(context.Context, *v1.GetStatsRequest) (*v1.GetStatsResponse, error) {
	panic("fault")
}

func TestAPanicIsAnAnswer(t *testing.T) {
	_, conn := serve(t, panicking{})
	_, err := v1.NewVisibilityServiceClient(conn).GetStats(t.Context(), &v1.GetStatsRequest{})
	if status.Code(err) != codes.Internal {
		t.Errorf("%v, want INTERNAL", err)
	}
}
