package master

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/opnfv/clover/jmeter"
)

// Targets says which targets tests may have: what the operator allows, and
// services of the cluster. Addresses of metadata and loopback have to be
// allowed as such; see [jmeter.Policy].
type Targets struct {
	// Allow and Deny are patterns as in [jmeter.Policy].
	Allow, Deny []string
	// Service reports whether a host is a service of the cluster, and so may
	// be a target unless Deny has it. nil: none is.
	Service func(ctx context.Context, host string) (bool, error)
	// Lookup resolves a host. nil: the system's.
	Lookup func(ctx context.Context, host string) ([]net.IPAddr, error)
}

// check looks at what does not need names to be resolved.
func (t Targets) check(plan *jmeter.Plan) error {
	p := jmeter.Policy{Allow: t.Allow, Deny: t.Deny}
	if t.Service != nil {
		p.Allow = append(slices.Clone(p.Allow), serviceNames(plan)...)
	}
	return p.Check(plan)
}

// serviceName is what a service of a cluster may be called by: NAME,
// NAME.NAMESPACE, and what follows these.
var serviceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\.?$`)

// serviceNames are the hosts of a plan that may be services.
func serviceNames(plan *jmeter.Plan) []string {
	return slices.DeleteFunc(plan.Hosts(), func(h string) bool {
		return net.ParseIP(h) != nil || h == "localhost" || !serviceName.MatchString(h)
	})
}

// policy returns what a run of the plan may reach. The services that the plan
// names are allowed, and no others.
func (t Targets) policy(ctx context.Context, plan *jmeter.Plan) (jmeter.Policy, error) {
	p := jmeter.Policy{Allow: slices.Clone(t.Allow), Deny: t.Deny}
	if t.Service != nil {
		for _, host := range serviceNames(plan) {
			is, err := t.Service(ctx, host)
			if err != nil {
				return p, fmt.Errorf("target %s: %w", host, err)
			}
			if is {
				p.Allow = append(p.Allow, host)
			}
		}
	}
	return p, p.Check(plan)
}

// resolve checks the addresses of all targets, for an engine that connects
// without asking.
func (t Targets) resolve(ctx context.Context, p jmeter.Policy, plan *jmeter.Plan) error {
	lookup := t.Lookup
	if lookup == nil {
		lookup = net.DefaultResolver.LookupIPAddr
	}
	for _, host := range plan.Hosts() {
		addresses, err := lookup(ctx, host)
		var missing *net.DNSError
		if errors.As(err, &missing) && missing.IsNotFound {
			continue // its requests will fail, as the results say
		}
		if err != nil {
			return fmt.Errorf("target %s: %w", host, err)
		}
		for _, a := range addresses {
			if err := p.AllowAddress(host, a.IP); err != nil {
				return err
			}
		}
	}
	return nil
}

// ClusterServices recognises services of a Kubernetes cluster by its DNS: a
// host is one if the name NAME.NAMESPACE.svc.DOMAIN that it is short for is
// there. domain is the cluster's ("": cluster.local), namespace the one of
// short names.
func ClusterServices(domain, namespace string, resolver *net.Resolver) func(ctx context.Context, host string) (bool, error) {
	domain = strings.Trim(cmp.Or(domain, "cluster.local"), ".")
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	return func(ctx context.Context, host string) (bool, error) {
		name := strings.TrimSuffix(strings.TrimSuffix(host, "."), "."+domain)
		labels := strings.Split(strings.TrimSuffix(name, ".svc"), ".")
		if len(labels) == 1 && namespace != "" {
			labels = append(labels, namespace)
		}
		if len(labels) < 2 || len(labels) > 3 { // three: POD.SERVICE.NAMESPACE
			return false, nil
		}
		_, err := resolver.LookupHost(ctx, strings.Join(labels, ".")+".svc."+domain+".")
		var missing *net.DNSError
		if errors.As(err, &missing) && missing.IsNotFound {
			return false, nil
		}
		return err == nil, err
	}
}
