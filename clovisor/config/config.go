// Package config says what Clovisor traces and where the spans go: from flags,
// a YAML file and Redis, each laid over the one before, and followed while
// they change.
//
// [Values] holds a configuration as people write it, [Config] what it means.
// [Source] reads the layers, hands on each new Config, and keeps the last good
// one when a layer is wrong or away. With nothing configured all pods of
// namespace "default" are traced.
package config

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// DefaultCollector is where spans go when nothing else is said.
const DefaultCollector = "jaeger-collector.clovisor:4317"

// otlpPort is OTLP's port for gRPC.
const otlpPort = "4317"

// Config is what Clovisor works by. It is a plain value; its lists are shared
// and not to be changed.
type Config struct {
	// Workloads selects the pods: those that match any of the selectors.
	// Empty: all pods of namespace "default"; see [Config.Selects].
	Workloads []Selector
	// Egress lists the destinations whose connections are traced at the pods
	// that open them. Empty: none, only what comes in is traced.
	Egress []EgressMatch
	// Collector and Agent are addresses of a Jaeger, "host:port", or a URL
	// that [tracing.NewExporter] knows. See [Config.Endpoint].
	//
	// [tracing.NewExporter]: https://pkg.go.dev/github.com/opnfv/clover/tracing#NewExporter
	Collector, Agent string
	// Plugins are the parsers to load, ordered by protocol.
	Plugins []Plugin
	// Ports sets the protocol of a port, before what its name says.
	Ports map[uint16]string
	// Limits bounds what Clovisor uses.
	Limits Limits
}

// Selector selects pods of one namespace, or those of them with one label.
type Selector struct {
	Namespace  string
	Key, Value string // Key empty: every pod of the namespace
}

// String returns the selector in the contract's form,
// "namespace[:label-key:label-value]".
func (s Selector) String() string {
	if s.Key == "" {
		return s.Namespace
	}
	return s.Namespace + ":" + s.Key + ":" + s.Value
}

// Selects reports whether a pod is to be traced.
func (c Config) Selects(namespace string, labels map[string]string) bool {
	if len(c.Workloads) == 0 {
		return namespace == "default"
	}
	return slices.ContainsFunc(c.Workloads, func(s Selector) bool {
		value, ok := labels[s.Key]
		return s.Namespace == namespace && (s.Key == "" || ok && value == s.Value)
	})
}

// EgressMatch selects connections that pods open.
type EgressMatch struct {
	// Destination addresses. Of 0 bits: any, of IPv4 and IPv6.
	Destination netip.Prefix
	Port        uint16
	PodPrefix   string // of the names of the pods it holds for; empty: all
}

// Matches reports whether a pod's connection to that address is selected.
func (m EgressMatch) Matches(pod string, to netip.AddrPort) bool {
	return to.Port() == m.Port && strings.HasPrefix(pod, m.PodPrefix) &&
		(m.Destination.Bits() == 0 || m.Destination.Contains(to.Addr().Unmap()))
}

// String returns the match in the contract's form, "IP:PORT[:POD_PREFIX]",
// with "0" for any address and CIDR notation for more than one.
func (m EgressMatch) String() string {
	var b strings.Builder
	switch {
	case m.Destination.Bits() == 0:
		b.WriteString("0")
	case !m.Destination.IsSingleIP():
		b.WriteString(bracket(m.Destination.String()))
	default:
		b.WriteString(bracket(m.Destination.Addr().String()))
	}
	b.WriteString(":" + utoa(m.Port))
	if m.PodPrefix != "" {
		b.WriteString(":" + m.PodPrefix)
	}
	return b.String()
}

func bracket(address string) string {
	if strings.Contains(address, ":") {
		return "[" + address + "]"
	}
	return address
}

// Plugin is a parser that is loaded from a file.
type Plugin struct {
	Protocol string // as ports name it
	Path     string
	// Generation changes when the plug-in is to be loaded again although its
	// path is the same.
	Generation uint64
}

// Limits bounds what Clovisor uses. 0 is the default of the part that has the
// limit.
type Limits struct {
	Connections       int           // connections followed at the same time
	ConnectionBytes   int64         // bytes kept of one direction of a connection
	MemoryBytes       int64         // bytes kept of all connections
	PluginMemoryBytes int64         // memory of one plug-in
	PluginTimeout     time.Duration // time of one call of a plug-in
}

// Endpoint returns where spans go by OTLP, for tracing.NewExporter, and a
// notice if that is not what is written in the configuration: the ports of
// 2019 (14268, 14250, 6831, 6832) take Jaeger's old formats, so spans go to
// the same host's port for OTLP. The agent, which Jaeger no longer has, counts
// where there is no collector.
func (c Config) Endpoint() (endpoint, notice string) {
	given := cmp.Or(c.Collector, c.Agent, DefaultCollector)
	if strings.Contains(given, "://") {
		return given, ""
	}
	host, port, err := net.SplitHostPort(given)
	if err != nil {
		return given, ""
	}
	switch port {
	case "14268", "14250", "6831", "6832":
		endpoint = net.JoinHostPort(host, otlpPort)
		return endpoint, "port " + port + " of " + host + " takes Jaeger's old formats; spans go to " + endpoint + " by OTLP"
	}
	return given, ""
}
