package sdc

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/embedded"
)

// TestAnswersEqualTheTally sends a bounded load through the chain, its spans
// through a real OTLP exporter and receiver into a store, and compares every
// answer with what the load generator counted.
func TestAnswersEqualTheTally(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ingest, err := visibility.NewIngest(store, visibility.IngestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	receiver, err := tracing.NewReceiver(ingest, tracing.ReceiverOptions{GRPCAddr: "127.0.0.1:0", HTTPAddr: "-"})
	if err != nil {
		t.Fatal(err)
	}
	receiverCtx, stopReceiver := context.WithCancel(ctx)
	receiverDone := make(chan error, 1)
	go func() { receiverDone <- receiver.Run(receiverCtx) }()
	<-receiver.Ready()
	addr, _ := receiver.Addrs()
	exporter, err := tracing.NewExporter(addr.String(), tracing.ExporterOptions{DrainTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	exporterCtx, stopExporter := context.WithCancel(ctx)
	exporterDone := make(chan error, 1)
	go func() { exporterDone <- exporter.Run(exporterCtx) }()

	sample, err := New(exporter.Export, Options{Rate: 500, Requests: 400, Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	sampleCtx, stopSample := context.WithCancel(ctx)
	sampleDone := make(chan error, 1)
	go func() { sampleDone <- sample.Run(sampleCtx) }()
	select {
	case <-sample.LoadDone():
	case <-ctx.Done():
		t.Fatalf("the load has not ended: %+v", sample.Tally())
	}
	// Each stage is drained before the next one ends.
	stopSample()
	fatal(t, <-sampleDone)
	stopExporter()
	fatal(t, <-exporterDone)
	stopReceiver()
	fatal(t, <-receiverDone)
	compare(ctx, t, store, sample.Tally())
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// compare asks for what the tally knows.
func compare(ctx context.Context, t *testing.T, store visibility.Store, tally Tally) {
	t.Helper()
	analytics, err := visibility.NewAnalytics(store, visibility.AnalyticsOptions{})
	fatal(t, err)
	counts := func(filter string, by ...visibility.Dimension) map[string]int64 {
		f, err := visibility.ParseFilter(filter)
		fatal(t, err)
		res, err := analytics.Query(ctx, visibility.Query{GroupBy: by, Filter: f, Limit: visibility.MaxLimit})
		fatal(t, err)
		m := map[string]int64{}
		for _, g := range res.Groups {
			m[fmt.Sprint(g.Values)] = g.Aggregate.Count
		}
		return m
	}
	services := counts("", visibility.Service)
	for name, n := range tally.Served {
		if got := services["["+name+"]"]; got != int64(n) {
			t.Errorf("%s: %d requests, the tally has %d", name, got, n)
		}
	}
	statuses := counts("source = '(external)'", visibility.Status)
	for status, n := range tally.ByStatus {
		if got := statuses[fmt.Sprintf("[%d]", status)]; got != int64(n) {
			t.Errorf("status %d: %d requests, the tally has %d", status, got, n)
		}
	}
	agents := counts("service = proxy-access-control", visibility.UserAgent)
	for agent, n := range tally.ByAgent {
		if got := agents["["+agent+"]"]; got != int64(n) {
			t.Errorf("%s: %d requests, the tally has %d", agent, got, n)
		}
	}
	graph, err := analytics.Graph(ctx, visibility.Range{}, nil)
	fatal(t, err)
	edges := map[string]int64{}
	for _, e := range graph.Edges {
		edges[fmt.Sprintf("%s→%s %v", e.Source, e.Destination, e.Mirrored)] = e.Aggregate.Count
	}
	for edge, n := range map[string]int{
		"(external)→proxy-access-control false": tally.Sent,
		"proxy-access-control→http-lb false":    tally.Sent,
		"proxy-access-control→snort-ids true":   tally.Served["snort-ids"],
		"snort-ids→proxy-access-control false":  tally.Served["proxy-access-control"] - tally.Sent,
		"http-lb→clover-server4 false":          tally.Served["clover-server4"],
	} {
		if edges[edge] != int64(n) {
			t.Errorf("edge %s: %d requests, the tally has %d; edges %v", edge, edges[edge], n, edges)
		}
	}
	if graph.Completeness.Open != 0 {
		t.Errorf("%d requests still open", graph.Completeness.Open)
	}
}
