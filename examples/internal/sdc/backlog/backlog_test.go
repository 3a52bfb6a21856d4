package backlog_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/opnfv/clover/examples/internal/sdc/backlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestNothingIsLostUncounted hands over more than fits while nobody works,
// and ends: what waited is done, the rest was counted.
func TestNothingIsLostUncounted(t *testing.T) {
	var done atomic.Uint64
	b := backlog.New(backlog.Options{Size: 10, Workers: 3, Grace: time.Minute}, func(context.Context, int) { done.Add(1) })
	for i := range 25 {
		b.Offer(i)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if done.Load() != 10 || b.Dropped() != 15 {
		t.Errorf("done %d, dropped %d, want 10 and 15", done.Load(), b.Dropped())
	}
}

// TestTheEndIsBounded ends while the work hangs.
func TestTheEndIsBounded(t *testing.T) {
	const items, workers = 8, 2
	begun := make(chan struct{}, items)
	b := backlog.New(backlog.Options{Size: 10, Workers: workers, Grace: 10 * time.Millisecond}, func(ctx context.Context, _ int) {
		begun <- struct{}{}
		<-ctx.Done()
	})
	for i := range items {
		b.Offer(i)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	for range workers {
		<-begun
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if b.Dropped() != items-workers {
		t.Errorf("dropped %d, want the %d that no worker had", b.Dropped(), items-workers)
	}
}
