package tracing

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
)

func testSpan(n int) Span {
	s := NewSpan()
	s.TraceID[0], s.SpanID[0], s.SpanID[1] = 1, byte(1+n%255), byte(n/255)
	s.Start, s.Service, s.Kind = time.Unix(1, 0).UTC(), "web", KindServer
	return s
}

// runExporter exports n spans, ends Run and returns the ledger.
func runExporter(t *testing.T, endpoint string, n int, o ExporterOptions) ExporterStats {
	t.Helper()
	// The machine may be busy: what is repeated for that is counted twice.
	setDefault(&o.DrainTimeout, 2*time.Minute)
	setDefault(&o.Timeout, 2*time.Minute)
	setDefault(&o.RetryFor, 2*time.Minute)
	e, err := NewExporter(endpoint, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		e.Export(testSpan(i))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // what is queued is still sent
	if err := e.Run(ctx); err != nil {
		t.Fatal(err)
	}
	stats := e.Stats()
	sum := stats.Exported + stats.Waiting
	for _, lost := range stats.Dropped {
		sum += lost
	}
	if sum != stats.Seen {
		t.Errorf("the ledger does not add up: %+v", stats)
	}
	return stats
}

func TestExporterToReceiver(t *testing.T) {
	for _, compressed := range []bool{true, false} {
		sink := &memorySink{}
		_, addr, url := startReceiver(t, sink, ReceiverOptions{})
		for _, endpoint := range []string{addr, "grpc://" + addr, url, url[:len(url)-len(TracesPath)]} {
			stats := runExporter(t, endpoint, 1000, ExporterOptions{NoCompression: !compressed, Headers: map[string]string{"x-a": "b"}})
			if stats.Exported != 1000 || len(stats.Dropped) != 0 {
				t.Errorf("%s: %+v", endpoint, stats)
			}
		}
		if sink.count() != 4000 {
			t.Errorf("the sink has %d spans", sink.count())
		}
	}
}

// A receiver that has no room for a while gets everything in the end.
func TestExporterRetries(t *testing.T) {
	var calls atomic.Int32
	sink := &memorySink{before: func(context.Context) error {
		if calls.Add(1)%3 != 0 {
			return &Error{Op: "store", Kind: ErrorTemporary, Err: errors.New("busy"), RetryAfter: time.Millisecond}
		}
		return nil
	}}
	_, addr, _ := startReceiver(t, sink, ReceiverOptions{})
	stats := runExporter(t, addr, 100, ExporterOptions{BatchSpans: 10})
	if stats.Exported != 100 || stats.Retries != 20 || sink.count() != 100 {
		t.Errorf("%+v, sink has %d", stats, sink.count())
	}
}

func TestExporterRefused(t *testing.T) {
	sink := &memorySink{before: func(context.Context) error { return ErrInvalid }}
	_, addr, url := startReceiver(t, sink, ReceiverOptions{})
	for _, endpoint := range []string{addr, url} {
		stats := runExporter(t, endpoint, 7, ExporterOptions{})
		if want := map[string]uint64{DropRefused: 7}; !maps.Equal(stats.Dropped, want) || stats.Retries != 0 {
			t.Errorf("%s: %+v", endpoint, stats)
		}
	}
}

func TestExporterHTTPStatus(t *testing.T) {
	for code, retried := range map[int]bool{400: false, 404: false, 408: false, 429: true, 500: false, 502: true, 503: true, 504: true} {
		var calls atomic.Int32
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) == 1 {
				w.WriteHeader(code)
			}
		}))
		stats := runExporter(t, srv.URL, 1, ExporterOptions{MinBackoff: time.Millisecond})
		srv.Close()
		if (stats.Exported == 1) != retried || (stats.Retries == 1) != retried {
			t.Errorf("status %d: %+v", code, stats)
		}
	}
}

func TestExporterQueueFull(t *testing.T) {
	e, err := NewExporter("127.0.0.1:1", ExporterOptions{QueueSpans: 3})
	if err != nil {
		t.Fatal(err)
	}
	if n := e.Export(testSpan(0), testSpan(1), testSpan(2), testSpan(3), testSpan(4)); n != 3 {
		t.Errorf("%d spans found room", n)
	}
	if stats := e.Stats(); stats.Waiting != 3 || stats.Dropped[DropQueueFull] != 2 || stats.Seen != 5 {
		t.Errorf("%+v", stats)
	}
}

