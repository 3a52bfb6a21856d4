package envoy

import (
	"net"
	"net/netip"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacfilter "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	xff "github.com/envoyproxy/go-control-plane/envoy/extensions/http/original_ip_detection/xff/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/opnfv/clover/loadbalancer"
)

const doorListener = "door"

// listenersOf are the listeners of a configuration; routes and access lists
// are not in them, so that they change only with their own fields.
func listenersOf(c loadbalancer.Config, ipv6 bool) []*listener.Listener {
	var list []*listener.Listener
	for _, l := range c.Listeners {
		list = append(list, &listener.Listener{
			Name: "listener/" + l.Address, Address: listenAddress(l.Address, ipv6),
			FilterChains: []*listener.FilterChain{{
				Filters:         []*listener.Filter{httpFilter(manager(l, c.Access))},
				TransportSocket: transport(l),
			}},
		})
	}
	return list
}

func listenAddress(address string, ipv6 bool) *core.Address {
	host, port, _ := net.SplitHostPort(address)
	if host == "" {
		host = "0.0.0.0"
		if ipv6 {
			host = "::"
		}
	}
	a := socket(net.JoinHostPort(host, port))
	a.GetSocketAddress().Ipv4Compat = host == "::"
	return a
}

func httpFilter(m *hcm.HttpConnectionManager) *listener.Filter {
	return &listener.Filter{
		Name:       "envoy.filters.network.http_connection_manager",
		ConfigType: &listener.Filter_TypedConfig{TypedConfig: mustAny(m)},
	}
}

func manager(l loadbalancer.Listener, a loadbalancer.Access) *hcm.HttpConnectionManager {
	m := &hcm.HttpConnectionManager{
		StatPrefix:     "clover",
		CodecType:      hcm.HttpConnectionManager_AUTO,
		RouteSpecifier: &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{ConfigSource: ads(), RouteConfigName: routeTable}},
		HttpFilters: []*hcm.HttpFilter{
			{Name: rbacFilter, ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: mustAny(&rbacfilter.RBAC{})}},
			{Name: "envoy.filters.http.router", ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: mustAny(&router.Router{
				SuppressEnvoyHeaders: true,
			})}},
		},
		NormalizePath:              wrapperspb.Bool(true),
		SkipXffAppend:              true, // routes append the client that was found
		GenerateRequestId:          wrapperspb.Bool(false),
		ServerHeaderTransformation: hcm.HttpConnectionManager_PASS_THROUGH,
		StreamIdleTimeout:          durationpb.New(0), // routes have their own
		UpgradeConfigs:             []*hcm.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
		HttpProtocolOptions:        &core.Http1ProtocolOptions{EnableTrailers: true, AcceptHttp_10: true},
		LocalReplyConfig:           localReplies(),
		UseRemoteAddress:           wrapperspb.Bool(true),
	}
	if l.CertFile == "" && !l.H2C {
		m.CodecType = hcm.HttpConnectionManager_HTTP1
	}
	switch {
	case a.TrustedHops > 0:
		m.XffNumTrustedHops = uint32(a.TrustedHops)
	case len(a.TrustedProxies) > 0:
		m.UseRemoteAddress = wrapperspb.Bool(false)
		m.OriginalIpDetectionExtensions = []*core.TypedExtensionConfig{{
			Name:        "envoy.http.original_ip_detection.xff",
			TypedConfig: mustAny(trusted(a.TrustedProxies)),
		}}
	}
	return m
}

func trusted(list []netip.Prefix) *xff.XffConfig {
	c := &xff.XffConfig{XffTrustedCidrs: &xff.XffTrustedCidrs{}, SkipXffAppend: wrapperspb.Bool(true)}
	for _, p := range list {
		c.XffTrustedCidrs.Cidrs = append(c.XffTrustedCidrs.Cidrs, cidr(p))
	}
	return c
}

// localReplies: a server that fails is 502; 503 says that none can be used.
func localReplies() *hcm.LocalReplyConfig {
	return &hcm.LocalReplyConfig{Mappers: []*hcm.ResponseMapper{{
		Filter: &accesslog.AccessLogFilter{FilterSpecifier: &accesslog.AccessLogFilter_ResponseFlagFilter{
			ResponseFlagFilter: &accesslog.ResponseFlagFilter{Flags: []string{"UF", "UC", "UR", "LR", "UPE"}},
		}},
		StatusCode: u32(502),
	}}}
}

func transport(l loadbalancer.Listener) *core.TransportSocket {
	if l.CertFile == "" {
		return nil
	}
	file := func(path string) *core.DataSource {
		return &core.DataSource{Specifier: &core.DataSource_Filename{Filename: path}}
	}
	return &core.TransportSocket{
		Name: "envoy.transport_sockets.tls",
		ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: mustAny(&tls.DownstreamTlsContext{
			CommonTlsContext: &tls.CommonTlsContext{
				AlpnProtocols: []string{"h2", "http/1.1"},
				TlsCertificates: []*tls.TlsCertificate{{
					CertificateChain: file(l.CertFile), PrivateKey: file(l.KeyFile),
				}},
			},
		})},
	}
}

// doorListenerAt is the listener whose connections are shared out evenly
// among the worker threads.
func doorListenerAt(path string) *listener.Listener {
	return &listener.Listener{
		Name:    doorListener,
		Address: &core.Address{Address: &core.Address_Pipe{Pipe: &core.Pipe{Path: path}}},
		ConnectionBalanceConfig: &listener.Listener_ConnectionBalanceConfig{
			BalanceType: &listener.Listener_ConnectionBalanceConfig_ExactBalance_{
				ExactBalance: &listener.Listener_ConnectionBalanceConfig_ExactBalance{},
			},
		},
		FilterChains: []*listener.FilterChain{{Filters: []*listener.Filter{httpFilter(&hcm.HttpConnectionManager{
			StatPrefix:     "door",
			CodecType:      hcm.HttpConnectionManager_HTTP1,
			RouteSpecifier: &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{ConfigSource: ads(), RouteConfigName: doorTable}},
			HttpFilters: []*hcm.HttpFilter{{
				Name:       "envoy.filters.http.router",
				ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: mustAny(&router.Router{})},
			}},
			CommonHttpProtocolOptions: &core.HttpProtocolOptions{IdleTimeout: durationpb.New(0)},
		})}}},
	}
}
