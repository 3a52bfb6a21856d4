// Package istio gives tests a real Istio service mesh in the test cluster,
// with Jaeger and Prometheus, and workloads of the test's own.
package istio

import _ "embed"

// operator is what istioctl installs.
//
//go:embed operator.yaml
var operator string

// jaegerManifest is Jaeger as a pod.
//
//go:embed jaeger.yaml
var jaegerManifest string

// prometheusManifest is Prometheus as a pod, which scrapes the sidecars.
//
//go:embed prometheus.yaml
var prometheusManifest string
