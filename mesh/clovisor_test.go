package mesh

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/opnfv/clover/deploy"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/cluster"
	"github.com/opnfv/clover/internal/testutil/images"
	"github.com/opnfv/clover/internal/testutil/istio"
	"github.com/opnfv/clover/tracing"
)

// kernelScope tells Clovisor's spans from those of sidecars.
const kernelScope = "github.com/opnfv/clover/clovisor"

// testKernel has Clovisor see, on the loopback interfaces of pods whose
// sidecars encrypt, each request that the sidecars report and count.
func (s *shop) testKernel(t *testing.T) {
	s.startClovisor(t)
	const path, requests = "/kernel", 60
	before := s.inboundCounts(t)
	tally := s.send(t, path, requests)
	if tally["v1"]+tally["v2"] != requests {
		t.Fatalf("answers %v, want %d", tally, requests)
	}
	counted := map[string]int{}
	for app, n := range s.inboundCounts(t) {
		counted[app] = n - before[app]
	}
	want := map[string]int{"front": requests, "shop": requests}
	testutil.Eventually(t, takesEffect, func() (bool, string) {
		kernel, sidecars, apart := s.views(t, path)
		// Istio does not sample mirrored requests: only the kernel tells of them.
		mirrored := kernel["copy"]
		delete(kernel, "copy")
		return mirrored == requests && maps.Equal(kernel, want) && maps.Equal(sidecars, want) && len(apart) == 0,
			fmt.Sprintf("kernel %v and %d copies, sidecars %v, want %v, apart %v", kernel, mirrored, sidecars, want, apart)
	})
	if !maps.Equal(counted, want) {
		t.Errorf("Envoy counts %v, want %v", counted, want)
	}
}

// startClovisor installs Clovisor for the shop until the end of the test, and
// waits until it sees its pods.
func (s *shop) startClovisor(t *testing.T) {
	t.Helper()
	c := cluster.Start(t)
	for _, a := range images.Clover(t, "..", "clovisor") {
		c.LoadImage(t, a.File)
	}
	objects, err := deploy.Render(t.Context(), deploy.Options{
		Components: []string{"clovisor"}, Namespace: "clovisor", Registry: images.Registry, Tag: images.Tag,
		Values: map[string]any{"clovisor": map[string]any{
			"insidePods": true, "redis": map[string]any{"enabled": false},
			"config": map[string]any{"labels": []any{shopNamespace}, "jaeger_collector": "jaeger.istio-system:4317"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var manifest strings.Builder
	for _, o := range objects {
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		manifest.WriteString("---\n" + string(text))
	}
	installed := istio.Install(t, c)
	installed.Apply(t, manifest.String())
	installed.Ready(t, "clovisor", "daemonset/clovisor")
	testutil.Eventually(t, takesEffect, func() (bool, string) {
		raw := s.askClovisor(t, "ledger")
		var l struct {
			Entries []struct{ Pod, Interface string }
		}
		if err := json.Unmarshal(raw, &l); err != nil {
			t.Fatal(err)
		}
		apps := map[string]bool{}
		for _, e := range l.Entries {
			if e.Interface == "lo" { // the probes of the kubelet, at least
				app, _, _ := strings.Cut(e.Pod, "-")
				apps[app] = true
			}
		}
		return apps["front"] && apps["shop"] && apps["copy"], string(raw)
	})
}

// askClovisor reads what Clovisor says of itself.
func (s *shop) askClovisor(t *testing.T, what string) []byte {
	t.Helper()
	pods, err := s.client.core.Pods("clovisor").List(t.Context(), metav1.ListOptions{LabelSelector: "app=clovisor"})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("pods of Clovisor: %v, %v", pods, err)
	}
	way, err := s.client.forward(t.Context(), "clovisor", pods.Items[0].Name, 9466)
	if err != nil {
		t.Fatal(err)
	}
	defer way.close()
	raw, err := way.get(t.Context(), "/"+what)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// inboundCounts reads from the sidecars how many requests they have passed on
// to their applications.
func (s *shop) inboundCounts(t *testing.T) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, app := range []string{"front", "shop"} {
		pods, err := s.client.core.Pods(shopNamespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pods.Items {
			counts[app] += s.inboundCount(t, p.Name)
		}
	}
	return counts
}

func (s *shop) inboundCount(t *testing.T, pod string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	way, err := s.client.forward(ctx, shopNamespace, pod, 15090)
	if err != nil {
		t.Fatal(err)
	}
	defer way.close()
	text, err := way.get(ctx, "/stats/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "envoy_cluster_upstream_rq{") && strings.Contains(line, `cluster_name="inbound|8080||`) && strings.Contains(line, `response_code="200"`) {
			value := line[strings.LastIndexByte(line, ' ')+1:]
			var one int
			if _, err := fmt.Sscanf(value, "%d", &one); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			n += one
		}
	}
	return n
}

// views counts the requests for a path by application: as the kernel has seen
// them and as the sidecars have reported them. apart are spans of the kernel
// that are not below the span of the sidecar beside them.
func (s *shop) views(t *testing.T, path string) (kernel, sidecars map[string]int, apart []string) {
	t.Helper()
	client, err := tracing.NewJaeger(tracing.JaegerOptions{URL: s.jaeger})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	spans := map[tracing.Identity]tracing.Span{} // each once
	query := tracing.SearchQuery{Service: "front." + shopNamespace, From: time.Now().Add(-time.Hour), To: time.Now()}
	for page, err := range client.Search(t.Context(), query) {
		if err != nil {
			return nil, nil, []string{err.Error()}
		}
		for i := range page.Spans {
			if strings.HasSuffix(page.Spans[i].URL, path) {
				spans[page.Spans[i].Identity()] = page.Spans[i]
			}
		}
	}
	kernel, sidecars = map[string]int{}, map[string]int{}
	for _, span := range spans {
		app, _, _ := strings.Cut(span.Service, ".")
		switch {
		case span.Scope == kernelScope:
			kernel[app]++
			beside := tracing.Identity{TraceID: span.TraceID, SpanID: span.ParentID, Kind: tracing.KindServer, Service: span.Service}
			if _, ok := spans[beside]; app != "copy" && (!ok || span.Kind != tracing.KindInternal) {
				apart = append(apart, fmt.Sprintf("%s, kind %v, trace %s", span.Service, span.Kind, span.TraceID))
			}
		case span.Kind == tracing.KindServer && (app == "front" || app == "shop"):
			sidecars[app]++
		}
	}
	slices.Sort(apart)
	return kernel, sidecars, apart
}
