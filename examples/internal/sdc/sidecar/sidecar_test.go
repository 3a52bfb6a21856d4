package sidecar_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/opnfv/clover/examples/internal/sdc/sidecar"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/tracing"
)

func TestMain(m *testing.M) { leak.Main(m) }

// spans collects what is reported.
type spans struct {
	mu   sync.Mutex
	list []tracing.Span
}

func (s *spans) report(list ...tracing.Span) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, list...)
	return len(list)
}

func (s *spans) of(kind tracing.Kind) (found []tracing.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range s.list {
		if span.Kind == kind {
			found = append(found, span)
		}
	}
	return found
}

// upstream notes the headers and host of what it is asked.
type upstream struct {
	header http.Header
	host   string
	err    error
}

func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	u.header, u.host = r.Header.Clone(), r.Host
	if u.err != nil {
		return nil, u.err
	}
	return &http.Response{StatusCode: http.StatusTeapot, Body: io.NopCloser(strings.NewReader("12345")), Request: r}, nil
}

// through sends one request with the headers through a sidecar whose service
// asks http://http-lb:9180.
func through(t *testing.T, s *sidecar.Sidecar, u *upstream, in http.Header) *httptest.ResponseRecorder {
	t.Helper()
	handler := s.Inbound(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		out, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "http://http-lb:9180/x?y=1", strings.NewReader("abc"))
		if err != nil {
			t.Error(err)
			return
		}
		res, err := s.Outbound(u).RoundTrip(out)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	}))
	r := httptest.NewRequest(http.MethodPost, "http://proxy-access-control:9180/x?y=1", strings.NewReader("body"))
	maps.Copy(r.Header, in)
	r.Header.Set("User-Agent", "curl/8")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

const (
	trace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent = "00f067aa0ba902b7"
)

func TestHeadersAreHandedOnAsTheyAre(t *testing.T) {
	s := sidecar.New(sidecar.Identity{Service: "proxy-access-control"}, sidecar.Options{})
	in := http.Header{
		"Traceparent": {"00-" + trace + "-" + parent + "-01"}, "Tracestate": {"a=b"}, "X-Request-Id": {"id-1"},
		"B3": {trace + "-" + parent + "-1"}, "X-B3-Traceid": {trace}, "X-B3-Spanid": {parent}, "X-B3-Sampled": {"1"},
	}
	u := &upstream{}
	through(t, s, u, in)
	for name, want := range in {
		if got := u.header.Get(name); got != want[0] {
			t.Errorf("%s: %q, want %q", name, got, want[0])
		}
	}
	if u.host != "http-lb:9180" {
		t.Errorf("the host of a copy is %q: a mesh would not find it", u.host)
	}
	through(t, s, u, nil)
	if u.header.Get("X-Request-Id") == "" || u.header.Get("Traceparent") != "" {
		t.Errorf("without a trace: %v; want a request id, and no trace that nobody reports", u.header)
	}
}

func TestSpansContinueTheTrace(t *testing.T) {
	for name, in := range map[string]http.Header{
		"traceparent": {"Traceparent": {"00-" + trace + "-" + parent + "-01"}},
		"b3 single":   {"B3": {trace + "-" + parent + "-1"}},
		"b3 multi":    {"X-B3-Traceid": {trace}, "X-B3-Spanid": {parent}},
	} {
		var got spans
		served := 0
		s := sidecar.New(sidecar.Identity{Service: "proxy-access-control", Version: "v1"}, sidecar.Options{
			Report: got.report, OnServed: func(status int) { served = status },
		})
		u := &upstream{}
		through(t, s, u, in)
		server, client := got.of(tracing.KindServer), got.of(tracing.KindClient)
		if len(server) != 1 || len(client) != 1 {
			t.Fatalf("%s: %d server and %d client spans", name, len(server), len(client))
		}
		sv, cl := server[0], client[0]
		if sv.TraceID.String() != trace || sv.ParentID.String() != parent || cl.TraceID != sv.TraceID || cl.ParentID != sv.SpanID {
			t.Errorf("%s: the spans do not continue the trace: %v %v", name, sv, cl)
		}
		if want := "00-" + trace + "-" + cl.SpanID.String() + "-01"; u.header.Get("Traceparent") != want || u.header.Get("B3") != "" ||
			u.header.Get("X-B3-Spanid") != cl.SpanID.String() || u.header.Get("X-B3-Parentspanid") != sv.SpanID.String() {
			t.Errorf("%s: handed on %v, want %s", name, u.header, want)
		}
		if sv.StatusCode != http.StatusTeapot || sv.RequestSize != 4 || sv.ResponseSize != 5 || sv.UserAgent != "curl/8" || served != http.StatusTeapot ||
			sv.URL != "http://proxy-access-control:9180/x?y=1" || sv.Workload != "proxy-access-control-v1" || sv.UpstreamCluster != "inbound|9180||" {
			t.Errorf("%s: server span %+v, served %d", name, sv, served)
		}
		if cl.StatusCode != http.StatusTeapot || cl.ResponseSize != 5 || cl.UpstreamCluster != "outbound|9180||http-lb.default.svc.cluster.local" {
			t.Errorf("%s: client span %+v", name, cl)
		}
	}
}

