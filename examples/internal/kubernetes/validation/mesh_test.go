package validation

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opnfv/clover/internal/testutil/istio"
)

// target is a server in the mesh. By strict the mesh lets nobody in without a
// sidecar's certificate, and nothing out but to services that it knows.
const (
	target = `
apiVersion: v1
kind: Service
metadata: {name: target, namespace: default}
spec:
  selector: {app: target}
  ports: [{name: http, port: 9180}]
---
apiVersion: v1
kind: Pod
metadata:
  name: target
  namespace: default
  labels: {app: target}
  annotations: {traffic.sidecar.istio.io/excludeInboundPorts: "9181"}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: target
    image: opnfv/clover-sdc:test
    args: [server, --name=target, --http-addr=:9180, --grpc-addr=127.0.0.1:50054, --admin-addr=:9181]
    readinessProbe: {httpGet: {path: /readyz, port: 9181}, periodSeconds: 1}
`
	strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: default}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}
`
)

// TestMesh runs a test by slaves in an Istio mesh as strict as it can be: what
// master and slaves say to each other passes no sidecar, the requests do.
func TestMesh(t *testing.T) {
	k := newKit(t)
	mesh := istio.Install(k, k.cluster)
	k.injectsSidecars()
	mesh.Apply(k, strict)
	mesh.Apply(k, target)
	k.types("create system controller -t test")
	k.types("create system controller nodeport")
	k.types("create system validation -t test --set validation.slaves=2 --set validation.istio.enabled=true"+small, `Created sidecar "clover-jmeter-slave"`)
	k.types("status --wait")
	k.ready("target", 1)
	k.ready("clover-jmeter-master", 1)
	k.ready("clover-jmeter-slave", 2)
	for _, p := range append(k.pods("clover-jmeter-master"), k.pods("clover-jmeter-slave")...) {
		if len(p.Spec.Containers)+len(p.Spec.InitContainers) < 3 {
			t.Errorf("%s has no sidecar", p.Name)
		}
	}
	k.write(".cloverctl.yaml", "ControllerIP: "+k.cluster.NodeAddress()+"\n")
	k.write("plan.yaml", "load_spec: {num_threads: 2, loops: 5}\nurl_list:\n- {name: url1, url: \"http://target.default:9180/\"}\n")
	k.types("create testplan -f plan.yaml")
	k.types("start testplan -s 2 --wait")
	if n := k.report().Labels; len(n) != 1 || n[0].Count != 20 || k.served("target") != 20 {
		t.Errorf("results %v, served %d, want 20", n, k.served("target"))
	}
	k.types("delete system validation", `Deleted sidecar "clover-jmeter-slave".`)
}

// injectsSidecars has pods get a sidecar each.
func (k *kit) injectsSidecars() {
	k.Helper()
	label := func(ctx context.Context, value string) {
		patch := fmt.Sprintf(`{"metadata":{"labels":{"istio-injection":%s}}}`, value)
		_, err := k.api.CoreV1().Namespaces().Patch(ctx, namespace, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		k.check(err)
	}
	label(k.Context(), `"enabled"`)
	k.Cleanup(func() { label(context.WithoutCancel(k.Context()), "null") })
}
