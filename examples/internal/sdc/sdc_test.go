package sdc

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/tracing"
)

func TestMain(m *testing.M) { leak.Main(m) }

// TestEverySentRequestIsReported runs a bounded load and compares the spans
// with the sample's own tally.
func TestEverySentRequestIsReported(t *testing.T) {
	var mu sync.Mutex
	var spans []tracing.Span
	s, err := New(func(list ...tracing.Span) int {
		mu.Lock()
		defer mu.Unlock()
		spans = append(spans, list...)
		return len(list)
	}, Options{Rate: 400, Requests: 200, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-s.LoadDone():
	case <-ctx.Done():
		t.Fatalf("the load has not ended: %+v", s.Tally())
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	tally := s.Tally()
	if tally.Sent != 200 {
		t.Errorf("sent %d, want 200", tally.Sent)
	}
	served, clients := map[string]int{}, map[string]int{}
	byStatus := map[int]int{}
	for _, sp := range spans {
		if sp.Kind == tracing.KindServer {
			served[sp.Service]++
			if sp.ParentID.IsZero() {
				byStatus[sp.StatusCode]++
			}
		} else {
			clients[sp.Service]++
		}
	}
	for name, n := range tally.Served {
		if served[name] != n {
			t.Errorf("%s: %d server spans, %d requests served", name, served[name], n)
		}
	}
	for status, n := range tally.ByStatus {
		if byStatus[status] != n {
			t.Errorf("status %d: %d root spans, the client saw %d", status, byStatus[status], n)
		}
	}
	if want := 2*200 - tally.NotMirrored; clients["proxy-access-control"] != want {
		t.Errorf("%d client spans of the proxy, want %d", clients["proxy-access-control"], want)
	}
	if len(tally.ByStatus) < 4 || len(tally.ByPath) < 6 || len(tally.ByAgent) < 4 {
		t.Errorf("the load is not varied: %+v", tally)
	}
	if served["http-lb"] != 200 || served["clover-server4"] == 0 || served["clover-server1"] == 0 {
		t.Errorf("the chain is not complete: %v", served)
	}
}
