// Package sql asks the questions of package visibility of any engine that
// speaks SQL and has the spans as rows: DuckDB or Spark over the Parquet
// files of package visibility/parquet, or Spark over Cassandra.
//
//   - [Compile] turns a visibility.Query into one statement, as text.
//   - [Engine] answers visibility's questions through a [DB]: it has the
//     statement run, and gives what visibility.Analytics gives.
//
// # The rows
//
// A table has one row for each span, with at least these columns, none of
// which is ever NULL:
//
//	role              text     "server" or "client": counts as a request; "span": does not
//	bucket            bigint   start of the 10 s in which the span starts, Unix seconds
//	start_ns          bigint   start, nanoseconds since 1970
//	duration_ns       bigint
//	error             boolean
//	request_size      bigint   bytes; -1: unknown
//	response_size     bigint
//	status_code       int      HTTP status; 0: none
//	mirrored          boolean  a copy that Envoy made
//	service, operation, url, url_template, method, user_agent,
//	upstream_cluster, node, kind, source, destination, version
//	                  text     the dimensions; "" where a span has none
//
// Role and source are what visibility.ResolveHops says.
//
// # How answers agree
//
// The statement counts by group, step and bar of a histogram, whose bars are
// the buckets of visibility.Sketch. Counts, errors, sums and extremes are
// exact; percentiles are those of the same sketch, filled from the bars.
//
// The engine compares service names with its own lower(), so names beyond
// ASCII may be taken for equal otherwise than in Go. Bytes that are not UTF-8
// are U+FFFD in both the rows and the statement.
package sql
