package kubernetes

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestCheck has cloverctl check a whole install, and then one in which a part
// is missing, part by part.
func TestCheck(t *testing.T) {
	k := newKit(t)
	k.missing("namespace "+cloverNamespace, "cloverctl create system visibility")
	k.startJaeger()
	k.startPrometheus()
	k.types("cloverctl create system visibility -t test --wait")
	k.missing("Jaeger answers", "cloverctl start visibility -f start_visibility.yaml")
	k.types("cloverctl create system sdc -t test --wait --set sdc.otlp=tracing.istio-system:4317")
	k.write("start_visibility.yaml", startFile)
	k.types("cloverctl start visibility -f start_visibility.yaml")
	k.missing("spans arrive", "Send requests through the mesh")
	k.sendLoad("load", "--rate", "20", "--requests", "40")
	k.whole()

	for _, c := range []struct{ kind, namespace, name, check, remedy string }{
		{"deployments", jaegerNamespace, "jaeger", "Jaeger answers", "Is Jaeger there"},
		{"deployments", jaegerNamespace, "prometheus", "Prometheus answers", "Is Prometheus there"},
		{"deployments", cloverNamespace, "clover-controller", "controller", "cloverctl status"},
		{"deployments", cloverNamespace, "clover-controller", "deployment clover-controller", "kubectl scale deployment/clover-controller"},
		{"statefulsets", cloverNamespace, "clover-collector", "controller", "kubectl scale statefulset/clover-collector"},
	} {
		k.scale(c.kind, c.namespace, c.name, 0)
		k.missing(c.check, c.remedy)
		k.scale(c.kind, c.namespace, c.name, 1)
	}
	k.sendLoad("load", "--rate", "20", "--requests", "40") // Jaeger has forgotten
	k.whole()
	k.types("cloverctl stop visibility")
	k.types("cloverctl check", "- Jaeger answers: collecting is stopped", "- Prometheus answers: collecting is stopped", "cloverctl start visibility")
	k.foundByBalancer()
}

// scale sets how many pods a workload has, and waits for them.
func (k *kit) scale(kind, namespace, name string, replicas int) {
	k.Helper()
	err := k.api.AppsV1().RESTClient().Patch(types.MergePatchType).Namespace(namespace).Resource(kind).Name(name).
		Body(fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)).Do(k.Context()).Error()
	k.check(err)
	k.eventually(func() (bool, string) {
		pods, err := k.api.CoreV1().Pods(namespace).List(k.Context(), metav1.ListOptions{LabelSelector: "app=" + name})
		k.check(err)
		ready := 0
		for _, p := range pods.Items {
			for _, c := range p.Status.ContainerStatuses {
				if c.Ready {
					ready++
				}
			}
		}
		return len(pods.Items) == replicas && ready == replicas, k.podStates(namespace)
	})
}

// checked types check and reads what it says as JSON.
func (k *kit) checked() (states map[string]string, a answer) {
	k.Helper()
	a = k.run("cloverctl check -o json")
	var said struct {
		Checks []struct{ Name, State string }
	}
	if err := json.Unmarshal([]byte(a.out), &said); err != nil {
		k.Fatalf("check: %v: %s", err, a.all())
	}
	states = map[string]string{}
	for _, c := range said.Checks {
		states[c.Name] = c.State
	}
	return states, a
}

// missing waits until a check has failed, with a remedy.
func (k *kit) missing(name, remedy string) {
	k.Helper()
	k.eventually(func() (bool, string) {
		states, a := k.checked()
		return a.code == 1 && states[name] == "failed", a.all()
	})
	k.ends("cloverctl check", 1, "✗ "+name+": ", "    → ", remedy)
}

// whole waits until no check fails, and holds that all were made.
func (k *kit) whole() {
	k.Helper()
	k.eventually(func() (bool, string) {
		_, a := k.checked()
		return a.code == 0, a.all()
	})
	a := k.types("cloverctl check", "✓ API server: ", "✓ namespace clover-system: ", "✓ deployment clover-controller: ", "✓ statefulset clover-collector: ",
		"✓ permissions to use Clover: ", "✓ controller: ", "✓ Jaeger answers: http://tracing.istio-system", "✓ Prometheus answers: http://prometheus.istio-system",
		"✓ spans arrive: ", "✓ Envoy sends spans: ")
	if strings.Contains(a.out, "✗") || strings.Contains(a.out, "\n- ") {
		k.Errorf("not all is well:\n%s", a.out)
	}
}
