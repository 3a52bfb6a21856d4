package envoy

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	leastrequest "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	maglev "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	roundrobin "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	upstream "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	types "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/opnfv/clover/loadbalancer"
)

const (
	groupPrefix   = "group/"
	mirrorCluster = "mirror"
	// idleServerConnection is shorter than what usual servers allow, so that
	// a connection is seldom used at the moment that its server ends it.
	idleServerConnection = 4 * time.Second
)

// mustAny packs a message; a message of this package can always be packed.
func mustAny(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return a
}

func u32(n int) *wrapperspb.UInt32Value { return wrapperspb.UInt32(uint32(n)) }

// numeric reports whether all servers are addresses; EDS knows no names.
func numeric(g loadbalancer.Group) bool {
	for _, s := range g.Servers {
		host, _, err := net.SplitHostPort(s.Address)
		if err != nil {
			return false
		}
		if _, err := netip.ParseAddr(host); err != nil {
			return false
		}
	}
	return true
}

// clusterOf is a group without its servers, or with them if they have names,
// which Envoy then resolves.
func clusterOf(g loadbalancer.Group) *cluster.Cluster {
	c := &cluster.Cluster{
		Name:                      groupPrefix + g.Name,
		ConnectTimeout:            durationpb.New(g.ConnectTimeout),
		LoadBalancingPolicy:       policy(g),
		OutlierDetection:          outlier(g.Failures),
		HealthChecks:              healthChecks(g.Health),
		CommonLbConfig:            commonLB(),
		CircuitBreakers:           unbounded(),
		IgnoreHealthOnHostRemoval: true,
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": mustAny(protocolOf(g.Protocol)),
		},
	}
	if numeric(g) {
		c.ClusterDiscoveryType = &cluster.Cluster_Type{Type: cluster.Cluster_EDS}
		c.EdsClusterConfig = &cluster.Cluster_EdsClusterConfig{EdsConfig: ads()}
	} else {
		c.ClusterDiscoveryType = &cluster.Cluster_Type{Type: cluster.Cluster_STRICT_DNS}
		c.DnsLookupFamily = cluster.Cluster_V4_PREFERRED
		c.LoadAssignment = endpointsOf(g)
	}
	return c
}

// commonLB: no host is used that is known not to work, and no change waits to
// be joined with others.
func commonLB() *cluster.Cluster_CommonLbConfig {
	return &cluster.Cluster_CommonLbConfig{
		HealthyPanicThreshold: &types.Percent{Value: 0},
		UpdateMergeWindow:     durationpb.New(0),
	}
}

// unbounded lifts Envoy's own bounds of 1024; each server bounds itself.
func unbounded() *cluster.CircuitBreakers {
	const many = 1 << 30
	return &cluster.CircuitBreakers{Thresholds: []*cluster.CircuitBreakers_Thresholds{{
		MaxConnections: u32(many), MaxPendingRequests: u32(many), MaxRequests: u32(many), MaxRetries: u32(many),
	}}}
}

func protocolOf(p loadbalancer.Protocol) *upstream.HttpProtocolOptions {
	explicit := &upstream.HttpProtocolOptions_ExplicitHttpConfig{
		ProtocolConfig: &upstream.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{
			// Trailers carry the end of a gRPC call.
			HttpProtocolOptions: &core.Http1ProtocolOptions{EnableTrailers: true},
		},
	}
	if p == loadbalancer.H2C {
		explicit.ProtocolConfig = &upstream.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
			Http2ProtocolOptions: &core.Http2ProtocolOptions{},
		}
	}
	return &upstream.HttpProtocolOptions{
		CommonHttpProtocolOptions: &core.HttpProtocolOptions{IdleTimeout: durationpb.New(idleServerConnection)},
		UpstreamProtocolOptions:   &upstream.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit},
	}
}

// policy is a group's method.
func policy(g loadbalancer.Group) *cluster.LoadBalancingPolicy {
	var name string
	var m proto.Message
	switch g.Method {
	case loadbalancer.LeastConnections:
		name, m = "least_request", &leastrequest.LeastRequest{
			SelectionMethod: leastrequest.LeastRequest_FULL_SCAN,
		}
	case loadbalancer.RandomTwoChoices:
		name, m = "least_request", &leastrequest.LeastRequest{ChoiceCount: u32(2)}
	case loadbalancer.Hash:
		name, m = "maglev", &maglev.Maglev{}
	default:
		name, m = "round_robin", &roundrobin.RoundRobin{}
	}
	return &cluster.LoadBalancingPolicy{Policies: []*cluster.LoadBalancingPolicy_Policy{{
		TypedExtensionConfig: &core.TypedExtensionConfig{
			Name: "envoy.load_balancing_policies." + name, TypedConfig: mustAny(m),
		},
	}}}
}

