// Package visibility turns the spans and metrics of a service mesh into
// answers: who talks to whom, how fast, how often and with which results.
//
//   - [Collector] pulls traces and metrics from their sources into a [Store];
//     [Ingest] takes what is pushed (it is the sink of tracing's OTLP
//     receiver). [Hub] passes spans on as they arrive.
//   - [Store] is the contract of what keeps them. Package embedded is the
//     default; package storetest holds the suite that every store passes.
//   - [Analytics] answers a [Query] from the store's rollups, the service
//     graph, distinct values and what changed most.
//   - [Filter] is the language in which answers are narrowed down.
//   - [LedgerEntry] accounts for every span that was seen, and
//     [Completeness] says what an answer is based on.
//
// # What is counted
//
// By default requests: each once a hop, at the server's side, or at the
// client's where no server's side exists; see [ResolveHops]. [CountSpans]
// counts every span instead.
//
// # Errors
//
// Match errors with errors.Is: [ErrInvalid] (the question is wrong; the
// message says what would be right), [ErrNotFound], [ErrLimit],
// [ErrUnavailable] (try again), [ErrUnsupported], [ErrLocked].
package visibility
