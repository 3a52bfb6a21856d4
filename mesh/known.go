package mesh

import (
	"cmp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Known is what a cluster has that a [Set] may refer to. [Client.Known] reads
// it; a test or a plan may fill it in by hand.
type Known struct {
	// Set holds the mesh resources in the cluster. One of the same kind,
	// namespace and name in the checked set takes its place.
	Set Set
	// Services are the services that routes may lead to, those of
	// ServiceEntry resources too.
	Services []Service
	// Providers are the names of the mesh configuration's extension
	// providers.
	Providers []string
	// Domain is the cluster's domain; "" is "cluster.local".
	Domain string
}

// Service is what a route may lead to.
type Service struct {
	// Host is its full name, such as "http-lb.default.svc.cluster.local".
	Host string
	// Ports are the numbers that it answers on.
	Ports []uint32
}

// world is a set together with what the cluster has.
type world struct {
	Set
	services  []Service
	providers []string
	domain    string
	// closed is whether all there is is known, so that what is not found does
	// not exist.
	closed bool
}

func newWorld(s Set, known *Known) world {
	if known == nil {
		return world{Set: s, domain: "cluster.local"}
	}
	return world{
		Set: s.over(known.Set), services: known.Services, providers: known.Providers,
		domain: cmp.Or(known.Domain, "cluster.local"), closed: true,
	}
}

// over is the set with what base has beside it.
func (s Set) over(base Set) Set {
	mine := map[string]bool{}
	for _, e := range s.entries() {
		mine[e.label()] = true
	}
	all := Merge(s)
	all.Gateways = append(all.Gateways, without(base.Gateways, "Gateway", mine)...)
	all.DestinationRules = append(all.DestinationRules, without(base.DestinationRules, "DestinationRule", mine)...)
	all.VirtualServices = append(all.VirtualServices, without(base.VirtualServices, "VirtualService", mine)...)
	all.EnvoyFilters = append(all.EnvoyFilters, without(base.EnvoyFilters, "EnvoyFilter", mine)...)
	all.Telemetries = append(all.Telemetries, without(base.Telemetries, "Telemetry", mine)...)
	return all
}

// without lists the resources that taken does not name.
func without[T metav1.Object](list []T, kind string, taken map[string]bool) []T {
	var rest []T
	for _, o := range list {
		if !taken[label(kind, o)] {
			rest = append(rest, o)
		}
	}
	return rest
}

// full is a host name as the proxies know it: a name without a dot is a
// service of the resource's namespace.
func (w world) full(host, namespace string) string {
	if host == "" || strings.ContainsAny(host, ".*") {
		return host
	}
	return host + "." + namespace + ".svc." + w.domain
}

// covers reports whether a host name, which may begin with "*", takes in
// another one, which may too.
func covers(pattern, host string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(host, suffix)
	}
	return pattern == host
}

// subsets lists the subsets of a host that destination rules define, and
// whether there is any rule for it.
func (w world) subsets(host string) (names []string, ruled bool) {
	for _, r := range w.DestinationRules {
		if !covers(w.full(r.Spec.Host, r.Namespace), host) {
			continue
		}
		ruled = true
		for _, s := range r.Spec.Subsets {
			names = append(names, s.GetName())
		}
	}
	return names, ruled
}

// service finds the service of that full name.
func (w world) service(host string) (Service, bool) {
	for _, s := range w.services {
		if covers(s.Host, host) {
			return s, true
		}
	}
	return Service{}, false
}
