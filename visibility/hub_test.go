package visibility_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

func numbered(from, n int) []tracing.Span {
	spans := make([]tracing.Span, n)
	for i := range spans {
		spans[i].RequestSize = int64(from + i)
		spans[i].Service = "a"
	}
	return spans
}

func TestHubTellsASlowSubscriberWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hub visibility.Hub
		ctx, cancel := context.WithCancel(t.Context())
		slow := hub.Subscribe(ctx, nil, 3)
		fast := hub.Subscribe(ctx, nil, 100)
		hub.Publish(numbered(0, 10))
		for i := range 3 {
			if got := <-slow; got.Span.RequestSize != int64(i) || got.Missed != 0 {
				t.Errorf("element %d: %+v", i, got)
			}
		}
		hub.Publish(numbered(10, 2))
		if got := <-slow; got.Span.RequestSize != 10 || got.Missed != 7 {
			t.Errorf("after a gap of 7: span %d, missed %d", got.Span.RequestSize, got.Missed)
		}
		if got := <-slow; got.Span.RequestSize != 11 || got.Missed != 0 {
			t.Errorf("after that: span %d, missed %d", got.Span.RequestSize, got.Missed)
		}
		if st := hub.Stats(); st.Subscribers != 2 || st.Published != 12 || st.Dropped != 7 {
			t.Errorf("stats %+v", st)
		}
		cancel()
		synctest.Wait()
		n := 0
		for range fast { // closed, after what was waiting
			n++
		}
		if n != 12 || hub.Stats().Subscribers != 0 {
			t.Errorf("the fast one saw %d of 12; stats %+v", n, hub.Stats())
		}
		hub.Publish(numbered(0, 1)) // nobody there
		var none *visibility.Hub
		none.Publish(numbered(0, 1))
		if none.Stats() != (visibility.HubStats{}) {
			t.Error("a nil hub has figures")
		}
	})
}

func TestHubEndsWhileOthersPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hub visibility.Hub
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i := range 200 {
					hub.Publish(numbered(i, 3))
				}
			})
			wg.Go(func() {
				for range 50 {
					ctx, cancel := context.WithCancel(t.Context())
					live := hub.Subscribe(ctx, nil, 1)
					cancel()
					for range live { // ends, since the channel is closed
					}
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		if n := hub.Stats().Subscribers; n != 0 {
			t.Errorf("%d subscribers are left", n)
		}
	})
}

func BenchmarkHubWithoutSubscribers(b *testing.B) {
	var hub visibility.Hub
	spans := numbered(0, 1000)
	b.ReportAllocs()
	for b.Loop() {
		hub.Publish(spans)
	}
}
