// Package monitoring reads metrics of a service mesh from Prometheus, or from
// anything that speaks the Prometheus HTTP API.
//
//   - [Client] asks: [Client.Check] and [Client.Targets] for the server itself,
//     [Client.LabelValues] to discover, [Client.Instant], [Client.Range] and
//     [Client.Raw] for PromQL.
//   - [Client.Collect] reads a [Selection], prefix × service × suffix and
//     custom metrics, in one query for all of them.
//   - [LegacyName] translates today's labelled Envoy series to their names of
//     2019.
//   - [Increase] and [Tracker] follow counters across restarts.
//   - [KnownMetrics] lists what Istio and Envoy offer.
//
// # Names of 2019 and of today
//
// In 2019 Envoy's metrics carried the service in their name; today it is in a
// label. A selection names the old form, and finds both:
//
//	envoy_cluster_outbound_9180__clover_server1_default_svc_cluster_local_upstream_rq_2xx
//	envoy_cluster_upstream_rq{cluster_name="outbound|9180||clover-server1.default.svc.cluster.local",response_code_class="2xx"}
//
// The query is a little wider than the selection, since "_" stands for several
// bytes; each series of the answer is translated back and compared exactly.
// When both forms are there, they are summed as series of one metric.
// Inbound clusters of today do not name their service ("inbound|9180||"); the
// labels of the scraped pod do (app, service, pod, namespace, …).
//
// # Time and staleness
//
// The time of a [Point] is its scrape's, taken from the target's "up" series,
// to which the point belongs by job and instance; where there is none
// (federation, remote write) it is the evaluation's, and Point.Scraped is
// false. A series that was not scraped within the server's look-back, or whose
// target went away, has no value: it is in Collection.Missing with a [Reason].
// NaN and infinite values are left out of sums and counted.
//
// # Errors
//
// All errors are [*Error] with the operation, the server's URL (never with
// credentials) or the offending field, a [Kind] and the cause. Match the kind
// with errors.Is and ErrTemporary, ErrPermanent, ErrInvalid or ErrUnsupported:
//
//   - temporary: nothing listens, the name is not found, no answer in time,
//     status 408, 429 and 5xx, a broken connection. Try again later; this
//     package does not retry.
//   - permanent: refused credentials, an untrusted certificate, a cancelled
//     context. Somebody has to change something.
//   - invalid: a PromQL error, bad options, a bad selection; also an answer
//     above a limit, which matches ErrTooLarge too. Nothing is cut in silence.
//   - unsupported: no such endpoint, or what answers is no Prometheus.
//
// Warnings of the server are returned beside the result.
package monitoring
