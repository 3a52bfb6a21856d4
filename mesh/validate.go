package mesh

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// maxProblems bounds how many faults one error lists.
const maxProblems = 100

// Validate checks the resources beyond what their schema says: host names,
// ports, shares that make 100 percent, gateways, subsets, services and
// tracing providers that exist. Without known (nil), only what the set itself
// decides is checked: a name that it does not define may exist elsewhere.
// The error is an [*InvalidError] with every fault.
func (s Set) Validate(known *Known) error {
	c := &checker{world: newWorld(s, known)}
	c.names(s)
	for _, o := range s.Gateways {
		c.at(label("Gateway", o), func() { c.gateway(o) })
	}
	for _, o := range s.DestinationRules {
		c.at(label("DestinationRule", o), func() { c.destinationRule(o) })
	}
	for _, o := range s.VirtualServices {
		c.at(label("VirtualService", o), func() { c.virtualService(o) })
	}
	for _, o := range s.EnvoyFilters {
		c.at(label("EnvoyFilter", o), func() { c.envoyFilter(o) })
	}
	for _, o := range s.Telemetries {
		c.at(label("Telemetry", o), func() { c.telemetry(o) })
	}
	if len(c.problems) > 0 {
		return &InvalidError{Problems: c.problems}
	}
	return nil
}

// checker gathers the problems of one resource after the other.
type checker struct {
	world    world
	object   string
	problems []Problem
	// arrives are the ports on which the requests of the present
	// VirtualService arrive, which a destination without a port takes over;
	// nil is not known.
	arrives []uint32
}

func (c *checker) at(object string, check func()) {
	c.object = object
	check()
}

func (c *checker) bad(field, format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, Problem{Object: c.object, Field: field, Message: fmt.Sprintf(format, args...)})
	}
}

// names checks what every resource has.
func (c *checker) names(s Set) {
	seen := map[string]bool{}
	for _, e := range s.entries() {
		c.object = e.label()
		for _, message := range validation.IsDNS1123Subdomain(e.object.GetName()) {
			c.bad("metadata.name", "%q: %s", e.object.GetName(), message)
		}
		if e.object.GetNamespace() == "" {
			c.bad("metadata.namespace", "is missing")
		} else {
			for _, message := range validation.IsDNS1123Label(e.object.GetNamespace()) {
				c.bad("metadata.namespace", "%q: %s", e.object.GetNamespace(), message)
			}
		}
		if seen[c.object] {
			c.bad("metadata.name", "is there twice")
		}
		seen[c.object] = true
	}
}

// host checks a DNS name, which may begin with the label "*".
func (c *checker) host(field, host string) {
	name := strings.TrimPrefix(host, "*.")
	switch {
	case host == "*":
		return
	case host == "":
		c.bad(field, "is empty, want a host name or \"*\"")
	case strings.Contains(name, "*"):
		c.bad(field, "%q has a \"*\" that is not the whole first label", host)
	case strings.ContainsAny(host, ":/"):
		c.bad(field, "%q is no host name: leave out scheme, port and path", host)
	default:
		for _, message := range validation.IsDNS1123Subdomain(name) {
			c.bad(field, "%q is no host name: %s", host, message)
		}
	}
}

// percent checks a number from 0 to 100.
func (c *checker) percent(field string, value float64) {
	if !(value >= 0 && value <= 100) {
		c.bad(field, "is %v, want 0 to 100 percent", value)
	}
}

// portNumber checks a TCP port.
func (c *checker) portNumber(field string, port uint32) {
	if port < 1 || port > 65535 {
		c.bad(field, "is %d, want 1 to 65535", port)
	}
}

// pattern checks a regular expression in the syntax of RE2, which Go shares.
func (c *checker) pattern(field, expr string) {
	if _, err := regexp.Compile(expr); err != nil {
		c.bad(field, "is no regular expression of RE2: %v", err)
	}
}

// labelled checks that labels select something by legal keys and values.
func (c *checker) labelled(field string, labels map[string]string) {
	for key, value := range labels {
		for _, message := range append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...) {
			c.bad(field, "%s=%s: %s", key, value, message)
		}
	}
}

// list prints names for a message, sorted and without repeats.
func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	return strings.Join(names, ", ")
}
