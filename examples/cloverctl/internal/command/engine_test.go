package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/examples/internal/node"
	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/embedded"
	"github.com/opnfv/clover/visibility/engine"
	"github.com/opnfv/clover/visibility/parquet"
	"github.com/opnfv/clover/visibility/spark"
	"github.com/opnfv/clover/visibility/sql"
	"github.com/opnfv/clover/visibility/storetest"
)

// TestWithoutSpark says what to do, and explains the only engine.
func TestWithoutSpark(t *testing.T) {
	address, _ := controller(t)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"--engine spark", exitFailure, "start clover-collector with --spark-addr and --spark-data"},
		{"--engine hadoop", exitUsage, "want auto, store, spark"},
		{"--explain", 0, "! store has answered, because there is no other: no Spark server is configured\n! estimated: store reads"},
		{"--engine store --explain -o json", 0, `"engine": "ENGINE_STORE"`},
		{"--run 1 --engine store", exitUsage, "leave --engine away"},
	} {
		code, out, errs := ctl(t, "", append([]string{"--controller", address, "get", "visibility", "stats"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: exit %d, want %d with %q\n%s%s", c.args, code, c.code, c.want, out, errs)
		}
	}
	_, out, _ := ctl(t, "", "--controller", address, "get", "visibility", "stats")
	if strings.Contains(out, "has answered") {
		t.Errorf("an explanation that nobody asked for\n%s", out)
	}
}

// TestSpark asks a real Spark SQL server, one for everything, with
// CLOVER_SPARK=1: it takes a minute. Package visibility/spark asks one always.
func TestSpark(t *testing.T) {
	testutil.Long(t, "CLOVER_SPARK", "engines-spark")
	addr := testutil.Spark(t).Addr
	t.Run("the same answers", func(t *testing.T) { testBothEngines(t, addr) })
	t.Run("gone", func(t *testing.T) {
		db, err := spark.Open(spark.Options{Addr: addr})
		check(t, err)
		defer db.Close()
		testClientGone(t, db, 2*time.Second) // Spark is at it
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := db.Query(ctx, "SELECT count(*) FROM range(0, 1000, 1, 4)", func([]any) error { return nil }); err != nil {
			t.Errorf("after the client has gone, Spark's threads are not free: %v", err)
		}
	})
}

// TestClientGone is the same without a Spark.
func TestClientGone(t *testing.T) { testClientGone(t, hanging{}, 0) }

// hanging is an engine whose statements never end.
type hanging struct{}

// Query implements sql.DB.
func (hanging) Query(ctx context.Context, _ string, _ func(row []any) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// patience is how long a busy machine may take for a statement.
const patience = 10 * time.Minute

// testBothEngines runs a collector whose store has the spans of yesterday only,
// beside files that also have those of three weeks ago.
func testBothEngines(t *testing.T, addr string) {
	now := time.Now().UTC()
	yesterday, before := now.Add(-24*time.Hour).Truncate(time.Hour), now.Add(-21*24*time.Hour).Truncate(time.Hour)
	dir, files := t.TempDir(), t.TempDir()
	recent := storetest.RandomSpans(1, 60, yesterday.Add(5*time.Minute), 50*time.Minute)
	old := storetest.RandomSpans(2, 60, before.Add(5*time.Minute), 50*time.Minute)
	for i := range old {
		old[i].TraceID[0] = 1 // not those of recent
	}
	store, err := embedded.Open(dir, embedded.Options{})
	check(t, err)
	_, err = store.Write(t.Context(), &visibility.Batch{Source: "test", Spans: recent})
	check(t, err)
	check(t, store.Close())
	all := storetest.NewReference(storetest.Options{Retention: 30 * 24 * time.Hour})
	_, err = all.Write(t.Context(), &visibility.Batch{Source: "test", Spans: append(old, recent...)})
	check(t, err)
	_, err = parquet.Export(t.Context(), all, files, parquet.Options{Settle: -1})
	check(t, err)
	address := collector(t, dir, "--spark-addr", addr, "--spark-data", files)

	day := []string{"--from", yesterday.Format(time.RFC3339), "--to", yesterday.Add(2 * time.Hour).Format(time.RFC3339)}
	month := []string{"--from", before.Format(time.RFC3339), "--to", yesterday.Add(2 * time.Hour).Format(time.RFC3339)}
	for _, more := range []string{"-g service", "-g service,url --sort p99 --limit 3", "-g status --step 10m --count spans"} {
		args := append(strings.Fields(more), day...)
		stored, byStore := statsOf(t, address, append(args, "--engine", "store", "--explain")...)
		read, bySpark := statsOf(t, address, append(args, "--engine", "spark")...)
		if !reflect.DeepEqual(stored, read) || len(stored["groups"].([]any)) == 0 {
			t.Errorf("%s: the store\n%v\nSpark\n%v", more, stored, read)
		}
		if byStore.Engine != "ENGINE_STORE" || byStore.Actual.Read == "" || byStore.Spark.Files != "1" || byStore.Spark.Read == "0" {
			t.Errorf("%s: the store explains %+v", more, byStore)
		}
		if bySpark.Engine != "ENGINE_SPARK" || bySpark.Actual.Returned == "" || bySpark.Actual.Elapsed == "" {
			t.Errorf("%s: Spark explains %+v", more, bySpark)
		}
	}
	if _, why := statsOf(t, address, append(day, "--explain")...); why.Engine != "ENGINE_STORE" || !strings.Contains(why.Reason, "has rollups") {
		t.Errorf("auto, yesterday: %+v", why)
	}
	if _, why := statsOf(t, address, month...); why.Engine != "ENGINE_SPARK" || !strings.Contains(why.Reason, "in its files only") {
		t.Errorf("auto, three weeks: %+v", why)
	}
	code, out, errs := ctl(t, "", append([]string{"--controller", address, "--timeout", "10m", "get", "visibility", "stats", "--explain"}, month...)...)
	for _, want := range []string{"! spark has answered, because ", "! estimated: store reads", "! estimated: spark reads", "! actual: spark returns"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, want %q in\n%s%s", code, want, out, errs)
		}
	}
}

// collector runs what clover-collector does and returns where its REST is.
func collector(t *testing.T, dir string, flags ...string) string {
	t.Helper()
	ready := make(chan string, 1)
	o := node.Options{
		DataDir: dir, GRPCAddr: "127.0.0.1:0", RESTAddr: "127.0.0.1:0", OTLPGRPC: "127.0.0.1:0", OTLPHTTP: "-",
		API: server.Options{Timeout: patience}, OnReady: func(a node.Addrs) { ready <- a.REST },
	}
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.AddFlags(f)
	check(t, f.Parse(flags))
	n, err := node.New(o)
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case rest := <-ready:
		return "http://" + rest
	case <-time.After(patience):
		t.Fatal("the collector does not start")
		return ""
	}
}

