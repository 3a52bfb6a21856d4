package spark

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/visibility"
)

// patience is how long a busy machine may take for a statement.
const patience = 5 * time.Minute

func open(t testing.TB, o Options) *DB {
	t.Helper()
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// ask returns the rows of a statement.
func ask(t *testing.T, db *DB, statement string) (rows [][]any, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err = db.Query(ctx, statement, func(row []any) error {
		rows = append(rows, append([]any{}, row...))
		return nil
	})
	return rows, err
}

// TestServer is all that needs a Spark, or a Cassandra beside it: one serves
// for everything.
func TestServer(t *testing.T) {
	addr := testutil.Cassandra(t, testutil.CassandraOptions{}).Addr
	table, settings := cassandraTable(t, addr)
	server := testutil.Spark(t, settings...)
	db := open(t, Options{Addr: server.Addr, Sessions: 2, MaxRows: 5000})
	t.Run("values", func(t *testing.T) { testValues(t, db) })
	t.Run("errors", func(t *testing.T) { testErrors(t, db) })
	t.Run("cancel", func(t *testing.T) { testCancel(t, db) })
	t.Run("choice", func(t *testing.T) { testChoice(t, server.Addr) })
	t.Run("cassandra", func(t *testing.T) { testCassandra(t, server.Addr, addr, table) })
	t.Run("redis", func(t *testing.T) { testRedis(t, server.Addr) })
	t.Run("questions", func(t *testing.T) { testQuestions(t, server.Addr) })
}

func testValues(t *testing.T, db *DB) {
	for _, c := range []struct {
		statement string
		want      [][]any
	}{
		{
			`SELECT true, 1Y, 2S, 3, 4L, 1.5D, 'a;\u0027ü', X'00ff', CAST(NULL AS STRING), CAST(1.25 AS DECIMAL(5,2))`,
			[][]any{{true, int8(1), int16(2), int32(3), int64(4), 1.5, "a;'ü", []byte{0, 255}, nil, "1.25"}},
		},
		{`SELECT IF(id % 3 = 1, NULL, id) FROM range(0, 10, 1, 1)`, [][]any{{int64(0)}, {nil}, {int64(2)}, {int64(3)}, {nil}, {int64(5)}, {int64(6)}, {nil}, {int64(8)}, {int64(9)}}},
		{`SELECT id FROM range(0)`, nil},
	} {
		rows, err := ask(t, db, c.statement)
		if err != nil || !reflect.DeepEqual(rows, c.want) {
			t.Errorf("%s: %#v, %v; want %#v", c.statement, rows, err, c.want)
		}
	}
	rows, err := ask(t, db, "SELECT id FROM range(0, 2500, 1, 1) ORDER BY id")
	if err != nil || len(rows) != 2500 || rows[2499][0] != int64(2499) {
		t.Errorf("2500 rows: %d, %v", len(rows), err)
	}
}

func testErrors(t *testing.T, db *DB) {
	_, err := ask(t, db, "SELECT nothing FROM nowhere")
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "nowhere") || len(err.Error()) > 2*maxMessage {
		t.Errorf("a table that is not there: %v", err)
	}
	if _, err := ask(t, db, "SELECT id FROM range(0, 6000, 1, 1)"); !errors.Is(err, visibility.ErrLimit) {
		t.Errorf("more rows than allowed: %v", err)
	}
	stop := errors.New("enough")
	if err := db.Query(t.Context(), "SELECT 1", func([]any) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of the reader: %v", err)
	}
	if rows, err := ask(t, db, "SELECT 1"); err != nil || len(rows) != 1 {
		t.Errorf("after errors: %v, %v", rows, err)
	}
}

// testCancel gives up statements that would take both of the server's threads
// for an hour: others could not run if one of them went on.
func testCancel(t *testing.T, db *DB) {
	const long = "SELECT count(*) FROM range(0, 1000000000000, 1, 4) WHERE xxhash64(id) %% 1000003 = %d"
	for i := range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		err := db.Query(ctx, fmt.Sprintf(long, i), func([]any) error { return nil })
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a statement that was given up: %v", err)
		}
	}
	rows, err := ask(t, db, "SELECT count(*) FROM range(0, 1000, 1, 4)")
	if err != nil || !reflect.DeepEqual(rows, [][]any{{int64(1000)}}) {
		t.Errorf("after statements that were given up: %v, %v", rows, err)
	}
}

func TestOpen(t *testing.T) {
	for _, c := range []struct {
		o  Options
		ok bool
	}{
		{Options{Addr: "spark:10000"}, true},
		{Options{Addr: "spark"}, false},
		{Options{}, false},
		{Options{Addr: "spark:10000", Sessions: -1}, false},
		{Options{Addr: "spark:10000", Password: "secret"}, false},
		{Options{Addr: "spark:10000", Password: "secret", TLS: &tls.Config{MinVersion: tls.VersionTLS12}}, true},
		{Options{Addr: "127.0.0.1:10000", Password: "secret"}, true},
		{Options{Addr: "localhost:10000", Password: "secret"}, true},
	} {
		if _, err := Open(c.o); (err == nil) != c.ok || err != nil && !errors.Is(err, visibility.ErrInvalid) {
			t.Errorf("Open(%+v): %v", c.o, err)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	db := open(t, Options{Addr: testutil.FreeAddr(t)})
	if _, err := ask(t, db, "SELECT 1"); !errors.Is(err, visibility.ErrUnavailable) {
		t.Errorf("no server: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Query(ctx, "SELECT 1", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	if err := errors.Join(db.Close(), db.Close()); err != nil {
		t.Errorf("close twice: %v", err)
	}
	if _, err := ask(t, db, "SELECT 1"); err == nil {
		t.Error("a closed DB answers")
	}
}
