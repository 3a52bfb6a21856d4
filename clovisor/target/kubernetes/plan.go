package kubernetes

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/target"
)

// picks reports whether a selector picks a pod.
func picks(s target.Selector, p *corev1.Pod) bool {
	if s.Namespace != p.Namespace {
		return false
	}
	value, ok := p.Labels[s.Key]
	return s.Key == "" || ok && value == s.Value
}

func selected(s target.Selection, p *corev1.Pod) bool {
	if len(s.Selectors) == 0 {
		return p.Namespace == target.DefaultNamespace
	}
	return slices.ContainsFunc(s.Selectors, func(sel target.Selector) bool { return picks(sel, p) })
}

// Cluster is what is known of a cluster: the pods of one node, and services.
type Cluster struct {
	Pods     []*corev1.Pod
	Services []*corev1.Service
	// Slices are the endpoint slices of services without a selector.
	Slices []*discoveryv1.EndpointSlice
}

// Pod is a pod to trace, not yet found on the node.
type Pod struct {
	UID        types.UID
	Workload   target.Workload
	Ports      []target.Port
	Egress     []target.Egress
	Containers []string // their IDs, as the runtime knows them
	Sidecar    string   // the container that encrypts; "" for none
	// HostNetwork is set where the pod has no interface of its own.
	HostNetwork bool
}

// Plan returns the pods to trace, ordered by namespace and name: those that
// are selected, have an address and have not ended.
func (c Cluster) Plan(s target.Selection) []Pod {
	var out []Pod
	for _, p := range c.Pods {
		if !selected(s, p) || ended(p) || len(p.Status.PodIPs) == 0 {
			continue
		}
		pod := Pod{
			UID: p.UID, Workload: workload(p), Containers: containerIDs(p),
			Sidecar: sidecar(p), HostNetwork: p.Spec.HostNetwork, Ports: c.ports(p, s),
		}
		for _, e := range s.Egress {
			if strings.HasPrefix(p.Name, e.PodPrefix) {
				pod.Egress = append(pod.Egress, e.Egress)
			}
		}
		out = append(out, pod)
	}
	slices.SortFunc(out, func(a, b Pod) int {
		return cmp.Or(cmp.Compare(a.Workload.Namespace, b.Workload.Namespace), cmp.Compare(a.Workload.Pod, b.Workload.Pod))
	})
	return out
}

func ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

func workload(p *corev1.Pod) target.Workload {
	w := target.Workload{Namespace: p.Namespace, Pod: p.Name, Node: p.Spec.NodeName}
	w.Kind, w.Name = owner(p)
	for _, ip := range p.Status.PodIPs {
		if a, err := netip.ParseAddr(ip.IP); err == nil {
			w.Addresses = append(w.Addresses, a.Unmap())
		}
	}
	return w
}