// outlier takes out servers whose connections fail, and never the last one.
func outlier(f loadbalancer.FailureLimit) *cluster.OutlierDetection {
	if f.Max < 0 {
		return nil
	}
	return &cluster.OutlierDetection{
		SplitExternalLocalOriginErrors:         true,
		ConsecutiveLocalOriginFailure:          u32(f.Max),
		EnforcingConsecutiveLocalOriginFailure: u32(100),
		EnforcingConsecutive_5Xx:               u32(0),
		EnforcingConsecutiveGatewayFailure:     u32(0),
		EnforcingSuccessRate:                   u32(0),
		EnforcingLocalOriginSuccessRate:        u32(0),
		Interval:                               durationpb.New(min(f.Window, time.Second)),
		BaseEjectionTime:                       durationpb.New(f.Window),
		MaxEjectionTime:                        durationpb.New(f.Window),
		MaxEjectionPercent:                     u32(99),
	}
}

func healthChecks(h loadbalancer.HealthCheck) []*core.HealthCheck {
	if h.Path == "" {
		return nil
	}
	// The end is not part of the range.
	status := &types.Int64Range{Start: 200, End: 400}
	if h.Status != 0 {
		status = &types.Int64Range{Start: int64(h.Status), End: int64(h.Status) + 1}
	}
	return []*core.HealthCheck{{
		Timeout: durationpb.New(h.Timeout), Interval: durationpb.New(h.Interval),
		NoTrafficInterval:  durationpb.New(h.Interval),
		UnhealthyThreshold: u32(h.Fall), HealthyThreshold: u32(h.Rise),
		HealthChecker: &core.HealthCheck_HttpHealthCheck_{HttpHealthCheck: &core.HealthCheck_HttpHealthCheck{
			Path: h.Path, Method: core.RequestMethod_GET, ExpectedStatuses: []*types.Int64Range{status},
		}},
	}}
}

// endpointsOf are the servers of a group. Those that are down are left out;
// Envoy lets requests under way end.
func endpointsOf(g loadbalancer.Group) *endpoint.ClusterLoadAssignment {
	a := &endpoint.ClusterLoadAssignment{
		ClusterName: groupPrefix + g.Name,
		// All requests go to the first priority as long as any server of it
		// can be used.
		Policy: &endpoint.ClusterLoadAssignment_Policy{OverprovisioningFactor: u32(100 * loadbalancer.MaxServers)},
	}
	var first, backup []*endpoint.LbEndpoint
	for _, s := range g.Servers {
		if s.State == loadbalancer.Down {
			continue
		}
		e := lbEndpoint(s.Address, s.Weight)
		if s.State == loadbalancer.Drain {
			e.HealthStatus = core.HealthStatus_DRAINING
		}
		if s.Backup {
			backup = append(backup, e)
		} else {
			first = append(first, e)
		}
	}
	a.Endpoints = []*endpoint.LocalityLbEndpoints{{LbEndpoints: first}}
	if len(backup) > 0 {
		a.Endpoints = append(a.Endpoints, &endpoint.LocalityLbEndpoints{LbEndpoints: backup, Priority: 1})
	}
	return a
}

func lbEndpoint(address string, weight int) *endpoint.LbEndpoint {
	return &endpoint.LbEndpoint{
		HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{
			Address: socket(address), Hostname: address,
			// Or it would be the cluster's name, which is none for a host.
			HealthCheckConfig: &endpoint.Endpoint_HealthCheckConfig{Hostname: address},
		}},
		LoadBalancingWeight: u32(max(1, weight)),
	}
}

// socket is HOST:PORT, which is valid.
func socket(address string) *core.Address {
	host, port, _ := net.SplitHostPort(address)
	n, _ := strconv.ParseUint(port, 10, 16)
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: strings.Trim(host, "[]"), PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(n)},
	}}}
}

// mirrorOf is where copies go. What takes too long is given up.
func mirrorOf(m loadbalancer.Mirror) *cluster.Cluster {
	options := protocolOf(loadbalancer.HTTP1)
	options.CommonHttpProtocolOptions.MaxStreamDuration = durationpb.New(m.Timeout)
	return &cluster.Cluster{
		Name:                 mirrorCluster,
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_STRICT_DNS},
		DnsLookupFamily:      cluster.Cluster_V4_PREFERRED,
		ConnectTimeout:       durationpb.New(m.Timeout),
		CommonLbConfig:       commonLB(),
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": mustAny(options),
		},
		LoadAssignment: &endpoint.ClusterLoadAssignment{ClusterName: mirrorCluster, Endpoints: []*endpoint.LocalityLbEndpoints{
			{LbEndpoints: []*endpoint.LbEndpoint{lbEndpoint(m.Address, 1)}},
		}},
	}
}

// ads says that a resource comes on the same stream.
func ads() *core.ConfigSource {
	return &core.ConfigSource{
		ResourceApiVersion:    core.ApiVersion_V3,
		ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
	}
}
