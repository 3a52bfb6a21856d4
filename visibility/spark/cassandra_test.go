package spark

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/cassandra"
	"github.com/opnfv/clover/visibility/sql"
	"github.com/opnfv/clover/visibility/sql/sqltest"
	"github.com/opnfv/clover/visibility/storetest"
)

// cassandraTable is the table of a Cassandra, with this program as the one
// that executors run, and the settings of a Spark that reads it.
func cassandraTable(t testing.TB, addr string) (table sql.CassandraTable, settings []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	table = sql.CassandraTable{Program: asProgram + "=1 exec '" + self + "'"}
	// A busy machine takes its time.
	const timeout = "spark.sql.catalog.cass.spark.cassandra.connection.timeoutMS=120000"
	return table, append(table.Settings(host, port), testutil.SparkConnector(t), timeout)
}

// keyspace is a Cassandra with two collectors.
type keyspace struct {
	*testing.T
	addr   string
	now    atomic.Int64 // Unix nanoseconds
	stores map[string]*cassandra.Store
	rng    *rand.Rand
}

// retention of the keyspace.
const retention = 3 * time.Hour

// patiently calls do until Cassandra has answered it in time.
func (k *keyspace) patiently(do func() error) {
	k.Helper()
	testutil.Eventually(k, patience, func() (bool, string) {
		err := do()
		if err != nil && !errors.Is(err, visibility.ErrUnavailable) {
			k.Fatal(err)
		}
		return err == nil, fmt.Sprint(err)
	})
}

// start opens the store of a collector, a new process of it if it has one.
func (k *keyspace) start(name string) {
	k.Helper()
	if s := k.stores[name]; s != nil {
		if err := s.Close(); err != nil {
			k.Fatal(err)
		}
	}
	k.patiently(func() error {
		s, err := cassandra.Open(k.Context(), cassandra.Options{
			Hosts: []string{k.addr}, Writer: name, Shards: 2, Timeout: 30 * time.Second, Retention: retention,
			Replication: "{'class': 'SimpleStrategy', 'replication_factor': 1} AND durable_writes = false",
			Clock:       func() time.Time { return time.Unix(0, k.now.Load()).UTC() },
			Limits:      cassandra.Limits{QueryTime: patience},
		})
		if err == nil {
			k.stores[name] = s
		}
		return err
	})
}

// write gives spans, a few at a time, to one collector or the other.
func (k *keyspace) write(spans []tracing.Span) {
	k.Helper()
	for len(spans) > 0 {
		n := min(len(spans), 60)
		s := k.stores[[...]string{"a", "b"}[k.rng.IntN(2)]]
		k.patiently(func() error {
			_, err := s.Write(k.Context(), &visibility.Batch{Source: "test", Spans: spans[:n]})
			return err
		})
		spans = spans[n:]
	}
}

