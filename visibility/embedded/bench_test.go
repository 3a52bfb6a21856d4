package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// meshTraces makes n traces of five spans as an Istio mesh reports them:
// gateway (server and egress client), proxy (server and client), balancer.
func meshTraces(rng *rand.Rand, n int, start time.Time, rate float64) [][]tracing.Span {
	traces := make([][]tracing.Span, n)
	for i := range traces {
		at := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		traces[i] = meshTrace(rng, at)
	}
	return traces
}

func meshTrace(rng *rand.Rand, at time.Time) []tracing.Span {
	var id tracing.TraceID
	binary.BigEndian.PutUint64(id[:], rng.Uint64())
	binary.BigEndian.PutUint64(id[8:], rng.Uint64())
	url := fmt.Sprintf("http://http-lb:9180/item/%d", rng.IntN(50))
	status := 200
	if rng.IntN(50) == 0 {
		status = 503
	}
	requestID := fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", rng.Uint32(), rng.IntN(1<<16), rng.IntN(1<<16), rng.IntN(1<<16), rng.Int64N(1<<48))
	d := time.Duration(rng.ExpFloat64()*5e6) + 500*time.Microsecond
	hops := []struct {
		service  string
		kind     tracing.Kind
		upstream string
	}{
		{"istio-ingressgateway.istio-system", tracing.KindServer, "outbound|9180||proxy-access-control.default.svc.cluster.local"},
		{"istio-ingressgateway.istio-system", tracing.KindClient, "outbound|9180||proxy-access-control.default.svc.cluster.local"},
		{"proxy-access-control.default", tracing.KindServer, "inbound|9180||"},
		{"proxy-access-control.default", tracing.KindClient, "outbound|9180||http-lb.default.svc.cluster.local"},
		{"http-lb.default", tracing.KindServer, "inbound|9180||"},
	}
	spans := make([]tracing.Span, len(hops))
	var parent tracing.SpanID
	for i, h := range hops {
		s := &spans[i]
		binary.BigEndian.PutUint64(s.SpanID[:], rng.Uint64())
		s.TraceID, s.ParentID, s.Kind, s.Service = id, parent, h.kind, h.service
		s.Operation = "proxy-access-control.default.svc.cluster.local:9180/*"
		s.Start, s.Duration = at.Add(time.Duration(i)*400*time.Microsecond), d-time.Duration(i)*80*time.Microsecond
		s.Method, s.URL, s.URLTemplate, s.StatusCode, s.GRPCStatus = "GET", url, "/item/{id}", status, -1
		s.UserAgent, s.Protocol, s.UpstreamCluster = "curl/7.88.1", "HTTP/1.1", h.upstream
		s.Node = "sidecar~10.244.0.10~" + h.service + "-6f6bcdddbd-h2lc9.default~default.svc.cluster.local"
		s.Peer = fmt.Sprintf("10.244.0.11:%d", 30000+rng.IntN(2000))
		s.RequestID, s.Namespace, s.Workload, s.Version = requestID, "default", h.service, "v1"
		s.ResponseSize, s.Error, s.Scope = int64(rng.IntN(4000)), status >= 500, "envoy 1.40.0"
		s.Attributes = []tracing.Attribute{
			{Key: "component", Value: "proxy"}, {Key: "downstream_cluster", Value: "-"},
			{Key: "istio.cluster_id", Value: "Kubernetes"}, {Key: "istio.mesh_id", Value: "cluster.local"},
			{Key: "zone", Value: ""},
		}
		parent = s.SpanID
	}
	return spans
}

// BenchmarkWrite measures durable writes in batches of 1,000 spans from four
// writers. bytes/span is the directory's size after a full compaction.
func BenchmarkWrite(b *testing.B) {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	traces := meshTraces(rand.New(rand.NewPCG(1, 2)), max(200, (b.N+4)/5), time.Now().Add(-10*time.Minute), 2000)
	const writers, perBatch = 4, 200
	work := make(chan []tracing.Span)
	errs := make(chan error, writers)
	b.ResetTimer()
	for range writers {
		go func() {
			for spans := range work {
				if _, err := s.Write(context.Background(), &visibility.Batch{Source: "bench", Spans: spans}); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	written := 0
	for i := 0; i < len(traces) && written < b.N; i += perBatch {
		var batch []tracing.Span
		for _, t := range traces[i:min(i+perBatch, len(traces))] {
			batch = append(batch, t...)
		}
		written += len(batch)
		work <- batch
	}
	close(work)
	for range writers {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := s.db.Compact(context.Background(), []byte{0}, []byte{spaceEnd}, true); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(written)/b.Elapsed().Seconds(), "spans/s")
	size, err := s.db.EstimateDiskUsage([]byte{0}, []byte{spaceEnd})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(size)/float64(written), "bytes/span")
}
