package spark

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/cassandra"
	"github.com/opnfv/clover/visibility/parquet"
	"github.com/opnfv/clover/visibility/sql"
	"github.com/opnfv/clover/visibility/storetest"
)

// BenchmarkCassandraBesideParquet asks Spark the same question of the tables of
// Cassandra and of Parquet files with the same spans (CLOVER_SPANS, or about
// 50,000), and has the connector read the table alone, in turns. scan-ratio is
// the time of that reading in relation to the question's, parquet-ratio that of
// the question over files.
func BenchmarkCassandraBesideParquet(b *testing.B) {
	want := 50_000
	if n, err := strconv.Atoi(os.Getenv("CLOVER_SPANS")); err == nil {
		want = n
	}
	addr := testutil.Cassandra(b, testutil.CassandraOptions{Fast: true}).Addr
	table, settings := cassandraTable(b, addr)
	store, err := cassandra.Open(b.Context(), cassandra.Options{Hosts: []string{addr}, Timeout: 30 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	now := time.Now().UTC().Truncate(time.Hour)
	spans := storetest.RandomSpans(1, want/8, now.Add(-2*time.Hour), time.Hour)
	for left := spans; len(left) > 0; {
		n := min(len(left), 2000)
		if _, err := store.Write(b.Context(), &visibility.Batch{Source: "bench", Spans: left[:n]}); err != nil {
			b.Fatal(err)
		}
		left = left[n:]
	}
	dir := b.TempDir()
	if _, err := parquet.Export(b.Context(), store, dir, parquet.Options{Settle: -1}); err != nil {
		b.Fatal(err)
	}
	db := open(b, Options{Addr: testutil.Spark(b, settings...).Addr})
	var took [3]time.Duration
	ask := func() {
		for i, from := range []string{"", table.SQL(), sql.Spark.Parquet(dir)} {
			began := time.Now()
			if got := question(b, db, from, now); got != int64(len(spans)) {
				b.Fatalf("%d spans of %d", got, len(spans))
			}
			took[i] += time.Since(began)
		}
	}
	ask() // Spark compiles what it runs
	took = [3]time.Duration{}
	for b.Loop() {
		ask()
	}
	b.ReportMetric(float64(len(spans)*b.N)/took[1].Seconds(), "spans/s")
	b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "scan-ratio")
	b.ReportMetric(took[2].Seconds()/took[1].Seconds(), "parquet-ratio")
}

// question counts the spans of a table by service and status; without a table
// it has the connector read all records.
func question(b *testing.B, db *DB, table string, now time.Time) (spans int64) {
	b.Helper()
	statement := "SELECT count(*), sum(length(record)) FROM cass.visibility.spans"
	if table != "" {
		q := visibility.Query{
			Range: visibility.Range{From: now.Add(-4 * time.Hour), To: now}, GroupBy: []visibility.Dimension{visibility.Service, visibility.Status},
			Count: visibility.CountSpans, Limit: 100,
		}
		compiled, err := sql.Compile(sql.Spark, table, q)
		if err != nil {
			b.Fatal(err)
		}
		statement = "SELECT sum(n) FROM (" + compiled + ")"
	}
	err := db.Query(b.Context(), statement, func(row []any) error {
		n, err := strconv.ParseInt(fmt.Sprint(row[0]), 10, 64)
		spans = n
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return spans
}
