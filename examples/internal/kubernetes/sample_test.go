package kubernetes

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// sampleApps are the services of the sample that requests go through.
var sampleApps = []string{
	"proxy-access-control", "http-lb", "snort-ids",
	"clover-server1", "clover-server2", "clover-server3", "clover-server4", "clover-server5",
}

// metric sums a metric over the pods of a service of the sample.
func (k *kit) metric(app, name string) int {
	k.Helper()
	pods, err := k.api.CoreV1().Pods(sampleNamespace).List(k.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	k.check(err)
	sum := 0.0
	for _, p := range pods.Items {
		body, err := k.api.CoreV1().RESTClient().Get().Namespace(sampleNamespace).Resource("pods").
			Name(p.Name + ":9181").SubResource("proxy").Suffix("metrics").DoRaw(k.Context())
		k.check(err)
		for line := range strings.Lines(string(body)) {
			if fields := strings.Fields(line); strings.HasPrefix(line, name) && len(fields) > 1 {
				value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
				k.check(err)
				sum += value
			}
		}
	}
	return int(sum)
}

// collected waits until that many copies have gone to the IDS and each alert
// has come to its end, in Redis and at the proxy, and then until Clover has counted what each service
// of the sample has served. It returns that.
func (k *kit) collected(copied int) map[string]int {
	k.Helper()
	k.eventually(func() (bool, string) {
		copies := k.metric("proxy-access-control", "clover_sdc_mirrored_total{")
		seen, over := k.metric("snort-ids", "clover_sdc_alerts_seen_total"), k.metric("snort-ids", "clover_sdc_alerts_total{")
		return copies == copied && 2*seen == over, fmt.Sprintf("%d copies of %d, %d of twice %d alerts", copies, copied, over, seen)
	})
	return k.counted()
}

// counted waits until Clover has counted what each service of the sample has
// served, and returns that.
func (k *kit) counted() map[string]int {
	k.Helper()
	served := map[string]int{}
	for _, app := range sampleApps {
		if n := k.metric(app, "clover_sdc_requests_total{"); n > 0 {
			served[app] = n
		}
	}
	k.eventually(func() (bool, string) {
		counted := k.counts("service", "")
		return maps.Equal(counted, served), fmt.Sprintf("counted %v, served %v", counted, served)
	})
	return served
}