func TestNewExporterEndpoint(t *testing.T) {
	for _, endpoint := range []string{"", "host", "ftp://h:1", "http://", "grpc://h"} {
		if _, err := NewExporter(endpoint, ExporterOptions{}); !errors.Is(err, ErrInvalid) {
			t.Errorf("endpoint %q: %v", endpoint, err)
		}
	}
}

// fakeTransport fails as told and records when it was asked.
type fakeTransport struct {
	mu    sync.Mutex
	times []time.Time
	fail  func(ctx context.Context, try int) (*coltracepb.ExportTraceServiceResponse, error)
}

func (f *fakeTransport) send(ctx context.Context, _ []byte) (*coltracepb.ExportTraceServiceResponse, error) {
	f.mu.Lock()
	f.times = append(f.times, time.Now())
	try := len(f.times)
	f.mu.Unlock()
	return f.fail(ctx, try)
}

func (f *fakeTransport) close() error { return nil }

// exportWith runs an exporter over a transport in synthetic time.
func exportWith(t *testing.T, f *fakeTransport, o ExporterOptions, life time.Duration) ExporterStats {
	t.Helper()
	e, err := NewExporter("127.0.0.1:1", o)
	if err != nil {
		t.Fatal(err)
	}
	e.dial = func() (transport, error) { return f, nil }
	ctx, cancel := context.WithTimeout(t.Context(), life)
	defer cancel()
	e.Export(testSpan(0), testSpan(1))
	if err := e.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if e.Export(testSpan(2)) != 0 {
		t.Error("Export after Run found room")
	}
	return e.Stats()
}

func TestExporterBackoff(t *testing.T) {
	temporary := &Error{Op: "export", Kind: ErrorTemporary, Err: errors.New("no")}
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTransport{fail: func(context.Context, int) (*coltracepb.ExportTraceServiceResponse, error) { return nil, temporary }}
		begin := time.Now()
		stats := exportWith(t, f, ExporterOptions{RetryFor: 30 * time.Second}, 2*time.Minute)
		if stats.Dropped[DropRetries] != 2 || stats.Dropped[DropStopped] != 1 {
			t.Errorf("%+v", stats)
		}
		if first := f.times[0].Sub(begin); first != 200*time.Millisecond {
			t.Errorf("first try after %v", first)
		}
		for i := 1; i < len(f.times); i++ {
			pause, most := f.times[i].Sub(f.times[i-1]), min(200*time.Millisecond<<(i-1), 10*time.Second)
			if pause < most/2 || pause > most {
				t.Errorf("pause %d is %v, want %v to %v", i, pause, most/2, most)
			}
		}
		if last := f.times[len(f.times)-1].Sub(f.times[0]); last > 30*time.Second || len(f.times) < 7 {
			t.Errorf("%d tries in %v", len(f.times), last)
		}
	})
}

func TestExporterRetryAfterAndPartialSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTransport{fail: func(_ context.Context, try int) (*coltracepb.ExportTraceServiceResponse, error) {
			if try == 1 {
				return nil, &Error{Op: "export", Kind: ErrorTemporary, Err: errors.New("no"), RetryAfter: 7 * time.Second}
			}
			return &coltracepb.ExportTraceServiceResponse{PartialSuccess: partialSuccess([]Rejection{{"web", "x", 1}})}, nil
		}}
		stats := exportWith(t, f, ExporterOptions{}, time.Minute)
		if stats.Exported != 1 || stats.Dropped[DropRejected] != 1 || stats.Retries != 1 {
			t.Errorf("%+v", stats)
		}
		if pause := f.times[1].Sub(f.times[0]); pause != 7*time.Second {
			t.Errorf("tried again after %v, the receiver asked for 7s", pause)
		}
	})
}

// Draining ends at its limit, also in the middle of a try.
func TestExporterDrainLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTransport{fail: func(ctx context.Context, _ int) (*coltracepb.ExportTraceServiceResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		begin := time.Now()
		stats := exportWith(t, f, ExporterOptions{DrainTimeout: 3 * time.Second}, time.Second)
		if took := time.Since(begin); took != 4*time.Second {
			t.Errorf("Run took %v", took)
		}
		if stats.Dropped[DropShutdown] != 2 || stats.Waiting != 0 {
			t.Errorf("%+v", stats)
		}
	})
}
