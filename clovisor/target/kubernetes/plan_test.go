package kubernetes

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/opnfv/clover/clovisor/target"
)

// read reads YAML documents into objects of a type.
func read[T any](t *testing.T, text string) []*T {
	t.Helper()
	var out []*T
	for doc := range strings.SplitSeq(text, "\n---\n") {
		o := new(T)
		if err := yaml.UnmarshalStrict([]byte(doc), o); err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
	return out
}

// describe prints pods as a line each.
func describe(pods []Pod) string {
	var out strings.Builder
	for _, p := range pods {
		fmt.Fprintf(&out, "%s/%s %s %s:", p.Workload.Namespace, p.Workload.Pod, p.Workload.Kind, p.Workload.Name)
		for _, port := range p.Ports {
			fmt.Fprintf(&out, " %d", port.Number)
			if port.Transport != 6 {
				out.WriteString("/udp")
			}
			fmt.Fprintf(&out, "=%s(%s)", port.Protocol, port.Service)
		}
		for _, e := range p.Egress {
			fmt.Fprintf(&out, " >%s:%d", e.Prefix, e.Port)
		}
		if p.Sidecar != "" {
			out.WriteString(" sidecar " + p.Sidecar)
		}
		out.WriteString("\n")
	}
	return out.String()
}

const pods = `
metadata:
  name: http-lb-v1-5d8f-abcde
  namespace: default
  uid: a
  labels: {app: http-lb, version: v1, pod-template-hash: 5d8f}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: http-lb-v1-5d8f, uid: r, controller: true}]
spec:
  nodeName: node-1
  containers:
    - name: lb
      ports: [{name: web, containerPort: 9180}, {name: grpc-admin, containerPort: 50054}, {containerPort: 3456}]
    - name: istio-proxy
      ports: [{containerPort: 15090, name: http-envoy-prom}]
status: {phase: Running, podIPs: [{ip: 10.244.0.7}, {ip: "fd00::7"}], containerStatuses: [{name: lb, containerID: "containerd://0a", image: i, imageID: i, ready: true, restartCount: 0}]}
---
metadata: {name: db-0, namespace: other, uid: b, labels: {app: database}, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: r, controller: true}]}
spec: {nodeName: node-1, containers: [{name: db, ports: [{name: redis, containerPort: 6379}, {name: dns-udp, containerPort: 53, protocol: UDP}, {name: fifo-1, containerPort: 7000}]}]}
status: {phase: Running, podIPs: [{ip: 10.244.0.8}]}
---
metadata: {name: nightly-29000000-xyz, namespace: other, uid: c, labels: {app: web}, ownerReferences: [{apiVersion: batch/v1, kind: Job, name: nightly-29000000, uid: r, controller: true}]}
spec: {nodeName: node-1, containers: [{name: job}]}
status: {phase: Running, podIPs: [{ip: 10.244.0.9}]}
---
metadata: {name: done, namespace: default, uid: d}
spec: {nodeName: node-1, containers: [{name: c}]}
status: {phase: Succeeded, podIPs: [{ip: 10.244.0.10}]}
---
metadata: {name: no-address-yet, namespace: default, uid: e}
spec: {nodeName: node-1, containers: [{name: c}]}
status: {phase: Pending}
`

const services = `
metadata: {name: http-lb, namespace: default, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  selector: {app: http-lb}
  ports: [{name: http, port: 80, targetPort: web}, {name: admin, port: 50054, appProtocol: kubernetes.io/h2c}, {name: tls-x, port: 443, targetPort: 8443}, {name: tcp, port: 1, targetPort: no-such-name}]
---
metadata: {name: later, namespace: default, creationTimestamp: "2026-02-01T00:00:00Z"}
spec: {selector: {version: v1}, ports: [{name: redis, port: 9180}]}
---
metadata: {name: of-another-namespace, namespace: other}
spec: {selector: {app: http-lb}, ports: [{name: redis, port: 3456}]}
---
metadata: {name: by-hand, namespace: other}
spec: {ports: [{name: api, port: 80, appProtocol: http}]}
---
metadata: {name: elsewhere, namespace: other}
spec: {type: ExternalName, externalName: e, selector: {app: web}, ports: [{name: http, port: 1}]}
`

const endpointSlices = `
metadata: {name: by-hand-1, namespace: other, labels: {kubernetes.io/service-name: by-hand}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.9]}]
ports: [{name: api, port: 8000, protocol: TCP}]
`

func TestPlan(t *testing.T) {
	c := Cluster{Pods: read[corev1.Pod](t, pods), Services: read[corev1.Service](t, services), Slices: read[discoveryv1.EndpointSlice](t, endpointSlices)}
	const (
		lb      = "default/http-lb-v1-5d8f-abcde Deployment http-lb-v1: 3456=() 8443=tls(http-lb) 9180=http(http-lb) 50054=http2(http-lb)"
		sidecar = " sidecar istio-proxy\n"
		db      = "other/db-0 StatefulSet db: 53/udp=dns() 6379=redis() 7000=()"
		job     = "other/nightly-29000000-xyz CronJob nightly: 8000=http(by-hand)"
	)
	port := func(n uint16) target.Egress { return target.Egress{Port: n} }
	for name, test := range map[string]struct {
		selection target.Selection
		want      string
	}{
		"nothing selected":           {target.Selection{}, lb + sidecar},
		"a namespace":                {target.Selection{Selectors: []target.Selector{{Namespace: "other"}}}, db + "\n" + job + "\n"},
		"a label":                    {target.Selection{Selectors: []target.Selector{{Namespace: "other", Key: "app", Value: "web"}}}, job + "\n"},
		"either label":               {target.Selection{Selectors: []target.Selector{{Namespace: "other", Key: "app", Value: "web"}, {Namespace: "other", Key: "app", Value: "database"}}}, db + "\n" + job + "\n"},
		"a label of no pod":          {target.Selection{Selectors: []target.Selector{{Namespace: "default", Key: "app", Value: "web"}}}, ""},
		"egress, of pods by prefix":  {target.Selection{Egress: []target.EgressRule{{Egress: port(80)}, {Egress: port(81), PodPrefix: "http-lb"}, {Egress: port(82), PodPrefix: "proxy"}}}, lb + " >invalid Prefix:80 >invalid Prefix:81" + sidecar},
		"a protocol of a plug-in":    {target.Selection{Selectors: []target.Selector{{Namespace: "other", Key: "app", Value: "database"}}, Known: func(p string) bool { return p == "fifo" }}, strings.Replace(db, "7000=", "7000=fifo", 1) + "\n"},
		"the default and one beside": {target.Selection{Selectors: []target.Selector{{Namespace: "default"}, {Namespace: "other", Key: "app", Value: "web"}}}, lb + sidecar + job + "\n"},
	} {
		if got := describe(c.Plan(test.selection)); got != test.want {
			t.Errorf("%s:\n%swant\n%s", name, got, test.want)
		}
	}
	p := c.Plan(target.Selection{})[0]
	if want := []netip.Addr{netip.MustParseAddr("10.244.0.7"), netip.MustParseAddr("fd00::7")}; !slices.Equal(p.Workload.Addresses, want) ||
		!slices.Equal(p.Containers, []string{"0a"}) || p.Workload.Node != "node-1" {
		t.Errorf("%+v", p)
	}
}

func TestOwner(t *testing.T) {
	for _, c := range []struct {
		kind, name, hash, want string
	}{
		{"ReplicaSet", "web-5d8f", "5d8f", "Deployment web"},
		{"ReplicaSet", "by-hand", "", "ReplicaSet by-hand"},
		{"Job", "nightly-29000000", "", "CronJob nightly"},
		{"Job", "migrate-1", "", "Job migrate-1"},
		{"DaemonSet", "agent", "", "DaemonSet agent"},
		{"Node", "node-1", "", "Pod etcd"},
		{"", "", "", "Pod etcd-node-1"},
	} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "etcd-node-1"}}
		if c.hash != "" {
			p.Labels = map[string]string{templateHash: c.hash}
		}
		if c.kind != "" {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: c.kind, Name: c.name, Controller: new(true)}}
		}
		if kind, name := owner(p); kind+" "+name != c.want {
			t.Errorf("%s %s: %s %s, want %s", c.kind, c.name, kind, name, c.want)
		}
	}
}

