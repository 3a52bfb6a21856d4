package visibilityredis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/redistest"
	"github.com/opnfv/clover/visibility"
)

// TestEveryKeyHoldsWhatWasGenerated reads all keys as users do, by redis-cli.
func TestEveryKeyHoldsWhatWasGenerated(t *testing.T) {
	r := testutil.Redis(t)
	w := newWorld(t, Address{URL: r.Addr})
	w.update(visibility.ConfigUpdate{
		Services:       []string{"clover-server1", "clover_server2", "nobody"},
		MetricPrefixes: []string{"envoy_cluster_outbound_9180__"}, MetricSuffixes: []string{"_upstream_rq_2xx"},
		CustomMetrics: []string{"envoy_tracing_zipkin_spans_sent"},
	})
	y := w.traffic(1, 60)
	const metric = "envoy_cluster_outbound_9180__clover_server1_upstream_rq_2xx"
	var points []visibility.MetricPoint
	for i := range 150 {
		at := time.Now().Add(time.Duration(i-200) * time.Second)
		points = append(points,
			visibility.MetricPoint{Name: metric, Service: "clover-server1", Time: at, Value: float64(i) / 2},
			visibility.MetricPoint{Name: "envoy_tracing_zipkin_spans_sent", Time: at, Value: 1e9 + float64(i)},
			visibility.MetricPoint{Name: "not_selected", Time: at, Value: 1})
	}
	if _, err := w.store.Write(t.Context(), &visibility.Batch{Source: "test", Metrics: points}); err != nil {
		t.Fatal(err)
	}
	w.inStep()
	inRedis(t, r, y)
	for _, service := range []string{"clover_server1", "clover_server2", "nobody"} {
		if got, want := redistest.Pairs(r.CLI("HGETALL", service)), y.ResponseTimes(service); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", service, got, want)
		}
	}
	for key, want := range map[string][]string{
		"visibility_services": {"clover_server1", "clover_server2", "nobody"}, "metric_prefixes": {"envoy_cluster_outbound_9180__"},
		"metric_suffixes": {"_upstream_rq_2xx"}, "custom_metrics": {"envoy_tracing_zipkin_spans_sent"},
	} {
		if got := redistest.Members(r, key); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
		if ttl := r.CLI("TTL", key); ttl != "-1" {
			t.Errorf("%s expires in %s s", key, ttl)
		}
	}
	var half, billions []string
	for i := 50; i < 150; i++ {
		half = append(half, strconv.FormatFloat(float64(i)/2, 'f', -1, 64))
		billions = append(billions, strconv.Itoa(1_000_000_000+i))
	}
	for key, want := range map[string][]string{"metrics_" + metric: half, "metrics_envoy_tracing_zipkin_spans_sent": billions} {
		if got := redistest.Lines(r.CLI("LRANGE", key, "0", "-1")); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	wantKeys(t, r, 16+3+2)
}

// wantKeys counts the keys of results, which all expire, and finds no other
// than these, the configuration and Clover's own.
func wantKeys(t *testing.T, r *testutil.RedisServer, want int) {
	t.Helper()
	got := 0
	for _, key := range redistest.Lines(r.CLI("KEYS", "*")) {
		switch ttl := r.CLI("PTTL", key); {
		case ttl != "-1":
			got++
		case !slices.Contains([]string{ServicesKey, MetricPrefixesKey, MetricSuffixesKey, CustomMetricsKey}, key) && !strings.HasPrefix(key, "clover:visibility:config:"):
			t.Errorf("%s does not expire", key)
		}
	}
	if got != want {
		t.Errorf("%d keys expire, want %d: %s", got, want, r.CLI("KEYS", "*"))
	}
}

func TestWhatIsNoMoreGoes(t *testing.T) {
	r := testutil.Redis(t)
	w := newWorld(t, Address{URL: r.Addr})
	w.update(visibility.ConfigUpdate{Services: []string{"clover-server1", "clover-server2"}})
	w.traffic(1, 10)
	w.inStep()
	if got := r.CLI("EXISTS", "clover_server1", "span_urls"); got != "2" {
		t.Errorf("%s of two keys exist", got)
	}
	w.update(visibility.ConfigUpdate{Services: []string{"clover-server2"}})
	check(t, w.collector.Clear(t.Context()))
	w.inStep()
	if got := r.CLI("EXISTS", "clover_server1", "span_urls", "span_urls_z", "tracing_services"); got != "0" {
		t.Errorf("%s keys are still there", got)
	}
	if got := r.CLI("HGET", "clover_server2", "avg_rt") + r.CLI("GET", "span_count"); got != "NA0" {
		t.Errorf("after the data was cleared: %s", got)
	}
}

