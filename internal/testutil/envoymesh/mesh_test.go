package envoymesh

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

const limit = 60 * time.Second

// collector is where a mesh with that tracer sends its spans in Jaeger.
func collector(j *testutil.JaegerServer, tracer Tracer) string {
	if tracer == Zipkin {
		return strings.TrimPrefix(j.Zipkin, "http://")
	}
	return j.OTLPGRPC
}

// client keeps no connection open after a test.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// get sends one request and returns the status.
func get(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "mesh-test")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// shape tells a span in one line: service, kind, operation, status, flags,
// and "error" if it has that tag.
func shape(s testutil.JaegerSpan) string {
	line := fmt.Sprintf("%s %s %s %s %s", nameOf(s.Service), s.Kind(), s.Operation,
		s.Tags["http.status_code"], s.Tags["response_flags"])
	if s.Tags["error"] == "true" {
		line += " error"
	}
	return line
}

const (
	toAccess   = "proxy-access-control.default.svc.cluster.local:9180/*"
	toBalancer = "http-lb.default.svc.cluster.local:9180/*"
	toNobody   = "nobody.default.svc.cluster.local:9180/*"
	routed     = "router outbound|9180||proxy-access-control.default.svc.cluster.local; egress"
)

// chain is what a request through the whole mesh leaves, by what it got at
// the gateway, at the gateway's attempt, and at servers and clients behind it.
func chain(front, attempt, server, client string) []string {
	return []string{
		"istio-ingressgateway server " + toAccess + " " + front,
		"istio-ingressgateway client " + routed + " " + attempt,
		"proxy-access-control server " + toAccess + " " + server,
		"proxy-access-control client " + toBalancer + " " + client,
		"http-lb server " + toBalancer + " " + server,
	}
}

// cases are the routes, what they answer and the spans that they leave.
var cases = []struct {
	path   string
	status int
	spans  []string
}{
	{"/", 200, chain("200 -", "200 -", "200 -", "200 -")},
	{"/slow", 200, chain("200 -", "200 -", "200 -", "200 -")},
	{"/fail", 503, chain("503 - error", "503 - error", "503 - error", "503 - error")},
	{"/status/404", 404, chain("404 -", "404 - error", "404 -", "404 - error")},
	{"/mirror/untraced", 200, chain("200 -", "200 -", "200 -", "200 -")},
	{"/denied", 403, []string{"istio-ingressgateway server " + toAccess + " 403 -"}},
	{"/unreachable", 503, []string{
		"istio-ingressgateway server " + toNobody + " 503 UF error",
		"istio-ingressgateway client router outbound|9180||nobody.default.svc.cluster.local; egress 0 UF error",
	}},
	{"/timeout", 504, chain("504 UT error", "0 - error", "0 DC error", "0 DC error")},
}

