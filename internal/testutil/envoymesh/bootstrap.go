package envoymesh

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"time"
)

// object is a JSON object, as Envoy reads its protobuf configuration.
type object = map[string]any

// The clusters that the proxies send their spans to.
const (
	otelCollector   = "outbound|4317||jaeger.istio-system.svc.cluster.local"
	zipkinCollector = "outbound|9411||jaeger.istio-system.svc.cluster.local"
)

// reportTimeout is how long a collector may take for some spans: what it has not
// taken by then is lost, and a machine may be busy.
const reportTimeout = time.Minute

// bootstrap is the configuration of one proxy.
type bootstrap struct {
	service, revision, role string
	admin                   int
	options                 Options
	clusters                []cluster
	listeners               []listener
}

// cluster is one upstream with one endpoint.
type cluster struct {
	name  string
	at    string // "HOST:PORT"
	http2 bool
}

// listener is one port of a proxy.
type listener struct {
	name, direction string
	port            int // where it listens
	namedPort       int // the port that its metrics carry
	edge            bool
	routes          []route
}

// route is one entry of a listener's only virtual host.
type route struct {
	prefix, cluster, operation string
	mirror                     string        // cluster that gets a copy
	timeout                    time.Duration // 0 is none
	direct                     int           // status answered by the proxy itself
}

// nodeID has Istio's form: role, address, pod, domain.
func (b bootstrap) nodeID() string {
	ns := namespaceOf(b.service)
	return fmt.Sprintf("%s~127.0.0.1~%s.%s~%s.svc.cluster.local", b.role, podOf(b.service), ns, ns)
}

// json renders the bootstrap as Envoy reads it.
func (b bootstrap) json() ([]byte, error) {
	collector := cluster{name: otelCollector, at: b.options.Collector, http2: true}
	if b.options.Tracer == Zipkin {
		collector = cluster{name: zipkinCollector, at: b.options.Collector}
	}
	var clusters, listeners []object
	for _, c := range append(b.clusters, collector) {
		rendered, err := c.object()
		if err != nil {
			return nil, err
		}
		clusters = append(clusters, rendered)
	}
	for _, l := range b.listeners {
		listeners = append(listeners, b.listener(l))
	}
	flush := b.options.FlushInterval.Milliseconds()
	return json.MarshalIndent(object{
		"node":             object{"id": b.nodeID(), "cluster": b.service},
		"admin":            object{"address": address("127.0.0.1", b.admin)},
		"stats_config":     statsConfig(),
		"static_resources": object{"clusters": clusters, "listeners": listeners},
		"layered_runtime": object{"layers": []object{{"name": "static", "static_layer": object{
			"tracing.opentelemetry.flush_interval_ms": flush,
			"tracing.zipkin.flush_interval_ms":        flush,
			"tracing.zipkin.request_timeout":          reportTimeout.Milliseconds(),
		}}}},
	}, "", " ")
}

// statsConfig names the labels of the metrics as Istio does. The names in
// clusters and listeners end with ";" so that their dots are no borders.
func statsConfig() object {
	tag := func(name, regex string) object { return object{"tag_name": name, "regex": regex} }
	return object{"use_all_default_tags": false, "stats_tags": []object{
		tag("cluster_name", `^cluster\.((.+?);\.)`),
		tag("http_conn_manager_prefix", `^http\.((.+?);\.)`),
		tag("response_code", `_rq(_(\d{3}))$`),
		tag("response_code_class", `_rq(_(\dxx))$`),
		tag("http_conn_manager_listener_prefix", `^listener(?=\.).*?\.http\.((.+?);\.)`),
		tag("listener_address", `^listener\.((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*)\.)`),
	}}
}

func address(host string, port int) object {
	return object{"socket_address": object{"address": host, "port_value": port}}
}

func (c cluster) object() (object, error) {
	host, text, err := net.SplitHostPort(c.at)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", c.name, err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", c.name, err)
	}
	o := object{
		"name": c.name, "alt_stat_name": c.name + ";", "type": "STATIC", "connect_timeout": "30s",
		"load_assignment": object{"cluster_name": c.name, "endpoints": []object{
			{"lb_endpoints": []object{{"endpoint": object{"address": address(host, port)}}}},
		}},
	}
	if c.http2 {
		o["typed_extension_protocol_options"] = object{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
				"envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
				object{"explicit_http_config": object{"http2_protocol_options": object{}}}),
		}
	}
	return o, nil
}

