package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/cassandra"
)

// asProgram is set in the environment of a test's process that is to be the
// program.
const asProgram = "CLOVER_TEST_COLLECTOR"

// several are collectors of one keyspace, each a process.
type several struct {
	t         *testing.T
	cassandra *testutil.CassandraServer
	jaeger    *testutil.JaegerServer
	otlp      []string // address of each
	processes []*testutil.Process
}

func startSeveral(t *testing.T, n int) *several {
	s := &several{t: t, cassandra: testutil.Cassandra(t, testutil.CassandraOptions{}), jaeger: testutil.Jaeger(t, testutil.JaegerOptions{})}
	s.processes = make([]*testutil.Process, n)
	for range n {
		s.otlp = append(s.otlp, testutil.FreeAddr(t))
	}
	for i := range n {
		s.start(i)
	}
	return s
}

func (s *several) name(i int) string { return "collector-" + strconv.Itoa(i) }

func (s *several) start(i int) {
	s.t.Helper()
	s.processes[i] = testutil.Start(s.t, testutil.Command{
		Name: s.name(i), Path: os.Args[0], Env: []string{asProgram + "=1"}, Args: []string{
			"--store", "cassandra", "--cassandra-hosts", s.cassandra.Addr, "--cassandra-writer", s.name(i),
			// No log on disk, which a loaded machine waits for.
			"--cassandra-replication", "{'class': 'SimpleStrategy', 'replication_factor': 1} AND durable_writes = false",
			"--jaeger", s.jaeger.QueryHTTP, "--sample-interval", "1s",
			"--grpc-addr", "127.0.0.1:0", "--otlp-grpc-addr", s.otlp[i], "--otlp-http-addr", "-",
		},
	})
	p := s.processes[i]
	p.WaitReady(5*time.Minute, func(context.Context) error {
		if !strings.Contains(p.Log(), "clover-collector is ready") {
			return errors.New("it does not say that it is ready")
		}
		return nil
	})
}

var membersLine = regexp.MustCompile(`lease: members" members="?\[([^\]]*)\]`)

// wantMembers waits until the collectors say that those of the numbers share.
func (s *several) wantMembers(numbers ...int) {
	s.t.Helper()
	var names []string
	for _, i := range numbers {
		names = append(names, s.name(i))
	}
	want := strings.Join(names, " ")
	testutil.Eventually(s.t, 2*time.Minute, func() (bool, string) {
		for _, i := range numbers {
			lines := membersLine.FindAllStringSubmatch(s.processes[i].Log(), -1)
			if len(lines) == 0 || lines[len(lines)-1][1] != want {
				return false, fmt.Sprintf("%s says %v, want %s", s.name(i), lines, want)
			}
		}
		return true, ""
	})
}

// load is what is sent to Jaeger, and to the collectors themselves.
type load struct {
	exporters []*tracing.Exporter
	traces    []tracing.TraceID // sent
	spans     int
	stop      func() // sends no more
}

// meshServices is the number of services that Jaeger has.
const meshServices = 9

// traceOf is a request from one service to another.
func traceOf(rng *rand.Rand, at time.Time) []tracing.Span {
	var id tracing.TraceID
	for i := range id {
		id[i] = byte(rng.Uint32())
	}
	from := rng.IntN(meshServices)
	to := (from + 1 + rng.IntN(meshServices-1)) % meshServices
	spans := make([]tracing.Span, 3)
	for i := range spans {
		spans[i] = tracing.NewSpan()
		spans[i].TraceID, spans[i].SpanID = id, tracing.SpanID{7: byte(i + 1)}
		spans[i].Operation, spans[i].Start, spans[i].Duration = "GET /", at, time.Millisecond
		spans[i].Service, spans[i].Kind = fmt.Sprintf("service-%d", from), tracing.KindServer
		if i > 0 {
			spans[i].ParentID = spans[i-1].SpanID
		}
	}
	spans[1].Kind = tracing.KindClient
	spans[2].Service = fmt.Sprintf("service-%d", to)
	return spans
}

