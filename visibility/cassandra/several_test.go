package cassandra

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// testTwoStarters opens two stores at once where there is no keyspace yet.
func (c *cluster) testTwoStarters(t *testing.T) {
	var starting sync.WaitGroup
	stores := make([]*Store, 2)
	for i, name := range []string{"one", "two"} {
		starting.Go(func() {
			o := c.opts
			o.Writer = name
			s, err := Open(t.Context(), o)
			// A busy server may take too long to make a table.
			for end := time.Now().Add(5 * time.Minute); errors.Is(err, visibility.ErrUnavailable) && time.Now().Before(end); {
				s, err = Open(t.Context(), o)
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			stores[i] = s
		})
	}
	starting.Wait()
	at := everything.From.Add(time.Hour)
	for i, s := range stores {
		if s == nil {
			t.FailNow()
		}
		writeUntil(t, s, hop(i, at), func() {})
	}
	c.wantTally(t, stores[0], 2)
	for i, s := range stores {
		if i == 0 { // the suite is for one writer
			if err := s.session.Query("TRUNCATE writers").ExecContext(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// testSeveralWriters lets three collectors write at once: each trace's sides
// come to different ones, and some spans come again to another. When all have
// settled, each request counts once.
func (c *cluster) testSeveralWriters(t *testing.T) {
	const hops, writers = 120, 3
	c.empty(t, c.opts)
	stores := make([]*Store, writers)
	for i := range stores {
		o := c.opts
		o.Writer = string(rune('a' + i))
		stores[i] = c.open(t, o)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	at := everything.From.Add(time.Hour)
	deliveries := make([][]tracing.Span, writers)
	for n := range hops {
		for _, s := range hop(n, at) {
			w := rng.IntN(writers)
			deliveries[w] = append(deliveries[w], s)
		}
	}
	var writing sync.WaitGroup
	for i, spans := range deliveries {
		writing.Go(func() {
			for len(spans) > 0 {
				n := min(20, len(spans))
				deliver(t, stores[i], spans[:n])
				spans = spans[n:]
			}
		})
	}
	writing.Wait()
	for i, s := range stores { // again, to another collector
		if _, r := writeUntil(t, s, deliveries[(i+1)%writers], func() {}); r.Kept != 0 {
			t.Errorf("written again: %+v", r)
		}
	}
	for _, s := range stores {
		if err := s.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range stores {
		c.wantTally(t, s, hops)
	}
	if err := stores[0].Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	writeUntil(t, stores[1], hop(0, at), func() {})
	c.wantTally(t, stores[2], 1)
}

// testSkewedClocks lets two collectors write whose clocks are minutes apart.
// The sides of each request come to different ones, some of them to both.
// Settling, packing and retention go by the clock of each.
func (c *cluster) testSkewedClocks(t *testing.T) {
	const hops = 30
	c.empty(t, c.opts)
	stores := make([]*Store, 2)
	for i, skew := range []time.Duration{-9 * time.Minute, 9 * time.Minute} {
		o := c.opts
		o.Writer = string(rune('a' + i))
		o.Clock = func() time.Time { return time.Now().Add(skew) }
		stores[i] = c.open(t, o)
	}
	at := everything.From.Add(time.Hour)
	for n := range hops {
		sides := hop(n, at)
		deliver(t, stores[n%2], sides[:1])
		deliver(t, stores[(n+1)%2], sides[n%3/2:]) // of some both sides: one comes again
		if n%10 != 9 {
			continue
		}
		for _, s := range stores {
			background := func(_ context.Context, cm *committer) error { cm.background(); return nil }
			if err := errors.Join(s.do(t.Context(), background), s.pack(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, s := range stores {
		if err := errors.Join(s.Settle(t.Context()), s.Retain(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range append(stores, c.open(t, c.opts)) {
		c.wantTraces(t, s, hops)
	}
}
