package export_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
)

// TestJaeger sends requests of an instrumented client over a real connection
// and looks in a real Jaeger for the kernel's view of them: below the client's
// span, whichever header carries it.
func TestJaeger(t *testing.T) {
	for _, version := range testutil.JaegerVersions() {
		t.Run(version.String(), func(t *testing.T) {
			t.Parallel()
			jaeger := testutil.Jaeger(t, testutil.JaegerOptions{Version: version})
			exporter, err := tracing.NewExporter(jaeger.OTLPGRPC, tracing.ExporterOptions{Timeout: time.Minute, DrainTimeout: time.Minute}) // the machine may be busy
			if err != nil {
				t.Fatal(err)
			}
			spans := map[string][2]tracing.Span{}
			for name, c := range contexts() {
				client, kernel := ask(t, c)
				spans[name] = [2]tracing.Span{client, kernel}
				exporter.Export(client, kernel)
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel() // what is queued is still sent
			if err := exporter.Run(ctx); err != nil || exporter.Stats().Exported != 6 {
				t.Fatalf("%v %+v", err, exporter.Stats())
			}
			found := inJaeger(t, jaeger, 6)
			for name, pair := range spans {
				below(t, name, found, pair[0], pair[1])
			}
			readByClover(t, jaeger, spans)
		})
	}
}

// traceHeader writes a client's span into a request and tells what a parser
// reads there.
type traceHeader func(trace tracing.TraceID, span tracing.SpanID, h http.Header) session.TraceContext

func contexts() map[string]traceHeader {
	return map[string]traceHeader{
		"traceparent": func(trace tracing.TraceID, span tracing.SpanID, h http.Header) session.TraceContext {
			h.Set("traceparent", "00-"+trace.String()+"-"+span.String()+"-01")
			return session.TraceContext{TraceID: trace.String(), SpanID: span.String(), Sampled: true}
		},
		"B3": func(trace tracing.TraceID, span tracing.SpanID, h http.Header) session.TraceContext {
			h.Set("b3", trace.String()+"-"+span.String()+"-1")
			return session.TraceContext{TraceID: trace.String(), SpanID: span.String(), Sampled: true}
		},
		"B3 of 64 bits": func(trace tracing.TraceID, span tracing.SpanID, h http.Header) session.TraceContext {
			short := trace.String()[16:]
			h.Set("X-B3-TraceId", short)
			h.Set("X-B3-SpanId", span.String())
			return session.TraceContext{TraceID: short, SpanID: span.String(), Sampled: true}
		},
	}
}

// ask sends a request and returns the client's own span of it and the
// kernel's.
func ask(t *testing.T, write traceHeader) (client, kernel tracing.Span) {
	t.Helper()
	s := &session.Session{Direction: packet.Ingress, Transport: packet.TCP, RequestSeq: 1, ResponseSeq: 2}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Client, s.Server = netip.MustParseAddrPort(r.RemoteAddr), netip.MustParseAddrPort(r.Host)
		s.Protocol, s.Method, s.Target, s.Host, s.UserAgent = r.Proto, r.Method, r.RequestURI, r.Host, r.UserAgent()
		s.Request.First, s.Request.Last = time.Now(), time.Now()
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	client = tracing.NewSpan()
	client.Service, client.Operation, client.Kind, client.Start = "shop", "GET", tracing.KindClient, time.Now()
	copy(client.TraceID[8:], client.Start.Format("05.000000000"))
	copy(client.SpanID[:], server.URL[len(server.URL)-8:])
	r, err := http.NewRequest(http.MethodGet, server.URL+"/cup/7?milk=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Trace = write(client.TraceID, client.SpanID, r.Header)
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	s.Status, s.GRPCStatus, s.Outcome = resp.StatusCode, -1, session.Paired
	s.Response.First, s.Response.Last = time.Now(), time.Now()
	client.Duration = time.Since(client.Start)
	return client, export.Span(s, pod)
}

func inJaeger(t *testing.T, jaeger *testutil.JaegerServer, n int) []testutil.JaegerSpan {
	t.Helper()
	var found []testutil.JaegerSpan
	testutil.Eventually(t, 60*time.Second, func() (bool, string) {
		var err error
		if found, err = jaeger.Spans(t.Context()); err != nil {
			return false, err.Error()
		}
		return len(found) == n, "not all spans are there"
	})
	return found
}

// below holds that Jaeger has the kernel's span as a child of the client's.
func below(t *testing.T, name string, found []testutil.JaegerSpan, client, kernel tracing.Span) {
	t.Helper()
	for _, s := range found {
		if s.SpanID != kernel.SpanID.String() {
			continue
		}
		trace := strings.TrimLeft(s.TraceID, "0")
		if trace != strings.TrimLeft(client.TraceID.String(), "0") || s.ParentID != client.SpanID.String() {
			t.Errorf("%s: trace %s, parent %s; want %s, %s", name, s.TraceID, s.ParentID, client.TraceID, client.SpanID)
		}
		for key, want := range map[string]string{"span.kind": "server", "http.response.status_code": "418", "http.request.method": "GET",
			"url.full": kernel.URL, "clovisor.outcome": "paired", "client.address": "127.0.0.1", "network.protocol.version": "1.1"} {
			if s.Tags[key] != want {
				t.Errorf("%s: %s is %q, want %q", name, key, s.Tags[key], want)
			}
		}
		if s.Service != "web.default" || s.Process["k8s.pod.name"] != "web-5d-x" || s.Process["k8s.deployment.name"] != "web-v1" {
			t.Errorf("%s: service %q of %v", name, s.Service, s.Process)
		}
		return
	}
	t.Errorf("%s: the kernel's span is not in Jaeger", name)
}

// readByClover reads the traces with Clover's own client and compares.
func readByClover(t *testing.T, jaeger *testutil.JaegerServer, spans map[string][2]tracing.Span) {
	t.Helper()
	client, err := tracing.NewJaeger(tracing.JaegerOptions{URL: jaeger.QueryHTTP, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for name, pair := range spans {
		trace, err := client.Trace(t.Context(), pair[1].TraceID)
		if err != nil {
			t.Fatal(err)
		}
		want := pair[1]
		tracing.Normalize(&want)
		for _, got := range trace {
			if got.SpanID != want.SpanID {
				continue
			}
			if got.Identity() != want.Identity() || got.ParentID != want.ParentID || got.URL != want.URL || got.StatusCode != 418 ||
				got.Node != pod.Pod || got.Workload != pod.Workload || got.Namespace != pod.Namespace || got.Peer != want.Peer ||
				got.Protocol != "HTTP/1.1" || got.RequestSize != 0 || got.URLTemplate != "/cup/{id}" || got.Scope != export.Scope {
				t.Errorf("%s: %+v", name, got)
			}
		}
		if len(trace) != 2 {
			t.Errorf("%s: %d spans in the trace", name, len(trace))
		}
	}
}
