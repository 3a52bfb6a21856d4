package visibility

import (
	"bytes"
	"cmp"

	"github.com/opnfv/clover/tracing"
)

// HopSpan is what [ResolveHops] needs to know of a span.
type HopSpan struct {
	ID, Parent tracing.SpanID
	Side       tracing.Side
	Service    string
	Observed   bool // see [tracing.Span.Observed]
}

// HopSpanOf returns the hop view of a span.
func HopSpanOf(s *tracing.Span) HopSpan {
	return HopSpan{ID: s.SpanID, Parent: s.ParentID, Side: s.Side(), Service: s.Service, Observed: s.Observed()}
}

// Hop says what one span of a trace counts as.
type Hop struct {
	Role   Role
	Source string // of a server's side: who asked; "" for other sides
	// Open is true while a span that may still arrive would change Role or
	// Source.
	Open bool
}

// maxAncestors bounds the walk from a server span to its caller, so that a
// malformed trace with a cycle ends.
const maxAncestors = 64

// ResolveHops pairs the sides of the hops within one trace. The answer
// depends only on the set of spans, not on their order.
//
// A client's side is paired with a server's side that has it as parent, or
// that shares its id (Zipkin's shared spans). The source of a server's side
// is the service of the nearest ancestor that is a client's side or belongs
// to another service; a root has the source [External]. Where the chain of
// ancestors is broken the source is [Unknown] and the hop stays open.
//
// An observed span is no side of its own where the workload reports the same
// one: a server's side with the same parent and service, or, on the way from a
// sidecar to its application, the parent itself; for a client's side the
// parent. Where that may still come the hop is open.
//
// hops is filled and returned if it has the capacity, so callers can reuse
// it.
func ResolveHops(spans []HopSpan, hops []Hop) []Hop {
	hops = hops[:0]
	t := newHopIndex(spans)
	for i := range spans {
		s := &spans[i]
		if t.doubles(i) {
			hops = append(hops, Hop{Role: RoleSpan})
			continue
		}
		switch s.Side {
		case tracing.SideServer:
			source, open := t.source(i)
			open = open || s.Observed && !s.Parent.IsZero()
			hops = append(hops, Hop{Role: RoleServer, Source: source, Open: open})
		case tracing.SideClient:
			if t.answered(s.ID) {
				hops = append(hops, Hop{Role: RoleSpan})
			} else {
				hops = append(hops, Hop{Role: RoleClient, Open: true})
			}
		default:
			hops = append(hops, Hop{Role: RoleSpan})
		}
	}
	return hops
}

// linearSpans is the trace size up to which searching all spans is cheaper
// than building maps.
const linearSpans = 24

// doubles reports whether span i is observed and the workload reports the same
// side of the hop.
func (t *hopIndex) doubles(i int) bool {
	s := &t.spans[i]
	if !s.Observed || s.Parent.IsZero() || s.Side == tracing.SideNone {
		return false
	}
	if s.Side == tracing.SideServer && t.reported(s.Parent, s.Service) {
		return true
	}
	p := t.find(s.Parent, i, s.Side == tracing.SideClient)
	return p >= 0 && !t.spans[p].Observed && t.spans[p].Side == s.Side && t.spans[p].Service == s.Service
}

// reported reports whether a service tells of its side of a client's call.
func (t *hopIndex) reported(parent tracing.SpanID, service string) bool {
	if t.reports != nil {
		_, ok := t.reports[report{parent, service}]
		return ok
	}
	for i := range t.spans {
		if s := &t.spans[i]; !s.Observed && s.Side == tracing.SideServer && s.Parent == parent && s.Service == service {
			return true
		}
	}
	return false
}

// report is a server's side that the server itself tells of.
type report struct {
	parent  tracing.SpanID
	service string
}

// hopIndex finds spans of one trace by id.
type hopIndex struct {
	spans    []HopSpan
	byID     map[tracing.SpanID][]int    // nil for small traces
	answerTo map[tracing.SpanID]struct{} // ids that have a server's side
	reports  map[report]struct{}
}

func newHopIndex(spans []HopSpan) *hopIndex {
	t := &hopIndex{spans: spans}
	if len(spans) <= linearSpans {
		return t
	}
	t.byID = make(map[tracing.SpanID][]int, len(spans))
	t.answerTo = make(map[tracing.SpanID]struct{})
	t.reports = make(map[report]struct{})
	for i := range spans {
		s := &spans[i]
		t.byID[s.ID] = append(t.byID[s.ID], i)
		if s.Side == tracing.SideServer {
			t.answerTo[s.Parent] = struct{}{}
			t.answerTo[s.ID] = struct{}{}
			if !s.Observed {
				t.reports[report{s.Parent, s.Service}] = struct{}{}
			}
		}
	}
	return t
}

// answered reports whether the trace has the server's side of a client span.
func (t *hopIndex) answered(client tracing.SpanID) bool {
	if t.answerTo != nil {
		_, ok := t.answerTo[client]
		return ok
	}
	for i := range t.spans {
		s := &t.spans[i]
		if s.Side == tracing.SideServer && (s.Parent == client || s.ID == client) {
			return true
		}
	}
	return false
}

// source finds who asked server span i.
func (t *hopIndex) source(i int) (source string, open bool) {
	s := &t.spans[i]
	if j := t.find(s.ID, i, true); j >= 0 && t.spans[j].Side == tracing.SideClient {
		return t.spans[j].Service, false
	}
	at := i
	for range maxAncestors {
		from := &t.spans[at]
		if from.Parent.IsZero() {
			return External, false
		}
		// Two spans may share the parent's id: the caller's client span is
		// the parent of a server's side, the own server span that of work
		// done for it.
		next := t.find(from.Parent, at, from.Side == tracing.SideServer)
		if next < 0 {
			return Unknown, true
		}
		p := &t.spans[next]
		if p.Service != s.Service || (p.Side == tracing.SideClient && at == i) {
			return p.Service, false
		}
		at = next
	}
	return Unknown, false
}

// find returns the index of a span with the given id, other than not: a
// client's side if preferClient, else any other, if there is a choice. Among
// equals the smallest service, side and parent win, so that the order of the
// spans does not matter.
// −1 if there is none.
func (t *hopIndex) find(id tracing.SpanID, not int, preferClient bool) int {
	best := -1
	consider := func(j int) {
		if j == not || t.spans[j].ID != id {
			return
		}
		if best < 0 || t.better(j, best, preferClient) {
			best = j
		}
	}
	if t.byID != nil {
		for _, j := range t.byID[id] {
			consider(j)
		}
		return best
	}
	for j := range t.spans {
		consider(j)
	}
	return best
}

func (t *hopIndex) better(j, best int, preferClient bool) bool {
	a, b := &t.spans[j], &t.spans[best]
	if aFits, bFits := (a.Side == tracing.SideClient) == preferClient, (b.Side == tracing.SideClient) == preferClient; aFits != bFits {
		return aFits
	}
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Side, b.Side), bytes.Compare(a.Parent[:], b.Parent[:])) < 0
}
