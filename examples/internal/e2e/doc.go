// Package e2e tests the whole visibility path on real components: Envoy,
// Jaeger and Prometheus in, answers out. It has tests only.
package e2e
