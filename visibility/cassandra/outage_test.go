package cassandra

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/spool"
)

// TestOutages is what takes minutes: a real Cassandra that fails under load,
// with a spool before it. What was acknowledged is there in the end, once. It
// is run by make faults-cassandra.
func TestOutages(t *testing.T) {
	testutil.Long(t, "CLOVER_FAULTS", "faults-cassandra")
	t.Run("OneNode", func(t *testing.T) {
		server := testutil.Cassandra(t, testutil.CassandraOptions{})
		c := clusterOf(server, 1)
		t.Run("Restarted", func(t *testing.T) { c.testRestarted(t, server) })
		t.Run("Slow", c.testSlow)
		t.Run("TableDropped", c.testTableDropped)
		t.Run("ColumnDropped", c.testColumnDropped)
	})
	t.Run("FullDisk", testFullDisk)
	t.Run("ThreeNodes", testThreeNodes)
	t.Run("Password", func(t *testing.T) {
		c := clusterOf(testutil.Cassandra(t, testutil.CassandraOptions{Password: true}), 1)
		c.testPassword(t)
	})
}

func clusterOf(s *testutil.CassandraServer, copies int) *cluster {
	return &cluster{addr: s.Addr, pid: s.PID(), opts: Options{
		Hosts: []string{s.Addr}, Shards: 2, Timeout: 10 * time.Second, reconnect: 200 * time.Millisecond,
		Replication: "{'class': 'SimpleStrategy', 'replication_factor': " + string(rune('0'+copies)) + "}",
	}}
}

// outage is a store with a spool, under load.
type outage struct {
	*spool.Store
	t       *testing.T
	next    atomic.Int64 // hops begun
	acked   atomic.Int64
	stop    chan struct{}
	writing sync.WaitGroup
	begin   time.Time
}

// load begins to write to a store by a spool, from three senders that come
// again with what was not acknowledged.
func load(t *testing.T, s visibility.Store) *outage {
	t.Helper()
	spooled, err := spool.Open(s, spool.Options{Dir: t.TempDir(), Patience: time.Second, MaxBackoff: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	o := &outage{Store: spooled, t: t, stop: make(chan struct{}), begin: time.Now()}
	at := everything.From.Add(time.Minute)
	for range 3 {
		o.writing.Go(func() {
			for {
				select {
				case <-o.stop:
					return
				case <-time.After(40 * time.Millisecond):
				}
				n := int(o.next.Add(1) - 1)
				for {
					_, err := spooled.Write(t.Context(), &visibility.Batch{Source: "test", Spans: hop(n, at)})
					if err == nil {
						break
					}
					if !errors.Is(err, visibility.ErrUnavailable) {
						t.Errorf("write: %v", err)
						return
					}
					time.Sleep(100 * time.Millisecond) // as a sender comes again
				}
				o.acked.Add(1)
			}
		})
	}
	return o
}

// more waits for that many further acknowledgements.
func (o *outage) more(n int64) {
	o.t.Helper()
	want := o.acked.Load() + n
	testutil.Eventually(o.t, 3*time.Minute, func() (bool, string) {
		return o.acked.Load() >= want, o.Status().Output().Error
	})
}

// spooling waits until something waits on disk.
func (o *outage) spooling() {
	o.t.Helper()
	testutil.Eventually(o.t, 3*time.Minute, func() (bool, string) { return o.Status().Waiting > 0, "nothing is spooled" })
	o.more(20)
}

// end ends the load, waits until the store has everything and compares.
func (o *outage) end(c *cluster, s *Store) {
	o.t.Helper()
	close(o.stop)
	o.writing.Wait()
	testutil.Eventually(o.t, 5*time.Minute, func() (bool, string) {
		st := o.Status()
		return st.Bytes == 0, st.Output().Error
	})
	st := o.Status()
	o.t.Logf("%d requests in %v, %d spans by the disk, %d attempts to reach the store failed",
		o.next.Load(), time.Since(o.begin).Round(time.Second), st.Spooled, st.Retries)
	if st.Dropped != 0 {
		o.t.Errorf("the spool has dropped %d spans", st.Dropped)
	}
	c.wantTally(o.t, s, int(o.next.Load()))
	if err := o.Close(); err != nil {
		o.t.Errorf("close: %v", err)
	}
}

// testRestarted stops the server under load, and starts it again, twice: as
// asked to, and killed.
func (c *cluster) testRestarted(t *testing.T, server *testutil.CassandraServer) {
	s := c.empty(t, c.opts)
	o := load(t, s)
	for _, end := range []func(){server.Stop, server.Kill} {
		o.more(50)
		end()
		o.spooling()
		server.Restart()
		o.more(50)
	}
	o.end(c, s)
}

// testSlow holds up each answer.
func (c *cluster) testSlow(t *testing.T) {
	direct := c.empty(t, c.opts)
	p := newProxy(t, c.addr)
	opts := c.opts
	opts.Hosts, opts.Writer, opts.Timeout = []string{p.addr}, "slow", time.Second
	s := c.open(t, opts)
	o := load(t, s)
	o.more(50)
	for _, delay := range []time.Duration{100 * time.Millisecond, 1500 * time.Millisecond} {
		p.slow(delay)
		o.more(100)
	}
	p.slow(0)
	o.more(50)
	o.end(c, direct)
}

// testTableDropped takes a table away under load, and gives it back.
func (c *cluster) testTableDropped(t *testing.T) {
	o := c.opts.withDefaults()
	c.changeSchema(t, "DROP TABLE trace_index", o.createTable("trace_index"))
}

// testColumnDropped does so with a column.
func (c *cluster) testColumnDropped(t *testing.T) {
	c.changeSchema(t, "ALTER TABLE spans DROP upstream_cluster", "ALTER TABLE spans ADD upstream_cluster text")
}

func (c *cluster) changeSchema(t *testing.T, away, back string) {
	s := c.empty(t, c.opts)
	o := load(t, s)
	o.more(50)
	m := migration{session: s.session, o: s.opts}
	if err := m.ddl(t.Context(), away); err != nil {
		t.Fatal(err)
	}
	o.spooling()
	if err := m.ddl(t.Context(), back); err != nil {
		t.Fatal(err)
	}
	o.more(50)
	o.end(c, s)
}

// testFullDisk fills the server's disk under load, as a result of which it
// refuses what comes; then there is room again and it is started again.
func testFullDisk(t *testing.T) {
	server := testutil.Cassandra(t, testutil.CassandraOptions{Disk: 256 << 20})
	c := clusterOf(server, 1)
	s := c.empty(t, c.opts)
	o := load(t, s)
	o.more(50)
	server.FillDisk()
	// Now what is in memory has to go to the disk.
	if err := s.session.Query("TRUNCATE state").ExecContext(t.Context()); err == nil {
		t.Error("the disk is full and the server has not noticed")
	}
	o.spooling()
	server.FreeDisk()
	server.Restart()
	o.more(50)
	o.end(c, s)
}

// testThreeNodes has one of three nodes killed under load, each in its turn:
// the others are a quorum, so that writes go on, and nothing is lost.
func testThreeNodes(t *testing.T) {
	servers := testutil.CassandraCluster(t, 3, testutil.CassandraOptions{})
	c := clusterOf(servers[0], 3)
	s := c.empty(t, c.opts)
	o := load(t, s)
	for _, server := range servers[1:] {
		o.more(50)
		server.Kill()
		o.more(100)
		server.Restart()
		o.more(50)
	}
	o.end(c, s)
	t.Logf("of the writes %d spans had to wait on disk", o.Status().Spooled)
}
