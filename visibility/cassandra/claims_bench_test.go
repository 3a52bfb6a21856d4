package cassandra

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
)

// BenchmarkWritersBesideOne writes by one store into a keyspace of its own, by
// one beside two that write nothing, and by three at once, in turns. Where
// there are several, each trace is read again before it is committed; see
// claims.go. The ratios are spans/s in relation to the lone one's.
func BenchmarkWritersBesideOne(b *testing.B) {
	server := testutil.Cassandra(b, testutil.CassandraOptions{Fast: true})
	open := func(keyspace string, writers ...string) (stores []*Store) {
		for _, name := range writers {
			s, err := Open(b.Context(), Options{Hosts: []string{server.Addr}, Timeout: 30 * time.Second, Keyspace: keyspace, Writer: name})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = s.Close() })
			stores = append(stores, s)
		}
		return stores
	}
	alone, several := open("alone", "a"), open("several", "a", "b", "c")
	const traces = 4800 // a turn
	rng := rand.New(rand.NewPCG(1, 2))
	turn := func(stores []*Store) (took time.Duration, reads int64) {
		var all []tracing.Span
		at := time.Now().Add(-10 * time.Minute)
		for i := range traces {
			all = append(all, meshTrace(rng, at.Add(time.Duration(i)*time.Millisecond))...)
		}
		before := stores[0].readsOfSpans(b)
		start := time.Now()
		var writing sync.WaitGroup
		for i, s := range stores {
			part := all[i*len(all)/len(stores) : (i+1)*len(all)/len(stores)]
			writing.Go(func() { s.writeBatchesOf(b, part, 1000, 4) })
		}
		writing.Wait()
		return time.Since(start), stores[0].readsOfSpans(b) - before
	}
	kinds := [...][]*Store{alone, several[:1], several}
	var took [len(kinds)]time.Duration
	var reads [len(kinds)]int64
	round := func() {
		for i, stores := range kinds {
			d, n := turn(stores)
			took[i], reads[i] = took[i]+d, reads[i]+n
		}
	}
	round() // the server's code gets compiled
	clear(took[:])
	clear(reads[:])
	rounds := 0
	for b.Loop() {
		round()
		rounds++
	}
	b.ReportMetric(float64(rounds*5*traces)/took[0].Seconds(), "alone-spans/s")
	for i, name := range [...]string{"alone", "beside-idle", "three"} {
		b.ReportMetric(took[0].Seconds()/took[i].Seconds(), name+"-ratio")
		b.ReportMetric(float64(reads[i])/float64(rounds*traces), name+"-reads/trace")
	}
}

// readsOfSpans is how often traces were read, by the server's own count.
func (s *Store) readsOfSpans(b *testing.B) (n int64) {
	b.Helper()
	err := s.session.Query("SELECT \"count\" FROM system_views.coordinator_read_latency WHERE keyspace_name = ? AND table_name = 'spans'", s.opts.Keyspace).
		ScanContext(b.Context(), &n)
	if err != nil {
		b.Fatal(err)
	}
	return n
}
