package visibilityredis

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/redistest"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/storetest"
)

const wait = 30 * time.Second

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a store, a collector without sources, and a Syncer that runs.
type world struct {
	*testing.T
	store     *storetest.Memory
	collector *visibility.Collector
	syncer    *Syncer
	client    redis.UniversalClient
	figures   Figures // nil: the store's
	stop      func()
}

func newWorld(t *testing.T, a Address) *world {
	t.Helper()
	w := &world{T: t, store: storetest.NewReference(storetest.Options{})}
	var err error
	w.collector, err = visibility.NewCollector(w.store, visibility.CollectorOptions{})
	check(t, err)
	w.client, _, err = Open(a)
	check(t, err)
	t.Cleanup(func() { _ = w.client.Close() })
	w.start()
	return w
}

// start runs a new Syncer until stop.
func (w *world) start() {
	w.Helper()
	var err error
	w.syncer, err = New(w.client, w.store, w.collector, Options{Refresh: 20 * time.Millisecond, Figures: w.figures})
	check(w.T, err)
	w.syncer.rewrite = time.Hour // what is as before stays as it is while tests look
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func(s *Syncer) { done <- s.Run(ctx) }(w.syncer)
	ended := false
	w.stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			w.Errorf("Run ended with %v", err)
		}
	}
	w.Cleanup(w.stop)
}

func (w *world) update(u visibility.ConfigUpdate) {
	w.Helper()
	if _, err := w.collector.Update(w.Context(), u); err != nil {
		w.Fatal(err)
	}
}

// refreshed waits for a refresh that began after now, and returns the status.
func (w *world) refreshed() (st visibility.SourceStatus) {
	w.Helper()
	pulls := w.syncer.Status().Pulls + 2
	testutil.Eventually(w.T, wait, func() (bool, string) {
		st = w.syncer.Status()
		return st.Pulls >= pulls, fmt.Sprintf("%+v", st)
	})
	return st
}

// inStep waits until nothing is wrong.
func (w *world) inStep() {
	w.Helper()
	w.state("")
}

// state waits until the status tells an error with some words.
func (w *world) state(words ...string) {
	w.Helper()
	w.refreshed()
	testutil.Eventually(w.T, wait, func() (bool, string) {
		st := w.syncer.Status()
		ok := (st.Error == "") == (words[0] == "") && st.State != visibility.StateStarting
		for _, word := range words {
			ok = ok && strings.Contains(st.Error, word)
		}
		return ok, fmt.Sprintf("%s: %s; want %q", st.State, st.Error, words)
	})
}

// refused waits until a refresh fails with some words. On a busy machine one
// may run out of time before it is refused.
func (s *Syncer) refused(t *testing.T, words ...string) {
	t.Helper()
	testutil.Eventually(t, wait, func() (bool, string) {
		_, _, err := s.refresh(t.Context())
		if err == nil {
			t.Fatalf("it is not refused; want %q", words)
		}
		ok := true
		for _, word := range words {
			ok = ok && strings.Contains(err.Error(), word)
		}
		return ok, fmt.Sprintf("%v; want %q", err, words)
	})
}

// traffic writes n traces of three spans and tallies them as users count.
func (w *world) traffic(seed, n int) redistest.Tally {
	w.Helper()
	batch, tallied := redistest.Generate(seed, n, time.Now().Add(-time.Minute))
	if _, err := w.store.Write(w.Context(), batch); err != nil {
		w.Fatal(err)
	}
	return tallied
}

// inRedis fails the test if a key of results is not what was generated.
func inRedis(t *testing.T, r *testutil.RedisServer, y redistest.Tally) {
	t.Helper()
	if d := y.Differ(redistest.Read(r)); d != "" {
		t.Error(d)
	}
}
