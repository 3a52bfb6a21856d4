package storetest

import (
	"fmt"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// hopCase is a trace and what each of its spans counts as.
type hopCase struct {
	name  string
	spans []tracing.Span
	want  []hopWant
}

type hopWant struct {
	role                visibility.Role
	source, destination string
}

func served(source, service string) hopWant {
	return hopWant{visibility.RoleServer, source, service}
}

func asked(service, destination string) hopWant {
	return hopWant{visibility.RoleClient, service, destination}
}

func paired(service, destination string) hopWant {
	return hopWant{visibility.RoleSpan, service, destination}
}

// doubled is a server's side that the service itself reports, too.
func doubled(service string) hopWant { return hopWant{visibility.RoleSpan, "", service} }

// seen is a span of Clovisor.
func seen(s tracing.Span) tracing.Span {
	s.UpstreamCluster, s.Scope = "", "github.com/opnfv/clover/clovisor"
	return s
}

var aside = hopWant{role: visibility.RoleSpan}

// hopCases are the ways in which the sides of hops have been seen to come.
func hopCases() []hopCase {
	const a, b, c = "a.default", "b.default", "c.default"
	const external, unknown = visibility.External, visibility.Unknown
	return []hopCase{
		{"server's side only", spans(server(a, 1, 0)), hops(served(external, a))},
		{"client's side only", spans(client(a, b, 1, 0)), hops(asked(a, b))},
		{"both sides", spans(client(a, b, 1, 0), server(b, 2, 1)), hops(paired(a, b), served(a, b))},
		{"shared span id", spans(client(a, b, 1, 0), server(b, 1, 0)), hops(paired(a, b), served(a, b))},
		{
			"shared span id below a server",
			spans(server(a, 1, 0), client(a, b, 2, 1), server(b, 2, 1)),
			hops(served(external, a), paired(a, b), served(a, b)),
		},
		{"caller never seen", spans(server(b, 2, 1)), hops(served(unknown, b))},
		{
			"gateway with its egress span",
			spans(server(a, 1, 0), client(a, b, 2, 1), server(b, 3, 2), toApplication(b, 4, 3)),
			hops(served(external, a), paired(a, b), served(a, b), aside),
		},
		{
			"gateway to a service without a sidecar",
			spans(server(a, 1, 0), client(a, b, 2, 1)),
			hops(served(external, a), asked(a, b)),
		},
		{
			"chain of servers without clients",
			spans(server(a, 1, 0), server(b, 2, 1), server(c, 3, 2)),
			hops(served(external, a), served(a, b), served(b, c)),
		},
		{
			"retry: two servers under one client",
			spans(client(a, b, 1, 0), server(b, 2, 1), server(b, 3, 1)),
			hops(paired(a, b), served(a, b), served(a, b)),
		},
		{
			"retry: the first attempt has a client's side only",
			spans(server(a, 1, 0), client(a, b, 2, 1), client(a, b, 3, 1), server(b, 4, 3)),
			hops(served(external, a), asked(a, b), paired(a, b), served(a, b)),
		},
		{
			"application asks with the headers of its sidecar's inner span",
			spans(server(a, 1, 0), toApplication(a, 2, 1), client(a, b, 3, 2), server(b, 4, 3)),
			hops(served(external, a), aside, paired(a, b), served(a, b)),
		},
		{
			"internal work between two servers",
			spans(server(a, 1, 0), internal(a, 2, 1), internal(a, 3, 2), server(b, 4, 3)),
			hops(served(external, a), aside, aside, served(a, b)),
		},
		{
			"work within a service between its hops",
			spans(client(a, b, 1, 0), server(b, 2, 1), internal(b, 3, 2), client(b, c, 4, 3), server(c, 5, 4)),
			hops(paired(a, b), served(a, b), aside, paired(b, c), served(b, c)),
		},
		{"service that asks itself", spans(client(a, a, 1, 0), server(a, 2, 1)), hops(paired(a, a), served(a, a))},
		{"inner span only", spans(toApplication(b, 2, 1)), hops(aside)},
		{
			"parents in a circle",
			spans(server(a, 1, 2), internal(a, 2, 1)),
			hops(served(unknown, a), aside),
		},
		{
			"seen by the kernel too, before and behind the sidecar",
			spans(client(a, b, 1, 0), server(b, 2, 1), seen(server(b, 3, 1)), seen(server(b, 4, 2))),
			hops(paired(a, b), served(a, b), doubled(b), doubled(b)),
		},
		{
			"seen by the kernel at the client's end too",
			spans(client(a, b, 1, 0), server(b, 2, 1), seen(client(a, b, 3, 1))),
			hops(paired(a, b), served(a, b), paired(a, b)),
		},
		{
			"the server is seen by the kernel only",
			spans(client(a, b, 1, 0), seen(server(b, 2, 1))),
			hops(paired(a, b), served(a, b)),
		},
		{
			"both ends are seen by the kernel only",
			spans(seen(client(a, b, 1, 0)), seen(server(b, 1, 0))),
			hops(paired(a, b), served(a, b)),
		},
		{
			"fan-out",
			spans(server(a, 1, 0), client(a, b, 2, 1), client(a, c, 3, 1), server(c, 4, 3), server(b, 5, 2)),
			hops(served(external, a), paired(a, b), paired(a, c), served(a, c), served(a, b)),
		},
	}
}

func spans(list ...tracing.Span) []tracing.Span { return list }
func hops(list ...hopWant) []hopWant            { return list }

// key returns the key of a span as it should count.
func (w hopWant) key(s *tracing.Span) visibility.Key {
	k := visibility.KeyOf(s)
	k[visibility.Source], k[visibility.Destination] = w.source, w.destination
	return k
}

// testHops delivers each trace in every order of its spans, one by one and
// all at once, and compares what each span counts as. The order is in the
// spans' version, so that it can be told which ones go wrong.
func testHops(k *kit) {
	trace := uint64(0)
	want := cells{}
	for _, c := range hopCases() {
		rounds := make([][]tracing.Span, len(c.spans)+1)
		for _, order := range permutations(len(c.spans)) {
			for _, atOnce := range []bool{false, true} {
				trace++
				for round, i := range order {
					s := c.spans[i]
					s.TraceID = traceID(trace)
					s.Duration = time.Duration(i+1) * time.Millisecond
					s.Version = fmt.Sprintf("%s, order %v, at once %v", c.name, order, atOnce)
					sum := visibility.AggregateOf(&s)
					want.add(cell{epoch.Unix(), c.want[i].role, c.want[i].key(&s)}, &sum)
					if atOnce {
						round = len(c.spans)
					}
					rounds[round] = append(rounds[round], s)
				}
			}
		}
		for _, spans := range rounds {
			k.wantReceipt(k.write(spans...), len(spans), 0)
		}
	}
	got, _ := k.read(everything, fine)
	k.wantCells(got, want)
	k.settle()
	got, cov := k.read(everything, fine)
	k.wantCells(got, want)
	if cov.Open != 0 {
		k.Errorf("%d open hops after settling", cov.Open)
	}
	k.reopen()
	got, _ = k.read(everything, fine)
	k.wantCells(got, want)
}

// permutations returns all orders of n things.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var all [][]int
	for _, p := range permutations(n - 1) {
		for i := range n {
			q := append(append(append([]int{}, p[:i]...), n-1), p[i:]...)
			all = append(all, q)
		}
	}
	return all
}

