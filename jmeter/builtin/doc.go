// Package builtin runs plans without a JVM. It is a [jmeter.Runner] that
// speaks HTTP/1.1 and HTTP/2, keeps a constant rate whatever the server does,
// and counts latencies from the time that a request was to be sent.
package builtin
