package envoymesh

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
)

// Tracer chooses how the proxies report their spans.
type Tracer int

// The two tracers that Istio configures.
const (
	// OpenTelemetry sends OTLP by gRPC.
	OpenTelemetry Tracer = iota
	// Zipkin sends Zipkin's JSON by HTTP.
	Zipkin
)

// String returns "opentelemetry" or "zipkin", as in Envoy's metric names.
func (t Tracer) String() string {
	if t == Zipkin {
		return "zipkin"
	}
	return "opentelemetry"
}

// Tracers lists both, for tests that run with each.
func Tracers() []Tracer { return []Tracer{OpenTelemetry, Zipkin} }

// Options says what the mesh is like. The zero value works; its spans go
// nowhere.
type Options struct {
	Tracer Tracer
	// Collector is the "HOST:PORT" that takes the spans: OTLP over gRPC or
	// Zipkin over HTTP. Empty is a port that nothing listens on.
	Collector string
	// SlowDelay is how long the route /slow takes at least; 0 is 150 ms.
	SlowDelay time.Duration
	// FlushInterval is how often a proxy sends its spans; 0 is 100 ms.
	FlushInterval time.Duration
	// MirrorTraced has mirrored requests traced as the others are. Istio
	// configures that they are not, and so does the zero value.
	MirrorTraced bool
}

// The services of the mesh and the name that their spans carry.
const (
	Gateway     = "istio-ingressgateway.istio-system"
	AccessProxy = "proxy-access-control.default"
	Balancer    = "http-lb.default"
	Detector    = "snort-ids.default"
)

// Proxy is one Envoy of the mesh.
type Proxy struct {
	*testutil.EnvoyServer
	// Service is what its spans call it ("http-lb.default").
	Service string
	// NodeID is its node id, which its spans carry as "node_id".
	NodeID string
	// HTTP lists its listeners as the counters name them: "inbound_0.0.0.0_80"
	// has "http.inbound_0.0.0.0_80;.downstream_rq_total" and so on.
	HTTP []string
}

// Mesh is a running mesh.
type Mesh struct {
	// URL is the base URL of the front proxy.
	URL string
	// Front is the gateway, A the sidecar of the first service, B that of the
	// second, Mirror that of the service which gets the mirrored requests.
	Front, A, B, Mirror *Proxy

	t       testing.TB
	options Options
	tally   tally
}

// ports are what one sidecar and its service listen on.
type ports struct{ inbound, outbound, admin int }

// New starts the mesh; it ends with the test. All of it is ready when New
// returns.
func New(t testing.TB, o Options) *Mesh {
	t.Helper()
	o.SlowDelay = cmp.Or(o.SlowDelay, 150*time.Millisecond)
	o.FlushInterval = cmp.Or(o.FlushInterval, 100*time.Millisecond)
	if o.Collector == "" {
		o.Collector = testutil.FreeAddr(t)
	}
	m := &Mesh{t: t, options: o}
	reserve := func() ports {
		return ports{testutil.FreePort(t), testutil.FreePort(t), testutil.FreePort(t)}
	}
	front, a, b, mirror := reserve(), reserve(), reserve(), reserve()
	m.URL = "http://" + loopback(front.inbound)

	m.B = m.sidecar(b, sidecar{service: Balancer, revision: "v1", app: m.app(Balancer, ""), port: 9180})
	m.Mirror = m.sidecar(mirror, sidecar{service: Detector, revision: "v1", app: m.app(Detector, ""), port: 80})
	m.A = m.sidecar(a, sidecar{
		service: AccessProxy, revision: "latest", port: 9180,
		app:      m.app(AccessProxy, loopback(a.outbound)),
		upstream: destination{service: Balancer, port: 9180, at: loopback(b.inbound)},
	})
	m.Front = m.gateway(front, loopback(a.inbound), loopback(mirror.inbound))
	return m
}

// Proxies lists the proxies, the front first.
func (m *Mesh) Proxies() []*Proxy { return []*Proxy{m.Front, m.A, m.B, m.Mirror} }

// ScrapeConfigs are Prometheus jobs for the proxies, shaped as those that
// find Istio's pods: job "envoy-stats", one target a proxy, with the label
// "pod".
func (m *Mesh) ScrapeConfigs() []testutil.ScrapeConfig {
	var jobs []testutil.ScrapeConfig
	for i, p := range m.Proxies() {
		jobs = append(jobs, testutil.ScrapeConfig{
			Job: fmt.Sprintf("envoy-stats-%d", i), MetricsPath: "/stats/prometheus",
			Targets: []string{p.AdminAddr()},
			Labels:  map[string]string{"job": "envoy-stats", "pod": podOf(p.Service), "namespace": namespaceOf(p.Service)},
		})
	}
	return jobs
}

// start runs one Envoy of the mesh.
func (m *Mesh) start(b bootstrap) *Proxy {
	m.t.Helper()
	data, err := b.json()
	if err != nil {
		m.t.Fatalf("mesh: %v", err)
	}
	p := &Proxy{Service: b.service, NodeID: b.nodeID()}
	for _, l := range b.listeners {
		p.HTTP = append(p.HTTP, l.statPrefix())
	}
	p.EnvoyServer = testutil.Envoy(m.t, data, testutil.EnvoyOptions{Name: "envoy-" + nameOf(b.service)})
	return p
}

// loopback is an address of this machine.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
