package cassandra

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// several opens stores of the names in the suite's keyspace, which is empty.
func (c *cluster) several(t *testing.T, names ...string) []*Store {
	t.Helper()
	c.empty(t, c.opts)
	stores := make([]*Store, len(names))
	for i, name := range names {
		o := c.opts
		o.Writer = name
		stores[i] = c.open(t, o)
	}
	return stores
}

// deliver writes spans until they are acknowledged. It may be called by any
// goroutine.
func deliver(t *testing.T, s *Store, spans []tracing.Span) {
	for t.Context().Err() == nil {
		_, err := s.Write(t.Context(), &visibility.Batch{Source: "test", Spans: spans})
		if err == nil {
			return
		}
		if !errors.Is(err, visibility.ErrUnavailable) {
			t.Errorf("%s: write: %v", s.opts.Writer, err)
			return
		}
	}
}

// wantTraces holds that n hops count once, and their traces.
func (c *cluster) wantTraces(t *testing.T, s *Store, n int) {
	t.Helper()
	c.wantTally(t, s, n)
	if st, err := s.Stats(t.Context()); err != nil || st.Traces != int64(n) {
		t.Errorf("%d traces, %v; want %d", st.Traces, err, n)
	}
}

// testSameSpans lets three collectors write the same spans at the same moment,
// again and again. Each counts once, whoever was first.
func (c *cluster) testSameSpans(t *testing.T) {
	const rounds, each = 12, 4
	stores := c.several(t, "a", "b", "c")
	at := everything.From.Add(time.Hour)
	for round := range rounds {
		var spans []tracing.Span
		for i := range each {
			spans = append(spans, hop(round*each+i, at)...)
		}
		var writing sync.WaitGroup
		together := make(chan struct{})
		for _, s := range stores {
			writing.Go(func() {
				<-together
				deliver(t, s, spans)
			})
		}
		close(together)
		writing.Wait()
	}
	for _, s := range stores {
		c.wantTraces(t, s, rounds*each)
	}
}

// testStoppedBeforeCommit stops a collector when all that it writes is there
// but for the commit. Another, whose name comes before its own or after, is
// given the same spans meanwhile. When the first goes on, it finds them there.
func (c *cluster) testStoppedBeforeCommit(t *testing.T) {
	stores := c.several(t, "a", "b")
	at := everything.From.Add(time.Hour)
	for i := range stores {
		stopped, other, spans := stores[i], stores[1-i], hop(i, at)
		stopped.reading.RLock() // which the committer waits for before it goes on
		var writing sync.WaitGroup
		writing.Go(func() { deliver(t, stopped, spans) })
		testutil.Eventually(t, time.Minute, func() (bool, string) {
			// A reader is not let in before a writer that waits.
			waits := !stopped.reading.TryRLock()
			if !waits {
				stopped.reading.RUnlock()
			}
			return waits, "the first does not come to its commit"
		})
		r, err := other.Write(t.Context(), &visibility.Batch{Source: "test", Spans: spans})
		if err != nil || r.Kept != len(spans) {
			t.Errorf("%s, while the other is stopped: %+v, %v", other.opts.Writer, r, err)
		}
		stopped.reading.RUnlock()
		writing.Wait()
	}
	for _, s := range stores {
		c.wantTraces(t, s, len(stores))
	}
}
