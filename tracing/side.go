package tracing

import "strings"

// Side says which part of a hop a span reports. A hop is one request between
// two services; it has a client's side, a server's side, or both.
type Side uint8

const (
	// SideNone: internal work, messaging, or the short way from a sidecar to
	// its own application. Never counted as a request.
	SideNone Side = iota
	// SideServer: the service that was asked.
	SideServer
	// SideClient: the service that asked. It counts as a request only where
	// no server's side exists.
	SideClient
)

// String returns "none", "server" or "client".
func (s Side) String() string { return [...]string{"none", "server", "client"}[s] }

// Side tells the span's side of its hop.
//
// A client span whose upstream cluster is inbound is a sidecar calling the
// application beside it (Envoy's spawn_upstream_span): SideNone, since the
// sidecar's server span already stands for the request. A gateway's extra
// "router … egress" span is the client's side of the gateway's hop.
func (s *Span) Side() Side {
	switch s.Kind {
	case KindServer:
		return SideServer
	case KindClient:
		if IsInbound(s.UpstreamCluster) {
			return SideNone
		}
		return SideClient
	default:
		return SideNone
	}
}

// observerScope is the instrumentation scope of Clovisor.
const observerScope = "github.com/opnfv/clover/clovisor"

// Observed reports whether the span comes from Clovisor, which sees the
// connection and not its ends. Such a span counts as a request only where
// those who talk do not report the same side of the hop themselves.
func (s *Span) Observed() bool {
	name, _ := splitScope(s.Scope)
	return name == observerScope
}

// IsInbound reports whether an Envoy cluster name is a sidecar's way to its
// own application: "inbound|9180||", or Istio's InboundPassthroughCluster for
// ports that no service names.
func IsInbound(cluster string) bool {
	return strings.HasPrefix(cluster, "inbound|") || strings.HasPrefix(cluster, "InboundPassthrough")
}

// isNowhere reports whether a cluster stands for no service of its own:
// Istio's ways for traffic it does not know, and Envoy's "-" for none.
func isNowhere(cluster string) bool {
	switch cluster {
	case "", "-", "BlackHoleCluster", "PassthroughCluster":
		return true
	}
	return IsInbound(cluster)
}

// Mirrored reports whether the request was a copy made by Envoy's request
// mirroring, which appends "-shadow" to the host.
func (s *Span) Mirrored() bool {
	host, _ := splitPort(hostOf(s.URL))
	return strings.HasSuffix(host, "-shadow")
}

// Destination names the service that a client span calls: from the upstream
// cluster's host in Istio's form ("outbound|PORT|SUBSET|HOST"), reduced to
// NAME.NAMESPACE where it is a Kubernetes name, then peer.service, then the
// cluster as it is (Istio's BlackHoleCluster and PassthroughCluster are no
// destinations), then the URL's host or server.address, without port, then
// the peer's address; "" when nothing is known. For a server span it is the
// span's own service.
func (s *Span) Destination() string {
	if s.Kind == KindServer {
		return s.Service
	}
	if host := clusterHost(s.UpstreamCluster); host != "" {
		return shortHost(host)
	}
	if peer, ok := s.Attribute("peer.service"); ok && peer != "" {
		return peer
	}
	if !isNowhere(s.UpstreamCluster) {
		return s.UpstreamCluster
	}
	if host := hostOf(s.URL); host != "" {
		return shortHost(host)
	}
	if addr, ok := s.Attribute("server.address"); ok && addr != "" {
		return shortHost(addr)
	}
	return s.Peer
}

// clusterHost returns the host of an Istio cluster name, "" if it has none:
// "outbound|PORT|SUBSET|HOST", and "outbound_.PORT_.SUBSET_.HOST" as gateways
// between clusters spell it.
func clusterHost(cluster string) string {
	switch {
	case strings.HasPrefix(cluster, "outbound|"):
		return cluster[strings.LastIndexByte(cluster, '|')+1:]
	case strings.HasPrefix(cluster, "outbound_."):
		return cluster[strings.LastIndex(cluster, "_.")+2:]
	}
	return ""
}

// shortHost turns "http-lb.default.svc.cluster.local:9180" into
// "http-lb.default".
func shortHost(host string) string {
	host, _ = splitPort(host)
	if name, _, ok := strings.Cut(host, ".svc."); ok {
		return name
	}
	return host
}

// hostOf returns the authority of an absolute URL, without user information.
func hostOf(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	return rest
}

// splitPort splits "host:port"; port is "" where there is none. The brackets
// of an IPv6 address stay.
func splitPort(authority string) (host, port string) {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || strings.IndexByte(authority[i:], ']') >= 0 {
		return authority, ""
	}
	if strings.IndexByte(authority[:i], ':') >= 0 && authority[0] != '[' {
		return authority, "" // a bare IPv6 address
	}
	return authority[:i], authority[i+1:]
}
