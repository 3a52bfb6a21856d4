package e2e

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/internal/node"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/envoymesh"
	"github.com/opnfv/clover/visibility"
)

// request is one kind of request of the mix.
type request struct {
	method, path, agent string
	status              int
}

// mix is how often each kind is sent.
var mix = map[request]int{
	{"GET", "/", "curl/8", 200}:                 20,
	{"GET", "/item/17", "curl/8", 200}:          11,
	{"GET", "/item/18", "Mozilla/5.0", 200}:     7,
	{"POST", "/upload", "curl/8", 200}:          9,
	{"DELETE", "/item/17", "Mozilla/5.0", 200}:  3,
	{"GET", "/slow", "curl/8", 200}:             4,
	{"GET", "/fail", "curl/8", 503}:             6,
	{"GET", "/status/404", "curl/8", 404}:       5,
	{"PUT", "/status/418", "asafaweb.com", 418}: 2,
	{"GET", "/mirror", "asafaweb.com", 200}:     8,
	{"GET", "/denied", "curl/8", 403}:           5,
}

// sendMix sends the mix, a few requests at a time, and fails if an answer is
// not the one expected.
func sendMix(t *testing.T, url string) {
	t.Helper()
	work := make(chan request)
	errs := make(chan error, 4)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 4 {
		go func() {
			var failed error
			for r := range work {
				if err := send(t.Context(), client, url, r); err != nil {
					failed = err
				}
			}
			errs <- failed
		}()
	}
	for r, n := range mix {
		for range n {
			work <- r
		}
	}
	close(work)
	for range 4 {
		check(t, <-errs)
	}
}

func send(ctx context.Context, client *http.Client, url string, r request) error {
	req, err := http.NewRequestWithContext(ctx, r.method, url+r.path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", r.agent)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != r.status {
		return fmt.Errorf("%s %s: %d, want %d", r.method, r.path, res.StatusCode, r.status)
	}
	return nil
}

// tallied sums the mix over the requests that accept takes, by key.
func tallied(key func(request) string, accept func(request) bool) map[string]int64 {
	m := map[string]int64{}
	for r, n := range mix {
		if accept(r) {
			m[key(r)] += int64(n)
		}
	}
	return m
}

// TestCountsEqualTheGeneratorAndEnvoy sends a known mix through real Envoys,
// by each tracer, through each generation of Jaeger, and compares every count
// with the load generator's tally and with Envoy's own counters.
func TestCountsEqualTheGeneratorAndEnvoy(t *testing.T) {
	for i, tracer := range envoymesh.Tracers() {
		version := testutil.JaegerVersions()[i]
		t.Run(tracer.String()+" Jaeger "+version.String(), func(t *testing.T) {
			jaeger := testutil.Jaeger(t, testutil.JaegerOptions{Version: version})
			collector := jaeger.OTLPGRPC
			if tracer == envoymesh.Zipkin {
				collector = strings.TrimPrefix(jaeger.Zipkin, "http://")
			}
			mesh := envoymesh.New(t, envoymesh.Options{Tracer: tracer, Collector: collector, MirrorTraced: true})
			prometheus := testutil.Prometheus(t, testutil.PrometheusOptions{ScrapeConfigs: mesh.ScrapeConfigs()})
			c := clover(t, node.Options{
				JaegerURLs: []string{jaeger.QueryHTTP}, PrometheusURL: prometheus.URL, SampleInterval: 300 * time.Millisecond,
			})
			_, err := c.UpdateConfig(t.Context(), &v1.UpdateConfigRequest{Change: &v1.ConfigChange{
				Services:       &v1.StringList{Items: []string{"http_lb", "proxy_access_control"}},
				MetricPrefixes: &v1.StringList{Items: []string{"envoy_cluster_outbound_9180__"}},
				MetricSuffixes: &v1.StringList{Items: []string{"_default_svc_cluster_local_upstream_rq_2xx", "_default_svc_cluster_local_upstream_rq_5xx"}},
			}})
			check(t, err)

			sendMix(t, mesh.URL)
			mesh.WaitSpans(jaeger, time.Minute)
			envoy := envoyRequests(t, mesh)
			testutil.Eventually(t, time.Minute, func() (bool, string) {
				services := counts(t, c, "kind = server", "service")
				equal := true
				for service, n := range envoy {
					equal = equal && services["["+service+"]"] == n
				}
				return equal, fmt.Sprintf("Clover counts %v, Envoy %v", services, envoy)
			})
			compareWithMix(t, c, mesh.URL)
			compareMetrics(t, c)
		})
	}
}