// explanation is what JSON says of it.
type explanation struct {
	Engine string `json:"engine"`
	Reason string `json:"reason"`
	Spark  cost   `json:"spark_estimate"`
	Actual cost   `json:"actual"`
}

type cost struct {
	Read     string `json:"read"`
	Files    string `json:"files"`
	Returned string `json:"returned"`
	Elapsed  string `json:"elapsed"`
}

// statsOf is an answer without what it is based on, and who gave it.
func statsOf(t *testing.T, address string, args ...string) (answer map[string]any, why explanation) {
	t.Helper()
	code, out, errs := ctl(t, "", append([]string{"--controller", address, "--timeout", "10m", "get", "visibility", "stats", "-o", "json"}, args...)...)
	if code != 0 {
		t.Fatalf("%q: exit %d\n%s%s", args, code, out, errs)
	}
	var both struct {
		Explanation explanation `json:"explanation"`
	}
	check(t, json.Unmarshal([]byte(out), &answer))
	check(t, json.Unmarshal([]byte(out), &both))
	delete(answer, "completeness")
	delete(answer, "explanation")
	return answer, both.Explanation
}

// slow are spans that take both of the server's threads for an hour.
const slow = `(SELECT 'server' AS role, 1700000000 AS bucket, xxhash64(id) AS start_ns FROM range(0, 1000000000000, 1, 4))`

// ending tells when a statement begins, and how it ends.
type ending struct {
	sql.DB
	begins chan struct{}
	ends   chan error
}

// Query implements sql.DB.
func (e ending) Query(ctx context.Context, statement string, yield func(row []any) error) error {
	close(e.begins)
	err := e.DB.Query(ctx, statement, yield)
	e.ends <- err
	return err
}

// testClientGone holds that a statement ends when the client goes, so long
// after it has begun.
func testClientGone(t *testing.T, db sql.DB, after time.Duration) {
	store := storetest.NewReference(storetest.Options{})
	watched := ending{db, make(chan struct{}), make(chan error, 1)}
	engines, err := engine.New(engine.Options{Store: store, Spark: &engine.SparkSQL{DB: watched, Table: slow}})
	check(t, err)
	address, _ := serve(t, store, engines)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() {
		<-watched.begins
		time.AfterFunc(after, cancel)
	}()
	var out, errs bytes.Buffer
	args := []string{"--controller", address, "--timeout", "10m", "get", "visibility", "stats", "--engine", "spark"}
	if code := Run(ctx, args, Streams{Out: &out, Err: &errs}); code != exitInterrupted {
		t.Fatalf("exit %d, want %d\n%s%s", code, exitInterrupted, &out, &errs)
	}
	select {
	case err := <-watched.ends:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the statement ends with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the statement goes on")
	}
}
