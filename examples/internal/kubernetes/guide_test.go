package kubernetes

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The files of the guide.
const (
	startFile = `# start_visibility.yaml
sample_interval: "2"
t_host: tracing.istio-system
t_port: "80"
m_host: prometheus.istio-system
m_port: "9090"
`
	setFile = `# set_visibility.yaml
services:
  - name: proxy_access_control
  - name: clover_server1
  - name: clover_server2
  - name: clover_server3
metric_prefixes:
  - prefix: envoy_cluster_outbound_9180__
  - prefix: envoy_cluster_inbound_9180__
metric_suffixes:
  - suffix: _default_svc_cluster_local_upstream_rq_2xx
  - suffix: _default_svc_cluster_local_upstream_cx_active
custom_metrics:
  - metric: envoy_tracing_zipkin_spans_sent
`
)

// TestGuide goes the way of the configuration guide: the controller, the
// sample, visibility, and everything removed again.
func TestGuide(t *testing.T) {
	k := newKit(t)
	before, start := k.objects(), time.Now()
	k.startJaeger()
	k.startPrometheus()
	k.guideController()
	k.guideSample()
	k.guideVisibility()
	copied := k.guideScan(k.guideTraffic())
	k.guideBalancers(copied)
	k.guideAlerts()
	k.guideReader()
	k.guideDashboard()
	k.guideDelivery()
	k.guideLoadTests()
	k.guideClear()
	k.agentsKnowTheController()
	granted := k.granted()
	k.guideDelete()
	k.isAsBefore(before)
	k.holdsRights(start, granted)
}

// lines are expected one after the other.
func lines(l ...string) string { return strings.Join(l, "\n") + "\n" }

// guideController is chapter 3.1: the controller, and how to reach it; flags
// are those of its creation.
func (k *kit) guideController(flags ...string) {
	k.Helper()
	k.types("cloverctl get services", "NAMESPACE ", "kubernetes ", "kube-dns ", "443/TCP")
	k.types(strings.Join(append([]string{"cloverctl create system controller -t test"}, flags...), " "), lines("Creating controller service", "Created clover-system namespace"),
		lines(`Created service "clover-controller"`, `Created deployment "clover-controller".`, "Image: opnfv/clover-controller:test"))
	k.types("cloverctl create system controller nodeport", lines("Creating controller service", `Created service "clover-controller-nodeport"`))
	k.types("cloverctl status --wait", `deployment/clover-controller`)
	k.types("cloverctl get services", "80:32044/TCP")
	k.write(".cloverctl.yaml", "ControllerIP: "+k.cluster.NodeAddress()+"\n")
}

// greeting is what each command that asks the controller says first.
func (k *kit) greeting() string {
	return lines("Using config file: "+k.home+"/.cloverctl.yaml", fmt.Sprintf("clover-controller address: https://%s:32044", k.cluster.NodeAddress()))
}

// guideSample is chapter 3.2: the sample. There is no mesh here, so it
// reports its spans itself.
func (k *kit) guideSample() {
	k.Helper()
	k.types("cloverctl create system sdc -t test --wait --set sdc.otlp=tracing.istio-system:4317", "Creating sdc services\n",
		lines(`Created deployment "proxy-access-control".`, "Image: opnfv/clover-sdc:test"), `Created service "snort-ids"`,
		`Ready: deployment "clover-server5" (1 of 1 pods)`)
}

// guideVisibility is chapter 3.4 until spans are collected.
func (k *kit) guideVisibility() {
	k.Helper()
	k.types("cloverctl create system visibility -t test --wait", "Creating visibility services\n",
		lines(`Created statefulset "clover-collector".`, "Image: opnfv/clover-collector:test"), `Created service "clover-collector"`,
		lines(`Unchanged deployment "clover-controller".`, "Image: opnfv/clover-controller:test"))
	k.types("cloverctl init visibility", k.greeting()+"Added visibility schemas in embedded\n")
	k.guideConfiguration("clover-collector-0-1\n")
}

// guideConfiguration is chapter 3.4 from the start of a collector, with this
// pid, to what it is to track.
func (k *kit) guideConfiguration(pid string) {
	k.Helper()
	k.write("start_visibility.yaml", startFile)
	k.types("cloverctl start visibility -f start_visibility.yaml", k.greeting()+"Started collector on pid: "+pid)
	k.write("set_visibility.yaml", setFile)
	k.types("cloverctl set visibility -f set_visibility.yaml", k.greeting()+"Updated visibility config\n")
	k.says("cloverctl get visibility", "http://tracing.istio-system:80", "2s", "proxy_access_control", "clover_server3", "envoy_tracing_zipkin_spans_sent")
}

// guideDelete removes all that the guide has created.
func (k *kit) guideDelete() {
	k.Helper()
	k.types("cloverctl delete system sdc", "Deleting sdc services\n", `Deleted deployment "proxy-access-control".`, `Deleted service "snort-ids"`)
	k.types("cloverctl delete system visibility", "Deleting visibility services\n", `Deleted statefulset "clover-collector".`)
	k.types("cloverctl delete system controller nodeport")
	k.types("cloverctl delete system controller")
	if k.hasNamespace(k.Context(), cloverNamespace) {
		k.Errorf("namespace %s is left", cloverNamespace)
	}
	k.check(k.api.CoreV1().Namespaces().Delete(k.Context(), jaegerNamespace, metav1.DeleteOptions{}))
}
