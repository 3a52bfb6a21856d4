package cassandra

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// The mesh of the figures: chains of three services, whose pages are asked
// for over some hours, ever since about as often.
const (
	scaleChains = 10
	scalePages  = 20
	scaleHours  = 6
	scaleBatch  = 2000 // spans, as a collector delivers them
	scaleTurns  = 20   // of each question
)

// chainTrace is a trace of five spans in one of the chains. Some pages are
// asked for more often than others, and two requests of a hundred fail.
func chainTrace(rng *rand.Rand, at time.Time) []tracing.Span {
	spans := meshTrace(rng, at)
	chain, page := rng.IntN(scaleChains), min(rng.IntN(scalePages), rng.IntN(scalePages))
	failed := rng.IntN(50) == 0
	name := strings.NewReplacer("gateway", fmt.Sprintf("gateway-%d", chain),
		"control", fmt.Sprintf("control-%d", chain), "http-lb", fmt.Sprintf("http-lb-%d", chain))
	for i := range spans {
		s := &spans[i]
		for _, text := range []*string{&s.Service, &s.Node, &s.UpstreamCluster, &s.Operation} {
			*text = name.Replace(*text)
		}
		s.URL = name.Replace(fmt.Sprintf("http://http-lb:9180/item/%d", page))
		if failed {
			s.StatusCode, s.Error = 503, true
		}
	}
	return spans
}

// TestScale logs what a question costs over CLOVER_SPANS spans and over a
// tenth of them, what they take on disk, and how quickly they are written. It
// is run by make bench-scale. With CLOVER_CASSANDRA, the address of a node, it
// asks that cluster, and writes into its keyspaces scale_N what they lack;
// they stay.
func TestScale(t *testing.T) {
	spans, err := strconv.Atoi(testutil.Long(t, "CLOVER_SPANS", "bench-scale"))
	if err != nil {
		t.Fatal(err)
	}
	addr := os.Getenv("CLOVER_CASSANDRA")
	if addr == "" {
		addr = testutil.Cassandra(t, testutil.CassandraOptions{Fast: true}).Addr
	}
	c := &cluster{addr: addr, opts: Options{Hosts: []string{addr}, Timeout: time.Minute}}
	for _, n := range []int{spans / 10, spans} {
		t.Run(fmt.Sprintf("%d_spans", n), func(t *testing.T) {
			o := c.opts
			o.Keyspace = fmt.Sprintf("scale_%d", n)
			s := c.open(t, o)
			s.fill(t, n)
			s.logDisk(t)
			s.logQuestions(t)
			c.logPartitions(t, s, "rollups", "packs", "rollup_rows", "trace_index", "cells")
		})
	}
}

// fill writes spans of a mesh that are spread evenly over scaleHours, unless
// they are there. It logs how quickly each tenth is written.
func (s *Store) fill(t *testing.T, spans int) {
	t.Helper()
	stats, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if stats.Spans > 0 {
		t.Logf("%d spans are there", stats.Spans)
		return
	}
	rng := rand.New(rand.NewPCG(1, 2))
	begin := time.Now().Add(-scaleHours * time.Hour)
	chunk := min(50_000, spans/10)
	var took time.Duration
	for done := 0; done < spans; {
		var all []tracing.Span
		for i := 0; i < chunk; i += 5 {
			at := begin.Add(time.Duration(float64(scaleHours*time.Hour) * float64(done+i) / float64(spans)))
			all = append(all, chainTrace(rng, at)...)
		}
		took += s.writeBatchesOf(t, all, scaleBatch, 4)
		if done += chunk; done%(spans/10) == 0 {
			t.Logf("%9d spans, the last tenth at %.0f spans/s", done, float64(spans/10)/took.Seconds())
			took = 0
		}
	}
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.pack(t.Context()); err != nil { // rather than wait for a minute
		t.Fatal(err)
	}
}

// question is one of the dashboard's.
type question struct {
	name string
	visibility.Query
}

