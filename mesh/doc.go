// Package mesh holds what Clover asks of an Istio service mesh: gateways,
// routes, subsets, tracing and Envoy filters as typed values that are checked
// before they are applied, and a wait that ends when the proxies have them.
//
// A [Set] is a pure value, made by [SDC], [Split] and [Tracing], read from
// YAML by [Parse], or filled in by hand with the types of istio.io/client-go.
// [Set.Validate] says what is wrong with it, alone or against what the
// cluster has ([Known]). A [Client] acts on a cluster: Apply, Diff, Get,
// Delete, and Wait, which returns when every proxy works by what the API
// server holds.
package mesh
