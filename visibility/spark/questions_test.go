package spark

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/engine"
	"github.com/opnfv/clover/visibility/parquet"
	"github.com/opnfv/clover/visibility/sql"
	"github.com/opnfv/clover/visibility/sql/sqltest"
	"github.com/opnfv/clover/visibility/storetest"
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

// testChoice holds that a choice of engines has Spark answer for what only the
// files have, as a store that has it would.
func testChoice(t *testing.T, addr string) {
	clock := func() time.Time { return time.Date(2026, 3, 2, 14, 0, 0, 0, time.UTC) }
	old := storetest.NewReference(storetest.Options{Clock: clock})
	spans := storetest.RandomSpans(4, 30, clock().Add(-2*time.Hour), 50*time.Minute)
	if _, err := old.Write(t.Context(), &visibility.Batch{Source: "test", Spans: spans}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	m, err := parquet.Export(t.Context(), old, dir, parquet.Options{Settle: -1, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	files := engine.Files{From: m.From, Through: m.Through, Window: m.Window}
	for _, f := range m.Files {
		files.List = append(files.List, engine.File{From: f.From, Spans: f.Spans})
	}
	ask := func(store engine.StoreReader, name engine.Name) (*visibility.Result, *engine.Explanation) {
		t.Helper()
		chooser, err := engine.New(engine.Options{
			Store: store, Analytics: visibility.AnalyticsOptions{Clock: clock},
			Spark: &engine.SparkSQL{
				DB: open(t, Options{Addr: addr}), Table: sql.Spark.Parquet(dir),
				Files: func(context.Context) (engine.Files, error) { return files, nil },
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		q := visibility.Query{Range: visibility.Range{From: m.From, To: m.Through}, GroupBy: []visibility.Dimension{visibility.Service}}
		res, why, err := chooser.Ask(ctx, q, name)
		if err != nil {
			t.Fatal(err)
		}
		return res, why
	}
	want, _ := ask(old, engine.Store)
	got, why := ask(storetest.NewReference(storetest.Options{Clock: clock}), engine.Auto)
	if d := sqltest.Differ(&got.Total, &want.Total); d != "" || len(got.Groups) != len(want.Groups) || want.Total.Count == 0 {
		t.Errorf("%d groups, want %d; total: %s", len(got.Groups), len(want.Groups), d)
	}
	if why.Engine != engine.Spark || why.Spark.Read != int64(len(spans)) || why.Real.Returned < int64(len(got.Groups)) {
		t.Errorf("explanation %+v", why)
	}
}
