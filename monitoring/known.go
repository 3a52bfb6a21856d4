package monitoring

import "slices"

// Metric types, as in the exposition format.
const (
	TypeCounter   = "counter"
	TypeGauge     = "gauge"
	TypeHistogram = "histogram"
)

// KnownMetric describes a metric that a mesh is known to have.
type KnownMetric struct {
	Name   string   // today's name; a histogram without _bucket, _sum, _count
	Type   string   // TypeCounter, TypeGauge or TypeHistogram
	Unit   string   // "" when it counts things
	Source string   // "Istio", "Envoy cluster", "Envoy listener", …
	Suffix string   // for metric_suffixes, behind the service's name; "" = none
	Labels []string // the labels that tell its series apart
	Help   string   // one line
}

var (
	istioHTTP = []string{"reporter", "source_workload", "destination_service", "request_protocol", "response_code", "response_flags"}
	istioTCP  = []string{"reporter", "source_workload", "destination_service", "response_flags"}
	byCluster = []string{"cluster_name"}
	byManager = []string{"http_conn_manager_prefix"}
)

// known is from Istio's standard metrics
// (https://istio.io/latest/docs/reference/config/metrics/) and Envoy's
// statistics (https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats).
var known = []KnownMetric{
	{"istio_requests_total", TypeCounter, "", "Istio", "", istioHTTP, "requests handled by a proxy, by both ends and response"},
	{"istio_request_duration_milliseconds", TypeHistogram, "ms", "Istio", "", istioHTTP, "duration of requests"},
	{"istio_request_bytes", TypeHistogram, "bytes", "Istio", "", istioHTTP, "size of request bodies"},
	{"istio_response_bytes", TypeHistogram, "bytes", "Istio", "", istioHTTP, "size of response bodies"},
	{"istio_request_messages_total", TypeCounter, "", "Istio", "", istioHTTP, "gRPC messages sent by clients"},
	{"istio_response_messages_total", TypeCounter, "", "Istio", "", istioHTTP, "gRPC messages sent by servers"},
	{"istio_tcp_sent_bytes_total", TypeCounter, "bytes", "Istio", "", istioTCP, "bytes sent in answers over TCP connections"},
	{"istio_tcp_received_bytes_total", TypeCounter, "bytes", "Istio", "", istioTCP, "bytes received in requests over TCP connections"},
	{"istio_tcp_connections_opened_total", TypeCounter, "", "Istio", "", istioTCP, "TCP connections opened"},
	{"istio_tcp_connections_closed_total", TypeCounter, "", "Istio", "", istioTCP, "TCP connections closed"},

	{"envoy_cluster_upstream_rq", TypeCounter, "", "Envoy cluster", "_upstream_rq_2xx", []string{"cluster_name", "response_code_class", "response_code"}, "responses by class (2xx) and by code (200); ask for one of them by suffix"},
	{"envoy_cluster_upstream_rq_total", TypeCounter, "", "Envoy cluster", "_upstream_rq_total", byCluster, "requests sent"},
	{"envoy_cluster_upstream_rq_completed", TypeCounter, "", "Envoy cluster", "_upstream_rq_completed", byCluster, "requests answered"},
	{"envoy_cluster_upstream_rq_active", TypeGauge, "", "Envoy cluster", "_upstream_rq_active", byCluster, "requests under way"},
	{"envoy_cluster_upstream_rq_pending_active", TypeGauge, "", "Envoy cluster", "_upstream_rq_pending_active", byCluster, "requests that wait for a connection"},
	{"envoy_cluster_upstream_rq_time", TypeHistogram, "ms", "Envoy cluster", "_upstream_rq_time_bucket", byCluster, "time to the end of the response"},
	{"envoy_cluster_upstream_rq_timeout", TypeCounter, "", "Envoy cluster", "_upstream_rq_timeout", byCluster, "requests that timed out"},
	{"envoy_cluster_upstream_rq_retry", TypeCounter, "", "Envoy cluster", "_upstream_rq_retry", byCluster, "retries"},
	{"envoy_cluster_upstream_rq_cancelled", TypeCounter, "", "Envoy cluster", "_upstream_rq_cancelled", byCluster, "requests cancelled before a connection was there"},
	{"envoy_cluster_upstream_rq_rx_reset", TypeCounter, "", "Envoy cluster", "_upstream_rq_rx_reset", byCluster, "requests reset by the other end"},
	{"envoy_cluster_upstream_cx_active", TypeGauge, "", "Envoy cluster", "_upstream_cx_active", byCluster, "connections open"},
	{"envoy_cluster_upstream_cx_total", TypeCounter, "", "Envoy cluster", "_upstream_cx_total", byCluster, "connections opened"},
	{"envoy_cluster_upstream_cx_connect_fail", TypeCounter, "", "Envoy cluster", "_upstream_cx_connect_fail", byCluster, "connections that could not be opened"},
	{"envoy_cluster_upstream_cx_connect_ms", TypeHistogram, "ms", "Envoy cluster", "_upstream_cx_connect_ms_bucket", byCluster, "time to open a connection"},
	{"envoy_cluster_upstream_cx_rx_bytes_total", TypeCounter, "bytes", "Envoy cluster", "_upstream_cx_rx_bytes_total", byCluster, "bytes received"},
	{"envoy_cluster_upstream_cx_tx_bytes_total", TypeCounter, "bytes", "Envoy cluster", "_upstream_cx_tx_bytes_total", byCluster, "bytes sent"},
	{"envoy_cluster_membership_healthy", TypeGauge, "", "Envoy cluster", "_membership_healthy", byCluster, "healthy endpoints as one proxy sees them; use Max, not the sum"},
	{"envoy_cluster_membership_total", TypeGauge, "", "Envoy cluster", "_membership_total", byCluster, "endpoints as one proxy sees them; use Max, not the sum"},
	{"envoy_cluster_circuit_breakers_default_rq_open", TypeGauge, "", "Envoy cluster", "_circuit_breakers_default_rq_open", byCluster, "1 while a proxy's request circuit breaker is open"},

	{"envoy_http_downstream_rq", TypeCounter, "", "Envoy HTTP", "", []string{"http_conn_manager_prefix", "response_code_class"}, "responses given by a listener, by class"},
	{"envoy_http_downstream_rq_total", TypeCounter, "", "Envoy HTTP", "", byManager, "requests received by a listener"},
	{"envoy_http_downstream_rq_active", TypeGauge, "", "Envoy HTTP", "", byManager, "requests under way at a listener"},
	{"envoy_http_downstream_rq_time", TypeHistogram, "ms", "Envoy HTTP", "", byManager, "duration of requests at a listener"},
	{"envoy_http_downstream_cx_active", TypeGauge, "", "Envoy HTTP", "", byManager, "connections open at a listener"},

	{"envoy_tracing_zipkin_spans_sent", TypeCounter, "", "Envoy tracing", "", nil, "spans sent by the Zipkin tracer"},
	{"envoy_tracing_zipkin_reports_dropped", TypeCounter, "", "Envoy tracing", "", nil, "span reports that the Zipkin collector did not take"},
	{"envoy_tracing_opentelemetry_spans_sent", TypeCounter, "", "Envoy tracing", "", nil, "spans sent by the OpenTelemetry tracer"},
	{"envoy_tracing_opentelemetry_spans_dropped", TypeCounter, "", "Envoy tracing", "", nil, "spans lost by the OpenTelemetry tracer"},
}

// KnownMetrics lists the metrics of Istio and Envoy that users most often
// want, by source. The list is a help for people and completion; [Client]
// reads any metric. The caller owns the slice and must not change Labels.
func KnownMetrics() []KnownMetric { return slices.Clone(known) }