func TestSpansOfEachRoute(t *testing.T) {
	for _, tracer := range Tracers() {
		t.Run(tracer.String(), func(t *testing.T) {
			j := testutil.Jaeger(t, testutil.JaegerOptions{})
			m := New(t, Options{Tracer: tracer, Collector: collector(j, tracer)})
			want := map[string][]string{}
			for _, c := range cases {
				if status := get(t, m.URL+c.path); status != c.status {
					t.Errorf("%s answers %d, want %d", c.path, status, c.status)
				}
				for _, s := range c.spans {
					if tracer == Zipkin { // calls no 4xx an error
						s = strings.Replace(s, "404 - error", "404 -", 1)
					}
					want[c.path] = append(want[c.path], s)
				}
			}
			got := map[string][]string{}
			for path, spans := range byPath(t, m.WaitSpans(j, limit)) {
				for _, s := range spans {
					got[path] = append(got[path], shape(s))
				}
			}
			for path := range want {
				slices.Sort(want[path])
				slices.Sort(got[path])
				if !slices.Equal(got[path], want[path]) {
					t.Errorf("%s left\n\t%s\nwant\n\t%s", path,
						strings.Join(got[path], "\n\t"), strings.Join(want[path], "\n\t"))
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d traces, want %d", len(got), len(want))
			}
			mirrored := Served{Service: Detector, Method: http.MethodGet, Path: "/mirror/untraced", Status: 200}
			if n := m.Tally()[mirrored]; n != 1 {
				t.Errorf("snort-ids got %d copies, want 1: %v", n, m.Tally())
			}
		})
	}
}

// byPath groups the spans of each trace under the path that its root asked
// for.
func byPath(t *testing.T, spans []testutil.JaegerSpan) map[string][]testutil.JaegerSpan {
	t.Helper()
	paths := map[string]string{}
	for _, s := range spans {
		if s.ParentID == "" {
			_, rest, _ := strings.Cut(strings.TrimPrefix(s.Tags["http.url"], "http://"), "/")
			paths[s.TraceID] = "/" + rest
		}
	}
	groups := map[string][]testutil.JaegerSpan{}
	for _, s := range spans {
		path, ok := paths[s.TraceID]
		if !ok {
			t.Fatalf("the trace of %+v has no root", s)
		}
		groups[path] = append(groups[path], s)
	}
	return groups
}

// TestNothingIsLostUnderLoad holds that what Settle and WaitSpans give is
// exact, for a burst through each tracer into each generation of Jaeger.
func TestNothingIsLostUnderLoad(t *testing.T) {
	const workers, each = 8, 100
	for _, tracer := range Tracers() {
		for _, version := range testutil.JaegerVersions() {
			t.Run(tracer.String()+"/"+version.String(), func(t *testing.T) {
				j := testutil.Jaeger(t, testutil.JaegerOptions{Version: version})
				m := New(t, Options{Tracer: tracer, Collector: collector(j, tracer)})
				var wg sync.WaitGroup
				for range workers {
					wg.Go(func() {
						for i := range each {
							resp, err := client.Get(fmt.Sprintf("%s/load/%d", m.URL, i%10))
							if err != nil {
								t.Error(err)
								return
							}
							resp.Body.Close()
						}
					})
				}
				wg.Wait()
				spans := m.WaitSpans(j, limit)
				if want := workers * each * 5; len(spans) != want {
					t.Errorf("%d spans, want %d", len(spans), want)
				}
				served := 0
				for s, n := range m.Tally() {
					if s.Service == Balancer && s.Status == http.StatusOK {
						served += n
					}
				}
				if served != workers*each {
					t.Errorf("http-lb served %d requests, want %d", served, workers*each)
				}
			})
		}
	}
}

func TestMirrorTraced(t *testing.T) {
	for _, tracer := range Tracers() {
		t.Run(tracer.String(), func(t *testing.T) {
			j := testutil.Jaeger(t, testutil.JaegerOptions{Version: testutil.JaegerV2})
			m := New(t, Options{Tracer: tracer, Collector: collector(j, tracer), MirrorTraced: true})
			get(t, m.URL+"/mirror")
			spans := m.WaitSpans(j, limit)
			if len(spans) != 7 {
				t.Fatalf("%d spans, want 7: %+v", len(spans), spans)
			}
			find := func(match func(testutil.JaegerSpan) bool) testutil.JaegerSpan {
				t.Helper()
				i := slices.IndexFunc(spans, match)
				if i < 0 {
					t.Fatalf("not among %+v", spans)
				}
				return spans[i]
			}
			root := find(func(s testutil.JaegerSpan) bool { return s.ParentID == "" })
			sent := find(func(s testutil.JaegerSpan) bool { return s.Operation == "mirror" })
			seen := find(func(s testutil.JaegerSpan) bool { return s.Service == Detector })
			if sent.ParentID != root.SpanID || sent.Service != Gateway || sent.Kind() != "client" ||
				sent.Tags["node_id"] != "" || sent.Tags["http.url"] != "" {
				t.Errorf("the gateway's span of the copy is %+v", sent)
			}
			port := strings.TrimPrefix(m.URL, "http://127.0.0.1")
			if seen.ParentID != sent.SpanID || seen.Kind() != "server" || seen.Operation != toAccess ||
				seen.Tags["http.url"] != "http://127.0.0.1-shadow"+port+"/mirror" {
				t.Errorf("the span of the copy's receiver is %+v", seen)
			}
		})
	}
}

func TestSpansCarryIstiosTags(t *testing.T) {
	for _, tracer := range Tracers() {
		t.Run(tracer.String(), func(t *testing.T) {
			j := testutil.Jaeger(t, testutil.JaegerOptions{})
			m := New(t, Options{Tracer: tracer, Collector: collector(j, tracer)})
			get(t, m.URL+"/tags")
			for _, s := range m.WaitSpans(j, limit) {
				if s.Service != Balancer {
					continue
				}
				for key, want := range map[string]string{
					"node_id": m.B.NodeID, "istio.canonical_service": "http-lb", "istio.canonical_revision": "v1",
					"istio.namespace": "default", "istio.mesh_id": "cluster.local", "user_agent": "mesh-test",
					"http.url": "http://http-lb:9180/tags", "http.method": "GET", "request_size": "0",
					"response_size": "3", "upstream_cluster": "inbound|9180||", "upstream_cluster.name": "inbound|9180||;",
				} {
					if s.Tags[key] != want {
						t.Errorf("%s is %q, want %q", key, s.Tags[key], want)
					}
				}
				otel := tracer == OpenTelemetry
				if (s.Process["telemetry.sdk.name"] == "envoy") != otel || (s.Tags["otel.scope.name"] != "") != otel ||
					(s.Tags["net.host.ip"] == "") != otel {
					t.Errorf("tags of the process are %v, of the span %v", s.Process, s.Tags)
				}
				return
			}
			t.Error("no span of http-lb")
		})
	}
}

func TestCountersInPrometheus(t *testing.T) {
	m := New(t, Options{})
	p := testutil.Prometheus(t, testutil.PrometheusOptions{ScrapeConfigs: m.ScrapeConfigs()})
	for range 7 {
		get(t, m.URL+"/")
	}
	get(t, m.URL+"/fail")
	p.WaitScraped(limit)
	for expr, want := range map[string]float64{
		`envoy_cluster_upstream_rq{cluster_name="inbound|9180||",pod=~"http-lb-.*",response_code="200"}`:                              7,
		`envoy_cluster_upstream_rq{cluster_name="inbound|9180||",pod=~"http-lb-.*",response_code_class="5xx"}`:                        1,
		`envoy_cluster_upstream_rq_total{cluster_name="outbound|9180||http-lb.default.svc.cluster.local"}`:                            8,
		`envoy_cluster_upstream_rq_total{cluster_name="outbound|9180||proxy-access-control.default.svc.cluster.local"}`:               8,
		`envoy_http_downstream_rq_total{http_conn_manager_prefix="outbound_0.0.0.0_8080",job="envoy-stats",namespace="istio-system"}`: 8,
	} {
		testutil.Eventually(t, limit, func() (bool, string) { // after a scrape that fails there is none for a while
			got, err := p.Query(t.Context(), expr)
			return err == nil && len(got) == 1 && got[0].Value == want, fmt.Sprintf("%s is %v, %v, want %v", expr, got, err, want)
		})
	}
}

func TestProxyDrainsQuitsAndRestarts(t *testing.T) {
	m := New(t, Options{})
	if status := get(t, m.URL+"/"); status != http.StatusOK {
		t.Fatalf("status %d, want 200", status)
	}
	m.B.Quit()
	if status := get(t, m.URL+"/"); status != http.StatusServiceUnavailable {
		t.Errorf("status without the last sidecar is %d, want 503", status)
	}
	m.B.Restart()
	if status := get(t, m.URL+"/"); status != http.StatusOK {
		t.Errorf("status after the restart is %d, want 200", status)
	}
	m.Front.Drain()
	keep := &http.Client{Transport: &http.Transport{}}
	defer keep.CloseIdleConnections()
	testutil.Eventually(t, limit, func() (bool, string) {
		resp, err := keep.Get(m.URL + "/denied")
		if err != nil {
			return false, err.Error()
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.Close, fmt.Sprint("a draining proxy keeps connections open, ", err)
	})
}
