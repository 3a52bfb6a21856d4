package cassandra

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

var everything = visibility.Range{From: time.Now().Add(-2 * time.Hour).Truncate(time.Hour), To: time.Now().Add(2 * time.Hour)}

// hop is a trace of two spans: both sides of one request.
func hop(n int, at time.Time) []tracing.Span {
	var spans []tracing.Span
	for i, kind := range []tracing.Kind{tracing.KindClient, tracing.KindServer} {
		s := tracing.NewSpan()
		s.TraceID = tracing.TraceID{0: 7, 14: byte(n >> 8), 15: byte(n)}
		s.SpanID = tracing.SpanID{7: byte(i + 1)}
		s.Kind, s.Start, s.Duration = kind, at.Add(time.Duration(n)*time.Second), time.Duration(n+1)*time.Millisecond
		s.Service, s.UpstreamCluster = "client.default", "outbound|9180||server.default.svc.cluster.local"
		if kind == tracing.KindServer {
			s.Service, s.UpstreamCluster, s.ParentID = "server.default", "inbound|9180||", tracing.SpanID{7: 1}
		}
		spans = append(spans, s)
	}
	return spans
}

// tally is what a store counts.
type tally struct {
	spans, requests, stored, kept int64
	duration                      time.Duration
}

func (c *cluster) tally(t *testing.T, s *Store) tally {
	t.Helper()
	var n tally
	_, err := s.Rollups(t.Context(), everything, 0, func(r *visibility.Rollup) error {
		n.spans += r.Aggregate.Count
		if r.Role.Counts(visibility.CountRequests) {
			n.requests += r.Aggregate.Count
			n.duration += r.Aggregate.Sum
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	stats, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n.stored = stats.Spans
	entries, err := s.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		n.kept += entries[i].Kept
		if b := entries[i].Balance(); b != 0 {
			t.Errorf("the account of %s does not balance: %d", entries[i].Service, b)
		}
	}
	return n
}

// wantTally holds that n hops count once, whatever happened on the way.
func (c *cluster) wantTally(t *testing.T, s *Store, n int) {
	t.Helper()
	want := tally{spans: int64(2 * n), requests: int64(n), stored: int64(2 * n), kept: int64(2 * n)}
	for i := range n {
		want.duration += time.Duration(i+1) * time.Millisecond
	}
	if got := c.tally(t, s); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

// writeUntil writes a hop again and again until it is acknowledged. It returns
// how often it was not, and the last receipt.
func writeUntil(t *testing.T, s *Store, spans []tracing.Span, refused func()) (failures int, r visibility.Receipt) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for {
		r, err := s.Write(ctx, &visibility.Batch{Source: "test", Spans: spans})
		if err == nil {
			return failures, r
		}
		if !errors.Is(err, visibility.ErrUnavailable) || ctx.Err() != nil {
			t.Fatalf("write: %v", err)
		}
		failures++
		refused()
	}
}

// testExactlyOnce cuts the connection when a commit has been done, and when an
// earlier step of a write has, but before the store is told. The spans are
// written again, and count once.
func (c *cluster) testExactlyOnce(t *testing.T) {
	p := newProxy(t, c.addr)
	direct := c.empty(t, c.opts)
	o := c.opts
	o.Hosts, o.Writer, o.Timeout, o.reconnect = []string{p.addr}, "cut", time.Second, 50*time.Millisecond
	s := c.open(t, o)
	at := everything.From.Add(time.Hour)
	writeUntil(t, s, hop(0, at), func() {})
	n, landed, lost := 1, 0, 0
	// The commit alone is asked for with the id of the process.
	for cuts := 0; cuts < 3 || lost < 3; cuts++ {
		if cuts < 3 {
			p.cutAfterAsking(s.id[:])
		} else {
			p.cutAfter(cuts - 3)
		}
		failures, r := writeUntil(t, s, hop(n, at), func() { p.heal() })
		switch {
		case failures == 0:
			t.Errorf("cut %d did not happen", cuts)
		case r.Duplicates == 2:
			landed++
		case r.Kept == 2:
			lost++
		default:
			t.Errorf("cut %d: receipt %+v", cuts, r)
		}
		p.heal()
		c.wantHop(t, direct, n, at)
		n++
	}
	t.Logf("%d writes cut: %d had landed, %d had not", landed+lost, landed, lost)
	if landed < 3 {
		t.Errorf("of the commits cut %d had landed, want 3", landed)
	}
	c.wantTally(t, direct, n)
}

// wantHop holds that a hop is stored whole.
func (c *cluster) wantHop(t *testing.T, s *Store, n int, at time.Time) {
	t.Helper()
	want := hop(n, at)
	got, err := s.Trace(t.Context(), want[0].TraceID)
	if err != nil || len(got) != 2 || !got[0].Start.Equal(want[0].Start) {
		t.Errorf("trace %d: %v, %v", n, got, err)
	}
}

// testPaused stops the server's process while it is written to. Nothing is
// acknowledged meanwhile, and what is written again counts once.
func (c *cluster) testPaused(t *testing.T) {
	patient := c.empty(t, c.opts)
	o := c.opts
	o.Writer, o.Timeout = "paused", 500*time.Millisecond
	s := c.open(t, o)
	at := everything.From.Add(time.Hour)
	n, failures := 0, 0
	for ; failures == 0 || n < 20; n++ {
		if n == 5 {
			pause(t, c.pid)
		}
		f, _ := writeUntil(t, s, hop(n, at), func() { resume(t, c.pid) })
		failures += f
		if n > 100 {
			t.Fatal("a stopped server has acknowledged writes")
		}
	}
	c.wantTally(t, patient, n)
}

// testNewerSchema holds that what another version has made is left alone.
func (c *cluster) testNewerSchema(t *testing.T) {
	s := c.open(t, c.opts)
	set := func(version int) {
		t.Helper()
		if err := s.session.Query("INSERT INTO schema_version (name, version) VALUES ('tables', ?)", version).ExecContext(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	defer set(Schema)
	for _, version := range []int{Schema + 1, firstSchema - 1} {
		set(version)
		_, err := Open(t.Context(), c.opts)
		if !errors.Is(err, visibility.ErrUnsupported) || !strings.Contains(err.Error(), fmt.Sprintf("schema %d", version)) {
			t.Errorf("open: %v, want ErrUnsupported with the version", err)
		}
	}
}

// testNameTaken holds that a process whose name another has taken can write
// no more, and says so.
func (c *cluster) testNameTaken(t *testing.T) {
	first := c.empty(t, c.opts)
	at := everything.From.Add(time.Hour)
	writeUntil(t, first, hop(0, at), func() {})
	second := c.open(t, c.opts)
	if _, err := first.Write(t.Context(), &visibility.Batch{Source: "test", Spans: hop(1, at)}); !errors.Is(err, visibility.ErrLocked) {
		t.Errorf("write by the first: %v, want ErrLocked", err)
	}
	writeUntil(t, second, hop(1, at), func() {})
	c.wantTally(t, second, 2)
}

// testUnavailable opens a store where nobody listens.
func (c *cluster) testUnavailable(t *testing.T) {
	o := c.opts
	o.Hosts = []string{testutil.FreeAddr(t)}
	if _, err := Open(t.Context(), o); !errors.Is(err, visibility.ErrUnavailable) {
		t.Errorf("open: %v, want ErrUnavailable", err)
	}
}
