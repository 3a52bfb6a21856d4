package visibilityredis

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/redistest"
	"github.com/opnfv/clover/visibility"
)

// engine counts by what it was told, as another process does whose results are
// behind, or gone.
type engine struct {
	mu    sync.Mutex
	sums  visibility.ContractSums
	fail  error
	since time.Time
	asked visibility.Range
}

func (e *engine) ContractFigures(_ context.Context, services []string, r visibility.Range) (*visibility.ContractFigures, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.asked = r; e.fail != nil {
		return nil, e.fail
	}
	return e.sums.Figures(services), nil
}

func (e *engine) Behind() (time.Time, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.since.IsZero() {
		return e.since, nil
	}
	return e.since, errors.New("3 files wait")
}

func (e *engine) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// TestAnotherEngineCounts holds that its figures are in Redis in place of the
// store's, with the store's metrics and configuration; and that all else goes
// on, and it is told, while there are none, or old ones.
func TestAnotherEngineCounts(t *testing.T) {
	r := testutil.Redis(t)
	w := newWorld(t, Address{URL: r.Addr})
	w.stop()
	other := &engine{fail: errors.New("no folder")}
	w.figures = other
	w.start()
	w.update(visibility.ConfigUpdate{Services: []string{"clover-server1"}, CustomMetrics: []string{"custom"}})
	batch, _ := redistest.Generate(1, 10, time.Now().Add(-time.Minute))
	batch.Metrics = []visibility.MetricPoint{{Name: "custom", Time: time.Now(), Value: 1}}
	if _, err := w.store.Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	// Figures of nobody are no zeros.
	w.state("behind since 20", "no folder")
	testutil.Eventually(t, wait, func() (bool, string) {
		got := r.CLI("EXISTS", "metrics_custom", ServicesKey) + r.CLI("EXISTS", "span_count", "span_urls", "clover_server1")
		return got == "20", got
	})
	if since := r.CLI("HGET", StampKey, "behind_since"); since == "" {
		t.Error("Redis does not tell since when the results are behind")
	}

	counted, y := redistest.Generate(2, 7, time.Now()) // others than the store has
	other.set(func() { other.sums, other.fail = sumsOf(counted, y), nil })
	w.inStep()
	inRedis(t, r, y)
	if got, want := redistest.Pairs(r.CLI("HGETALL", "clover_server1")), y.ResponseTimes("clover_server1"); !maps.Equal(got, want) {
		t.Errorf("response times %v, want %v", got, want)
	}
	if got := r.CLI("GET", "metric_count") + r.CLI("HEXISTS", StampKey, "behind_since"); got != "10" {
		t.Errorf("metrics of the store, and no field: %q", got)
	}
	oldest := batch.Spans[0].Start
	other.set(func() {
		if d := oldest.Sub(other.asked.From); d < 0 || d > time.Second {
			t.Errorf("asked from %s on, the store begins at %s", other.asked.From, oldest)
		}
	})

	since := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	other.set(func() { other.since = since })
	w.state("behind since 2026-03-02T12:00:00Z", "3 files wait")
	if st := w.syncer.Status(); st.State != visibility.StateDegraded || st.Failures == 0 || st.Lag < time.Hour {
		t.Errorf("status %+v", st)
	}
	if got := r.CLI("HGET", StampKey, "behind_since"); got != "2026-03-02T12:00:00Z" {
		t.Errorf("in Redis: behind since %q", got)
	}
	// What was counted last stays.
	other.set(func() { other.fail = errors.New("folder is gone") })
	w.state("behind since 2026-03-02T12:00:00Z", "folder is gone")
	inRedis(t, r, y)
	other.set(func() { other.fail, other.since = nil, time.Time{} })
	w.inStep()
}

// sumsOf are the sums of a batch whose server's sides are paired.
func sumsOf(b *visibility.Batch, y redistest.Tally) visibility.ContractSums {
	sums := visibility.ContractSums{Traces: int64(y.Traces)}
	for i := range b.Spans {
		key, aggregate := visibility.KeyOf(&b.Spans[i]), visibility.AggregateOf(&b.Spans[i])
		role := visibility.RoleSpan
		if key[visibility.Kind] == "server" {
			role = visibility.RoleServer
		}
		sums.Add(&visibility.Rollup{Role: role, Key: &key, Aggregate: &aggregate})
	}
	return sums
}
