package cassandra

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// meshTrace is a trace of five spans as an Istio mesh reports it: gateway
// (server and egress client), proxy (server and client), balancer.
func meshTrace(rng *rand.Rand, at time.Time) []tracing.Span {
	var id tracing.TraceID
	binary.BigEndian.PutUint64(id[:], rng.Uint64())
	binary.BigEndian.PutUint64(id[8:], rng.Uint64())
	url := fmt.Sprintf("http://http-lb:9180/item/%d", rng.IntN(50))
	var parent tracing.SpanID
	spans := make([]tracing.Span, 5)
	for i, service := range []string{"istio-ingressgateway.istio-system", "istio-ingressgateway.istio-system", "proxy-access-control.default", "proxy-access-control.default", "http-lb.default"} {
		s := &spans[i]
		*s = tracing.NewSpan()
		binary.BigEndian.PutUint64(s.SpanID[:], rng.Uint64())
		s.TraceID, s.ParentID, s.Kind, s.Service = id, parent, tracing.KindServer, service
		s.UpstreamCluster = "inbound|9180||"
		if i%2 == 1 {
			s.Kind, s.UpstreamCluster = tracing.KindClient, "outbound|9180||http-lb.default.svc.cluster.local"
		}
		s.Operation = "proxy-access-control.default.svc.cluster.local:9180/*"
		s.Start, s.Duration = at.Add(time.Duration(i)*400*time.Microsecond), time.Duration(rng.ExpFloat64()*5e6)+500*time.Microsecond
		s.Method, s.URL, s.URLTemplate, s.StatusCode, s.UserAgent = "GET", url, "/item/{id}", 200, "curl/7.88.1"
		s.Node = "sidecar~10.244.0.10~" + service + "-6f6bcdddbd-h2lc9.default~default.svc.cluster.local"
		s.RequestID, s.Namespace, s.Version, s.Scope = fmt.Sprintf("%032x", rng.Uint64()), "default", "v1", "envoy 1.40.0"
		s.Attributes = []tracing.Attribute{{Key: "component", Value: "proxy"}, {Key: "istio.mesh_id", Value: "cluster.local"}}
		parent = s.SpanID
	}
	return spans
}

// BenchmarkBesideBareInserts writes the same spans by the store and by a loop
// of the driver's prepared inserts into the same table with the same columns,
// in turns, each with as many statements under way. ratio is the store's
// spans/s in relation to the loop's; the store besides looks for duplicates,
// writes the index, the sums and the ledger, and commits.
func BenchmarkBesideBareInserts(b *testing.B) {
	server := testutil.Cassandra(b, testutil.CassandraOptions{Fast: true})
	s, err := Open(b.Context(), Options{Hosts: []string{server.Addr}, Timeout: 30 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const traces = 4000 // a turn
	rng := rand.New(rand.NewPCG(1, 2))
	round := func() (bare, stored time.Duration) {
		var all []tracing.Span
		at := time.Now().Add(-10 * time.Minute)
		for i := range traces {
			all = append(all, meshTrace(rng, at.Add(time.Duration(i)*time.Millisecond))...)
		}
		again := make([]tracing.Span, len(all)) // the same, in traces of their own
		copy(again, all)
		for i := range again {
			again[i].TraceID[0] ^= 0xff
		}
		return s.bareInserts(b, all), s.writeBatchesOf(b, again, 1000, 4)
	}
	round() // the server's code gets compiled
	round()
	var bare, stored time.Duration
	spans := 0
	for b.Loop() {
		x, y := round()
		bare, stored, spans = bare+x, stored+y, spans+5*traces
	}
	b.ReportMetric(float64(spans)/bare.Seconds(), "bare-spans/s")
	b.ReportMetric(float64(spans)/stored.Seconds(), "store-spans/s")
	b.ReportMetric(bare.Seconds()/stored.Seconds(), "ratio")
}

// bareInserts is the loop of prepared inserts.
func (s *Store) bareInserts(b *testing.B, spans []tracing.Span) time.Duration {
	b.Helper()
	start := time.Now()
	err := each(b.Context(), s.opts.Concurrency, s.opts.Concurrency, func(ctx context.Context, worker int) error {
		for i := worker; i < len(spans); i += s.opts.Concurrency {
			own := &gathering{version: newVersion(1, 1), now: start, spans: map[tracing.TraceID][]statement{}, claims: map[tracing.TraceID]map[spanID]struct{}{}}
			own.addSpanRow(&spans[i], appendRecord(nil, &spans[i]), "bare", s.ttl())
			st := own.spans[spans[i].TraceID][0]
			if err := s.session.Query(st.cql, st.args...).ExecContext(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// writeBatchesOf writes spans by the store, from several writers.
func (s *Store) writeBatchesOf(b testing.TB, spans []tracing.Span, size, writers int) time.Duration {
	b.Helper()
	start := time.Now()
	batches := make(chan []tracing.Span)
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for batch := range batches {
				r, err := s.Write(b.Context(), &visibility.Batch{Source: "bench", Spans: batch})
				if err != nil || r.Kept != len(batch) {
					b.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
	for len(spans) > 0 {
		n := min(size, len(spans))
		batches <- spans[:n]
		spans = spans[n:]
	}
	close(batches)
	writing.Wait()
	return time.Since(start)
}
