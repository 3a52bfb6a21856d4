package mesh

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"
	networkingapi "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
)

// inMesh is the gateway that stands for the sidecars.
const inMesh = "mesh"

func (c *checker) virtualService(v *networking.VirtualService) {
	spec := &v.Spec
	delegate := len(spec.GetHosts()) == 0 && len(spec.GetGateways()) == 0
	if len(spec.GetHosts()) == 0 && !delegate {
		c.bad("spec.hosts", "is empty, want host names or \"*\"")
	}
	for i, host := range spec.GetHosts() {
		at := fmt.Sprintf("spec.hosts[%d]", i)
		c.host(at, host)
		if slices.Contains(spec.GetHosts()[:i], host) {
			c.bad(at, "%q is there twice", host)
		}
	}
	c.gateways(v)
	c.arrives = c.world.arrivals(v)
	if len(spec.GetHttp())+len(spec.GetTcp())+len(spec.GetTls()) == 0 {
		c.bad("spec", "has no route: fill in http, tcp or tls")
	}
	for i, route := range spec.GetHttp() {
		c.httpRoute(fmt.Sprintf("spec.http[%d]", i), v.Namespace, route, i < len(spec.GetHttp())-1)
	}
	for i, route := range spec.GetTcp() {
		shares(c, fmt.Sprintf("spec.tcp[%d].route", i), v.Namespace, route.GetRoute())
	}
	for i, route := range spec.GetTls() {
		shares(c, fmt.Sprintf("spec.tls[%d].route", i), v.Namespace, route.GetRoute())
	}
}

// gateways checks that the gateways exist and take the hosts.
func (c *checker) gateways(v *networking.VirtualService) {
	bound := len(v.Spec.GetGateways()) == 0
	for i, ref := range v.Spec.GetGateways() {
		at := fmt.Sprintf("spec.gateways[%d]", i)
		if ref == inMesh {
			bound = true
			continue
		}
		g := c.world.gatewayNamed(ref, v.Namespace)
		switch {
		case g != nil && !admits(g, v.Namespace, v.Spec.GetHosts()):
			c.bad(at, "gateway %q takes none of the hosts %s", ref, list(v.Spec.GetHosts()))
		case g == nil && c.world.closed:
			c.bad(at, "there is no Gateway %q; write NAME for one in namespace %s, else NAMESPACE/NAME", ref, v.Namespace)
		}
	}
	if bound && slices.Contains(v.Spec.GetHosts(), "*") {
		c.bad("spec.hosts", "\"*\" is for gateways only, name the services whose callers are to be steered")
	}
}

func (c *checker) httpRoute(at, namespace string, r *networkingapi.HTTPRoute, followed bool) {
	actions := 0
	for _, is := range []bool{len(r.GetRoute()) > 0, r.GetRedirect() != nil, r.GetDirectResponse() != nil, r.GetDelegate() != nil} {
		if is {
			actions++
		}
	}
	if actions != 1 {
		c.bad(at, "has %d of route, redirect, directResponse and delegate, want one", actions)
	}
	if followed && len(r.GetMatch()) == 0 {
		c.bad(at+".match", "is empty, so that the routes after this one never match: put it last")
	}
	for i, m := range r.GetMatch() {
		c.httpMatch(fmt.Sprintf("%s.match[%d]", at, i), m)
	}
	if len(r.GetRoute()) > 0 {
		shares(c, at+".route", namespace, r.GetRoute())
	}
	c.mirrors(at, namespace, r)
	c.duration(at+".timeout", r.GetTimeout())
	if retries := r.GetRetries(); retries != nil {
		if retries.GetAttempts() < 0 {
			c.bad(at+".retries.attempts", "is %d, want 0 or more", retries.GetAttempts())
		}
		c.duration(at+".retries.perTryTimeout", retries.GetPerTryTimeout())
	}
	c.fault(at+".fault", r.GetFault())
}

func (c *checker) httpMatch(at string, m *networkingapi.HTTPMatchRequest) {
	for field, match := range map[string]*networkingapi.StringMatch{
		"uri": m.GetUri(), "scheme": m.GetScheme(), "method": m.GetMethod(), "authority": m.GetAuthority(),
	} {
		c.stringMatch(at+"."+field, match)
	}
	for name, match := range m.GetHeaders() {
		c.stringMatch(fmt.Sprintf("%s.headers[%s]", at, name), match)
		if name != strings.ToLower(name) {
			c.bad(fmt.Sprintf("%s.headers[%s]", at, name), "never matches: header names are in lower case")
		}
	}
	for name, match := range m.GetQueryParams() {
		c.stringMatch(fmt.Sprintf("%s.queryParams[%s]", at, name), match)
	}
	if m.GetPort() > 65535 {
		c.portNumber(at+".port", m.GetPort())
	}
}

func (c *checker) stringMatch(at string, m *networkingapi.StringMatch) {
	if expr, ok := m.GetMatchType().(*networkingapi.StringMatch_Regex); ok {
		c.pattern(at+".regex", expr.Regex)
	}
}

func (c *checker) mirrors(at, namespace string, r *networkingapi.HTTPRoute) {
	if r.GetMirror() != nil {
		c.destination(at+".mirror", namespace, r.GetMirror())
		if len(r.GetMirrors()) > 0 {
			c.bad(at+".mirror", "cannot be beside mirrors: put it there")
		}
	}
	if p := r.GetMirrorPercentage(); p != nil {
		c.percent(at+".mirrorPercentage", p.GetValue())
	}
	for i, m := range r.GetMirrors() {
		field := fmt.Sprintf("%s.mirrors[%d]", at, i)
		c.destination(field+".destination", namespace, m.GetDestination())
		if m.GetPercentage() != nil {
			c.percent(field+".percentage", m.GetPercentage().GetValue())
		}
	}
}

func (c *checker) fault(at string, f *networkingapi.HTTPFaultInjection) {
	if delay := f.GetDelay(); delay != nil {
		if delay.GetPercentage() != nil {
			c.percent(at+".delay.percentage", delay.GetPercentage().GetValue())
		}
		c.duration(at+".delay.fixedDelay", delay.GetFixedDelay())
	}
	if abort := f.GetAbort(); abort != nil {
		if abort.GetPercentage() != nil {
			c.percent(at+".abort.percentage", abort.GetPercentage().GetValue())
		}
		if status, ok := abort.GetErrorType().(*networkingapi.HTTPFaultInjection_Abort_HttpStatus); ok &&
			(status.HttpStatus < 200 || status.HttpStatus > 599) {
			c.bad(at+".abort.httpStatus", "is %d, want 200 to 599", status.HttpStatus)
		}
	}
}

func (c *checker) duration(at string, d *durationpb.Duration) {
	if d != nil && (d.CheckValid() != nil || d.AsDuration() < 0) {
		c.bad(at, "is %s, want 0 or more", d.AsDuration())
	}
}
