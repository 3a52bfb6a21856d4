package visibility

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Graph is the service graph: who asked whom.
type Graph struct {
	Range        Range         // as answered
	Observed     time.Duration // as in Result
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
	g := graphSums{filter: f, byRow: map[uint64]*Aggregate{}, edges: map[edgeKey]*Aggregate{}}
	cov, err := a.store.Rollups(ctx, r, 0, g.add)
	if err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	graph, total := g.graph()
	graph.Range, graph.Observed = cov.Range, a.observed(cov)
	if graph.Completeness, err = a.completeness(ctx, r, cov, total, &grouping{}); err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	if total.Count == 0 {
		if err := a.KnownServices(ctx, f.Services()...); err != nil {
			return nil, err
		}
	}
	return graph, nil
}

// graphSums sums up rollups by edge.
type graphSums struct {
	filter *Filter
	byRow  map[uint64]*Aggregate // nil for rows that count for no edge
	edges  map[edgeKey]*Aggregate
}

// add is the yield function for RollupReader.Rollups.
func (g *graphSums) add(row *Rollup) error {
	sum, known := g.byRow[row.Row]
	if !known {
		if row.Role.Counts(CountRequests) && g.filter.MatchKey(row.Key, CountRequests, row.Role) {
			sum = into(g.edges, edgeKey{
				source:      strings.Clone(cmp.Or(row.Key[Source], Unknown)),
				destination: strings.Clone(cmp.Or(row.Key.ServiceIn(CountRequests, row.Role), Unknown)),
				mirrored:    isMirrored(row.Key),
			})
		}
		g.byRow[row.Row] = sum
	}
	if sum != nil {
		sum.Merge(row.Aggregate)
	}
	return nil
}

// graph lists nodes and edges by name and returns the sum of all edges.
func (g *graphSums) graph() (*Graph, *Aggregate) {
	graph, total, nodes := &Graph{}, &Aggregate{}, map[string]*Aggregate{}
	for e, sum := range g.edges {
		if sum.IsZero() {
			continue // all of it has moved to other edges
		}
		graph.Edges = append(graph.Edges, GraphEdge{Source: e.source, Destination: e.destination, Mirrored: e.mirrored, Aggregate: *sum})
		into(nodes, e.source)
		into(nodes, e.destination).Merge(sum)
		total.Merge(sum)
	}
	for name, sum := range nodes {
		graph.Nodes = append(graph.Nodes, GraphNode{Service: name, Aggregate: *sum})
	}
	slices.SortFunc(graph.Nodes, func(x, y GraphNode) int { return cmp.Compare(x.Service, y.Service) })
	slices.SortFunc(graph.Edges, func(x, y GraphEdge) int {
		return cmp.Or(cmp.Compare(x.Source, y.Source), cmp.Compare(x.Destination, y.Destination),
			boolCompare(x.Mirrored, y.Mirrored))
	})
	return graph, total
}

// boolCompare puts false before true.
func boolCompare(x, y bool) int {
	switch {
	case x == y:
		return 0
	case y:
		return -1
	}
	return 1
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
