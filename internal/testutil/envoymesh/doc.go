// Package envoymesh runs a small service mesh of real Envoys on loopback,
// configured as Istio 1.31 configures its own, with real services behind
// them:
//
//	client ─▶ Front ─▶ A ─▶ proxy-access-control ─▶ A ─▶ B ─▶ http-lb
//	            └────────▶ Mirror ─▶ snort-ids    (copies of /mirror)
//
// Front is a gateway. A, B and Mirror are sidecars with an inbound listener;
// A has an outbound one, which its service calls through and hands the trace
// headers to. Names of nodes, clusters, listeners and metric labels, custom
// tags and 100 % sampling are those of Istio. The service http-lb is the end
// of the chain; the path of a request chooses what happens:
//
//	/             200
//	/slow         200 after Options.SlowDelay
//	/fail         503 from http-lb
//	/status/NNN   status NNN from http-lb
//	/mirror       200, and a copy goes to snort-ids
//	/denied       403 from the front proxy itself
//	/unreachable  503 from the front proxy: nothing listens behind it
//	/timeout      504 from the front proxy: http-lb never answers
//
// Anything below such a path does the same, and any other path is as "/".
//
// # What real Envoys report
//
// This is what Envoy 1.40 sends for one request, seen through Jaeger and held
// by this package's tests. A request through the whole chain has five spans,
// each the child of the one before:
//
//	service               kind    operation                            upstream_cluster
//	istio-ingressgateway  server  HOST:9180/* of proxy-access-control  outbound|9180||proxy-access-control…
//	istio-ingressgateway  client  router outbound|9180||…; egress      outbound|9180||proxy-access-control…
//	proxy-access-control  server  HOST:9180/* of proxy-access-control  inbound|9180||
//	proxy-access-control  client  HOST:9180/* of http-lb               outbound|9180||http-lb…
//	http-lb               server  HOST:9180/* of http-lb               inbound|9180||
//
// The gateway's "router … egress" span has a status but neither method, URL,
// user agent nor node_id: it is the attempt, not the request. The other
// routes differ in this:
//
//   - /denied has the gateway's server span alone, without upstream_cluster.
//   - /unreachable has the gateway's two: the server span with status 503 and
//     response_flags UF, the "router" span with status 0 and UF.
//   - /timeout has all five. The gateway's server span has 504 and UT, its
//     "router" span status 0 and flags "-", and each span behind it status 0
//     and DC, because its client went away.
//   - /mirror has the same five. Istio configures trace_sampled: false for
//     mirrored requests, so the copy leaves no span at all, while the counters
//     of Mirror count it.
//   - /mirror with Options.MirrorTraced has two more in the same trace. The
//     first is a client span of the gateway, child of its server span, with
//     the operation "mirror", with the upstream_cluster of snort-ids, and
//     without method, URL, node_id and Istio's tags. The second is the server
//     span of snort-ids: the host of its URL ends in "-shadow", before the port
//     (http://127.0.0.1-shadow:8080/mirror), and its operation is that of the
//     mirrored route, proxy-access-control's, because Envoy hands that on.
//
// Spans with status 5xx or 0 have the tag error=true; of those with 4xx the
// client's alone has it, and only from the OpenTelemetry tracer.
//
// Apart from that, the Zipkin tracer gives the same spans, kinds, tags and
// parents, with net.host.ip and without otel.scope.* and tags of the process.
// Client and server spans have ids of their own, as in Istio.
package envoymesh
