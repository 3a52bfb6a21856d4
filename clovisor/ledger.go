package clovisor

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/opnfv/clover/clovisor/kernel"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/target"
	"github.com/opnfv/clover/tracing"
)

// Ledger accounts for what was seen.
type Ledger struct {
	Node  string    `json:"node"`
	Since time.Time `json:"since"` // when the count began
	// Entries are ordered by namespace, pod, interface and protocol.
	Entries []Entry `json:"entries"`
	// Problems are workloads that were to be traced and are not.
	Problems []Problem `json:"problems,omitempty"`
	// Spans is what became of the spans that were sent by OTLP.
	Spans Spans `json:"spans"`
}

// Entry is the account of a workload and protocol. It balances: Sessions is
// the sum of Open and of all Outcomes.
type Entry struct {
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Workload  string `json:"workload,omitempty"`
	// Interface is where it was seen; "" in the entry for all workloads that
	// were gone too long ago to have entries of their own.
	Interface string `json:"interface,omitempty"`
	Protocol  string `json:"protocol"`

	Packets     int64 `json:"packets"`
	Bytes       int64 `json:"bytes"` // of payload
	Connections int64 `json:"connections"`
	Sessions    int64 `json:"sessions"`
	Open        int64 `json:"open"`
	// Outcomes are the sessions that are over, by what became of them.
	Outcomes map[session.Outcome]int64 `json:"outcomes,omitempty"`
	// Dropped are packets that the capture saw and could not hand on.
	Dropped map[string]int64 `json:"dropped,omitempty"`
	// Refused are packets that were seen and that their receiver drops, such as
	// a RST that is not where it expects the next byte.
	Refused   map[string]int64 `json:"refused,omitempty"`
	LostBytes int64            `json:"lost_bytes,omitempty"`
	// Completeness is the share of the sessions that are over which is whole,
	// in per cent.
	Completeness float64 `json:"completeness"`
}

// Problem is a workload that is not traced.
type Problem struct {
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Reason    string `json:"reason"`
}

// Spans is what became of spans: Seen is the sum of the others.
type Spans struct {
	Endpoint string            `json:"endpoint,omitempty"`
	Seen     uint64            `json:"seen"`
	Exported uint64            `json:"exported"`
	Waiting  uint64            `json:"waiting"`
	Dropped  map[string]uint64 `json:"dropped,omitempty"`
}

func spansOf(endpoint string, s tracing.ExporterStats) Spans {
	return Spans{Endpoint: endpoint, Seen: s.Seen, Exported: s.Exported, Waiting: s.Waiting, Dropped: s.Dropped}
}

// Balance is Sessions less all that became of them, which is 0.
func (e *Entry) Balance() int64 {
	sum := e.Open
	for _, n := range e.Outcomes {
		sum += n
	}
	return e.Sessions - sum
}

func newEntry(t *target.Target, l session.Line) Entry {
	e := Entry{
		Protocol: l.Protocol, Packets: l.Packets, Bytes: l.Bytes, Connections: l.Connections, Sessions: l.Sessions,
		Open: l.Open, Outcomes: l.Outcomes, Dropped: l.Dropped, Refused: l.Refused, LostBytes: l.LostBytes, Completeness: l.Completeness(),
	}
	if t != nil {
		e.Namespace, e.Pod, e.Interface = t.Workload.Namespace, t.Workload.Pod, t.Interface
		e.Workload = t.Workload.Name
		if e.Pod == "" {
			e.Interface = t.ID // with its network namespace
		}
	}
	return e
}

// empty reports whether there is nothing to account for.
func (e *Entry) empty() bool {
	return e.Sessions == 0 && e.Connections == 0 && e.Packets == 0 && len(e.Dropped) == 0
}

// add adds the counts of another entry.
func (e *Entry) add(o Entry) {
	e.Packets += o.Packets
	e.Bytes += o.Bytes
	e.Connections += o.Connections
	e.Sessions += o.Sessions
	e.Open += o.Open
	e.LostBytes += o.LostBytes
	for k, n := range o.Outcomes {
		if e.Outcomes == nil {
			e.Outcomes = map[session.Outcome]int64{}
		}
		e.Outcomes[k] += n
	}
	for k, n := range o.Dropped {
		if e.Dropped == nil {
			e.Dropped = map[string]int64{}
		}
		e.Dropped[k] += n
	}
	for k, n := range o.Refused {
		if e.Refused == nil {
			e.Refused = map[string]int64{}
		}
		e.Refused[k] += n
	}
	e.Completeness = (&session.Counts{Outcomes: e.Outcomes}).Completeness()
}

// Total is the sum of all entries.
func (l Ledger) Total() Entry {
	sum := Entry{Completeness: 100}
	for _, e := range l.Entries {
		sum.add(e)
	}
	return sum
}

// maxPast is how many entries of workloads that are gone are kept apart.
const maxPast = 1024

// past are the entries of workloads that are gone, the newest last.
type past struct{ entries []Entry }

func (p *past) add(e Entry) {
	if len(p.entries) > maxPast {
		oldest := p.entries[1]
		if p.entries[0].Interface != "" { // there is no sum yet
			oldest = p.entries[0]
			p.entries[0] = Entry{Protocol: "all", Completeness: 100}
		} else {
			p.entries = slices.Delete(p.entries, 1, 2)
		}
		p.entries[0].add(oldest)
	}
	p.entries = append(p.entries, e)
}

// sortEntries leaves out entries that say nothing, puts the others into their
// order, and those into one that are about the same: a workload may have been
// gone for a while.
func sortEntries(entries []Entry) []Entry {
	order := func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Pod, b.Pod),
			cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.Protocol, b.Protocol))
	}
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return e.empty() })
	slices.SortStableFunc(entries, order)
	out := entries[:0]
	for _, e := range entries {
		if n := len(out); n > 0 && order(out[n-1], e) == 0 {
			sum := e
			sum.Outcomes, sum.Dropped, sum.Refused = maps.Clone(e.Outcomes), maps.Clone(e.Dropped), maps.Clone(e.Refused)
			sum.add(out[n-1])
			out[n-1] = sum
			continue
		}
		out = append(out, e)
	}
	return out
}

// drops are the packets that a capture saw and could not hand on whole, by
// reason.
func drops(c kernel.Counters) map[string]int64 {
	out := map[string]int64{}
	for reason, n := range map[string]uint64{
		"buffer_full": c.Lost, "fragment": c.Fragments, "malformed": c.Malformed, "deep_headers": c.DeepHeaders,
	} {
		if n > 0 {
			out[reason] = int64(n)
		}
	}
	return out
}

// newDrops returns what has come to drops since before.
func newDrops(before, now map[string]int64) map[string]int64 {
	out := maps.Clone(now)
	for reason, n := range before {
		if out[reason] -= n; out[reason] <= 0 {
			delete(out, reason)
		}
	}
	return out
}
