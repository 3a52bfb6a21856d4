package visibility_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// jaegerSample returns what Jaeger answered about a real mesh, and the time
// around which that was.
func jaegerSample(t *testing.T) (body []byte, at time.Time, spans int) {
	t.Helper()
	body, err := os.ReadFile("testdata/jaeger-traces.json")
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Data []struct{ Spans []struct{ StartTime int64 } }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	for _, trace := range answer.Data {
		spans += len(trace.Spans)
		at = time.UnixMicro(trace.Spans[0].StartTime)
	}
	return body, at, spans
}

// jaegerServer answers the legacy API; while down, with an error.
func jaegerServer(t *testing.T, traces []byte, services string, down *atomic.Bool) string {
	mux := http.NewServeMux()
	answer := func(pattern string, body []byte) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			if down.Load() {
				http.Error(w, "starting", http.StatusServiceUnavailable)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body)
		})
	}
	answer("/api/services", []byte(services))
	answer("/api/traces", traces)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestJaegerSourceDeliversWholeTraces(t *testing.T) {
	body, at, want := jaegerSample(t)
	url := jaegerServer(t, body, `{"data":["http-lb.default"]}`, new(atomic.Bool))
	open := visibility.OpenSources{Jaeger: tracing.JaegerOptions{Protocol: tracing.JaegerLegacy}}
	src, err := open.OpenTraces(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer src.(io.Closer).Close()
	services, err := src.Services(t.Context())
	if err != nil || !slices.Equal(services, []string{"http-lb.default"}) {
		t.Errorf("services %q, %v", services, err)
	}
	found := map[tracing.Identity]bool{}
	losses, err := src.Fetch(t.Context(), "http-lb.default", visibility.Range{From: at.Add(-time.Hour), To: at.Add(time.Hour)},
		func(spans []tracing.Span) error {
			for i := range spans {
				found[spans[i].Identity()] = true
			}
			return nil
		})
	if err != nil || len(losses) != 0 || len(found) != want {
		t.Errorf("%d spans of %d, losses %v, error %v", len(found), want, losses, err)
	}
	_, err = src.Fetch(t.Context(), "http-lb.default", visibility.Range{From: at.Add(-time.Hour), To: at.Add(time.Hour)},
		func([]tracing.Span) error { return io.ErrClosedPipe })
	if err != io.ErrClosedPipe { //nolint:errorlint // exactly what yield returned
		t.Errorf("an error of yield comes back as %v", err)
	}
}

func TestCollectorHealsWithARealClient(t *testing.T) {
	body, at, want := jaegerSample(t)
	var down atomic.Bool
	down.Store(true)
	url := jaegerServer(t, body, `{"data":["http-lb.default"]}`, &down)
	store := newMemStore()
	c, err := visibility.NewCollector(store, visibility.CollectorOptions{
		Config:   visibility.Config{Tracing: []string{url}, SampleInterval: visibility.Interval(100 * time.Millisecond)},
		Opener:   visibility.OpenSources{Jaeger: tracing.JaegerOptions{Protocol: tracing.JaegerLegacy}},
		Lookback: time.Since(at) + time.Hour, Window: time.Since(at) + 2*time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, store: store, c: c}
	done := make(chan error, 1)
	go func() { done <- c.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	eventually(t, b, func() bool { st := c.Status(); return len(st.Sources) == 1 && st.Sources[0].Failures > 0 })
	down.Store(false)
	eventually(t, b, func() bool { return store.count() == want })
	eventually(t, b, func() bool { return b.status().State == visibility.StateOK && b.status().Pulls > 5 })
	if store.mustBalance(t); store.count() != want {
		t.Errorf("%d spans, want %d", store.count(), want)
	}
}

// eventually waits for a condition in real time.
func eventually(t *testing.T, b *bench, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(2 * time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never came; %d spans, status %+v", b.store.count(), b.c.Status())
		}
	}
}

func TestPrometheusSource(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/status/buildinfo", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"success","data":{"version":"2.53.3"}}`)
	})
	mux.HandleFunc("/api/v1/query", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"x"},"value":[1795468080,"1"]}]}}`)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	src, err := visibility.OpenSources{}.OpenMetrics(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if sample, err := src.Collect(t.Context(), visibility.Config{}, time.Now()); err != nil || len(sample.Points) != 0 {
		t.Errorf("with nothing selected: %+v, %v", sample, err)
	}
	sample, err := src.Collect(t.Context(), visibility.Config{CustomMetrics: []string{"up", "absent_metric"}}, time.Unix(1795468080, 0))
	if err != nil || len(sample.Points) != 1 || sample.Points[0].Name != "up" || sample.Points[0].Value != 1 || len(sample.Missing) != 1 {
		t.Errorf("sample %+v, %v", sample, err)
	}
	server.Close()
	if _, err := src.Collect(t.Context(), visibility.Config{}, time.Now()); err == nil {
		t.Error("a server that is gone is not noticed when nothing is selected")
	}
}
