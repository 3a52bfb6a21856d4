package envoy

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbac "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	rbacfilter "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	previous "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"net/netip"

	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/internal/hosts"
)

const (
	routeTable = "routes"
	doorTable  = "door"
	rbacFilter = "envoy.filters.http.rbac"
)

// tableOf is the table of routes, the same for all listeners.
func tableOf(c loadbalancer.Config) *route.RouteConfiguration {
	names := map[string]bool{}
	for _, r := range c.Routes {
		if r.Host != "" {
			names[strings.ToLower(r.Host)] = true
		}
	}
	for _, n := range c.ServerNames {
		names[strings.ToLower(n)] = true
	}
	t := &route.RouteConfiguration{
		Name:                     routeTable,
		IgnorePortInHostMatching: true,
		// The client as it was found by X-Forwarded-For, where that counts.
		RequestHeadersToAdd: []*core.HeaderValueOption{{
			Header: &core.HeaderValue{Key: "x-forwarded-for", Value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"},
		}},
		TypedPerFilterConfig: accessOf(c.Access),
	}
	for _, host := range slices.Sorted(maps.Keys(names)) {
		t.VirtualHosts = append(t.VirtualHosts, virtualHost(host, c))
	}
	t.VirtualHosts = append(t.VirtualHosts, virtualHost("", c))
	return t
}

func virtualHost(host string, c loadbalancer.Config) *route.VirtualHost {
	v := &route.VirtualHost{Name: cmp.Or(host, "*"), Domains: []string{cmp.Or(host, "*")}}
	if !hosts.Answered(host, c.ServerNames) {
		return v
	}
	groups := map[string]loadbalancer.Group{}
	for _, g := range c.Groups {
		groups[g.Name] = g
	}
	for _, r := range routesOf(host, c.Routes) {
		v.Routes = append(v.Routes, routesFor(r, groups[r.Group], c)...)
	}
	return v
}

// routesOf returns the routes that matter for a host in the order in which
// they are tried: by host from whole names to any, exact paths, long paths.
func routesOf(host string, all []loadbalancer.Route) []loadbalancer.Route {
	return hosts.Routes(host, all, func(a, b loadbalancer.Route) int {
		return cmp.Or(
			-cmp.Compare(strconv.FormatBool(a.Exact), strconv.FormatBool(b.Exact)),
			cmp.Compare(len(b.Path), len(a.Path)),
		)
	})
}

// repeatable are the methods whose requests may be sent twice.
const repeatable = "GET|HEAD|OPTIONS|TRACE|PUT|DELETE"

// routesFor is one route. Where there is a second try it is two: one for
// requests that may be repeated whatever has happened, one for others.
func routesFor(r loadbalancer.Route, g loadbalancer.Group, c loadbalancer.Config) []*route.Route {
	plain := &route.Route{Match: match(r), Action: &route.Route_Route{Route: action(g, c)}}
	if g.Tries < 2 {
		return []*route.Route{plain}
	}
	plain.GetRoute().RetryPolicy = retry(g, "connect-failure,refused-stream")
	again := &route.Route{Match: match(r), Action: &route.Route_Route{Route: action(g, c)}}
	again.GetRoute().RetryPolicy = retry(g, "connect-failure,refused-stream,reset")
	again.Match.Headers = []*route.HeaderMatcher{
		textMatch(":method", "^("+repeatable+")$"),
		absent("content-length"), absent("transfer-encoding"), absent("upgrade"), absent("content-type"),
	}
	return []*route.Route{again, plain}
}

func textMatch(header, regex string) *route.HeaderMatcher {
	return &route.HeaderMatcher{Name: header, HeaderMatchSpecifier: &route.HeaderMatcher_StringMatch{
		StringMatch: &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_SafeRegex{
			SafeRegex: &matcher.RegexMatcher{Regex: regex},
		}},
	}}
}

func absent(header string) *route.HeaderMatcher {
	return &route.HeaderMatcher{Name: header, HeaderMatchSpecifier: &route.HeaderMatcher_PresentMatch{PresentMatch: false}}
}

func match(r loadbalancer.Route) *route.RouteMatch {
	m := &route.RouteMatch{}
	path := strings.TrimSuffix(r.Path, "/")
	switch {
	case r.Exact:
		m.PathSpecifier = &route.RouteMatch_Path{Path: r.Path}
	case path == "":
		m.PathSpecifier = &route.RouteMatch_Prefix{Prefix: "/"}
	default:
		m.PathSpecifier = &route.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: path}
	}
	return m
}