// each calls do for the stores of both collectors.
func (k *keyspace) each(do func(s *cassandra.Store, ctx context.Context) error) {
	k.Helper()
	for name, s := range k.stores {
		k.patiently(func() error {
			if err := do(s, k.Context()); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
}

// fill has the collectors take spans as they come from a mesh: the sides of a
// request at either of them, some again, some after they had settled, and some
// never. It returns those that have come.
func (k *keyspace) fill(seed uint64) []tracing.Span {
	k.Helper()
	spans := storetest.RandomSpans(seed, 80, sqltest.Clock().Add(-2*time.Hour), 90*time.Minute)
	for i := range spans {
		if k.rng.IntN(9) == 0 {
			spans[i].URL = "http://http-lb-shadow:9180/item/1" // copies
		}
	}
	k.rng.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
	spans = spans[:len(spans)*9/10]
	first := spans[:len(spans)*3/4]
	k.write(first)
	k.each((*cassandra.Store).Settle)
	k.start("a")
	k.write(spans[len(first):])
	k.write(spans[len(first)-50:])
	k.each((*cassandra.Store).Settle)
	return spans
}

// void adds what collectors write and do not commit: copies of spans that
// count, and more spans of their traces.
func (k *keyspace) void(spans []tracing.Span) {
	k.Helper()
	host, port, _ := net.SplitHostPort(k.addr)
	config := gocql.NewCluster(host)
	config.Port, _ = strconv.Atoi(port)
	config.Keyspace, config.Timeout, config.ConnectTimeout = "visibility", patience, patience
	session, err := config.CreateSession()
	if err != nil {
		k.Fatal(err)
	}
	defer session.Close()
	for i := range 40 {
		s := &spans[k.rng.IntN(len(spans))]
		var record []byte
		err := session.Query("SELECT record FROM spans WHERE traceid = ? LIMIT 1", s.TraceID.String()).ScanContext(k.Context(), &record)
		if err != nil {
			k.Fatal(err)
		}
		writer := [...]string{"a", "b", "nobody"}[i%3]
		version := [...]int64{1<<32 + 1_000_000, 2<<32 + 1_000_000, 9<<32 + 1, 0}[i%4]
		err = session.Query("INSERT INTO spans (traceid, spanid, kind, service_hash, writer, version, record) VALUES (?, ?, 1, 1, ?, ?, ?)",
			s.TraceID.String(), fmt.Sprintf("%016x", i), writer, version, record).ExecContext(k.Context())
		if err != nil {
			k.Fatal(err)
		}
	}
}

// testCassandra holds that Spark answers from the tables of Cassandra as the
// store does. CLOVER_QUERIES says how many random questions are asked.
func testCassandra(t *testing.T, server, addr string, table sql.CassandraTable) {
	k := &keyspace{T: t, addr: addr, stores: map[string]*cassandra.Store{}, rng: rand.New(rand.NewPCG(1, 7))}
	k.now.Store(sqltest.Clock().UnixNano())
	k.start("a")
	k.start("b")
	defer k.each(func(s *cassandra.Store, _ context.Context) error { return s.Close() })
	spans := k.fill(5)
	k.void(spans)
	engine := k.engine(open(t, Options{Addr: server}), table)
	queries := 3
	if n, err := strconv.Atoi(os.Getenv("CLOVER_QUERIES")); err == nil {
		queries = n
		sqltest.Compare(t, k.stores["b"], engine, spans, sqltest.Options{Seed: 6, Queries: queries})
	}
	// The first hour of the spans goes, also from traces that go on.
	k.now.Store(sqltest.Clock().Add(retention - 30*time.Minute).UnixNano())
	k.each((*cassandra.Store).Retain)
	sqltest.Compare(t, k.stores["b"], engine, spans, sqltest.Options{Seed: 7, Queries: queries})
	k.plan(open(t, Options{Addr: server, Sessions: 1}), table)
}

// engine asks Spark for what the table holds.
func (k *keyspace) engine(db *DB, table sql.CassandraTable) *sql.Engine {
	k.Helper()
	engine, err := sql.New(db, sql.Options{
		Dialect: sql.Spark, Table: table.SQL(), Clock: sqltest.Clock,
		TableIn: func(r visibility.Range) string {
			if r.To.Sub(r.From) > time.Hour {
				return table.SQL()
			}
			return table.InRange(r)
		},
		Oldest: func(ctx context.Context) (time.Time, error) {
			st, err := k.stores["b"].Stats(ctx)
			return st.Oldest, err
		},
	})
	if err != nil {
		k.Fatal(err)
	}
	return engine
}

// plan holds that a question reads the table once, that Spark does not move
// rows on their way to the program, and that it looks up the traces of a range.
func (k *keyspace) plan(db *DB, table sql.CassandraTable) {
	k.Helper()
	explained := func(statement string) string {
		k.Helper()
		rows, err := ask(k.T, db, "EXPLAIN "+statement)
		if err != nil || len(rows) != 1 {
			k.Fatalf("%v, %v", rows, err)
		}
		return rows[0][0].(string)
	}
	// What Spark decides while it runs is not in a plan.
	if _, err := ask(k.T, db, "SET spark.sql.adaptive.enabled=false"); err != nil {
		k.Fatal(err)
	}
	plan := explained("SELECT count(*) FROM " + table.SQL())
	_, before, _ := strings.Cut(plan, "ScriptTransformation ")
	// Exchange SinglePartition is of what was committed.
	if before == "" || strings.Contains(before, "partitioning(") || strings.Contains(before, "Join") {
		k.Errorf("the plan is\n%s", plan)
	}
	r := visibility.Range{From: sqltest.Clock().Add(-time.Minute), To: sqltest.Clock()}
	statement, err := sql.Compile(sql.Spark, table.InRange(r), visibility.Query{Range: r})
	if err != nil {
		k.Fatal(err)
	}
	plan = explained(statement)
	for _, once := range []string{"ScriptTransformation ", "Cassandra Direct Join [traceid", "Cassandra Direct Join [service"} {
		if strings.Count(plan, once) != 1 {
			k.Errorf("the plan for a range has %q %d times\n%s", once, strings.Count(plan, once), plan)
		}
	}
}
