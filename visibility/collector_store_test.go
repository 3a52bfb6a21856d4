package visibility_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

func TestCollectorLosesNothingWhenTheStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *visibility.CollectorOptions) { o.BatchSpans = 4 })
		now := time.Now()
		for i := range byte(40) {
			b.source.add(i, 1, "a", now, now, time.Second)
			b.source.add(i, 2, "b", now, now, time.Second)
		}
		n := 0
		b.store.before = func(context.Context, *visibility.Batch) error { // every third write works
			if n++; n%3 != 0 {
				return visibility.ErrUnavailable
			}
			return nil
		}
		b.run()
		if st := b.status(); st.State != visibility.StateBackingOff || !strings.Contains(st.Error, "store: unavailable") {
			t.Errorf("status %+v", st)
		}
		if entries, _ := b.store.Ledger(t.Context()); len(entries) > 0 && !entries[0].Watermark.IsZero() {
			t.Errorf("a watermark is ahead of its spans: %+v", entries)
		}
		b.after(20 * time.Minute)
		b.store.failWith(nil)
		b.after(31 * time.Second)
		b.wantSpans(80)
		b.store.mustBalance(t)
	})
}

func TestCollectorEndsWhileTheStoreBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		now := time.Now()
		b.source.add(1, 1, "a", now, now, time.Second)
		b.store.before = func(ctx context.Context, _ *visibility.Batch) error {
			<-ctx.Done()
			return ctx.Err()
		}
		b.run()
		b.after(10 * time.Minute) // the source's time limit does not count here
		if st := b.status(); st.State != visibility.StateStarting {
			t.Errorf("status %+v", st)
		}
		b.stop()
	})
}

func TestCollectorForgetsServicesThatTheSourceDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		now := time.Now()
		b.source.add(1, 1, "gone", now, now, time.Second)
		b.run()
		b.source.set(func(f *fakeSource) { f.spans, f.reads = nil, nil })
		b.after(time.Hour)
		st := b.status()
		if len(b.source.reads) != 0 || st.Lag > 2*time.Second || len(st.Services) != 1 || st.Services[0].Listed {
			t.Errorf("reads %v, status %+v", b.source.reads, st)
		}
	})
}

func TestCollectorDoesNotBelieveAnEmptyListAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		begin := time.Now()
		b.source.add(1, 1, "a", begin.Add(-time.Second), begin, time.Second)
		b.run()
		b.source.set(func(f *fakeSource) { f.err = errDown })
		b.source.add(2, 1, "a", begin.Add(time.Minute), begin, time.Second)
		b.after(time.Hour)
		// Jaeger is back, but has not read its index of services yet.
		b.source.set(func(f *fakeSource) { f.err, f.services = nil, []string{} })
		b.after(time.Minute)
		b.wantSpans(2)
	})
}

func TestCollectorReadsServicesInParallelWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *visibility.CollectorOptions) { o.Parallel = 3 })
		for i := range 10 {
			b.source.services = append(b.source.services, string(rune('a'+i)))
		}
		running, most := 0, 0
		b.source.onFetch = func(string) {
			b.source.set(func(*fakeSource) { running++; most = max(most, running) })
			time.Sleep(10 * time.Millisecond)
			b.source.set(func(*fakeSource) { running-- })
		}
		b.run()
		b.after(500 * time.Millisecond)
		if most != 3 {
			t.Errorf("%d fetches at once, want 3", most)
		}
	})
}

func TestHubSeesEachSpanOfACollectorOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &visibility.Hub{}
		b := newBench(t, func(o *visibility.CollectorOptions) { o.Hub = hub })
		live := hub.Subscribe(t.Context(), nil, 100)
		now := time.Now()
		for i := range byte(10) {
			b.source.add(i, 1, "a", now, now, time.Second)
		}
		b.run()
		b.after(10 * time.Second)
		seen := map[tracing.Identity]int{}
		for len(live) > 0 {
			s := <-live
			seen[s.Span.Identity()]++
		}
		if len(seen) != 10 {
			t.Errorf("saw %v", seen)
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%v was seen %d times", id, n)
			}
		}
	})
}