func TestWhatIsNotSampledIsNotReported(t *testing.T) {
	for _, in := range []http.Header{
		{"Traceparent": {"00-" + trace + "-" + parent + "-00"}},
		{"B3": {trace + "-" + parent + "-0"}},
		{"X-B3-Traceid": {trace}, "X-B3-Spanid": {parent}, "X-B3-Sampled": {"0"}},
	} {
		var got spans
		u := &upstream{}
		through(t, sidecar.New(sidecar.Identity{Service: "a"}, sidecar.Options{Report: got.report}), u, in)
		if len(got.list) != 0 || !strings.HasSuffix(u.header.Get("Traceparent"), "-00") {
			t.Errorf("%v: %d spans, handed on %v", in, len(got.list), u.header)
		}
	}
}

// TestInTraceIsReported holds that calls because of a request that is in no
// trace are in one all the same, with its id.
func TestInTraceIsReported(t *testing.T) {
	for _, in := range []http.Header{
		{"Traceparent": {"00-" + trace + "-" + parent + "-00"}},
		{"X-B3-Traceid": {trace}, "X-B3-Spanid": {parent}, "X-B3-Parentspanid": {trace[:16]}, "X-B3-Sampled": {"0"}},
	} {
		for _, report := range []bool{false, true} {
			var got spans
			o := sidecar.Options{}
			if report {
				o.Report = got.report
			}
			s, u := sidecar.New(sidecar.Identity{Service: "a"}, o), &upstream{}
			r := httptest.NewRequestWithContext(s.InTrace(t.Context(), in), http.MethodGet, "http://b/", nil)
			r.RequestURI = ""
			res, err := s.Outbound(u).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			h := u.header
			if !strings.HasPrefix(h.Get("Traceparent"), "00-"+trace) || !strings.HasSuffix(h.Get("Traceparent"), "-01") || h.Get("X-B3-Sampled") != "1" || h.Get("X-B3-Traceid") != trace {
				t.Errorf("%v, reporting %v: handed on %v", in, report, h)
			}
			if n := len(got.of(tracing.KindClient)); report && n != 1 {
				t.Errorf("%v: %d spans", in, n)
			}
		}
	}
}

func TestHostileHeadersBeginATrace(t *testing.T) {
	for _, value := range []string{"", "00-" + strings.Repeat("0", 32) + "-" + parent + "-01", "00-zz-zz-01", "00--" + parent + "-01", "-", "00-" + trace + "-" + parent} {
		var got spans
		through(t, sidecar.New(sidecar.Identity{Service: "a"}, sidecar.Options{Report: got.report}), &upstream{},
			http.Header{"Traceparent": {value}, "B3": {value}, "X-B3-Traceid": {value}})
		server := got.of(tracing.KindServer)
		if len(server) != 1 || server[0].TraceID.IsZero() || server[0].TraceID.String() == trace || !server[0].ParentID.IsZero() {
			t.Errorf("%q: %v, want the root of a new trace", value, server)
		}
	}
}

func TestCopiesAndFailures(t *testing.T) {
	var got spans
	s := sidecar.New(sidecar.Identity{Service: "a"}, sidecar.Options{Report: got.report, IsCopy: func(context.Context) bool { return true }})
	u := &upstream{err: errors.New("nobody there")}
	through(t, s, u, nil)
	client := got.of(tracing.KindClient)
	if len(client) != 1 || u.host != "http-lb-shadow:9180" || !client[0].Mirrored() || !client[0].Error || client[0].StatusCode != 503 {
		t.Errorf("host %q, client spans %+v", u.host, client)
	}
	if res, err := s.Outbound(&upstream{}).RoundTrip(httptest.NewRequestWithContext(context.Background(), http.MethodGet, "http://b/", nil)); err != nil || res.Body.Close() != nil || len(got.of(tracing.KindClient)) != 1 {
		t.Errorf("a request that belongs to none: %v, %d client spans", err, len(got.of(tracing.KindClient)))
	}
}
