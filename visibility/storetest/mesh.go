package storetest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// mesh makes random traces of which it knows what each span counts as,
// because it knows who asked whom. It never looks at ids and parents to find
// out, as stores have to.
type mesh struct {
	rng    *rand.Rand
	traces uint64
	ids    uint64
	spans  []meshSpan
}

// meshSpan is a span with the truth about it.
type meshSpan struct {
	tracing.Span
	want hopWant
}

func (s *meshSpan) cell() cell {
	return cell{s.Start.Truncate(fine).Unix(), s.want.role, s.want.key(&s.Span)}
}

var meshServices = []string{"proxy-access-control", "http-lb", "clover-server1", "clover-server2", "snort-ids"}

func newMesh(seed uint64) *mesh {
	return &mesh{rng: rand.New(rand.NewPCG(seed, 1))}
}

func pick[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }

// trace adds a random trace that starts at about the given time.
func (m *mesh) trace(at time.Time) {
	m.traces++
	root := meshServices[0]
	switch m.rng.IntN(4) {
	case 0: // the one who asks is traced too
		m.hop("load-generator", root, 0, at, 3)
	case 1: // its spans were lost
		m.serve(visibility.Unknown, root, m.id(), at, 3)
	default:
		m.serve(visibility.External, root, 0, at, 3)
	}
}

func (m *mesh) id() uint64 {
	m.ids++
	return m.ids
}

func (m *mesh) add(kind tracing.Kind, service string, id, parent uint64, at time.Time, want hopWant) *meshSpan {
	s := newSpan(kind, service, m.traces, id, parent)
	s.Start = at
	s.Duration = time.Duration(m.rng.ExpFloat64() * float64(20*time.Millisecond))
	s.Method = pick(m.rng, "GET", "GET", "POST")
	s.URL = fmt.Sprintf("http://%s:9180/item/%d", want.destination, m.rng.IntN(4))
	s.StatusCode = pick(m.rng, 200, 200, 200, 404, 503, 0)
	s.Error = s.StatusCode >= 500
	s.UserAgent = pick(m.rng, "chrome", "curl/8", "")
	s.RequestSize, s.ResponseSize = int64(m.rng.IntN(3000)-1), int64(m.rng.IntN(100_000)-1)
	m.spans = append(m.spans, meshSpan{s, want})
	return &m.spans[len(m.spans)-1]
}

// serve adds a server's side and what the service does for it.
func (m *mesh) serve(source, service string, parent uint64, at time.Time, depth int) {
	id := m.id()
	m.add(tracing.KindServer, service, id, parent, at, served(source, service)).UpstreamCluster = "inbound|9180||"
	m.work(service, id, at, depth)
}

// work adds what a service does below a span of its own.
func (m *mesh) work(service string, parent uint64, at time.Time, depth int) {
	at = at.Add(time.Duration(m.rng.IntN(3_000_000)))
	if m.rng.IntN(3) == 0 {
		id := m.id()
		m.add(tracing.KindClient, service, id, parent, at, aside).UpstreamCluster = "inbound|9180||"
		parent = id
	}
	for m.rng.IntN(4) == 0 {
		id := m.id()
		m.add(tracing.KindInternal, service, id, parent, at, aside)
		parent = id
	}
	if depth == 0 {
		return
	}
	for range m.rng.IntN(3) {
		m.hop(service, pick(m.rng, meshServices...), parent, at, depth-1)
	}
}

// hop adds a request between two services, in one of the ways in which
// tracers report it.
func (m *mesh) hop(from, to string, parent uint64, at time.Time, depth int) {
	at = at.Add(time.Duration(m.rng.IntN(2_000_000)))
	shape := m.rng.IntN(8)
	if shape == 0 && parent != 0 && from != to { // no client's side
		m.serve(from, to, parent, at, depth)
		return
	}
	id := m.id()
	askedFor := func(want hopWant) {
		m.add(tracing.KindClient, from, id, parent, at, want).UpstreamCluster = "outbound|9180||" + to + ".default.svc.cluster.local"
	}
	to2 := to + ".default" // as the cluster names it
	switch shape {
	case 1: // no server's side
		askedFor(asked(from, to2))
	case 2: // both sides share an id; the server's tracer gives its own below
		askedFor(paired(from, to2))
		m.add(tracing.KindServer, to, id, parent, at, served(from, to))
	case 3: // two attempts
		askedFor(paired(from, to2))
		m.serve(from, to, id, at, 0)
		m.serve(from, to, id, at.Add(time.Millisecond), depth)
	default:
		askedFor(paired(from, to2))
		m.serve(from, to, id, at.Add(time.Millisecond), depth)
	}
}

// traceMany adds n traces spread over a time, some at bounds of buckets.
func (m *mesh) traceMany(n int, from time.Time, over time.Duration) {
	for range n {
		at := from.Add(time.Duration(m.rng.Int64N(int64(over))))
		if m.rng.IntN(4) == 0 {
			at = at.Truncate(pick(m.rng, fine, 5*time.Minute, time.Hour)).Add(-time.Millisecond)
		}
		m.trace(at)
	}
}

// cells is what a store has to answer, exactly.
func (m *mesh) cells(keep func(*meshSpan) bool) cells {
	want := cells{}
	for i := range m.spans {
		s := &m.spans[i]
		if keep == nil || keep(s) {
			sum := visibility.AggregateOf(&s.Span)
			want.add(s.cell(), &sum)
		}
	}
	return want
}

// deliveries splits the spans, in random order and with repetitions, into
// batches.
func (m *mesh) deliveries(largest int) [][]tracing.Span {
	var all []tracing.Span
	for i := range m.spans {
		all = append(all, m.spans[i].Span)
		if m.rng.IntN(5) == 0 {
			all = append(all, m.spans[i].Span)
		}
	}
	m.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var batches [][]tracing.Span
	for len(all) > 0 {
		n := min(len(all), 1+m.rng.IntN(largest))
		batches = append(batches, all[:n])
		all = all[n:]
	}
	return batches
}