// testLateSides settles each trace between two of its spans, in every order.
// All counts must be exact all the same.
func testLateSides(k *kit) {
	trace := uint64(0)
	want := cells{}
	longest := 0
	type delivery struct {
		spans []tracing.Span
		at    int // spans before the settling
	}
	var all []delivery
	for _, c := range hopCases() {
		for _, order := range permutations(len(c.spans)) {
			for at := 1; at < len(order); at++ {
				trace++
				d := delivery{at: at}
				for _, i := range order {
					s := c.spans[i]
					s.TraceID = traceID(trace)
					s.Version = c.name
					d.spans = append(d.spans, s)
					sum := visibility.AggregateOf(&s)
					want.add(cell{epoch.Unix(), c.want[i].role, c.want[i].key(&s)}, &sum)
				}
				longest = max(longest, len(d.spans))
				all = append(all, d)
			}
		}
	}
	for _, late := range []bool{false, true} {
		for i := range longest {
			var batch []tracing.Span
			for _, d := range all {
				if i < len(d.spans) && (i >= d.at) == late {
					batch = append(batch, d.spans[i])
				}
			}
			k.write(batch...)
		}
		k.settle()
	}
	got, cov := k.read(everything, fine)
	k.wantCells(withoutSources(got), withoutSources(want))
	for at := range got {
		if s := at.key[visibility.Source]; s != visibility.Unknown && want[at] == nil {
			k.Errorf("%v: a source that is neither right nor %s", at, visibility.Unknown)
		}
	}
	if cov.Late == 0 {
		k.Error("Coverage.Late is 0 although sides came late")
	}
	if cov.Open != 0 {
		k.Errorf("%d open hops after settling", cov.Open)
	}
}

// withoutSources merges the cells that differ in the source of a server's
// side only.
func withoutSources(c cells) cells {
	merged := cells{}
	for at, a := range c {
		if at.role == visibility.RoleServer {
			at.key[visibility.Source] = ""
		}
		merged.add(at, a)
	}
	return merged
}

// testHopAcrossHours pairs sides that start in different buckets, hours and
// days.
func testHopAcrossHours(k *kit) {
	midnight := epoch.Truncate(24 * time.Hour)
	want := cells{}
	for i, bound := range []time.Time{epoch, midnight, epoch.Add(-10 * time.Second), epoch.Add(-5 * time.Minute)} {
		c, s := client("a.default", "b.default", 1, 0), server("b.default", 2, 1)
		c.Start, s.Start = bound.Add(-time.Millisecond), bound.Add(time.Millisecond)
		pair := inTrace(uint64(i), c, s)
		for _, span := range pair {
			k.write(span)
		}
		for j, w := range hops(paired("a.default", "b.default"), served("a.default", "b.default")) {
			sum := visibility.AggregateOf(&pair[j])
			want.add(cell{pair[j].Start.Truncate(fine).Unix(), w.role, w.key(&pair[j])}, &sum)
		}
	}
	got, _ := k.read(everything, fine)
	k.wantCells(got, want)
}
