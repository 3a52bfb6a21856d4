// Package target says what Clovisor traces: which network interfaces, which
// ports of them speak which protocol, and who is behind them.
//
// [Links] names interfaces of this machine or of one of its network
// namespaces. The pods of a node are found by the package kubernetes below.
package target

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/opnfv/clover/clovisor/packet"
)

// Target is an interface to trace. Targets are compared as values.
type Target struct {
	// ID is the same for as long as the workload is: the UID of a pod, else
	// the namespace and interface. Together with Interface it is unique.
	ID string
	// Netns is a path at which the network namespace that holds Interface can
	// be opened now; "" for the one that Clovisor runs in. NetnsDevice and
	// NetnsInode, as stat(2) numbers it, tell which namespace it is: the path
	// of one and the same may change, and may lead to another one later.
	Netns                   string
	NetnsDevice, NetnsInode uint64
	// Interface and Index name it there.
	Interface string
	Index     int
	// Inside is set where Interface is the workload's own end, so that what
	// arrives on it is for the workload. On the host's end of a veth pair it
	// is the other way round.
	Inside bool
	// Loopback is set where Interface is the loopback interface. Each packet
	// passes it twice, out and in.
	Loopback bool
	// Sidecar is the container that encrypts for the workload, and reports
	// spans of its own; "" for none.
	Sidecar string
	// Why says why this interface was chosen, for people.
	Why string

	// Ports are those that the workload serves, in ascending order.
	Ports []Port
	// Egress are the connections from the workload that are traced too.
	Egress []Egress
	// Workload is who is behind the interface; its zero value if that is not
	// known.
	Workload Workload
}

// Port is a port on which a workload serves.
type Port struct {
	Number    uint16
	Transport packet.Transport
	// Protocol is what is spoken there, as [ProtocolOf] names it; "" if
	// nothing says it.
	Protocol string
	// Service is the Kubernetes service that leads there; "" for none.
	Service string
}

// Egress is a sort of connections that begin at the workload.
type Egress struct {
	Transport packet.Transport // 0: TCP
	// Prefix is where they lead; the zero Prefix means anywhere.
	Prefix netip.Prefix
	Port   uint16 // 0: any
	// Protocol is what is spoken; "" if nothing says it.
	Protocol string
}

// Workload is whose connections a target has.
type Workload struct {
	// Namespace and Pod are names in Kubernetes.
	Namespace, Pod string
	// Kind and Name are those of the owner, such as Deployment and http-lb;
	// of the pod itself where it has none.
	Kind, Name string
	Node       string
	Addresses  []netip.Addr
}

// Service is the service that leads to a port of the target, "" for none.
func (t *Target) Service(port uint16) string {
	for _, p := range t.Ports {
		if p.Number == port {
			return p.Service
		}
	}
	return ""
}

// Same reports whether two targets are equal in everything but the path of
// their network namespace.
func (t *Target) Same(o *Target) bool {
	return t.SamePlace(o) && t.Why == o.Why && t.Sidecar == o.Sidecar &&
		slices.Equal(t.Ports, o.Ports) && slices.Equal(t.Egress, o.Egress) && t.Workload.same(o.Workload)
}

// SamePlace reports whether two targets are the same interface.
func (t *Target) SamePlace(o *Target) bool {
	return t.ID == o.ID && t.NetnsDevice == o.NetnsDevice && t.NetnsInode == o.NetnsInode && t.Interface == o.Interface && t.Index == o.Index &&
		t.Inside == o.Inside && t.Loopback == o.Loopback
}

func (w Workload) same(o Workload) bool {
	return w.Namespace == o.Namespace && w.Pod == o.Pod && w.Kind == o.Kind && w.Name == o.Name && w.Node == o.Node &&
		slices.Equal(w.Addresses, o.Addresses)
}

// Problem is a workload that was to be traced and is not.
type Problem struct {
	Workload Workload
	// Reason says why, and what to do about it.
	Reason string
}

// Set is all that there is to trace at one time.
type Set struct {
	Targets  []Target
	Problems []Problem
}

// Sort puts targets and problems into the order of namespaces and names.
func (s *Set) Sort() {
	slices.SortFunc(s.Targets, func(a, b Target) int {
		return cmp.Or(cmp.Compare(a.Workload.Namespace, b.Workload.Namespace), cmp.Compare(a.Workload.Pod, b.Workload.Pod),
			cmp.Compare(a.ID, b.ID), cmp.Compare(a.Interface, b.Interface))
	})
	slices.SortFunc(s.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Workload.Namespace, b.Workload.Namespace), cmp.Compare(a.Workload.Pod, b.Workload.Pod))
	})
}

// Equal reports whether two sets are the same, paths included: whoever has
// not yet opened one needs that which leads there now.
func (s *Set) Equal(o *Set) bool {
	return slices.EqualFunc(s.Targets, o.Targets, func(a, b Target) bool { return a.Netns == b.Netns && a.Same(&b) }) &&
		slices.EqualFunc(s.Problems, o.Problems, func(a, b Problem) bool {
			return a.Reason == b.Reason && a.Workload.same(b.Workload)
		})
}