// startLoad sends traces until stop.
func (s *several) startLoad() *load {
	s.t.Helper()
	l := &load{}
	ctx, cancel := context.WithCancel(context.Background())
	var running, sending sync.WaitGroup
	for _, addr := range append([]string{s.jaeger.OTLPGRPC}, s.otlp...) {
		e, err := tracing.NewExporter(addr, tracing.ExporterOptions{QueueSpans: 1 << 20, RetryFor: 10 * time.Minute, MaxBackoff: time.Second})
		if err != nil {
			s.t.Fatal(err)
		}
		l.exporters = append(l.exporters, e)
		running.Go(func() { _ = e.Run(ctx) })
	}
	quit := make(chan struct{})
	sending.Go(func() {
		rng := rand.New(rand.NewPCG(1, 2))
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			for i, e := range l.exporters {
				spans := traceOf(rng, time.Now())
				if i > 0 { // pushed: services of their own
					for j := range spans {
						spans[j].Service = "pushed-" + spans[j].Service
					}
				}
				e.Export(spans...)
				l.traces, l.spans = append(l.traces, spans[0].TraceID), l.spans+len(spans)
			}
		}
	})
	l.stop = sync.OnceFunc(func() {
		close(quit)
		sending.Wait()
	})
	s.t.Cleanup(func() {
		l.stop()
		cancel()
		running.Wait()
	})
	return l
}

// wantTaken waits until all that was sent was acknowledged.
func (l *load) wantTaken(t *testing.T) {
	t.Helper()
	testutil.Eventually(t, 3*time.Minute, func() (bool, string) {
		for _, e := range l.exporters {
			if st := e.Stats(); st.Exported != st.Seen {
				return false, fmt.Sprintf("%+v", st)
			}
		}
		return true, ""
	})
}

// wantTally holds that each span that was sent counts once, after all services
// were read up to a time after the last. Jaeger itself may show the last spans
// only a moment after it has taken them.
func (s *several) wantTally(l *load, end time.Time) {
	t := s.t
	t.Helper()
	store, err := cassandra.Open(t.Context(), cassandra.Options{Hosts: []string{s.cassandra.Addr}, Writer: "tally", Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	var kept int64
	// A span that Jaeger shows late is read at the last age, of ten minutes, at the latest.
	testutil.Eventually(t, 12*time.Minute, func() (bool, string) {
		entries, err := store.Ledger(t.Context())
		kept = 0
		behind := []string{}
		read := 0
		for i := range entries {
			e := &entries[i]
			kept += e.Kept
			if !strings.HasPrefix(e.Source, "jaeger") {
				continue
			}
			read++
			if e.Watermark.Before(end) {
				behind = append(behind, e.Service)
			}
		}
		return err == nil && read >= meshServices && len(behind) == 0 && kept >= int64(l.spans), fmt.Sprintf("behind: %v of %d, %v; kept %d of %d", behind, read, err, kept, l.spans)
	})
	st, err := store.Stats(t.Context())
	if err != nil || st.Spans != int64(l.spans) || st.Traces != int64(len(l.traces)) || kept != int64(l.spans) {
		t.Errorf("%d spans of %d traces, %d kept, %v; want %d of %d", st.Spans, st.Traces, kept, err, l.spans, len(l.traces))
	}
	var counted int64
	everything := visibility.Range{From: end.Add(-time.Hour), To: end.Add(time.Hour)}
	_, err = store.Rollups(t.Context(), everything, 0, func(r *visibility.Rollup) error {
		counted += r.Aggregate.Count
		return nil
	})
	if err != nil || counted != int64(l.spans) {
		t.Errorf("counted %d, %v; want %d", counted, err, l.spans)
	}
	for i := 0; i < len(l.traces); i += 10 {
		if spans, err := store.Trace(t.Context(), l.traces[i]); err != nil || len(spans) != 3 {
			t.Errorf("trace %d: %d spans, %v", i, len(spans), err)
		}
	}
}

// TestKilledCollectorsLoseNothing runs three collectors on a real Cassandra
// that share a real Jaeger's services and take spans themselves, and kills
// them under load, one at a time. The others take over; in the end each span
// counts once.
func TestKilledCollectorsLoseNothing(t *testing.T) {
	kills, strict := 1, false
	if v := os.Getenv("CLOVER_COLLECTOR_KILLS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		kills, strict = n, true
	}
	s := startSeveral(t, 3)
	s.wantMembers(0, 1, 2)
	l := s.startLoad()
	for k := range kills {
		victim := k % 3
		others := slices.DeleteFunc([]int{0, 1, 2}, func(i int) bool { return i == victim })
		s.processes[victim].Kill()
		killed := time.Now()
		s.wantMembers(others...)
		took := time.Since(killed)
		t.Logf("%s killed: shared anew after %.1f s", s.name(victim), took.Seconds())
		if strict && took > 10*time.Second {
			t.Errorf("shared anew after %v, want at most 10 s", took)
		}
		s.start(victim)
		s.wantMembers(0, 1, 2)
	}
	l.stop()
	l.wantTaken(t)
	s.wantTally(l, time.Now())
	t.Logf("%d spans of %d traces", l.spans, len(l.traces))
}