func containerIDs(p *corev1.Pod) []string {
	var out []string
	for _, list := range [][]corev1.ContainerStatus{p.Status.ContainerStatuses, p.Status.InitContainerStatuses} {
		for i := range list {
			if _, id, ok := strings.Cut(list[i].ContainerID, "://"); ok && id != "" {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	return out
}

// portKey tells ports of a pod apart.
type portKey struct {
	number    uint16
	transport packet.Transport
}

// ports are those that the pod's containers declare and those that services
// lead to, with the protocol that the service says, else the container.
func (c Cluster) ports(p *corev1.Pod, s target.Selection) []target.Port {
	found := map[portKey]target.Port{}
	add := func(number int32, protocol corev1.Protocol, says, service string) {
		transport, ok := transportOf(protocol)
		if number <= 0 || number > 65535 || !ok {
			return
		}
		key := portKey{uint16(number), transport}
		have := found[key]
		if have.Number == 0 {
			have = target.Port{Number: key.number, Transport: transport}
		}
		have.Protocol, have.Service = cmp.Or(have.Protocol, says), cmp.Or(have.Service, service)
		found[key] = have
	}
	says := func(name string, app *string) string {
		a := ""
		if app != nil {
			a = *app
		}
		return s.Protocol(name, a)
	}
	for _, svc := range c.servicesOf(p) {
		for _, port := range svc.Spec.Ports {
			add(targetPort(p, port), port.Protocol, says(port.Name, port.AppProtocol), svc.Name)
		}
	}
	for _, slice := range c.slicesOf(p) {
		for _, port := range slice.Ports {
			if port.Port != nil && port.Protocol != nil {
				name, app := c.servicePort(slice, port)
				add(*port.Port, *port.Protocol, says(name, app), slice.Labels[discoveryv1.LabelServiceName])
			}
		}
	}
	for i := range p.Spec.Containers {
		if sidecars[p.Spec.Containers[i].Name] {
			continue
		}
		for _, port := range p.Spec.Containers[i].Ports {
			add(port.ContainerPort, port.Protocol, says(port.Name, nil), "")
		}
	}
	out := make([]target.Port, 0, len(found))
	for _, port := range found {
		out = append(out, port)
	}
	slices.SortFunc(out, func(a, b target.Port) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Transport, b.Transport))
	})
	return out
}

func transportOf(p corev1.Protocol) (packet.Transport, bool) {
	switch p {
	case corev1.ProtocolTCP, "":
		return packet.TCP, true
	case corev1.ProtocolUDP:
		return packet.UDP, true
	}
	return 0, false
}

// servicesOf are the services that select a pod, in the order of their age:
// what the first one says of a port counts.
func (c Cluster) servicesOf(p *corev1.Pod) []*corev1.Service {
	var out []*corev1.Service
	for _, s := range c.Services {
		if s.Namespace == p.Namespace && s.Spec.Type != corev1.ServiceTypeExternalName && selects(s.Spec.Selector, p.Labels) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *corev1.Service) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// selects reports whether a service's selector, which selects nothing if it
// is empty, matches labels.
func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	return len(selector) > 0
}

// targetPort is the pod's port that a service's port leads to, 0 for none.
func targetPort(p *corev1.Pod, port corev1.ServicePort) int32 {
	if port.TargetPort.StrVal == "" {
		return cmp.Or(port.TargetPort.IntVal, port.Port)
	}
	for _, list := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
		for i := range list {
			for _, c := range list[i].Ports {
				if c.Name == port.TargetPort.StrVal && cmp.Or(c.Protocol, corev1.ProtocolTCP) == cmp.Or(port.Protocol, corev1.ProtocolTCP) {
					return c.ContainerPort
				}
			}
		}
	}
	return 0
}

// slicesOf are the endpoint slices that name an address of a pod.
func (c Cluster) slicesOf(p *corev1.Pod) []*discoveryv1.EndpointSlice {
	var out []*discoveryv1.EndpointSlice
	for _, s := range c.Slices {
		if s.Namespace == p.Namespace && slices.ContainsFunc(s.Endpoints, func(e discoveryv1.Endpoint) bool {
			return slices.ContainsFunc(e.Addresses, func(a string) bool {
				return slices.ContainsFunc(p.Status.PodIPs, func(ip corev1.PodIP) bool { return ip.IP == a })
			})
		}) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *discoveryv1.EndpointSlice) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// servicePort returns what a slice's service says of a port, which has the
// same name there; else what the slice itself says.
func (c Cluster) servicePort(slice *discoveryv1.EndpointSlice, port discoveryv1.EndpointPort) (name string, app *string) {
	if port.Name != nil {
		name = *port.Name
	}
	app = port.AppProtocol
	for _, s := range c.Services {
		if s.Namespace != slice.Namespace || s.Name != slice.Labels[discoveryv1.LabelServiceName] {
			continue
		}
		for _, sp := range s.Spec.Ports {
			if sp.Name == name && app == nil {
				app = sp.AppProtocol
			}
		}
	}
	return name, app
}
