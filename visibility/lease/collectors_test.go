package lease

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/storetest"
)

// traffic is a source of which it is known what it has: each service has a
// span every period from the start to the end, and shows it after a delay.
// Every tenth is later, by up to mostLate.
type traffic struct {
	services           int
	start, end         time.Time
	period, delay, lag time.Duration // lag is how long a call takes
}

func (s *traffic) name(i int) string { return fmt.Sprintf("service-%d", i) }

// each is the number of spans of a service.
func (s *traffic) each() int { return int((s.end.Sub(s.start) + s.period - 1) / s.period) }

// mostLate is less than an age at which collectors read again, 2 min.
const mostLate = 110 * time.Second

// lateness is after what time a span is shown.
func (s *traffic) lateness(k int) time.Duration {
	if k%10 != 0 {
		return s.delay
	}
	return s.delay + time.Duration(k)*37*time.Second%mostLate
}

// Services implements visibility.TraceSource.
func (s *traffic) Services(context.Context) (names []string, err error) {
	for i := range s.services {
		names = append(names, s.name(i))
	}
	return names, nil
}

// Fetch implements visibility.TraceSource.
func (s *traffic) Fetch(ctx context.Context, service string, r visibility.Range, yield func([]tracing.Span) error) ([]visibility.SourceLoss, error) {
	var number int
	if _, err := fmt.Sscanf(service, "service-%d", &number); err != nil {
		return nil, err
	}
	now := time.Now()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(s.lag):
	}
	var spans []tracing.Span
	for k := range s.each() {
		at := s.start.Add(time.Duration(k) * s.period)
		if at.Before(r.From) || !at.Before(r.To) || now.Sub(at) < s.lateness(k) {
			continue
		}
		span := tracing.Span{Service: service, Kind: tracing.KindServer, Start: at, Duration: time.Millisecond}
		binary.BigEndian.PutUint64(span.TraceID[:], uint64(number+1))
		binary.BigEndian.PutUint64(span.TraceID[8:], uint64(k+1))
		span.SpanID[7] = 1
		spans = append(spans, span)
	}
	return nil, yield(spans)
}

// process is what a collector has of the store until it is killed: then
// nothing of it reaches the store, and nothing comes back.
type process struct {
	*storetest.Memory
	dead *atomic.Bool
	lag  time.Duration
}

func (p process) alive() error {
	time.Sleep(p.lag)
	if p.dead.Load() {
		return visibility.ErrUnavailable
	}
	return nil
}

// Write may land before the process learns of it, and dies.
func (p process) Write(ctx context.Context, b *visibility.Batch) (visibility.Receipt, error) {
	if err := p.alive(); err != nil {
		return visibility.Receipt{}, err
	}
	receipt, err := p.Memory.Write(ctx, b)
	if dead := p.alive(); dead != nil {
		return visibility.Receipt{}, dead
	}
	return receipt, err
}

func (p process) State(ctx context.Context, name string) ([]byte, error) {
	if err := p.alive(); err != nil {
		return nil, err
	}
	return p.Memory.State(ctx, name)
}

func (p process) SwapState(ctx context.Context, name string, old, value []byte) (bool, error) {
	if err := p.alive(); err != nil {
		return false, err
	}
	return p.Memory.SwapState(ctx, name, old, value)
}

func (p process) Ledger(ctx context.Context) ([]visibility.LedgerEntry, error) {
	if err := p.alive(); err != nil {
		return nil, err
	}
	return p.Memory.Ledger(ctx)
}

// run runs a collector as a process of its own and returns how to kill it and
// how to end it.
func run(t *testing.T, store *storetest.Memory, id string, src visibility.TraceSource) (c *visibility.Collector, kill, stop func()) {
	t.Helper()
	p := process{store, &atomic.Bool{}, 2 * time.Millisecond}
	g, err := New(p, Options{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	c, err = visibility.NewCollector(p, visibility.CollectorOptions{
		ID: id, Share: g, Traces: map[string]visibility.TraceSource{"mesh": src}, RecentSpans: 1000, Config: visibility.Config{SampleInterval: visibility.Interval(time.Second)},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- g.Run(ctx) }()
	go func() { done <- c.Run(ctx) }()
	stop = func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	return c, func() { p.dead.Store(true); stop() }, stop
}

// TestKilledCollectorsLoseNothing kills collectors at random while others go
// on. Time is virtual.
func TestKilledCollectorsLoseNothing(t *testing.T) {
	for seed := range uint64(1) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { killCollectors(t, rand.New(rand.NewPCG(seed, 9))) })
		})
	}
}

