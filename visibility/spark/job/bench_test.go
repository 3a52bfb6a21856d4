package job

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/visibility/spark"
)

// fileSpans is how many spans a file has that benchmarks read.
const fileSpans = 1_000_000

// BenchmarkFastBesideFull has a fast job read a file of a million new spans,
// beside a full job that reads it and CLOVER_SPARK_FILES (10) more, as the jobs
// of 2019 did each time. Both run in a SQL server, so no start of Spark is in
// their times.
func BenchmarkFastBesideFull(b *testing.B) {
	files, err := strconv.Atoi(os.Getenv("CLOVER_SPARK_FILES"))
	if err != nil {
		files = 10
	}
	db, err := spark.Open(spark.Options{Addr: testutil.Spark(b).Addr, Sessions: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	data := b.TempDir()
	for i := range files + 1 {
		writeFile(b, db, filepath.Join(data, fmt.Sprintf("day=2026-03-%02d", 1+i/24), fmt.Sprintf("spans-%02d0000.parquet", i%24)), i)
	}
	newest := filepath.Join(data, fmt.Sprintf("day=2026-03-%02d", 1+files/24), fmt.Sprintf("spans-%02d0000.parquet", files%24))
	s, err := NewSubmitter(Options{Data: data, Results: b.TempDir(), Runner: Server{DB: db}, Deadline: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	run := func(kind Kind, spans int64) float64 {
		b.Helper()
		r, err := s.RunOnce(b.Context(), kind)
		if err != nil || r.Spans != spans {
			b.Fatalf("%s: %+v, %v", kind, r, err)
		}
		return r.Seconds
	}
	var fast, full float64
	run(Full, int64(files+1)*fileSpans) // warms up
	for b.Loop() {
		full += run(Full, int64(files+1)*fileSpans)
		if err := os.Chtimes(newest, time.Time{}, time.Now()); err != nil { // as if it had been written now
			b.Fatal(err)
		}
		fast += run(Fast, fileSpans)
	}
	b.ReportMetric(fast/float64(b.N), "fast-s/op")
	b.ReportMetric(full/float64(b.N), "full-s/op")
	b.ReportMetric(full/fast, "full/fast")
	b.ReportMetric(0, "ns/op")
}

// writeFile has Spark write the spans of an hour: 20 services with 50 URLs
// each, four spans a trace, in row groups of some 20,000 rows, as package
// parquet writes them: a file in one piece is read by one processor.
func writeFile(b *testing.B, db *spark.DB, file string, hour int) {
	b.Helper()
	dir := b.TempDir()
	statement := fmt.Sprintf(`INSERT OVERWRITE DIRECTORY '%[1]s' USING parquet OPTIONS ('parquet.block.size' = '4194304')
SELECT /*+ COALESCE(1) */ md5(CAST(id DIV 4 + %[2]d AS string)) AS trace_id, md5(CAST(id + %[2]d AS string)) AS span_id, 'server' AS role, concat('service-', id %% 20) AS service, 'GET' AS operation,
  concat('http://service-', id %% 20, ':9180/', id %% 1000) AS url, concat('http://service-', id %% 20, ':9180/*') AS url_template,
  'GET' AS method, concat('agent-', id %% 7) AS user_agent, 'inbound|9180||' AS upstream_cluster, concat('node-', id %% 5) AS node,
  'server' AS kind, concat('service-', id %% 19) AS source, '' AS destination, 'v1' AS version,
  CAST(if(id %% 97 = 0, 500, 200) AS int) AS status_code, id %% 97 = 0 AS error, 1000000 + id %% 999983 AS duration_ns,
  -1L AS request_size, 100 + id %% 900 AS response_size, %[2]d + (id %% 360) * 10 AS bucket
FROM range(0, %[3]d, 1, 2)`, dir+"/out", 1772323200+3600*hour, fileSpans)
	if err := db.Query(context.Background(), statement, func([]any) error { return nil }); err != nil {
		b.Fatal(err)
	}
	parts, err := filepath.Glob(filepath.Join(dir, "out", "part-*.parquet"))
	if err != nil || len(parts) != 1 {
		b.Fatalf("%q, %v", parts, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.Rename(parts[0], file); err != nil {
		b.Fatal(err)
	}
}
