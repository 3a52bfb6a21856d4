package visibilityredis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
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
	w.syncer, err = New(w.client, w.store, w.collector, Options{Refresh: 20 * time.Millisecond})
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
func (w *world) traffic(seed, n int) tally {
	w.Helper()
	batch, tallied := generate(seed, n)
	if _, err := w.store.Write(w.Context(), batch); err != nil {
		w.Fatal(err)
	}
	return tallied
}

// tally is what a generator knows of its own spans.
type tally struct {
	spans, traces int
	counts        map[string]map[string]int // key of Redis → value → spans
	times         map[string][]time.Duration
}

func (y *tally) count(key, value string) {
	if y.counts[key] == nil {
		y.counts[key] = map[string]int{}
	}
	y.counts[key][value]++
}

// generate makes traces: a client's and a server's side, and the way to the
// application.
func generate(seed, n int) (*visibility.Batch, tally) {
	y := tally{traces: n, spans: 3 * n, counts: map[string]map[string]int{}, times: map[string][]time.Duration{}}
	b := &visibility.Batch{Source: "test"}
	for i := range n {
		server := fmt.Sprintf("clover-server%d", 1+i%3)
		url := fmt.Sprintf("http://%s:9180/item/%d", server, i%7)
		var id tracing.TraceID
		copy(id[:], fmt.Sprintf("%08d%08d", seed, i+1))
		for side := range 3 {
			s := tracing.Span{
				TraceID: id, Start: time.Now().Add(-time.Minute), URL: url, StatusCode: []int{200, 200, 404, 503}[i%4],
				UserAgent: []string{"chrome", "curl/8, beta"}[i%2], Operation: server + ":9180/*", Duration: time.Duration(1000+137*i+side) * time.Microsecond,
			}
			s.SpanID[7] = byte(side + 1)
			switch side {
			case 0:
				s.Kind, s.Service, s.UpstreamCluster = tracing.KindClient, "proxy-access-control.default", "outbound|9180||"+server+".default.svc.cluster.local"
			default:
				s.Kind, s.Service, s.UpstreamCluster = tracing.KindServer, server+".default", "inbound|9180||"
				s.ParentID[7] = 1
				if side == 1 {
					y.times[strings.ReplaceAll(server, "-", "_")] = append(y.times[strings.ReplaceAll(server, "-", "_")], s.Duration)
				} else {
					s.Kind, s.ParentID[7] = tracing.KindClient, 2
				}
			}
			s.Node = "sidecar~10.0.0.1~" + s.Service + "~cluster.local"
			b.Spans = append(b.Spans, s)
			y.add(&s)
		}
	}
	return b, y
}

func (y *tally) add(s *tracing.Span) {
	code := strconv.Itoa(s.StatusCode)
	for key, value := range map[string]string{
		"tracing_services": s.Service, "span_urls": s.URL, "span_urls_z": s.URL, "span_user_agent": s.UserAgent, "span_user_agent_z": s.UserAgent,
		"span_node_id": s.Node, "span_node_id_z": s.Node, "span_operation_name": s.Operation, "span_upstream_cluster": s.UpstreamCluster,
		"span_status_code": code, "span_status_codes_z": code + ", " + s.URL, "span_node_url_z": s.Node + ", " + s.URL,
	} {
		y.count(key, value)
	}
}

// responseTimes are the fields of a service's hash.
func (y *tally) responseTimes(service string) map[string]string {
	times := y.times[service]
	if len(times) == 0 {
		return map[string]string{"avg_rt": "NA", "min_rt": "NA", "max_rt": "NA"}
	}
	var sum time.Duration
	for _, d := range times {
		sum += d
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/1e6) }
	return map[string]string{
		"avg_rt": ms(sum / time.Duration(len(times))), "min_rt": ms(slices.Min(times)), "max_rt": ms(slices.Max(times)),
	}
}

// lines splits what redis-cli prints.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// pairs reads what redis-cli prints of a hash or a sorted set with scores.
func pairs(text string) map[string]string {
	list := lines(text)
	m := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m
}

// members reads a set by redis-cli, sorted.
func members(r *testutil.RedisServer, key string) []string {
	return slices.Sorted(slices.Values(lines(r.CLI("SMEMBERS", key))))
}

// wantTally compares every key of results with what the generator knows.
func wantTally(t *testing.T, r *testutil.RedisServer, y tally) {
	t.Helper()
	for key, counts := range y.counts {
		if !strings.HasSuffix(key, "_z") {
			if got, want := members(r, key), slices.Sorted(maps.Keys(counts)); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", key, got, want)
			}
			continue
		}
		want := map[string]string{}
		for value, n := range counts {
			want[value] = strconv.Itoa(n)
		}
		if got := pairs(r.CLI("ZRANGE", key, "0", "-1", "WITHSCORES")); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
	}
	for key, n := range map[string]int{"trace_count": y.traces, "span_count": y.spans} {
		if got := r.CLI("GET", key); got != strconv.Itoa(n) {
			t.Errorf("%s: %s, want %d", key, got, n)
		}
	}
}