func questions(whole visibility.Range) []question {
	lately := visibility.Range{From: whole.To.Add(-visibility.DefaultWindow), To: whole.To}
	list := []question{
		{"services by requests", visibility.Query{GroupBy: []visibility.Dimension{visibility.Service}}},
		{"status codes by service", visibility.Query{GroupBy: []visibility.Dimension{visibility.Service, visibility.Status}}},
		{"pages by p99", visibility.Query{GroupBy: []visibility.Dimension{visibility.URL}, OrderBy: visibility.MeasureP99}},
		{"series of the whole, 5 min", visibility.Query{Step: 5 * time.Minute}},
		{"series by service, 5 min", visibility.Query{GroupBy: []visibility.Dimension{visibility.Service}, Step: 5 * time.Minute}},
		{"services, the last 15 min", visibility.Query{GroupBy: []visibility.Dimension{visibility.Service}, Range: lately}},
	}
	for i := range list {
		if list[i].Range == (visibility.Range{}) {
			list[i].Range = whole
		}
	}
	return list
}

// logQuestions asks each question in turns with a loop that reads the same
// partitions of rollups by the driver alone, as many at once.
func (s *Store) logQuestions(t *testing.T) {
	t.Helper()
	now := time.Now()
	stats, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cov, err := s.Rollups(t.Context(), visibility.Range{From: now.Add(-100 * time.Hour), To: now}, time.Hour, func(*visibility.Rollup) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	// Neither end is that of an hour, as of "the last six hours".
	whole := visibility.Range{From: cov.First, To: cov.First.Add(scaleHours * time.Hour)}
	analytics, err := visibility.NewAnalytics(s, visibility.AnalyticsOptions{Clock: func() time.Time { return whole.To }})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range questions(whole) {
		var asked, bare []time.Duration
		var sums, parts int
		for range scaleTurns {
			begin := time.Now()
			res, err := analytics.Query(t.Context(), q.Query)
			if err != nil {
				t.Fatalf("%s: %v", q.name, err)
			}
			asked = append(asked, time.Since(begin))
			if q.Range == whole && len(q.GroupBy) == 0 && res.Total.Count == 0 {
				t.Errorf("%s: nothing was counted", q.name)
			}
			var took time.Duration
			took, sums, parts = s.bareReading(t, q.Query)
			bare = append(bare, took)
		}
		slices.Sort(asked)
		slices.Sort(bare)
		t.Logf("%9d spans  %-26s p50 %4d ms  p95 %4d ms  bare reading p50 %4d ms  %6d sums of %d partitions",
			stats.Spans, q.name, asked[scaleTurns/2].Milliseconds(), asked[scaleTurns*95/100].Milliseconds(),
			bare[scaleTurns/2].Milliseconds(), sums, parts)
	}
}

// bareReading reads the partitions that a question needs, and does nothing
// with what is in them.
func (s *Store) bareReading(t *testing.T, q visibility.Query) (took time.Duration, sums, parts int) {
	t.Helper()
	a := s.answerTo(q.Range, q.Step)
	if err := a.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, rows := range a.rows {
		sums += len(rows)
	}
	begin := time.Now()
	err := each(t.Context(), len(a.parts), readers, func(ctx context.Context, i int) error {
		p := a.parts[i]
		iter := s.session.Query(selectSums+" AND bucket >= ? AND bucket < ?", int8(p.Level), p.period, p.shard, int(p.From), int(p.To)).IterContext(ctx)
		var bucket int
		var row int64
		var writer string
		var now, before cell
		for iter.Scan(&bucket, &row, &writer, &now.version, &now.value, &before.version, &before.value) {
			now.value, before.value = nil, nil
		}
		return iter.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	return time.Since(begin), sums, len(a.parts)
}

// logDisk logs what the tables take, by the server's own figures, and the
// largest partition of each. It waits until nothing is compacted.
func (s *Store) logDisk(t *testing.T) {
	t.Helper()
	testutil.Eventually(t, 20*time.Minute, func() (bool, string) {
		var tasks int
		if err := s.session.Query("SELECT count(*) FROM system_views.sstable_tasks").ScanContext(t.Context(), &tasks); err != nil {
			t.Fatal(err)
		}
		return tasks == 0, fmt.Sprintf("%d tables are being compacted", tasks)
	})
	for _, table := range tableOrder {
		var disk, largest int64
		for view, into := range map[string]*int64{"disk_usage": &disk, "max_partition_size": &largest} {
			err := s.session.Query("SELECT mebibytes FROM system_views."+view+" WHERE keyspace_name = ? AND table_name = ?", s.opts.Keyspace, table).
				ScanContext(t.Context(), into)
			if err != nil {
				t.Errorf("%s of %s: %v", view, table, err)
			}
		}
		if disk > 1 {
			t.Logf("%-12s %5d MiB on disk, its largest partition at most %d MiB", table, disk, largest)
		}
	}
}
