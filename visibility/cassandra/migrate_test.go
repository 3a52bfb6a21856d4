package cassandra

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/visibility"
)

// nextStep is one as a later version may have it.
var nextStep = step{to: Schema + 1, statements: func(o *Options) []string {
	return []string{
		"ALTER TABLE " + o.Keyspace + ".spans ADD IF NOT EXISTS later_column text",
		"CREATE TABLE IF NOT EXISTS " + o.Keyspace + ".later_table (name text PRIMARY KEY, value blob)",
		"ALTER TABLE " + o.Keyspace + ".traces ADD IF NOT EXISTS later_column text",
	}
}}

// setVersion says which version the tables have.
const setVersion = "UPDATE %s.schema_version SET version = %d WHERE name = 'tables' IF EXISTS"

// undo takes back what nextStep does.
func undo(keyspace string) []string {
	return []string{
		"ALTER TABLE " + keyspace + ".spans DROP IF EXISTS later_column",
		"DROP TABLE IF EXISTS " + keyspace + ".later_table",
		"ALTER TABLE " + keyspace + ".traces DROP IF EXISTS later_column",
		fmt.Sprintf(setVersion, keyspace, Schema),
	}
}

// testMigrated takes the tables of the first version, and lets two collectors
// of a later version start while one writes that knows nothing of them. The first is cut off between two statements of the step, the
// second goes on with it. What each acknowledges counts once.
func (c *cluster) testMigrated(t *testing.T) {
	old := c.empty(t, c.opts)
	t.Cleanup(func() { c.run(t, undo(old.opts.Keyspace)) })
	c.run(t, []string{"DROP TABLE " + old.opts.Keyspace + ".packs", fmt.Sprintf(setVersion, old.opts.Keyspace, firstSchema)})
	var writing senders
	t.Cleanup(writing.Wait)
	stop := make(chan struct{})
	writing.through(t, old, stop)

	p := newProxy(t, c.addr)
	p.cutAfterAsking([]byte("later_table")) // at the next sign of life of who has the lock
	first, second := c.opts, c.opts
	first.Hosts, first.Writer, first.reconnect = []string{p.addr}, "first", 50*time.Millisecond
	second.Writer = "second"
	for _, o := range []*Options{&first, &second} {
		o.laterSteps, o.lockTime = []step{nextStep}, 5*time.Second
	}
	var starting sync.WaitGroup
	t.Cleanup(starting.Wait)
	starting.Go(func() {
		if s, err := Open(t.Context(), first); !errors.Is(err, visibility.ErrUnavailable) {
			t.Errorf("the first, cut off: %v, %v; want ErrUnavailable", s, err)
		}
	})
	testutil.Eventually(t, 5*time.Minute, func() (bool, string) {
		return c.schemaHas(t, old, "later_table"), "the first does not begin"
	})
	writing.through(t, c.open(t, second), stop)
	starting.Wait()
	if !p.heal() {
		t.Error("the first was not cut off")
	}
	writing.through(t, c.open(t, first), stop)
	seen := writing.acknowledged.Load()
	testutil.Eventually(t, 5*time.Minute, func() (bool, string) {
		return writing.acknowledged.Load() >= seen+30, "nothing is written after the migration"
	})
	close(stop)
	writing.Wait()

	for _, want := range []string{"packs", "later_table", "later_column"} {
		if !c.schemaHas(t, old, want) {
			t.Errorf("%s is not there", want)
		}
	}
	var version int
	if err := old.session.Query("SELECT version FROM schema_version WHERE name = 'tables'").ScanContext(t.Context(), &version); err != nil || version != Schema+1 {
		t.Errorf("schema %d, %v; want %d", version, err, Schema+1)
	}
	c.wantTraces(t, old, int(writing.acknowledged.Load()))
	refused := fmt.Sprintf("schema %d, this version knows up to %d", Schema+1, Schema)
	if _, err := Open(t.Context(), c.opts); !errors.Is(err, visibility.ErrUnsupported) || !strings.Contains(err.Error(), refused) {
		t.Errorf("an older program: %v; want %q", err, refused)
	}
}

// schemaHas reports whether there is a table or a column of the name.
func (c *cluster) schemaHas(t *testing.T, s *Store, name string) bool {
	t.Helper()
	var n int
	for _, cql := range []string{
		"SELECT count(*) FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?",
		"SELECT count(*) FROM system_schema.columns WHERE keyspace_name = ? AND table_name = 'traces' AND column_name = ?",
	} {
		var found int
		if err := s.session.Query(cql, s.opts.Keyspace, name).ScanContext(t.Context(), &found); err != nil {
			t.Error(err)
		}
		n += found
	}
	return n > 0
}

// run carries out statements by a session of its own.
func (c *cluster) run(t *testing.T, statements []string) {
	t.Helper()
	o := c.opts.withDefaults()
	o.Timeout = max(o.Timeout, schemaTimeout)
	session, err := connect(o, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, cql := range statements {
		if err := session.Query(cql).ExecContext(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("%s: %v", cql, err)
		}
	}
	if err := closeSession(session); err != nil {
		t.Error(err)
	}
}

// senders write hops, each through a store of its own.
type senders struct {
	sync.WaitGroup
	next         atomic.Int64 // the number of a hop
	acknowledged atomic.Int64
}

// through begins to write through a store, until it is to stop.
func (w *senders) through(t *testing.T, s *Store, stop <-chan struct{}) {
	w.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-t.Context().Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
			n := int(w.next.Add(1) - 1)
			spans := hop(n, everything.From.Add(time.Hour))
			for i := range spans { // thousands would begin in the future
				spans[i].Start = spans[i].Start.Add(-time.Duration(n-n%600) * time.Second)
			}
			deliver(t, s, spans)
			w.acknowledged.Add(1)
		}
	})
}
