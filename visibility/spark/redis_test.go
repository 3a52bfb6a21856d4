package spark

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/redistest"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/embedded"
	"github.com/opnfv/clover/visibility/parquet"
	visibilityredis "github.com/opnfv/clover/visibility/redis"
	"github.com/opnfv/clover/visibility/spark/job"
)

// pipeline is a store whose spans go to Redis by files and Spark's jobs.
type pipeline struct {
	*testing.T
	store         *embedded.Store
	data, results string
	jobs          *job.Submitter
	redis         *testutil.RedisServer
	tally         redistest.Tally
	status        func() visibility.SourceStatus
}

var tracked = []string{"clover-server1", "clover_server3", "nobody"}

func newPipeline(t *testing.T, addr string) *pipeline {
	t.Helper()
	p := &pipeline{T: t, data: t.TempDir(), results: t.TempDir(), redis: testutil.Redis(t)}
	var err error
	p.store, err = embedded.Open(t.TempDir(), embedded.Options{})
	p.check(err)
	t.Cleanup(func() { p.check(p.store.Close()) })
	p.jobs, err = job.NewSubmitter(job.Options{Data: p.data, Results: p.results, Runner: job.Server{DB: open(t, Options{Addr: addr})}})
	p.check(err)
	collector, err := visibility.NewCollector(p.store, visibility.CollectorOptions{})
	p.check(err)
	_, err = collector.Update(t.Context(), visibility.ConfigUpdate{Services: tracked})
	p.check(err)
	client, _, err := visibilityredis.Open(visibilityredis.Address{URL: p.redis.Addr})
	p.check(err)
	syncer, err := visibilityredis.New(client, p.store, collector, visibilityredis.Options{
		Refresh: 50 * time.Millisecond, Figures: job.OpenFigures(p.results, p.data),
	})
	p.check(err)
	p.status = syncer.Status
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- syncer.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		p.check(errors.Join(<-done, client.Close()))
	})
	return p
}

func (p *pipeline) check(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// write puts n traces into the store and its files. The last span of each comes
// a second after the others.
func (p *pipeline) write(seed, n int, at time.Time) {
	p.Helper()
	batch, y := redistest.Generate(seed, n, at)
	for i := range batch.Spans {
		if i%3 == 2 {
			batch.Spans[i].Start = at.Add(time.Second)
		}
	}
	_, err := p.store.Write(p.Context(), batch)
	p.check(err)
	_, err = parquet.Export(p.Context(), p.store, p.data, parquet.Options{Window: 10 * time.Minute, Settle: -1, Recheck: 12 * time.Hour})
	p.check(err)
	p.tally.Add(y)
}

// analyse runs the fast job, which has so many files to read.
func (p *pipeline) analyse(files int) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	r, err := p.jobs.RunOnce(ctx, job.Fast)
	p.check(err)
	if r.Buckets != files {
		p.Errorf("the job has read %d files, want %d", r.Buckets, files)
	}
}

// inRedis waits until Redis holds what was generated, in every key.
func (p *pipeline) inRedis() {
	p.Helper()
	testutil.Eventually(p.T, patience, func() (bool, string) {
		d := p.tally.Differ(redistest.Read(p.redis))
		return d == "", d
	})
	for _, service := range []string{"clover_server1", "clover_server3", "nobody"} {
		if got, want := redistest.Pairs(p.redis.CLI("HGETALL", service)), p.tally.ResponseTimes(service); !maps.Equal(got, want) {
			p.Errorf("%s: %v, want %v", service, got, want)
		}
	}
	// The store, of which the API answers, would have written the same.
	r := visibility.Range{From: time.Unix(0, 0), To: time.Now().Add(time.Hour)}
	ours, err := visibility.ReadContractFigures(p.Context(), p.store, tracked, r)
	p.check(err)
	jobs, err := job.OpenFigures(p.results, p.data).ContractFigures(p.Context(), tracked, r)
	p.check(err)
	keys := func(f *visibility.ContractFigures) []visibilityredis.Key {
		return visibilityredis.Results(f, nil, visibility.Config{}, visibilityredis.Limits{}).Keys
	}
	if got, want := keys(jobs), keys(ours); !reflect.DeepEqual(got, want) {
		p.Errorf("the jobs count\n%v\nthe store\n%v", got, want)
	}
	testutil.Eventually(p.T, patience, func() (bool, string) {
		st := p.status()
		return st.State == visibility.StateOK, st.Error
	})
}

// testRedis holds that what Spark's jobs have found is in Redis as it was
// generated and as the store has it: also of traces that lie in two hours, and
// of a file that was written again.
func testRedis(t *testing.T, addr string) {
	p := newPipeline(t, addr)
	hour := time.Now().Add(-3 * time.Hour).Truncate(time.Hour)
	p.write(1, 40, hour.Add(5*time.Minute))
	p.write(2, 30, hour.Add(time.Hour-time.Second/2))
	p.analyse(2)
	p.inRedis()
	p.write(3, 20, hour.Add(6*time.Minute)) // late, for the first file
	p.write(4, 10, hour.Add(90*time.Minute))
	p.analyse(2)
	p.inRedis()
}
