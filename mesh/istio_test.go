package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/cluster"
	"github.com/opnfv/clover/internal/testutil/istio"
	"github.com/opnfv/clover/monitoring"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/embedded"
)

const (
	shopNamespace = "clover-shop"
	// takesEffect bounds what takes seconds, on a busy machine.
	takesEffect = 4 * time.Minute
)

// shop is the sample of testdata/shop.yaml in a real mesh.
type shop struct {
	client *Client
	entry  string // "HOST:PORT" of the ingress gateway
	jaeger string // URL
	prom   string // URL
	http   *http.Client
	sent   atomic.Int64 // requests that front answered
}

// TestRealMesh runs everything against one Istio, step after step.
func TestRealMesh(t *testing.T) {
	if testing.Short() {
		t.Skip("installs Istio")
	}
	s := openShop(t)
	t.Run("Clover counts what was sent", s.testCounts)
	t.Run("the kernel sees what the sidecars report", s.testKernel)
	t.Run("what the proxies work by", s.testWait)
	t.Run("a filter that Envoy refuses", s.testRefusal)
	t.Run("proxies speak mutual TLS", func(t *testing.T) {
		peer, err := s.get(t.Context(), "/peer")
		if err != nil || !strings.Contains(peer, "URI=spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account") {
			t.Errorf("front's client is %q, %v", peer, err)
		}
	})
	t.Run("Istio takes the SDC sample", func(t *testing.T) { testLife(t, s.client) })
	t.Run("no marker stays", s.testMarkers)
	t.Run("after deletion", s.testDelete)
}

func openShop(t *testing.T) *shop {
	c := cluster.Start(t)
	installed := istio.Install(t, c)
	installed.LoadEcho(t)
	s := &shop{
		client: clientOf(t, c, Options{Drain: true}),
		jaeger: installed.Jaeger(t),
		http:   &http.Client{Timeout: takesEffect},
	}
	t.Cleanup(s.http.CloseIdleConnections)
	manifest, err := os.ReadFile("testdata/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	installed.Apply(t, string(manifest))
	for _, name := range []string{"front", "shop-v1", "shop-v2", "copy"} {
		installed.Ready(t, shopNamespace, "deployment/"+name)
	}
	s.entry, s.prom = installed.Ingress(t), installed.Prometheus(t)
	entry, err := os.ReadFile("testdata/entry.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, err := Parse(entry, shopNamespace)
	if err != nil {
		t.Fatal(err)
	}
	s.roll(t, Merge(set, Tracing("istio-system", "jaeger", 100), s.split(50)))
	return s
}

// split gives v1 that many percent, v2 the rest.
func (s *shop) split(v1 int) Set {
	return Split(shopNamespace, "shop", 8080, map[string]int{"v1": v1, "v2": 100 - v1})
}

// roll applies and waits.
func (s *shop) roll(t *testing.T, set Set) Rollout {
	t.Helper()
	if _, err := s.client.Apply(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	return s.wait(t, set)
}

func (s *shop) wait(t *testing.T, set Set) Rollout {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), takesEffect)
	defer cancel()
	start := time.Now()
	seen, err := s.client.Wait(ctx, set)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d proxies have it after %s", seen.Proxies, time.Since(start).Round(time.Millisecond))
	return seen
}

// send makes n requests side by side and counts the answers.
func (s *shop) send(t *testing.T, path string, n int) map[string]int {
	t.Helper()
	const workers = 4
	var mu sync.Mutex
	tally := map[string]int{}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range (n + w) / workers {
				answer, err := s.get(t.Context(), path)
				if err != nil {
					answer = err.Error()
				}
				mu.Lock()
				tally[answer]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return tally
}

func (s *shop) get(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.entry+path, nil)
	if err != nil {
		return "", err
	}
	req.Host = "shop.test"
	resp, err := s.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Sprintf("%s: %s", resp.Status, body), nil
	}
	s.sent.Add(1)
	return string(body), nil
}

