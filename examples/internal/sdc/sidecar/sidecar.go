// Package sidecar is what stands around a service's handlers and clients so
// that its requests can be traced. It hands on the headers of a trace from
// each request received to those sent because of it. Where no mesh has
// sidecars of its own it also reports the spans that they would report: one
// for each request received and one for each sent.
package sidecar

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/opnfv/clover/tracing"
)

// Identity names the workload that a Sidecar belongs to.
type Identity struct {
	Service   string // e.g. "http-lb"
	Version   string // e.g. "v1"; "": "latest"
	Workload  string // e.g. "http-lb-v1"; "": made from service and version
	Namespace string // "": "default"
	Pod       string // "": the workload and "-0"
	IP        string // "": 127.0.0.1
	Port      string // that the service listens on; "": 9180
}

func (i Identity) withDefaults() Identity {
	set := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
	set(&i.Version, "latest")
	switch {
	case i.Version == "latest":
		set(&i.Workload, i.Service)
	case strings.HasPrefix(i.Version, i.Service): // "http-lb-v1" of "http-lb"
		set(&i.Workload, i.Version)
	default:
		set(&i.Workload, i.Service+"-"+i.Version)
	}
	set(&i.Namespace, "default")
	set(&i.Pod, i.Workload+"-0")
	set(&i.IP, "127.0.0.1")
	set(&i.Port, "9180")
	return i
}

// node is the id that Envoy would have there.
func (i Identity) node() string {
	return "sidecar~" + i.IP + "~" + i.Pod + "." + i.Namespace + "~" + i.Namespace + ".svc.cluster.local"
}

// Options of a Sidecar. The zero value hands headers on and reports nothing.
type Options struct {
	// Report takes finished spans, e.g. an exporter's Export. nil: none are
	// made, because a mesh's own sidecars do it.
	Report func(...tracing.Span) int
	// OnServed is called for each request that was answered.
	OnServed func(status int)
	// IsCopy tells requests that are copies of others. Reported, their host
	// ends in "-shadow", as that of Envoy's copies does. nil: none are.
	IsCopy func(context.Context) bool
	// Logger hears of clients that went away. nil: silence.
	Logger *slog.Logger
}

// Sidecar stands around one service. Its methods may be called concurrently.
type Sidecar struct {
	identity Identity
	opts     Options
}

// New returns the Sidecar of a workload.
func New(identity Identity, opts Options) *Sidecar {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Sidecar{identity: identity.withDefaults(), opts: opts}
}

func (s *Sidecar) newSpan(kind tracing.Kind) *tracing.Span {
	i := s.identity
	span := tracing.NewSpan()
	span.Kind, span.Service, span.Version, span.Workload = kind, i.Service, i.Version, i.Workload
	span.Namespace, span.Node, span.Start, span.Scope = i.Namespace, i.node(), time.Now(), "clover-sdc-sample"
	span.SpanID = newSpanID()
	return &span
}

// finish completes a span and reports it, if its trace is sampled.
func (s *Sidecar) finish(span *tracing.Span, status int, sampled bool) {
	span.StatusCode = status
	span.Error = span.Error || status >= 500 || status == 0
	span.Duration = time.Since(span.Start)
	if sampled {
		s.opts.Report(*span)
	}
}

func (s *Sidecar) served(status int) {
	if s.opts.OnServed != nil {
		s.opts.OnServed(status)
	}
}

// cluster names a destination as Istio names the cluster of an Envoy; ""
// where it is an address.
func (s *Sidecar) cluster(target string) string {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		host, port = target, "80"
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	switch strings.Count(host, ".") {
	case 0:
		host += "." + s.identity.Namespace + ".svc.cluster.local"
	case 1:
		host += ".svc.cluster.local"
	}
	return "outbound|" + port + "||" + host
}