func killCollectors(t *testing.T, rng *rand.Rand) {
	store := storetest.NewReference(storetest.Options{})
	src := &traffic{services: 9, start: time.Now(), end: time.Now().Add(150 * time.Second), period: time.Second, delay: time.Second, lag: 30 * time.Millisecond}
	kills, stops := make([]func(), 3), make([]func(), 3)
	for i := range 3 {
		_, kills[i], stops[i] = run(t, store, fmt.Sprintf("collector-%d", i), src)
	}
	time.Sleep(10 * time.Second)
	for round := range 3 {
		victim := rng.IntN(3)
		time.Sleep(time.Duration(rng.Int64N(int64(20 * time.Second))))
		at := time.Now()
		kills[victim]()
		readAgain(t, store, src, at)
		_, kills[victim], stops[victim] = run(t, store, fmt.Sprintf("collector-%d-%d", victim, round), src)
		if rng.IntN(2) == 0 { // with the others' views in between
			continue
		}
		time.Sleep(10 * time.Second)
	}
	time.Sleep(time.Until(src.end) + mostLate + time.Minute) // 2 min and what reading again may be behind
	for _, stop := range stops {
		stop()
	}
	tally(t, store, src)
}

// readAgain waits until each service has been read after a time: another has
// taken over by then, see Options.Expire, and has had the time for a pull.
func readAgain(t *testing.T, store *storetest.Memory, src *traffic, since time.Time) {
	t.Helper()
	const limit = 10*time.Second + time.Second
	for {
		entries, err := store.Ledger(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		read := 0
		for _, e := range entries {
			if e.Watermark.After(since) {
				read++
			}
		}
		if read == src.services {
			return
		}
		if time.Since(since) > limit {
			t.Fatalf("%v after a collector died, %d of %d services are read", limit, read, src.services)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// tally compares what is stored with what was there.
func tally(t *testing.T, store *storetest.Memory, src *traffic) {
	t.Helper()
	counts := map[string]int64{}
	everything := visibility.Range{From: src.start.Add(-time.Hour), To: src.end.Add(time.Hour)}
	_, err := store.Rollups(t.Context(), everything, 0, func(r *visibility.Rollup) error {
		counts[r.Key[visibility.Service]] += r.Aggregate.Count
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range src.services {
		if got, want := counts[src.name(i)], int64(src.each()); got != want {
			t.Errorf("%s: %d spans are counted, %d were there", src.name(i), got, want)
		}
	}
	entries, err := store.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var seen, kept, duplicate int64
	for i := range entries {
		seen, kept, duplicate = seen+entries[i].Seen, kept+entries[i].Kept, duplicate+entries[i].Duplicate
		if n := entries[i].Balance(); n != 0 {
			t.Errorf("%s: %d spans have no fate", entries[i].Service, n)
		}
	}
	if want := int64(src.services * src.each()); kept != want {
		t.Errorf("%d spans are kept, %d were there", kept, want)
	}
	t.Logf("%d spans seen, %d kept, %d duplicates", seen, kept, duplicate)
}

// TestEachServiceIsReadByOne holds that work is divided, and that a change of
// the configuration reaches the others.
func TestEachServiceIsReadByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewReference(storetest.Options{})
		src := &traffic{services: 30, start: time.Now(), end: time.Now().Add(time.Minute), period: time.Second, lag: time.Millisecond}
		var collectors []*visibility.Collector
		var stops []func()
		for i := range 3 {
			c, _, stop := run(t, store, fmt.Sprintf("collector-%d", i), src)
			collectors, stops = append(collectors, c), append(stops, stop)
		}
		time.Sleep(15 * time.Second)
		readers := map[string]int{}
		for _, c := range collectors {
			services := c.Status().Sources[0].Services
			if len(services) == 0 || len(services) == src.services {
				t.Errorf("%s reads %d services", c.ID(), len(services))
			}
			for _, s := range services {
				readers[s.Service]++
			}
		}
		for service, n := range readers {
			if n != 1 {
				t.Errorf("%s is read by %d", service, n)
			}
		}
		if len(readers) != src.services {
			t.Errorf("%d services are read", len(readers))
		}
		if _, err := collectors[0].Update(t.Context(), visibility.ConfigUpdate{Services: []string{"service-1"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := collectors[1].Update(t.Context(), visibility.ConfigUpdate{CustomMetrics: []string{"m"}}); err != nil {
			t.Fatal(err)
		}
		if err := collectors[2].Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		for _, c := range collectors {
			if config := c.Config(); len(config.Services) != 1 || len(config.CustomMetrics) != 1 || !c.Paused() {
				t.Errorf("%s has %+v, paused %v", c.ID(), config, c.Paused())
			}
		}
		for _, stop := range stops {
			stop()
		}
	})
}