// testWait turns all requests from one version to the other, again and again,
// under load: once Wait has returned not one request may go the old way, and
// none may fail meanwhile.
func (s *shop) testWait(t *testing.T) {
	const turns, requests = 10, 200
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	load := make(chan map[string]int, 1)
	go func() {
		tally := map[string]int{}
		for ctx.Err() == nil {
			maps.Copy(tally, s.send(t, "/", 4))
		}
		load <- tally
	}()
	for i := range turns {
		share, want := 100, "v1"
		if i%2 == 1 {
			share, want = 0, "v2"
		}
		seen := s.roll(t, s.split(share))
		if got := s.send(t, "/", requests); !maps.Equal(got, map[string]int{want: requests}) {
			t.Errorf("turn %d: answers %v, want %d of %s", i, got, requests, want)
		}
		// The gateway, front, both versions and copy.
		if seen.ControlPlanes != 1 || seen.Proxies != 5 {
			t.Errorf("turn %d: %+v, want one control plane and 5 proxies", i, seen)
		}
	}
	stop()
	for answer := range <-load {
		if answer != "v1" && answer != "v2" {
			t.Errorf("meanwhile: %s", answer)
		}
	}
	results, err := s.client.Apply(t.Context(), s.split(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Action != Unchanged {
			t.Errorf("again: %s %s", r.Object, r.Action)
		}
	}
}

// luaFilter answers with a header, by a script.
func luaFilter(t *testing.T, script string) Set {
	t.Helper()
	set, err := Parse(fmt.Appendf(nil, `
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: mark, namespace: istio-system}
spec:
  workloadSelector: {labels: {istio: ingressgateway}}
  configPatches:
  - applyTo: HTTP_FILTER
    match: {context: GATEWAY, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}}
    patch:
      operation: INSERT_FIRST
      value:
        name: clover.mark
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
          default_source_code: {inline_string: %q}
`, script), "")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func (s *shop) testRefusal(t *testing.T) {
	good := luaFilter(t, `function envoy_on_request(h) h:respond({[":status"] = "200"}, "marked") end`)
	t.Cleanup(func() {
		if _, err := s.client.Delete(context.WithoutCancel(t.Context()), good); err != nil {
			t.Error(err)
		}
	})
	s.roll(t, good)
	if got := s.send(t, "/", 40); !maps.Equal(got, map[string]int{"marked": 40}) {
		t.Errorf("with the filter: %v", got)
	}
	bad := luaFilter(t, `function (`)
	if _, err := s.client.Apply(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), takesEffect)
	defer cancel()
	_, err := s.client.Wait(ctx, bad)
	if !errors.Is(err, ErrInvalid) || !strings.Contains(fmt.Sprint(err), "it refuses its configuration: Listener: ") {
		t.Errorf("a script that does not compile: %v", err)
	}
	if _, err := s.client.Delete(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	s.wait(t, bad)
	if got := s.send(t, "/", 40); !maps.Equal(got, map[string]int{"v2": 40}) {
		t.Errorf("without the filter: %v", got)
	}
}

// testCounts compares the collector's statistics with what was sent.
func (s *shop) testCounts(t *testing.T) {
	const requests = 400
	analytics := s.collect(t)
	// Once each service was seen, spans arrive from everywhere.
	testutil.Eventually(t, takesEffect, func() (bool, string) {
		answers := s.send(t, "/warm", 8)
		got, err := perVersion(t.Context(), analytics, "/warm")
		return err == nil && len(got) == 4, fmt.Sprintf("answers %v, counted %v, error %v", answers, got, err)
	})
	tally := s.send(t, "/counted", requests)
	if tally["v1"]+tally["v2"] != requests || tally["v1"] < requests/4 || tally["v2"] < requests/4 {
		t.Fatalf("answers %v, want half of %d from each", tally, requests)
	}
	want := map[string]int64{
		"istio-ingressgateway.istio-system": requests, "front." + shopNamespace: requests,
		"shop." + shopNamespace + " v1": int64(tally["v1"]), "shop." + shopNamespace + " v2": int64(tally["v2"]),
	}
	testutil.Eventually(t, takesEffect, func() (bool, string) {
		got, err := perVersion(t.Context(), analytics, "/counted")
		return err == nil && maps.Equal(got, want), fmt.Sprintf("%v, want %v, error %v", got, want, err)
	})
	// Istio does not sample mirrored requests, so they are in no trace.
	testutil.Eventually(t, takesEffect, func() (bool, string) {
		count, err := s.copies(t.Context(), "/counted")
		return count == strconv.Itoa(requests), fmt.Sprintf("%s mirrored, want %d, error %v", count, requests, err)
	})
	s.metricsCount(t, float64(s.sent.Load()))
}

// collect runs Clover's collector until the end of the test.
func (s *shop) collect(t *testing.T) *visibility.Analytics {
	t.Helper()
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	collector, err := visibility.NewCollector(store, visibility.CollectorOptions{
		Config: visibility.Config{Tracing: []string{s.jaeger}}, Timeout: takesEffect,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- collector.Run(ctx) }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("collector: %+v", collector.Status())
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	analytics, err := visibility.NewAnalytics(store, visibility.AnalyticsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return analytics
}

// metricsCount reads the gateway's counter through Prometheus, by a name of
// 2019.
func (s *shop) metricsCount(t *testing.T, want float64) {
	client, err := monitoring.New(monitoring.Options{URL: s.prom})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	testutil.Eventually(t, takesEffect, func() (bool, string) {
		got, err := client.Collect(t.Context(), monitoring.Selection{
			Services: []string{"front"}, Prefixes: []string{"envoy_cluster_outbound_8080__"},
			Suffixes: []string{"_clover_shop_svc_cluster_local_upstream_rq_2xx"},
		}, time.Time{})
		return err == nil && len(got.Points) == 1 && got.Points[0].Value == want, fmt.Sprintf("%+v, want %v, error %v", got, want, err)
	})
}

// copies asks the pod that gets the mirrored requests how many of a path those
// were.
func (s *shop) copies(ctx context.Context, path string) (string, error) {
	pods, err := s.client.core.Pods(shopNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app=copy"})
	if err != nil || len(pods.Items) != 1 {
		return "", fmt.Errorf("%d pods, %w", len(pods.Items), err)
	}
	way, err := s.client.forward(ctx, shopNamespace, pods.Items[0].Name, 8080)
	if err != nil {
		return "", err
	}
	defer way.close()
	body, err := way.get(ctx, "/count?path="+path)
	return string(body), err
}

// perVersion counts the requests for a path by service, those to the shop by
// version too.
func perVersion(ctx context.Context, analytics *visibility.Analytics, path string) (map[string]int64, error) {
	result, err := analytics.Query(ctx, visibility.Query{
		GroupBy: []visibility.Dimension{visibility.Service, visibility.Version, visibility.URL},
	})
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for _, g := range result.Groups {
		name := g.Values[0]
		if strings.HasPrefix(name, "shop.") {
			name += " " + g.Values[1]
		}
		if strings.HasSuffix(g.Values[2], path) {
			counts[name] += g.Aggregate.Count
		}
	}
	return counts, nil
}

// testMarkers holds that no marker stays, not even one whose Wait was killed.
func (s *shop) testMarkers(t *testing.T) {
	stray := newMarker("istio-system")
	object, err := stray.unstructured()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.of(stray).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.client.sweep(t.Context(), markerLife); err != nil {
		t.Fatal(err)
	}
	if o, err := s.client.live(t.Context(), stray); err != nil || o == nil {
		t.Errorf("a marker that may be in use is gone: %v", err)
	}
	if err := s.client.sweep(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	known, err := s.client.Known(t.Context())
	if err != nil || len(known.Set.Telemetries) != 1 {
		t.Errorf("%d telemetries, want the one for tracing, %v", len(known.Set.Telemetries), err)
	}
}

func (s *shop) testDelete(t *testing.T) {
	everything := Merge(s.split(50), Tracing("istio-system", "jaeger", 100))
	if _, err := s.client.Delete(t.Context(), everything); err != nil {
		t.Fatal(err)
	}
	s.wait(t, everything)
	left, err := s.client.Get(t.Context(), everything)
	if err != nil || len(left.entries()) != 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
	// Without the split, the service's own balance is in force again.
	if got := s.send(t, "/", 100); got["v1"]+got["v2"] != 100 || got["v1"] == 0 || got["v2"] == 0 {
		t.Errorf("answers %v, want both versions", got)
	}
}