// envoyRequests asks every proxy how many requests came to its service.
func envoyRequests(t *testing.T, mesh *envoymesh.Mesh) map[string]int64 {
	t.Helper()
	m := map[string]int64{}
	for _, p := range mesh.Proxies() {
		stats, err := p.Stats(t.Context(), `^http\..*downstream_rq_total$`, true)
		check(t, err)
		for name, n := range stats {
			for _, prefix := range p.HTTP {
				// A gateway's only listener is called outbound.
				if (strings.HasPrefix(prefix, "inbound") || p == mesh.Front) && strings.Contains(name, prefix) {
					m[p.Service] += int64(n)
				}
			}
		}
	}
	if len(m) != 4 {
		t.Fatalf("Envoy's counters: %v, want four services", m)
	}
	return m
}

// compareWithMix compares every group of every service with what was sent.
func compareWithMix(t *testing.T, c v1.VisibilityServiceClient, url string) {
	t.Helper()
	everything := func(request) bool { return true }
	passed := func(r request) bool { return r.path != "/denied" } // what the gateway let through
	mirrored := func(r request) bool { return r.path == "/mirror" }
	full := func(r request) string { return fmt.Sprintf("[%s %s %s %d]", r.method, r.path, r.agent, r.status) }
	for _, check := range []struct {
		service, source string
		accept          func(request) bool
	}{
		{envoymesh.Gateway, visibility.External, everything},
		{envoymesh.AccessProxy, envoymesh.Gateway, passed},
		{envoymesh.Balancer, envoymesh.AccessProxy, passed},
		{envoymesh.Detector, envoymesh.Gateway, mirrored},
	} {
		filter := fmt.Sprintf("service = %q and source = %q", check.service, check.source)
		got := map[string]int64{}
		for key, n := range counts(t, c, filter, "method", "url", "user_agent", "status") {
			fields := strings.SplitN(strings.Trim(key, "[]"), " ", 3)
			path := "/" + strings.SplitN(fields[1], "/", 4)[3]
			got[fmt.Sprintf("[%s %s %s]", fields[0], path, fields[2])] += n
		}
		if want := tallied(full, check.accept); !maps.Equal(got, want) {
			t.Errorf("%s from %s:\n got %v\nwant %v", check.service, check.source, got, want)
		}
	}
	total := int64(0)
	for _, n := range tallied(full, everything) {
		total += n
	}
	graph, err := c.GetGraph(t.Context(), &v1.GetGraphRequest{})
	if err != nil {
		t.Fatal(err)
	}
	edges := map[string]int64{}
	for _, e := range graph.GetEdges() {
		edges[fmt.Sprintf("%s→%s mirrored=%v", e.GetSource(), e.GetDestination(), e.GetMirrored())] = e.GetStats().GetCount()
	}
	want := map[string]int64{
		visibility.External + "→" + envoymesh.Gateway + " mirrored=false":    total,
		envoymesh.Gateway + "→" + envoymesh.AccessProxy + " mirrored=false":  total - 5,
		envoymesh.AccessProxy + "→" + envoymesh.Balancer + " mirrored=false": total - 5,
		envoymesh.Gateway + "→" + envoymesh.Detector + " mirrored=true":      8,
	}
	if !maps.Equal(edges, want) {
		t.Errorf("edges of %s:\n got %v\nwant %v", url, edges, want)
	}
}

// compareMetrics compares the metrics that were collected under their names
// of 2019 with what was sent.
func compareMetrics(t *testing.T, c v1.VisibilityServiceClient) {
	t.Helper()
	want := map[string]float64{
		"envoy_cluster_outbound_9180__http_lb_default_svc_cluster_local_upstream_rq_2xx":              62,
		"envoy_cluster_outbound_9180__http_lb_default_svc_cluster_local_upstream_rq_5xx":              6,
		"envoy_cluster_outbound_9180__proxy_access_control_default_svc_cluster_local_upstream_rq_2xx": 62,
	}
	testutil.Eventually(t, 30*time.Second, func() (bool, string) {
		res, err := c.ListMetrics(t.Context(), &v1.ListMetricsRequest{})
		check(t, err)
		got := map[string]float64{}
		for _, m := range res.GetMetrics() {
			got[m.GetName()] = m.GetNewest().GetValue()
		}
		equal := true
		for name, v := range want {
			equal = equal && got[name] == v
		}
		return equal, fmt.Sprintf("got %v, missing %v, want %v", got, res.GetMissing(), want)
	})
}
