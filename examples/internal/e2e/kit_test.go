package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/internal/node"
	"github.com/opnfv/clover/examples/internal/sdc"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/tracing"
)

func TestMain(m *testing.M) { leak.Main(m) }

// clover runs a node until the test ends and returns a client of its API.
func clover(t *testing.T, o node.Options) v1.VisibilityServiceClient {
	t.Helper()
	ready := make(chan node.Addrs, 1)
	o.DataDir = t.TempDir()
	o.GRPCAddr, o.RESTAddr, o.OTLPGRPC, o.OTLPHTTP = "127.0.0.1:0", "-", "-", "-"
	o.OnReady = func(a node.Addrs) { ready <- a }
	o.Logger = testutil.Logger(t)
	n, err := node.New(o)
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	var addrs node.Addrs
	select {
	case addrs = <-ready:
	case err := <-done:
		stop()
		t.Fatalf("clover ended: %v", err)
	}
	conn, err := grpc.NewClient(addrs.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	t.Cleanup(func() {
		check(t, conn.Close())
		stop()
		check(t, <-done)
	})
	return v1.NewVisibilityServiceClient(conn)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// counts asks for counts by the given dimensions, keyed by their values as
// fmt prints them.
func counts(t *testing.T, c v1.VisibilityServiceClient, filter string, by ...string) map[string]int64 {
	t.Helper()
	res, err := c.GetStats(t.Context(), &v1.GetStatsRequest{GroupBy: by, Filter: filter, Limit: 1000})
	check(t, err)
	m := map[string]int64{}
	for _, g := range res.GetGroups() {
		m[fmt.Sprint(g.GetValues())] = g.GetStats().GetCount()
	}
	return m
}

// sdcLoad sends a bounded load through the sample mesh, its spans to an OTLP
// address, and returns the sample's own tally when all have been sent.
func sdcLoad(t *testing.T, otlp string, requests int, seed uint64) sdc.Tally {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	exporter, err := tracing.NewExporter(otlp, tracing.ExporterOptions{DrainTimeout: time.Minute})
	check(t, err)
	sample, err := sdc.New(exporter.Export, sdc.Options{Rate: 300, Requests: requests, Seed: seed})
	check(t, err)
	exporterCtx, stopExporter := context.WithCancel(ctx)
	defer stopExporter()
	exported := make(chan error, 1)
	go func() { exported <- exporter.Run(exporterCtx) }()
	sampleCtx, stopSample := context.WithCancel(ctx)
	defer stopSample()
	sampled := make(chan error, 1)
	go func() { sampled <- sample.Run(sampleCtx) }()
	select {
	case <-sample.LoadDone():
	case <-ctx.Done():
		t.Fatalf("the load has not ended: %+v", sample.Tally())
	}
	stopSample()
	check(t, <-sampled)
	stopExporter()
	check(t, <-exported)
	if lost := exporter.Stats().Dropped; len(lost) > 0 {
		t.Fatalf("the exporter dropped spans: %v", lost)
	}
	return sample.Tally()
}

// add sums two tallies.
func add(a, b sdc.Tally) sdc.Tally {
	sum := sdc.Tally{Sent: a.Sent + b.Sent, ByStatus: map[int]int{}, Served: map[string]int{}, ByAgent: map[string]int{}}
	for _, t := range []sdc.Tally{a, b} {
		for k, n := range t.ByStatus {
			sum.ByStatus[k] += n
		}
		for k, n := range t.Served {
			sum.Served[k] += n
		}
		for k, n := range t.ByAgent {
			sum.ByAgent[k] += n
		}
	}
	return sum
}

// waitForTally waits until Clover's counts equal the tally. A count above it
// fails at once: nothing may be counted twice.
func waitForTally(t *testing.T, c v1.VisibilityServiceClient, tally sdc.Tally) {
	t.Helper()
	testutil.Eventually(t, time.Minute, func() (bool, string) {
		services := counts(t, c, "", "service")
		equal := true
		for name, n := range tally.Served {
			got := services["["+name+"]"]
			if got > int64(n) {
				t.Fatalf("%s: %d requests counted, %d were served", name, got, n)
			}
			equal = equal && got == int64(n)
		}
		return equal, fmt.Sprintf("counted %v, the tally is %v", services, tally.Served)
	})
	for status, n := range tally.ByStatus {
		if got := counts(t, c, fmt.Sprintf("source = '(external)' and status = %d", status), "status")[fmt.Sprintf("[%d]", status)]; got != int64(n) {
			t.Errorf("status %d: counted %d, sent %d", status, got, n)
		}
	}
	agents := counts(t, c, "service = proxy-access-control", "user_agent")
	for agent, n := range tally.ByAgent {
		if got := agents["["+agent+"]"]; got != int64(n) {
			t.Errorf("agent %s: counted %d, sent %d", agent, got, n)
		}
	}
	ledger, err := c.GetLedger(t.Context(), &v1.GetLedgerRequest{})
	check(t, err)
	for _, e := range ledger.GetEntries() {
		if e.GetBalance() != 0 {
			t.Errorf("the ledger of %s %s does not balance: %v", e.GetSource(), e.GetService(), e)
		}
	}
}
