// Package export turns the sessions that Clovisor sees into what people look
// at: spans with the names of OpenTelemetry's semantic conventions, which
// [tracing.Exporter] sends by OTLP, and lines for terminals and for programs.
//
// [Span] makes a span of a session. A request that carries a trace context
// (traceparent or B3) gives a child of the span that the context names, which
// is the one of whoever sent the request: below a client's span, then, at both
// ends of a connection, and below a sidecar's between sidecar and application.
// A request without one begins a trace.
//
// Trace and span id are computed from what both ends of a connection and every
// interface on the way see alike: see [Span].
//
// All functions may be called concurrently; [Lines] may too.
//
// [tracing.Exporter]: https://pkg.go.dev/github.com/opnfv/clover/tracing#Exporter
package export

import (
	"cmp"
	"net/netip"
	"strings"

	"github.com/opnfv/clover/tracing"
)

// Place says where a session was seen: at which workload, and what of it is
// known. Places are compared as values; the zero Place is that of a capture
// file.
type Place struct {
	Node      string // of the cluster, or the host
	Namespace string
	Pod       string
	PodUID    string
	Container string
	Kind      string // of the workload: Deployment, StatefulSet, ...
	Workload  string // its name
	Service   string // that leads to the port, or, for what goes out, to the workload
	// Sidecar is the proxy beside the workload, "" for none. It reports the
	// requests that are sampled itself.
	Sidecar string
}

// serviceName is what the span's service is called: SERVICE.NAMESPACE as
// sidecars say it; outside of Kubernetes the address of the workload's end.
func (p Place) serviceName(own netip.AddrPort) string {
	name := cmp.Or(p.Service, p.Workload, p.Pod)
	switch {
	case name == "":
		return own.String()
	case p.Namespace == "":
		return name
	}
	return name + "." + p.Namespace
}

// workloadKeys are the attributes for the name of a workload by its kind.
var workloadKeys = map[string]string{
	"deployment":  "k8s.deployment.name",
	"statefulset": "k8s.statefulset.name",
	"daemonset":   "k8s.daemonset.name",
	"replicaset":  "k8s.replicaset.name",
	"job":         "k8s.job.name",
	"cronjob":     "k8s.cronjob.name",
}

// resource is what there is of the workload beyond the span's own fields. The
// node of a pod is no host.name, so that tracing.Normalize takes the pod for
// the span's node, as it is with sidecars.
func (p Place) resource() []tracing.Attribute {
	node := "host.name"
	if p.Pod != "" {
		node = "k8s.node.name"
	}
	var list []tracing.Attribute
	for _, a := range [...][2]string{
		{"k8s.container.name", p.Container}, {node, p.Node}, {"k8s.pod.name", p.Pod}, {"k8s.pod.uid", p.PodUID},
		{"k8s.service.name", p.Service}, {workloadKeys[strings.ToLower(p.Kind)], p.Workload},
	} {
		if a[0] == "" || a[1] == "" {
			continue
		}
		if list == nil {
			list = make([]tracing.Attribute, 0, 6)
		}
		list = append(list, tracing.Attribute{Key: a[0], Value: a[1]})
	}
	return list
}
