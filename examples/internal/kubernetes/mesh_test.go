package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opnfv/clover/internal/testutil/istio"
	"github.com/opnfv/clover/mesh"
)

// TestMesh goes through chapter 3.2 in an Istio mesh: requests come in by its
// gateway, its sidecars report the spans, and Suricata looks at what the
// gateway mirrors.
func TestMesh(t *testing.T) {
	k := newKit(t)
	suricata := k.loadEngines()
	installed := istio.Install(k, k.cluster)
	jaeger := installed.Jaeger(k)
	k.injectsSidecars()
	k.guideController("--set sdc.istio.enabled=true")
	k.types("cloverctl create system sdc -t test --wait --set sdc.istio.enabled=true --set sdc.engine=real --set sdc.suricata.image="+suricata,
		`Created virtualservice "sdcsample"`, `Created gateway "sdc-gateway"`, "Image: opnfv/clover-sdc-nginx:test")
	k.traces()
	k.types("cloverctl create system visibility -t test --wait --set sdc.istio.enabled=true")
	k.write("start_visibility.yaml", "t_host: tracing.istio-system\nt_port: 80\nsample_interval: 2\n")
	k.types("cloverctl start visibility -f start_visibility.yaml", "Started collector on pid: clover-collector-0-1\n")
	m := &inMesh{k, "http://" + installed.Ingress(k) + "/", jaeger}
	m.balances()
	m.looks()
	k.types("cloverctl delete system sdc", `Deleted virtualservice "sdcsample"`)
}

// injectsSidecars has pods of the sample get a sidecar each.
func (k *kit) injectsSidecars() {
	k.Helper()
	label := func(ctx context.Context, value string) {
		patch := fmt.Sprintf(`{"metadata":{"labels":{"istio-injection":%s}}}`, value)
		_, err := k.api.CoreV1().Namespaces().Patch(ctx, sampleNamespace, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		k.check(err)
	}
	label(k.Context(), `"enabled"`)
	k.Cleanup(func() { label(context.WithoutCancel(k.Context()), "null") })
}

// traces has the proxies report their requests, and waits until all of them
// do, and know the ways of the sample.
func (k *kit) traces() {
	k.Helper()
	client, err := mesh.New(k.config, mesh.Options{})
	k.check(err)
	tracing := mesh.Tracing(jaegerNamespace, "jaeger", 100)
	_, err = client.Apply(k.Context(), tracing)
	k.check(err)
	ctx, cancel := context.WithTimeout(k.Context(), limit)
	defer cancel()
	seen, err := client.Wait(ctx, mesh.Merge(tracing, mesh.SDC(mesh.SDCOptions{})))
	k.check(err)
	k.Logf("%d proxies", seen.Proxies)
}

// inMesh is the sample behind the gateway.
type inMesh struct {
	*kit
	front  string // URL of the gateway
	jaeger string // URL
}

// balances is the first half of chapter 3.2.4: after the change, requests that
// version 2 takes go to servers 4 and 5, those of version 1 still to the
// others. Clover counts them from Jaeger.
func (m *inMesh) balances() {
	m.Helper()
	m.steerFiles("lbv2.yaml", "idsrule_icmp.yaml")
	m.types("cloverctl get lb", "http-lb-v1.default", "http-lb-v2.default", "nginx 1.")
	m.letsIn(m.front)
	m.types("cloverctl set lb -f lbv2.yaml", m.greeting()+"Modified nginx config\n")
	const requests = 90
	for range requests {
		if got := m.curl(m.front+"spread", "curl/8.14.1"); got != http.StatusNotFound { // nginx has no such file
			m.Fatalf("a request through the gateway: %d", got)
		}
	}
	m.eventually(func() (bool, string) {
		served := m.counts("service,version", "url~/spread")
		return m.spread(served, requests), fmt.Sprint(served)
	})
}

// spread reports whether Clover has counted all requests, at the servers that
// each version of the load balancer has, as many at each.
func (m *inMesh) spread(served map[string]int, requests int) bool {
	m.Helper()
	v1, v2 := served["http-lb.default http-lb-v1"], served["http-lb.default http-lb-v2"]
	sums := map[int]int{}
	for i, sent := range map[int]int{1: v1 / 3, 2: v1 / 3, 3: v1 / 3, 4: v2 / 2, 5: v2 / 2} {
		n := served[fmt.Sprintf("clover-server%d.default clover-server%[1]d", i)]
		sums[i/4] += n
		if n != sent && n != sent+1 {
			return false
		}
	}
	return v1+v2 == requests && v1 > 0 && v2 > 0 && sums[0] == v1 && sums[1] == v2
}

// looks is the rest of 3.2: the scanner's alert is seen in Jaeger and in Redis,
// its client is kept out, and a rule of the user fires.
func (m *inMesh) looks() {
	m.Helper()
	alerts := redis.NewClient(&redis.Options{Addr: m.nodePort(sampleNamespace, "redis", 6379)})
	defer func() {
		m.check(alerts.Close())
		m.deleteNodePorts("redis")
	}()
	m.scans(m.front)
	client := m.lettingAllIn()
	if len(client) != 1 {
		m.Fatalf("one client was scanning, %v were kept out", client)
	}
	m.event(alerts, client[0], "9000001")
	m.alertInJaeger()

	m.types("cloverctl create idsrules -f idsrule_icmp.yaml", m.greeting()+"Added to local rules\n")
	m.event(alerts, m.ping(m.pod(sampleNamespace, "app=snort-ids").Status.PodIP), "10000001")
}

// alertInJaeger holds that Jaeger shows the call that told the proxy of the
// alert, as reported by the sidecars on both sides of it.
func (m *inMesh) alertInJaeger() {
	m.Helper()
	const call = "http://proxy-access-control:50054/nginx.Controller/ProcessAlerts"
	query := url.Values{"service": {"snort-ids.default"}, "tags": {`{"http.url":"` + call + `"}`}, "lookback": {"1h"}}
	m.eventually(func() (bool, string) {
		var answer struct {
			Data []struct {
				Processes map[string]struct{ ServiceName string }
			}
		}
		text, err := m.fetch(m.jaeger + "/api/traces?" + query.Encode())
		if err != nil || json.Unmarshal(text, &answer) != nil || len(answer.Data) == 0 {
			return false, fmt.Sprintf("%s, %v", text, err)
		}
		var services []string
		for _, p := range answer.Data[0].Processes {
			services = append(services, p.ServiceName)
		}
		return slices.Contains(services, "snort-ids.default") && slices.Contains(services, "proxy-access-control.default"), fmt.Sprint(services)
	})
	m.eventually(func() (bool, string) {
		a := m.run("cloverctl get visibility urls")
		return a.code == 0 && strings.Contains(a.out, call), a.all()
	})
}

// fetch asks for a document.
func (m *inMesh) fetch(url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(m.Context(), http.MethodGet, url, nil)
	m.check(err)
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}