func action(g loadbalancer.Group, c loadbalancer.Config) *route.RouteAction {
	a := &route.RouteAction{
		ClusterSpecifier: &route.RouteAction_Cluster{Cluster: groupPrefix + g.Name},
		// A response may take as long as it flows.
		Timeout: durationpb.New(0), IdleTimeout: durationpb.New(g.ResponseTimeout),
	}
	if g.Method == loadbalancer.Hash {
		a.HashPolicy = hashPolicy(g.Hash)
	}
	if g.Host == loadbalancer.HostOfServer {
		a.HostRewriteSpecifier = &route.RouteAction_AutoHostRewrite{AutoHostRewrite: wrapperspb.Bool(true)}
	}
	if c.Mirror.Address != "" {
		a.RequestMirrorPolicies = []*route.RouteAction_RequestMirrorPolicy{{
			Cluster: mirrorCluster, DisableShadowHostSuffixAppend: true,
		}}
	}
	return a
}

func retry(g loadbalancer.Group, on string) *route.RetryPolicy {
	return &route.RetryPolicy{
		RetryOn: on, NumRetries: u32(g.Tries - 1),
		RetryHostPredicate: []*route.RetryPolicy_RetryHostPredicate{{
			Name: "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &route.RetryPolicy_RetryHostPredicate_TypedConfig{
				TypedConfig: mustAny(&previous.PreviousHostsPredicate{}),
			},
		}},
		HostSelectionRetryMaxAttempts: 8,
		RetryBackOff: &route.RetryPolicy_RetryBackOff{
			BaseInterval: durationpb.New(1e6), MaxInterval: durationpb.New(1e6),
		},
	}
}

// hashPolicy is what of a request chooses its server. A request without it
// has the same key as all such: what every request has.
func hashPolicy(k loadbalancer.HashKey) []*route.RouteAction_HashPolicy {
	header := func(name string) *route.RouteAction_HashPolicy {
		return &route.RouteAction_HashPolicy{PolicySpecifier: &route.RouteAction_HashPolicy_Header_{
			Header: &route.RouteAction_HashPolicy_Header{HeaderName: name},
		}}
	}
	var p *route.RouteAction_HashPolicy
	switch k.Source {
	case loadbalancer.HashHeader:
		p = header(k.Name)
	case loadbalancer.HashCookie:
		p = &route.RouteAction_HashPolicy{PolicySpecifier: &route.RouteAction_HashPolicy_Cookie_{
			Cookie: &route.RouteAction_HashPolicy_Cookie{Name: k.Name},
		}}
	case loadbalancer.HashURI:
		p = header(":path")
	default:
		p = &route.RouteAction_HashPolicy{PolicySpecifier: &route.RouteAction_HashPolicy_ConnectionProperties_{
			ConnectionProperties: &route.RouteAction_HashPolicy_ConnectionProperties{SourceIp: true},
		}}
	}
	p.Terminal = true
	return []*route.RouteAction_HashPolicy{p, header(":scheme")}
}

// accessOf is the rule of the filter that lets clients in.
func accessOf(a loadbalancer.Access) map[string]*anypb.Any {
	if len(a.Allow)+len(a.Deny) == 0 {
		return nil
	}
	var all []*rbac.Principal
	if len(a.Allow) > 0 {
		all = append(all, oneOf(a.Allow))
	}
	if len(a.Deny) > 0 {
		all = append(all, &rbac.Principal{Identifier: &rbac.Principal_NotId{NotId: oneOf(a.Deny)}})
	}
	rules := &rbac.RBAC{Action: rbac.RBAC_ALLOW, Policies: map[string]*rbac.Policy{"access": {
		Permissions: []*rbac.Permission{{Rule: &rbac.Permission_Any{Any: true}}},
		Principals:  []*rbac.Principal{{Identifier: &rbac.Principal_AndIds{AndIds: &rbac.Principal_Set{Ids: all}}}},
	}}}
	return map[string]*anypb.Any{rbacFilter: mustAny(&rbacfilter.RBACPerRoute{Rbac: &rbacfilter.RBAC{Rules: rules}})}
}

func oneOf(list []netip.Prefix) *rbac.Principal {
	var ids []*rbac.Principal
	for _, p := range list {
		ids = append(ids, &rbac.Principal{Identifier: &rbac.Principal_RemoteIp{RemoteIp: cidr(p)}})
	}
	return &rbac.Principal{Identifier: &rbac.Principal_OrIds{OrIds: &rbac.Principal_Set{Ids: ids}}}
}

func cidr(p netip.Prefix) *core.CidrRange {
	return &core.CidrRange{AddressPrefix: p.Addr().String(), PrefixLen: u32(p.Bits())}
}

// doorOf answers with the number of a change.
func doorOf(change uint64) *route.RouteConfiguration {
	return &route.RouteConfiguration{Name: doorTable, VirtualHosts: []*route.VirtualHost{{
		Name: "door", Domains: []string{"*"}, Routes: []*route.Route{{
			Match: &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
			Action: &route.Route_DirectResponse{DirectResponse: &route.DirectResponseAction{
				Status: 200,
				Body: &core.DataSource{Specifier: &core.DataSource_InlineString{
					InlineString: strconv.FormatUint(change, 10),
				}},
			}},
		}},
	}}}
}
