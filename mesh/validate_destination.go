package mesh

import (
	"fmt"
	"slices"
	"strings"

	networkingapi "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// weighted is a destination with its share of the traffic.
type weighted interface {
	GetDestination() *networkingapi.Destination
	GetWeight() int32
}

// shares checks destinations and that their shares make 100 percent. Istio
// itself takes any numbers as proportions; a total other than 100 is mostly a
// slip, and would move traffic in silence.
func shares[R weighted](c *checker, at, namespace string, routes []R) {
	sum := int32(0)
	for i, r := range routes {
		field := fmt.Sprintf("%s[%d]", at, i)
		c.destination(field+".destination", namespace, r.GetDestination())
		if r.GetWeight() < 0 {
			c.bad(field+".weight", "is %d, want 0 to 100 percent", r.GetWeight())
		}
		sum += r.GetWeight()
	}
	switch n := len(routes); {
	case n == 0:
		c.bad(at, "is empty")
	case n == 1 && sum == 0:
	case sum != 100:
		c.bad(at, "weights make %d percent together, want 100", sum)
	}
}

// destination checks that a host can be reached there.
func (c *checker) destination(at, namespace string, d *networkingapi.Destination) {
	if d.GetHost() == "" {
		c.bad(at+".host", "is missing")
		return
	}
	c.host(at+".host", d.GetHost())
	if strings.HasPrefix(d.GetHost(), "*") {
		c.bad(at+".host", "%q stands for many hosts, want one", d.GetHost())
		return
	}
	host := c.world.full(d.GetHost(), namespace)
	c.subset(at, host, d.GetSubset())
	port := d.GetPort().GetNumber()
	if d.GetPort() != nil {
		c.portNumber(at+".port.number", port)
	}
	if !c.world.closed {
		return
	}
	service, ok := c.world.service(host)
	switch {
	case !ok:
		c.bad(at+".host", "there is no service %s%s", host, c.suggest(d.GetHost()))
	case port == 0 && len(service.Ports) > 1 && c.arrives != nil && !overlap(c.arrives, service.Ports):
		c.bad(at+".port", "is missing: %s has the ports %s, but requests arrive on %s", host, ports(service.Ports), ports(c.arrives))
	case port != 0 && len(service.Ports) > 0 && !slices.Contains(service.Ports, port):
		c.bad(at+".port.number", "%s has no port %d, it has %s", host, port, ports(service.Ports))
	}
}

func overlap(a, b []uint32) bool {
	return slices.ContainsFunc(a, func(port uint32) bool { return slices.Contains(b, port) })
}

// suggest names the service that was probably meant: "NAME.NAMESPACE" is no
// name that the proxies know.
func (c *checker) suggest(host string) string {
	for _, s := range c.world.services {
		if strings.HasPrefix(s.Host, host+".") {
			return ", write " + s.Host
		}
	}
	return ""
}

func (c *checker) subset(at, host, subset string) {
	if subset == "" {
		return
	}
	names, ruled := c.world.subsets(host)
	if (ruled || c.world.closed) && !slices.Contains(names, subset) {
		c.bad(at+".subset", "no DestinationRule for %s has a subset %q, there is %s", host, subset, list(names))
	}
}

func ports(numbers []uint32) string {
	text := make([]string, len(numbers))
	for i, n := range numbers {
		text[i] = fmt.Sprint(n)
	}
	return strings.Join(text, ", ")
}

func (c *checker) destinationRule(r *networking.DestinationRule) {
	c.host("spec.host", r.Spec.GetHost())
	host := c.world.full(r.Spec.GetHost(), r.Namespace)
	for _, other := range c.world.DestinationRules {
		if other != r && other.Namespace == r.Namespace && r.Spec.GetWorkloadSelector() == nil &&
			other.Spec.GetWorkloadSelector() == nil && c.world.full(other.Spec.GetHost(), other.Namespace) == host {
			c.bad("spec.host", "DestinationRule %s/%s is for %s too: put both into one", other.Namespace, other.Name, host)
		}
	}
	if _, ok := c.world.service(host); !ok && c.world.closed && !strings.HasPrefix(host, "*") {
		c.bad("spec.host", "there is no service %s%s", host, c.suggest(r.Spec.GetHost()))
	}
	seen := map[string]bool{}
	for i, s := range r.Spec.GetSubsets() {
		at := fmt.Sprintf("spec.subsets[%d]", i)
		for _, message := range validation.IsDNS1123Label(s.GetName()) {
			c.bad(at+".name", "%q: %s", s.GetName(), message)
		}
		if seen[s.GetName()] {
			c.bad(at+".name", "%q is there twice", s.GetName())
		}
		seen[s.GetName()] = true
		if len(s.GetLabels()) == 0 {
			c.bad(at+".labels", "is empty: the subset would be every pod of %s", host)
		}
		c.labelled(at+".labels", s.GetLabels())
	}
}