// typed adds the type to a message that is held in an Any.
func typed(name string, message object) object {
	message["@type"] = "type.googleapis.com/" + name
	return message
}

// statPrefix names the listener in the metrics.
func (l listener) statPrefix() string {
	side := "outbound"
	if l.direction == "INBOUND" {
		side = "inbound"
	}
	return side + "_0.0.0.0_" + strconv.Itoa(l.namedPort)
}

// listener renders a listener and its HTTP connection manager.
func (b bootstrap) listener(l listener) object {
	routes := make([]object, 0, len(l.routes))
	for _, r := range l.routes {
		routes = append(routes, r.object(b.options.MirrorTraced))
	}
	manager := typed("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", object{
		"stat_prefix":        l.statPrefix() + ";",
		"codec_type":         "AUTO",
		"server_name":        "istio-envoy",
		"use_remote_address": l.edge,
		"tracing":            b.tracing(l.edge),
		"http_filters": []object{{
			"name":         "envoy.filters.http.router",
			"typed_config": typed("envoy.extensions.filters.http.router.v3.Router", object{}),
		}},
		"route_config": object{
			"name": l.name, "virtual_hosts": []object{{"name": l.statPrefix(), "domains": []string{"*"}, "routes": routes}},
		},
	})
	return object{
		"name": l.name, "traffic_direction": l.direction, "address": address("127.0.0.1", l.port),
		"filter_chains": []object{{"filters": []object{{
			"name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
		}}}},
	}
}

func (r route) object(mirrorTraced bool) object {
	o := object{
		"name": "default", "match": object{"prefix": r.prefix},
		"decorator": object{"operation": r.operation},
	}
	if r.direct != 0 {
		o["direct_response"] = object{"status": r.direct, "body": object{"inline_string": "no\n"}}
		return o
	}
	action := object{"cluster": r.cluster, "timeout": fmt.Sprintf("%.3fs", r.timeout.Seconds())}
	if r.mirror != "" {
		policy := object{
			"cluster":          r.mirror,
			"runtime_fraction": object{"default_value": object{"numerator": 100, "denominator": "HUNDRED"}},
		}
		if !mirrorTraced {
			policy["trace_sampled"] = false
		}
		action["request_mirror_policies"] = []object{policy}
	}
	o["route"] = action
	return o
}

// tracing has every request traced, with the tags that Istio adds. The front
// proxy makes a span of its own for what it sends upstream.
func (b bootstrap) tracing(edge bool) object {
	tag := func(name, value string) object {
		return object{"tag": name, "literal": object{"value": value}}
	}
	all := object{"value": 100}
	o := object{
		"client_sampling": all, "random_sampling": all, "overall_sampling": all,
		"custom_tags": []object{
			tag("istio.canonical_revision", b.revision),
			tag("istio.canonical_service", nameOf(b.service)),
			tag("istio.cluster_id", "Kubernetes"),
			tag("istio.mesh_id", "cluster.local"),
			tag("istio.namespace", namespaceOf(b.service)),
		},
		"provider": b.provider(),
	}
	if edge {
		o["spawn_upstream_span"] = true
	}
	return o
}

// provider is the tracer and where it sends.
func (b bootstrap) provider() object {
	if b.options.Tracer == Zipkin {
		return object{"name": "envoy.tracers.zipkin", "typed_config": typed("envoy.config.trace.v3.ZipkinConfig", object{
			"collector_cluster": zipkinCollector, "collector_endpoint": "/api/v2/spans",
			"collector_hostname":         "jaeger.istio-system.svc.cluster.local:9411",
			"collector_endpoint_version": "HTTP_JSON", "trace_id_128bit": true, "shared_span_context": false,
		})}
	}
	return object{"name": "envoy.tracers.opentelemetry", "typed_config": typed("envoy.config.trace.v3.OpenTelemetryConfig", object{
		"grpc_service": object{
			"envoy_grpc": object{"cluster_name": otelCollector, "authority": "jaeger.istio-system.svc.cluster.local"},
			"timeout":    fmt.Sprintf("%.0fs", reportTimeout.Seconds()),
		},
		"service_name": b.service,
	})}
}
