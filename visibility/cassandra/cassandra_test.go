package cassandra

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/leak"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/storetest"
)

func TestMain(m *testing.M) { leak.Main(m) }

// TestCassandra is all that needs the real server, which the tests share: its
// start takes longer than most of them.
func TestCassandra(t *testing.T) {
	authority := testutil.NewAuthority(t)
	cert, key := authority.Server(t)
	server := testutil.Cassandra(t, testutil.CassandraOptions{CertFile: cert, KeyFile: key})
	c := &cluster{authority: authority, addr: server.Addr, pid: server.PID(), opts: Options{
		Hosts: []string{server.Addr}, Shards: 2, Timeout: 30 * time.Second,
		// No log on disk, which emptying a table would wait for.
		Replication: "{'class': 'SimpleStrategy', 'replication_factor': 1} AND durable_writes = false",
	}}
	t.Run("TwoStarters", c.testTwoStarters)
	t.Run("Conformance", c.testConformance)
	t.Run("SeveralWriters", c.testSeveralWriters)
	t.Run("SameSpans", c.testSameSpans)
	t.Run("SkewedClocks", c.testSkewedClocks)
	t.Run("StoppedBeforeCommit", c.testStoppedBeforeCommit)
	t.Run("Packed", c.testPacked)
	t.Run("ExactlyOnce", c.testExactlyOnce)
	t.Run("Move", c.testMove)
	t.Run("NameTaken", c.testNameTaken)
	t.Run("Paused", c.testPaused)
	t.Run("TLS", c.testTLS)
	t.Run("NewerSchema", c.testNewerSchema)
	t.Run("Migrated", c.testMigrated)
	t.Run("Unavailable", c.testUnavailable)
}

// cluster is the server under test.
type cluster struct {
	addr      string
	pid       int
	opts      Options // of a store of the suite
	authority *testutil.Authority
}

// open opens a store. A busy machine may not answer within a short Timeout.
func (c *cluster) open(t *testing.T, o Options) *Store {
	t.Helper()
	var s *Store
	testutil.Eventually(t, time.Minute, func() (bool, string) {
		var err error
		if s, err = Open(t.Context(), o); err != nil && !errors.Is(err, visibility.ErrUnavailable) {
			t.Fatal(err)
		}
		return err == nil, fmt.Sprint(err)
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// empty returns a store in the suite's keyspace that has nothing. Spans that
// earlier tests wrote are voided, and lie about: emptying all tables takes
// longer than most tests.
func (c *cluster) empty(t *testing.T, o Options) *Store {
	t.Helper()
	s := c.open(t, o)
	err := s.do(t.Context(), func(ctx context.Context, cm *committer) error {
		cm.stale = true
		if err := cm.forgetAll(ctx); err != nil {
			return err
		}
		for _, cql := range []string{
			"DELETE FROM watermarks WHERE part IN (0, 1, 2, 3)", "DELETE FROM meta WHERE name = 'floor'",
			"TRUNCATE state", "TRUNCATE trace_index", "TRUNCATE rollups",
			"DELETE FROM rollup_rows WHERE part IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)",
		} {
			if err := s.session.Query(cql).ExecContext(ctx); err != nil {
				return err
			}
		}
		s.mu.Lock()
		s.floor = time.Time{}
		s.mu.Unlock()
		s.dict.reset()
		return cm.renew(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// packing is a store that packs its sums after some writes, when others do a
// minute later.
type packing struct {
	*Store
	writes *atomic.Int64
}

func (s packing) Write(ctx context.Context, b *visibility.Batch) (visibility.Receipt, error) {
	r, err := s.Store.Write(ctx, b)
	if err == nil && s.writes.Add(1)%16 == 0 {
		err = s.pack(ctx)
	}
	return r, err
}

// pack packs what is not packed.
func (s *Store) pack(ctx context.Context) error {
	for left := 1; left > 0; {
		err := s.do(ctx, func(ctx context.Context, c *committer) error {
			if err := c.renew(ctx); err != nil || c.lost != nil {
				return errors.Join(err, c.lost)
			}
			now := time.Now()
			err := c.pack(ctx, now.Add(time.Hour), now.Add(5*time.Second))
			left = len(c.unpacked)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) testConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, o storetest.Options) storetest.Fixture {
		opts := c.opts
		opts.Clock, opts.Retention = o.Clock, o.Retention
		opts.Limits = Limits{Rows: o.Rows, Values: o.Values}
		s := c.empty(t, opts)
		var writes atomic.Int64
		return storetest.Fixture{
			Store: packing{s, &writes},
			Reopen: func() (visibility.Store, error) {
				if err := s.Close(); err != nil {
					return nil, err
				}
				next, err := Open(context.WithoutCancel(t.Context()), opts)
				if err != nil {
					return nil, err
				}
				s = next
				t.Cleanup(func() { _ = next.Close() })
				return packing{s, &writes}, nil
			},
			Settle: func(ctx context.Context) error { return errors.Join(s.Settle(ctx), s.pack(ctx)) },
			Retain: func(ctx context.Context) error { return s.Retain(ctx) },
		}
	})
}
