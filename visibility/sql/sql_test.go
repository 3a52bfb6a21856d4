package sql_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/sql"
	"github.com/opnfv/clover/visibility/sql/sqltest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func duckDB(t *testing.T) sql.Program {
	return sql.Program{Path: testutil.Require(t, components.DuckDB())}
}

// TestDuckDBAnswersAsAnalytics asks both the same random questions;
// CLOVER_DIFFERENTIAL says how many.
func TestDuckDBAnswersAsAnalytics(t *testing.T) {
	db := duckDB(t)
	open := func(t *testing.T, dir string, clock func() time.Time) *sql.Engine {
		e, err := sql.New(db, sql.Options{Dialect: sql.DuckDB, Table: sql.DuckDB.Parquet(dir), Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	n, _ := strconv.Atoi(os.Getenv("CLOVER_DIFFERENTIAL"))
	const each = 200 // of the same spans
	for seed := range uint64(1 + n/each) {
		sqltest.Run(t, open, sqltest.Options{Seed: seed, Queries: min(n, each)})
	}
}

// questions are compiled into testdata, for both dialects.
var questions = map[string]visibility.Query{
	"totals": {},
	"top": {
		GroupBy: []visibility.Dimension{visibility.Service, visibility.Status}, OrderBy: visibility.MeasureP99, Limit: 5,
		Filter: filter(`status >= 500 and service = "http_lb" and not url ~ "^http://[^/]+/(?i:item)/\\d+$"`),
	},
	"series": {
		GroupBy: []visibility.Dimension{visibility.UserAgent}, Count: visibility.CountSpans, Step: time.Minute,
		Filter:  filter(`user_agent in ("it's", "back\\slash", "nul\x00", "; -- ") or status = 4xx or source != a.default`),
		OrderBy: visibility.MeasureMean, Ascending: true,
	},
}

func filter(text string) *visibility.Filter {
	f, err := visibility.ParseFilter(text)
	if err != nil {
		panic(err)
	}
	return f
}

var hour = visibility.Range{From: time.Date(2026, 3, 2, 12, 0, 1, 0, time.UTC), To: time.Date(2026, 3, 2, 13, 0, 1, 0, time.UTC)}

func TestGolden(t *testing.T) {
	for name, q := range questions {
		for _, d := range []sql.Dialect{sql.DuckDB, sql.Spark} {
			q.Range = hour
			got, err := sql.Compile(d, d.Parquet("/data/o'clock"), q)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+"."+d.String()+".sql")
			if *update {
				if err := os.WriteFile(path, []byte(got+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got+"\n" != strings.ReplaceAll(string(want), "\r\n", "\n") {
				t.Errorf("%s is\n%s\nwant\n%s\nrun with -update if that is right", path, got, want)
			}
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, q := range map[string]visibility.Query{
		"no range":  {},
		"a step":    {Range: hour, Step: time.Second},
		"a limit":   {Range: hour, Limit: visibility.MaxLimit + 1},
		"a measure": {Range: hour, OrderBy: "beauty"},
		"a group":   {Range: hour, GroupBy: []visibility.Dimension{200}},
		"a field":   {Range: hour, Filter: filter("duration > 1s")},
	} {
		if _, err := sql.Compile(sql.DuckDB, "spans", q); !errors.Is(err, visibility.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := sql.New(nil, sql.Options{Table: "spans"}); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("no database: %v", err)
	}
	if _, err := sql.New(sql.Program{}, sql.Options{}); !errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("no table: %v", err)
	}
}

// TestDuckDBReadsTexts holds that DuckDB reads from a literal what was put
// into it.
func TestDuckDBReadsTexts(t *testing.T) {
	db := duckDB(t)
	texts := append([]string{"\xff\xfe'", strings.Repeat(`'\"`, 1000)}, hostile...)
	var list []string
	for _, text := range texts {
		list = append(list, sql.DuckDB.Text(text))
	}
	err := db.Query(t.Context(), "SELECT "+strings.Join(list, ", "), func(row []any) error {
		for i, text := range texts {
			if want := strings.ToValidUTF8(text, "\uFFFD"); row[i] != want {
				t.Errorf("%q came as %q", want, row[i])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestProgramErrors(t *testing.T) {
	db := duckDB(t)
	none := func([]any) error { return nil }
	if err := db.Query(t.Context(), "SELECT nothing", none); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("a wrong statement: %v", err)
	}
	if err := (sql.Program{Path: filepath.Join(t.TempDir(), "none")}).Query(t.Context(), "SELECT 1", none); err == nil {
		t.Error("no program: no error")
	}
	stop := errors.New("stop")
	if err := db.Query(t.Context(), "SELECT * FROM range(10000000)", func([]any) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of yield: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := db.Query(ctx, "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range = 7", none)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a statement without end: %v", err)
	}
}
