package embedded

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := crashWriter(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	leak.Main(m)
}

// epoch is when the tests' spans start.
var epoch = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// openAt opens a store whose clock stands a minute after epoch.
func openAt(t *testing.T, dir string, opts Options) *Store {
	t.Helper()
	if opts.Clock == nil {
		opts.Clock = func() time.Time { return epoch.Add(time.Minute) }
	}
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func write(t *testing.T, s *Store, spans ...tracing.Span) visibility.Receipt {
	t.Helper()
	r, err := s.Write(context.Background(), &visibility.Batch{Source: "test", Spans: spans})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// totalsOf sums what the store counts as requests and as spans.
func totalsOf(t *testing.T, s *Store) (requests, spans visibility.Aggregate) {
	t.Helper()
	all := visibility.Range{From: epoch.Add(-24 * time.Hour), To: epoch.Add(time.Hour)}
	_, err := s.Rollups(context.Background(), all, 0, func(r *visibility.Rollup) error {
		spans.Merge(r.Aggregate)
		if r.Role.Counts(visibility.CountRequests) {
			requests.Merge(r.Aggregate)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return requests, spans
}

func TestASpanComesBackAsItWas(t *testing.T) {
	s := openAt(t, t.TempDir(), Options{})
	want := meshTrace(rand.New(rand.NewPCG(1, 1)), epoch)
	want[2].StatusMessage = "upstream reset"
	want[2].Events = []tracing.Event{{Time: epoch.Add(time.Millisecond), Name: "retry", Attributes: []tracing.Attribute{{Key: "n", Value: "1", Type: tracing.TypeInt}}}}
	want[2].Links = []tracing.Link{{TraceID: tracing.TraceID{1}, SpanID: tracing.SpanID{2}}}
	want[3].Peer = "[::1]:8080"
	want[3].RequestID = "not-a-uuid"
	want[4].Resource = []tracing.Attribute{{Key: "k8s.pod.name", Value: "http-lb-0"}}
	write(t, s, want...)
	got, err := s.Trace(context.Background(), want[0].TraceID)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d spans, want %d", len(got), len(want))
	}
	for i := range want {
		want[i].Start = want[i].Start.UTC()
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("span %d:\n got %+v\nwant %+v", i, got[i], want[i])
		}
	}
}

func TestAWideSpanComesBackWhenItsRowIsFolded(t *testing.T) {
	s := openAt(t, t.TempDir(), Options{Limits: Limits{Values: 3, AttributeSets: 1}})
	rng := rand.New(rand.NewPCG(7, 7))
	var traces [][]tracing.Span
	for range 20 {
		trace := meshTrace(rng, epoch)
		traces = append(traces, trace)
		write(t, s, trace...)
	}
	for _, want := range traces {
		got, err := s.Trace(context.Background(), want[0].TraceID)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got[i].URL != want[i].URL || got[i].Service != want[i].Service || got[i].StatusCode != want[i].StatusCode {
				t.Errorf("got %s %s %d, want %s %s %d", got[i].Service, got[i].URL, got[i].StatusCode,
					want[i].Service, want[i].URL, want[i].StatusCode)
			}
		}
	}
	requests, spans := totalsOf(t, s)
	if requests.Count != 60 || spans.Count != 100 {
		t.Errorf("counted %d requests and %d spans, want 60 and 100", requests.Count, spans.Count)
	}
	cov, err := s.Rollups(context.Background(), visibility.Range{From: epoch, To: epoch.Add(time.Minute)}, 0,
		func(*visibility.Rollup) error { return nil })
	if err != nil || cov.Overflow == 0 {
		t.Errorf("overflow %d, err %v: want some", cov.Overflow, err)
	}
}

func TestSpansSurviveReopening(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir, Options{})
	trace := meshTrace(rand.New(rand.NewPCG(2, 2)), epoch)
	write(t, s, trace[0], trace[1], trace[3]) // both clients wait for their servers
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, dir, Options{})
	if requests, _ := totalsOf(t, s); requests.Count != 3 {
		t.Errorf("%d requests before the servers came, want 3", requests.Count)
	}
	r := write(t, s, trace...)
	if r.Kept != 2 || r.Duplicates != 3 {
		t.Errorf("kept %d, duplicates %d; want 2 and 3", r.Kept, r.Duplicates)
	}
	requests, spans := totalsOf(t, s)
	if requests.Count != 3 || spans.Count != 5 {
		t.Errorf("counted %d requests and %d spans, want 3 and 5", requests.Count, spans.Count)
	}
	if requests.Inexact {
		t.Error("inexact although nothing had settled")
	}
}

func TestALateSideMovesTheCount(t *testing.T) {
	s := openAt(t, t.TempDir(), Options{})
	trace := meshTrace(rand.New(rand.NewPCG(3, 3)), epoch)
	write(t, s, trace[0], trace[1])
	if err := s.Settle(); err != nil {
		t.Fatal(err)
	}
	write(t, s, trace[2:]...)
	requests, spans := totalsOf(t, s)
	if requests.Count != 3 || spans.Count != 5 {
		t.Errorf("counted %d requests and %d spans, want 3 and 5", requests.Count, spans.Count)
	}
	var sum time.Duration
	for _, i := range []int{0, 2, 4} {
		sum += trace[i].Duration
	}
	if requests.Sum != sum {
		t.Errorf("sum %v, want %v", requests.Sum, sum)
	}
	cov, err := s.Rollups(context.Background(), visibility.Range{From: epoch, To: epoch.Add(time.Minute)}, 0,
		func(*visibility.Rollup) error { return nil })
	if err != nil || cov.Late != 1 {
		t.Errorf("late %d, err %v; want 1", cov.Late, err)
	}
}

func TestASecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	openAt(t, dir, Options{})
	if _, err := Open(dir, Options{}); !errors.Is(err, visibility.ErrLocked) {
		t.Fatalf("second open: %v, want ErrLocked", err)
	}
}

func TestALaterFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	for _, content := range []string{"clover visibility store 2\n", "something else\n", ""} {
		if err := os.WriteFile(filepath.Join(dir, "FORMAT"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Options{}); !errors.Is(err, visibility.ErrUnsupported) {
			t.Errorf("format %q: %v, want ErrUnsupported", content, err)
		}
	}
}

func TestSessionsOfTheKernelAreCounted(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir, Options{Clock: func() time.Time { return epoch.Add(time.Minute) }})
	trace := meshTrace(rand.New(rand.NewPCG(6, 6)), epoch)
	trace[1].Scope, trace[2].Scope = "github.com/opnfv/clover/clovisor", "github.com/opnfv/clover/clovisor v1.2.3"
	write(t, s, trace...)
	write(t, s, trace...) // duplicates
	if st, err := s.Stats(t.Context()); err != nil || st.Sessions != 2 || st.Spans != int64(len(trace)) {
		t.Errorf("stats %+v, %v; want 2 sessions of %d spans", st, err, len(trace))
	}
}

func TestRetentionByAge(t *testing.T) {
	// The committer reads the clock, too, whenever housekeeping is due.
	var clock atomic.Pointer[time.Time]
	set := func(now time.Time) { clock.Store(&now) }
	set(epoch.Add(time.Minute))
	s := openAt(t, t.TempDir(), Options{Retention: 24 * time.Hour, Clock: func() time.Time { return *clock.Load() }})
	rng := rand.New(rand.NewPCG(4, 4))
	old, young := meshTrace(rng, epoch), meshTrace(rng, epoch.Add(20*time.Hour))
	write(t, s, old...)
	set(epoch.Add(20*time.Hour + time.Minute))
	write(t, s, young...)
	set(epoch.Add(30 * time.Hour))
	if err := s.Retain(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Trace(context.Background(), old[0].TraceID); !errors.Is(err, visibility.ErrNotFound) {
		t.Errorf("old trace: %v, want ErrNotFound", err)
	}
	if spans, err := s.Trace(context.Background(), young[0].TraceID); err != nil || len(spans) != 5 {
		t.Errorf("young trace: %d spans, %v", len(spans), err)
	}
	if r := write(t, s, old...); r.Rejected[visibility.RejectExpired] != 5 {
		t.Errorf("writing dropped spans again: %+v, want 5 expired", r)
	}
	st, err := s.Stats(context.Background())
	if err != nil || st.Spans != 5 || st.Traces != 1 {
		t.Errorf("stats %+v, %v; want 5 spans of 1 trace", st, err)
	}
}

func TestRetentionBySize(t *testing.T) {
	now := epoch.Add(3 * time.Hour)
	s := openAt(t, t.TempDir(), Options{MaxBytes: 100 << 20, Clock: func() time.Time { return now }})
	rng := rand.New(rand.NewPCG(5, 5))
	for hour := range 3 {
		for _, trace := range meshTraces(rng, 1000, epoch.Add(time.Duration(hour)*time.Hour), 10) {
			write(t, s, trace...)
		}
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.Retain(); err != nil {
		t.Fatal(err)
	}
	if st, err := s.Stats(context.Background()); err != nil || st.Spans != 15_000 {
		t.Errorf("%d spans, %v; want all 15,000 while they fit", st.Spans, err)
	}
	if err := s.do(t.Context(), func(c *committer) error { // which reads it
		c.opts.MaxBytes = 1
		return c.retain(now)
	}); err != nil {
		t.Fatal(err)
	}
	st, err := s.Stats(context.Background())
	if err != nil || st.Spans != 5000 || st.Oldest.Before(epoch.Add(2*time.Hour)) {
		t.Errorf("%d spans from %v, %v; want the newest hour's 5,000", st.Spans, st.Oldest, err)
	}
}

// TestStoredSize holds the size of a stored span.
func TestStoredSize(t *testing.T) {
	s := openAt(t, t.TempDir(), Options{})
	var spans []tracing.Span
	for _, trace := range meshTraces(rand.New(rand.NewPCG(1, 2)), 20_000, epoch.Add(-time.Minute), 2000) {
		spans = append(spans, trace...)
	}
	n := 0
	for batch := range slices.Chunk(spans, 5000) {
		n += write(t, s, batch...).Kept
	}
	if err := s.db.Compact(context.Background(), []byte{0}, []byte{spaceEnd}, false); err != nil {
		t.Fatal(err)
	}
	size, err := s.db.EstimateDiskUsage([]byte{0}, []byte{spaceEnd})
	if err != nil {
		t.Fatal(err)
	}
	if per := float64(size) / float64(n); per > 80 {
		t.Errorf("%.1f bytes a span, want at most 80", per)
	}
}

func TestCloseAnswersEveryWriter(t *testing.T) {
	s := openAt(t, t.TempDir(), Options{QueueSpans: 1})
	rng := rand.New(rand.NewPCG(6, 6))
	done := make(chan error)
	const writers = 20
	for range writers {
		trace := meshTrace(rng, epoch)
		go func() {
			_, err := s.Write(context.Background(), &visibility.Batch{Spans: trace})
			done <- err
		}()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range writers {
		if err := <-done; err != nil && !errors.Is(err, visibility.ErrUnavailable) {
			t.Errorf("write: %v", err)
		}
	}
	if _, err := s.Stats(context.Background()); !errors.Is(err, visibility.ErrUnavailable) {
		t.Errorf("stats of a closed store: %v, want ErrUnavailable", err)
	}
}
