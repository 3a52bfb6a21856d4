package spark

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/opnfv/clover/visibility/sql"
	"github.com/opnfv/clover/visibility/sql/sqltest"
)

// testQuestions holds that Spark answers as the embedded store does.
// CLOVER_QUERIES says how many random questions are asked.
func testQuestions(t *testing.T, addr string) {
	queries := 4
	if n, err := strconv.Atoi(os.Getenv("CLOVER_QUERIES")); err == nil {
		queries = n
	}
	db := open(t, Options{Addr: addr})
	sqltest.Run(t, func(t *testing.T, dir string, clock func() time.Time) *sql.Engine {
		t.Helper()
		engine, err := sql.New(db, sql.Options{Dialect: sql.Spark, Table: sql.Spark.Parquet(dir), Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		return engine
	}, sqltest.Options{Seed: 3, Queries: queries, Traces: 100})
}