// TestCgroupNames has what different runtimes and drivers write.
func TestCgroupNames(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	const uid = "2e5c1a0e-6d47-4b1c-9f0e-0a1b2c3d4e5f"
	under := strings.ReplaceAll(uid, "-", "_")
	for text, want := range map[string][]string{
		"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + under + ".slice/cri-containerd-" + id + ".scope\n": {uid, id},
		"0::/../../pod" + uid + "/" + id + "\n":                                                    {uid, id},
		"12:cpu,cpuacct:/kubepods/besteffort/pod" + uid + "/" + id + "\n":                          {uid, id},
		"3:memory:/k8s.io/" + id + "\n":                                                            {id},
		"0::/kubepods.slice/kubepods-pod" + under + ".slice/crio-" + id + ".scope\n":               {uid, id},
		"0::/system.slice/containerd.service/kubepods-pod" + under + ".slice:cri-containerd:" + id: {uid, id},
		"0::/user.slice\n": nil,
		"":                 nil,
		"nonsense":         nil,
	} {
		if got := cgroupNames(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n%q, want %q", text, got, want)
		}
	}
}

func TestLocalAddresses(t *testing.T) {
	const trie = `Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.244.0.0/24 2 0 2
        |-- 10.244.0.0
           /24 link UNICAST
        |-- 10.244.0.7
           /32 host LOCAL
        |-- 10.244.0.255
           /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
`
	const inet6 = "fd000000000000000000000000000007 02 40 00 80     eth0\n00000000000000000000000000000001 01 80 10 80       lo\nfe80000000000000d00fffffe1b5e2f5 02 40 20 80     eth0\n"
	want := []netip.Addr{netip.MustParseAddr("10.244.0.7"), netip.MustParseAddr("fd00::7")}
	if got := localAddresses(trie, inet6); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func FuzzCgroupNames(f *testing.F) {
	f.Add("0::/kubepods/podx/" + strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range cgroupNames(text) {
			if name == "" || len(name) > len(text) {
				t.Errorf("%q", name)
			}
		}
	})
}
