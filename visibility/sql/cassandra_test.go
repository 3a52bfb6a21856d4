package sql_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/sql"
)

func TestCassandraTableGolden(t *testing.T) {
	table := sql.CassandraTable{Catalog: "c`1", Keyspace: "Mesh", Program: "/opt/it's/clover-spark rows"}
	path := filepath.Join("testdata", "cassandra.spark.sql")
	got := table.SQL() + "\n\n" + table.InRange(hour) + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("%s is\n%s\nwant\n%s\nrun with -update if that is right", path, got, want)
	}
	settings := table.Settings("one,two", 9042)
	if !slices.Contains(settings, "spark.sql.catalog.c`1.spark.cassandra.connection.host=one,two") {
		t.Errorf("settings %q", settings)
	}
}

// FuzzAppendLine reads a line as the statement does: each text is as it was.
func FuzzAppendLine(f *testing.F) {
	for _, text := range append([]string{`\b`, `\\n`, "\\\n", "a\tb\\", "\xff\t"}, hostile...) {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, service, url string) {
		s := tracing.NewSpan()
		s.Service, s.URL, s.Start = service, url, time.Unix(1, 0)
		line := string(sql.AppendLine(nil, &s, visibility.Hop{Role: visibility.RoleServer, Source: url}))
		if strings.Count(line, "\n") != 1 || strings.Contains(line, "\r") || !strings.HasSuffix(line, "\tserver\n") {
			t.Fatalf("line %q", line)
		}
		values := strings.Split(line, "\t")
		if len(values) != 24 {
			t.Fatalf("%d values in %q", len(values), line)
		}
		for at, was := range map[int]string{11: service, 13: url, 20: url} {
			want := strings.ToValidUTF8(was, "\uFFFD")
			if got := readEscaped(values[at]); got != want {
				t.Errorf("%q is written as %q and read as %q", was, values[at], got)
			}
		}
	})
}

// readEscaped does what the statement does.
func readEscaped(s string) string {
	for _, r := range [][2]string{{`\n`, "\n"}, {`\r`, "\r"}, {`\t`, "\t"}, {`\b`, `\`}} {
		s = strings.ReplaceAll(s, r[0], r[1])
	}
	return s
}

// statements are what a database was asked.
type statements []string

// Query implements sql.DB.
func (s *statements) Query(_ context.Context, statement string, _ func(row []any) error) error {
	*s = append(*s, statement)
	return nil
}

// TestOldest holds that a table is not read for what is known of it.
func TestOldest(t *testing.T) {
	var asked statements
	engine, err := sql.New(&asked, sql.Options{
		Dialect: sql.Spark, Table: "spans",
		Oldest: func(context.Context) (time.Time, error) { return hour.From.Add(time.Minute), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	res, err := engine.Query(t.Context(), visibility.Query{Range: hour})
	if err != nil || len(asked) != 1 {
		t.Fatalf("%v; asked %q", err, asked)
	}
	if want := hour.To.Truncate(visibility.MinStep).Add(visibility.MinStep).Sub(hour.From.Add(time.Minute)); res.Observed > want {
		t.Errorf("observed %v, want at most %v", res.Observed, want)
	}
}

func ExampleCassandraTable_Settings() {
	for _, setting := range (sql.CassandraTable{}).Settings("cassandra-0,cassandra-1", 9042) {
		fmt.Println("--conf", setting)
	}
	// Output:
	// --conf spark.sql.catalog.cass=com.datastax.spark.connector.datasource.CassandraCatalog
	// --conf spark.sql.catalog.cass.spark.cassandra.connection.host=cassandra-0,cassandra-1
	// --conf spark.sql.catalog.cass.spark.cassandra.connection.port=9042
	// --conf spark.sql.catalog.cass.spark.cassandra.input.consistency.level=LOCAL_QUORUM
	// --conf spark.sql.catalog.cass.directJoinSetting=on
	// --conf spark.sql.extensions=com.datastax.spark.connector.CassandraSparkExtensions
}