// TestNobodyReadsHalfARefresh reads pairs of keys that are written together
// while they change.
func TestNobodyReadsHalfARefresh(t *testing.T) {
	r := testutil.Redis(t)
	w := newWorld(t, Address{URL: r.Addr})
	w.traffic(1, 5)
	w.inStep()
	total := 15
	for round := range 15 {
		w.traffic(round+2, 5)
		total += 15
		testutil.Eventually(t, wait, func() (bool, string) {
			tx := w.client.TxPipeline()
			urls, nodes := tx.ZRangeWithScores(t.Context(), URLCountsKey, 0, -1), tx.ZRangeWithScores(t.Context(), NodeCountsKey, 0, -1)
			if _, err := tx.Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
			var sums [2]int
			for i, counts := range [][]redis.Z{urls.Val(), nodes.Val()} {
				for _, z := range counts {
					sums[i] += int(z.Score)
				}
			}
			if sums[0] != sums[1] {
				t.Fatalf("%d spans by URL, %d by node", sums[0], sums[1])
			}
			return sums[0] == total, fmt.Sprintf("%d of %d spans", sums[0], total)
		})
	}
}

func TestAnUnchangedResultIsNotWrittenAgain(t *testing.T) {
	r := testutil.Redis(t)
	w := newWorld(t, Address{URL: r.Addr})
	w.traffic(1, 5)
	w.inStep()
	before := w.syncer.Status().Delivered
	w.refreshed()
	if after := w.syncer.Status().Delivered; after != before {
		t.Errorf("%d values were written again", after-before)
	}
	if err := w.syncer.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "already running") {
		t.Errorf("a second Run: %v", err)
	}
	if _, err := New(nil, w.store, w.collector, Options{}); err == nil {
		t.Error("no client is accepted")
	}
}

func TestRedisComesAndGoes(t *testing.T) {
	r := testutil.Redis(t)
	r.Stop()
	w := newWorld(t, Address{URL: r.Addr})
	w.update(visibility.ConfigUpdate{Services: []string{"clover-server1"}})
	y := w.traffic(1, 10)
	w.state("behind since 20", "connect")
	if st := w.syncer.Status(); st.Lag <= 0 || st.Failures == 0 {
		t.Errorf("behind, but %+v", st)
	}
	r.Restart()
	w.inStep()
	inRedis(t, r, y)
	r.CLI("FLUSHALL")
	w.inStep()
	inRedis(t, r, y)
	if got := redistest.Members(r, ServicesKey); !slices.Equal(got, []string{"clover_server1"}) {
		t.Errorf("after it was flushed, the services are %q", got)
	}
	r.Restart() // empty
	w.inStep()
	inRedis(t, r, y)
	if got := w.collector.Config().Services; !slices.Equal(got, []string{"clover-server1"}) {
		t.Errorf("the collector's services are %q", got)
	}
}

// TestOneOfSeveralWrites has two that share a store take turns.
func TestOneOfSeveralWrites(t *testing.T) {
	r := testutil.Redis(t)
	w := newWorld(t, Address{URL: r.Addr})
	w.stop()
	var mine atomic.Bool
	w.syncer.o.Owns = func(string) bool { return mine.Load() }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.syncer.Run(ctx) }()
	state := func(want visibility.SourceState) {
		t.Helper()
		testutil.Eventually(t, wait, func() (bool, string) { got := w.syncer.Status().State; return got == want, string(got) })
	}
	state(visibility.StateStandby)
	r.CLI("FLUSHALL")
	y := w.traffic(1, 5)
	mine.Store(true)
	state(visibility.StateOK)
	w.inStep()
	inRedis(t, r, y)
	mine.Store(false)
	state(visibility.StateStandby)
	cancel()
	check(t, <-done)
}
