// Package tracing is Clover's way to traces: one span model for every dialect
// that proxies, SDKs and trace stores speak, a client of Jaeger, a receiver
// and an exporter of OTLP. It knows nothing of Kubernetes or of Clover's
// stores and is useful alone.
//
// # Map
//
//   - [Span] is the model. Named fields hold what analysis asks for; Attributes
//     and Resource hold the rest. [Span.Side] and [Span.Destination] say what
//     the span means for its hop, [Span.Identity] which reports are the same
//     span.
//   - [Normalize] brings raw attributes into the model, [Template] groups URLs.
//   - [FromOTLP] and [ToOTLP] convert from and to OTLP's protobufs,
//     [OTLPEncoder] writes its bytes at a fraction of the cost.
//   - [Jaeger] reads traces from Jaeger's query service.
//   - [Receiver] takes OTLP over gRPC and HTTP and hands spans to a [Sink].
//   - [Exporter] sends spans by OTLP.
//
// # Counting requests
//
// One request over one hop may be reported by the client, by the server, or
// by both. Count the spans whose Side is [SideServer], and those of
// [SideClient] that have no server's span as a child; a sidecar's call of its
// own application is [SideNone]. A span that is [Span.Observed] counts only
// where the workload does not report the same side itself.
//
// # Errors
//
// Errors are [*Error]: operation, target, cause, and a kind that says what to
// do. Match it with errors.Is and [ErrTemporary] (repeat later),
// [ErrPermanent] (repeating is of no use), [ErrInvalid] (the input is wrong)
// or [ErrUnsupported]. [Classify] gives the kind of any error, including gRPC
// statuses and network errors. What is lost is not an error but a number:
// [Rejection], [ReceiverStats] and [ExporterStats].
//
// # Lifecycle and concurrency
//
// Run of a [Receiver] or an [Exporter] blocks until its context ends and owns
// the goroutines that it starts. Both may be used concurrently. Spans are
// plain values; slices within them may be shared and are not to be changed in
// place.
package tracing
