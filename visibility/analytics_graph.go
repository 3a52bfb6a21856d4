package visibility

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Graph is the service graph: who asked whom.
type Graph struct {
	Range        Range // as answered
	Nodes        []GraphNode
	Edges        []GraphEdge
	Completeness Completeness
}

// GraphNode is a service with the requests that it answered.
type GraphNode struct {
	Service   string
	Aggregate Aggregate
}

// GraphEdge is the requests from one service to another.
type GraphEdge struct {
	Source, Destination string
	Aggregate           Aggregate
	// Mirrored says that the requests are copies made by Envoy, told by the
	// "-shadow" that it appends to their host.
	Mirrored bool
}

// Graph returns the service graph. Sources that answer no request, such as
// External, are edges' ends but have nodes without requests.
func (a *Analytics) Graph(ctx context.Context, r Range, f *Filter) (*Graph, error) {
	r, err := a.ResolveRange(r)
	if err == nil {
		err = checkRollupFilter(f)
	}
	if err != nil {
		return nil, err
	}
	edges := map[edgeKey]*Aggregate{}
	nodes := map[string]*Aggregate{}
	g := newGrouping(nil, f, CountRequests)
	cov, err := a.store.Rollups(ctx, r, 0, func(row *Rollup) error {
		if !row.Role.Counts(CountRequests) || !f.MatchKey(row.Key, CountRequests, row.Role) {
			return nil
		}
		if err := g.add(row); err != nil {
			return err
		}
		from, to := row.Key[Source], row.Key.ServiceIn(CountRequests, row.Role)
		into(nodes, strings.Clone(to)).Merge(row.Aggregate)
		into(nodes, strings.Clone(from))
		into(edges, edgeKey{strings.Clone(from), strings.Clone(to), isMirrored(row.Key)}).Merge(row.Aggregate)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	graph := &Graph{Range: cov.Range}
	var total Aggregate
	for name, sum := range nodes {
		graph.Nodes = append(graph.Nodes, GraphNode{Service: name, Aggregate: *sum})
	}
	for e, sum := range edges {
		graph.Edges = append(graph.Edges, GraphEdge{Source: e.source, Destination: e.destination, Mirrored: e.mirrored, Aggregate: *sum})
		total.Merge(sum)
	}
	slices.SortFunc(graph.Nodes, func(x, y GraphNode) int { return cmp.Compare(x.Service, y.Service) })
	slices.SortFunc(graph.Edges, func(x, y GraphEdge) int {
		return cmp.Or(cmp.Compare(x.Source, y.Source), cmp.Compare(x.Destination, y.Destination))
	})
	graph.Completeness, err = a.completeness(ctx, r, cov, &total, g)
	return graph, err
}

type edgeKey struct {
	source, destination string
	mirrored            bool
}

// into returns the aggregate of a key, made if it is missing.
func into[K comparable](m map[K]*Aggregate, key K) *Aggregate {
	a := m[key]
	if a == nil {
		a = &Aggregate{}
		m[key] = a
	}
	return a
}

// isMirrored tells copies by their URL or, where a span has none, by the
// operation, which Envoy makes from the host.
func isMirrored(k *Key) bool {
	for _, text := range [...]string{k[URL], k[Operation]} {
		_, rest, ok := strings.Cut(text, "://")
		if !ok {
			rest = text
		}
		host, _, _ := strings.Cut(rest, "/")
		host, _, _ = strings.Cut(host, ":")
		if strings.HasSuffix(host, "-shadow") {
			return true
		}
	}
	return false
}

// MoversQuery asks what changed most between two ranges.
type MoversQuery struct {
	Base, Target Range
	GroupBy      []Dimension // none: by service
	Filter       *Filter
	By           Measure // "": MeasureRate
	Limit        int     // 0: 20
}

// Movers is the answer to a MoversQuery.
type Movers struct {
	Base, Target Range // as answered
	Movers       []Mover
	Completeness Completeness // of the target range
}

// Mover is a group with its figures in both ranges.
type Mover struct {
	Values       []string
	Base, Target Aggregate
	// Change is the difference of the measure: seconds for durations, a
	// second for rates.
	Change float64
	// Relative is Change by the base's value, if that is not 0.
	Relative    float64
	HasRelative bool
}

const defaultMovers = 20

// Movers returns the groups with the largest absolute change first. A Base
// that is zero is the range of the same length before Target.
func (a *Analytics) Movers(ctx context.Context, q MoversQuery) (*Movers, error) {
	if len(q.GroupBy) == 0 {
		q.GroupBy = []Dimension{Service}
	}
	if q.By == "" {
		q.By = MeasureRate
	}
	if q.Limit == 0 {
		q.Limit = defaultMovers
	}
	var err error
	if q.Target, err = a.ResolveRange(q.Target); err != nil {
		return nil, err
	}
	if q.Base.From.IsZero() && q.Base.To.IsZero() {
		q.Base = Range{From: q.Target.From.Add(-q.Target.To.Sub(q.Target.From)), To: q.Target.From}
	}
	query := Query{Range: q.Target, Filter: q.Filter, GroupBy: q.GroupBy, OrderBy: q.By, Limit: MaxLimit}
	target, err := a.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	query.Range = q.Base
	base, err := a.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	m := &Movers{Base: base.Range, Target: target.Range, Completeness: target.Completeness}
	m.Movers = compare(base, target, q.By)
	m.Movers = m.Movers[:min(len(m.Movers), q.Limit)]
	return m, nil
}

// compare joins two results by their groups.
func compare(base, target *Result, by Measure) []Mover {
	movers := map[string]*Mover{}
	of := func(g *Group) *Mover {
		key := strings.Join(g.Values, "\x00")
		if movers[key] == nil {
			movers[key] = &Mover{Values: g.Values}
		}
		return movers[key]
	}
	for i := range base.Groups {
		of(&base.Groups[i]).Base = base.Groups[i].Aggregate
	}
	for i := range target.Groups {
		of(&target.Groups[i]).Target = target.Groups[i].Aggregate
	}
	list := make([]Mover, 0, len(movers))
	for _, m := range movers {
		was := by.Of(&m.Base, base.Range.To.Sub(base.Range.From))
		m.Change = by.Of(&m.Target, target.Range.To.Sub(target.Range.From)) - was
		if was != 0 {
			m.Relative, m.HasRelative = m.Change/was, true
		}
		list = append(list, *m)
	}
	slices.SortFunc(list, func(x, y Mover) int {
		return cmp.Or(cmp.Compare(math.Abs(y.Change), math.Abs(x.Change)), slices.Compare(x.Values, y.Values))
	})
	return list
}
