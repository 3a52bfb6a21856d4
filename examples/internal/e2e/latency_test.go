package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/node"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/envoymesh"
	visibilityredis "github.com/opnfv/clover/visibility/redis"
	"github.com/opnfv/clover/visibility/spark"
	"github.com/opnfv/clover/visibility/spark/job"
)

// step is the time of everything that happens again and again between a
// request and its count: Envoy's sending, and Redis' refresh; besides, with
// Spark, the export of files and the fast job.
const step = time.Second

// urlSpans is how many spans of a request have its URL.
const urlSpans = 4

// BenchmarkRequestToRedis sends requests through a real mesh, one after the
// other, and measures from the request until Redis has counted all of its
// spans: those of the collector's store, and those of Spark's fast jobs. Beside
// it is the limit, the sum of the configured intervals; with Spark also what a
// job takes, of a processor, too, which is what is left of it without other work
// on the machine.
func BenchmarkRequestToRedis(b *testing.B) {
	b.Run("store", func(b *testing.B) {
		redis := testutil.Redis(b)
		requestsToRedis(b, redis, 2*step, func() {})
	})
	b.Run("spark", func(b *testing.B) {
		redis, data, results := testutil.Redis(b), b.TempDir(), b.TempDir()
		server := testutil.Spark(b)
		db, err := spark.Open(spark.Options{Addr: server.Addr, Sessions: 1})
		checkBench(b, err)
		jobs, err := job.NewSubmitter(job.Options{Data: data, Results: results, Runner: job.Server{DB: db}, Fast: step})
		checkBench(b, err)
		background(b, func(ctx context.Context) error { return errors.Join(jobs.Run(ctx), db.Close()) })
		var warm []job.Record
		var used float64
		requestsToRedis(b, redis, 4*step, func() { warm, used = runs(b, results), processorTime(server.PID()) },
			"--redis-results", "spark", "--spark-results", results,
			"--parquet-dir", data, "--parquet-window", "1m", "--parquet-open", "--parquet-interval", step.String())
		all := runs(b, results)[len(warm):]
		if len(all) == 0 {
			b.Fatal("no job has run")
		}
		slices.SortFunc(all, func(a, b job.Record) int { return cmp.Compare(a.Seconds, b.Seconds) })
		b.ReportMetric(all[len(all)/2].Seconds, "job-s")
		b.ReportMetric((processorTime(server.PID())-used)/float64(len(all)), "job-cpu-s")
	})
}

func runs(b *testing.B, results string) []job.Record {
	b.Helper()
	state, err := job.ReadState(results)
	checkBench(b, err)
	return state.Runs
}

// processorTime is what a process has used so far, in seconds; 0 where the
// system does not tell it as Linux does.
func processorTime(pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	var ticks float64
	for _, f := range strings.Fields(fields)[11:13] { // utime and stime, of 10 ms
		n, _ := strconv.ParseFloat(f, 64)
		ticks += n
	}
	return ticks / 100
}

// requestsToRedis measures b.N requests by a collector with these flags. warm is
// called after one that is not measured.
func requestsToRedis(b *testing.B, server *testutil.RedisServer, limit time.Duration, warm func(), flags ...string) {
	b.Helper()
	mesh := envoymesh.New(b, envoymesh.Options{Collector: collect(b, server, flags), FlushInterval: step})
	client, _, err := visibilityredis.Open(visibilityredis.Address{URL: server.Addr})
	checkBench(b, err)
	defer func() { _ = client.Close() }()
	jitter := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	toRedis(b, mesh.URL, client, "warm")
	warm()
	var took []time.Duration
	for b.Loop() {
		// Requests come at any time between two refreshes.
		time.Sleep(time.Duration(jitter.Int64N(int64(step))))
		took = append(took, toRedis(b, mesh.URL, client, fmt.Sprintf("marked-%d", len(took))))
	}
	slices.Sort(took)
	at := func(q float64) float64 { return took[int(q*float64(len(took)-1)+0.5)].Seconds() }
	b.ReportMetric(at(0.5), "p50-s")
	b.ReportMetric(at(0.95), "p95-s")
	b.ReportMetric(at(1), "max-s")
	b.ReportMetric(limit.Seconds(), "limit-s")
	b.ReportMetric(at(0.95)/limit.Seconds(), "p95/limit")
	b.ReportMetric(0, "ns/op")
}

// collect runs a collector and returns where it takes OTLP.
func collect(b *testing.B, server *testutil.RedisServer, flags []string) (otlp string) {
	b.Helper()
	var o node.Options
	f := pflag.NewFlagSet("collector", pflag.ContinueOnError)
	o.AddFlags(f)
	checkBench(b, f.Parse(append([]string{"--redis", server.Addr, "--redis-refresh", step.String()}, flags...)))
	ready := make(chan node.Addrs, 1)
	o.DataDir = b.TempDir()
	o.GRPCAddr, o.RESTAddr, o.OTLPGRPC, o.OTLPHTTP = "127.0.0.1:0", "-", "127.0.0.1:0", "-"
	o.OnReady = func(a node.Addrs) { ready <- a }
	n, err := node.New(o)
	checkBench(b, err)
	ended := background(b, n.Run)
	select {
	case a := <-ready:
		return a.OTLPGRPC
	case <-ended:
		b.Fatal("the collector has ended")
		return ""
	}
}

// background runs something until the end of the benchmark.
func background(b *testing.B, run func(context.Context) error) (ended <-chan struct{}) {
	b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil {
			b.Error(err)
		}
	}()
	b.Cleanup(func() {
		stop()
		<-done
	})
	return done
}

// toRedis sends a request with a path of its own and returns the time until
// Redis has counted it.
func toRedis(b *testing.B, url string, client redis.UniversalClient, path string) time.Duration {
	b.Helper()
	began := time.Now()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url+"/"+path, nil)
	checkBench(b, err)
	res, err := http.DefaultTransport.RoundTrip(req)
	checkBench(b, err)
	_, err = io.Copy(io.Discard, res.Body)
	checkBench(b, errors.Join(err, res.Body.Close()))
	testutil.Eventually(b, 5*time.Minute, func() (bool, string) {
		counts, err := client.ZRangeWithScores(b.Context(), visibilityredis.URLCountsKey, 0, -1).Result()
		checkBench(b, err)
		n := 0.0
		for _, z := range counts {
			if member, ok := z.Member.(string); ok && strings.HasSuffix(member, "/"+path) {
				n += z.Score
			}
		}
		return n == urlSpans, fmt.Sprintf("%v of %d spans of %s are counted", n, urlSpans, path)
	})
	return time.Since(began)
}

func checkBench(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
