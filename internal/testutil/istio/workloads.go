package istio

import (
	"path/filepath"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// The images of a test's workloads.
const (
	EchoImage       = "clover.test/echo:latest"
	jaegerImage     = "clover.test/jaeger:latest"
	prometheusImage = "clover.test/prometheus:latest"
)

// LoadEcho makes [EchoImage] usable in the cluster: a server on port 8080
// that answers with its environment variable VERSION.
func (m *Mesh) LoadEcho(t testing.TB) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "echo")
	if err := components.BuildStatic(t.Context(), "istio/echo", program); err != nil {
		t.Fatalf("echo: %v", err)
	}
	m.load(t, EchoImage, program)
}

// Jaeger runs Jaeger beside istiod until the end of the test and returns the
// URL of its query service. It is the mesh's tracing provider "jaeger".
func (m *Mesh) Jaeger(t testing.TB) string {
	t.Helper()
	m.load(t, jaegerImage, testutil.Require(t, components.JaegerV1()))
	m.Apply(t, jaegerManifest)
	m.Ready(t, namespace, "deployment/jaeger")
	return "http://" + m.nodePort(t, "jaeger", 16686)
}

// Prometheus runs Prometheus beside istiod until the end of the test and
// returns its URL. Each second it scrapes the proxies of the pods that ask for
// it by their annotations, which it finds through the cluster's API.
func (m *Mesh) Prometheus(t testing.TB) string {
	t.Helper()
	m.load(t, prometheusImage, testutil.Require(t, components.PrometheusKubernetes()))
	m.Apply(t, prometheusManifest)
	m.Ready(t, namespace, "deployment/prometheus")
	return "http://" + m.nodePort(t, "prometheus", 9090)
}

// load makes an image of one program and brings it into the cluster.
func (m *Mesh) load(t testing.TB, image, program string) {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := components.ProgramImage(t.Context(), archive, image, program); err != nil {
		t.Fatalf("image %s: %v", image, err)
	}
	m.cluster.LoadImage(t, archive)
}
