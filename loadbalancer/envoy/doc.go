// Package envoy drives a real Envoy over xDS, Envoy's own protocol for
// configuration: clusters (CDS), their servers (EDS), listeners (LDS) and
// routes (RDS), all on one aggregated stream (ADS).
//
// A [Driver] serves that protocol on a Unix socket in its folder. With
// [Options.Program] it also runs Envoy; else somebody runs it with
// [Driver.Bootstrap].
//
// # A change
//
// What is new is sent before what refers to it, and what is gone is taken away
// last, so that no route ever leads nowhere. Envoy answers each response with
// an acknowledgement or with a refusal and its reason: a refusal is an error
// with Envoy's own words, and what was in effect before is sent again. A
// change that Envoy has acknowledged is not in effect yet: its worker threads
// learn of it one by one. So the driver holds one connection to each of them,
// on a listener that shares connections out evenly, sends one more route that
// answers with the number of the change, and asks each thread until it says
// that number. Threads take changes in order, so then they have all of it.
//
// Changes of servers alone touch only EDS: connections, counts and health
// checks live on. A server that drains stays known and gets no new requests.
package envoy
