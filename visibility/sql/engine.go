package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/opnfv/clover/visibility"
)

// DB runs statements. Implementations may be called concurrently.
type DB interface {
	// Query runs one statement without parameters and calls yield for each
	// row, in any order. The values of a row are integers, floats, strings,
	// byte slices, booleans or json.Number, and nil for NULL; the row is only
	// valid during the call. An error from yield ends the statement and is
	// returned. When ctx ends, so does the statement, in the engine too.
	Query(ctx context.Context, statement string, yield func(row []any) error) error
}

// Options configure an Engine.
type Options struct {
	Dialect Dialect
	// Table is SQL that stands for the rows: a name, or what
	// [Dialect.Parquet] or [CassandraTable.SQL] returns. It is taken as it is
	// and must not come from whoever asks.
	Table string
	// TableIn returns what stands for the rows of a range, where that is less
	// than all of Table, such as [CassandraTable.InRange]; nil: Table.
	TableIn func(r visibility.Range) string
	// Through tells up to when all spans are in the table; nil: not known.
	// Answers for later times say that they may miss something.
	Through func(ctx context.Context) (time.Time, error)
	// Oldest tells when the first span of the table starts, a zero time if it
	// has none; nil: the table is asked, for which all of it may be read.
	Oldest func(ctx context.Context) (time.Time, error)
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
}

// Engine answers visibility's questions by SQL. Its methods are those of
// visibility.Analytics, may be called concurrently and give the same answers;
// the statement does the filtering, grouping, sorting and cutting off.
type Engine struct {
	db   DB
	opts Options
}

// New returns an Engine that asks db.
func New(db DB, o Options) (*Engine, error) {
	switch {
	case db == nil:
		return nil, invalidf("sql: there is no database")
	case o.Table == "":
		return nil, invalidf("sql: there is no table")
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Engine{db: db, opts: o}, nil
}

// analytics returns what answers from one reader.
func (e *Engine) analytics(r *reader) (*visibility.Analytics, error) {
	return visibility.NewAnalytics(r, visibility.AnalyticsOptions{Clock: e.opts.Clock})
}

// Query answers q; see visibility.Analytics.Query.
func (e *Engine) Query(ctx context.Context, q visibility.Query) (*visibility.Result, error) {
	r := &reader{engine: e, query: q}
	a, err := e.analytics(r)
	if err != nil {
		return nil, err
	}
	q.Filter = nil // the statement filters
	res, err := a.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	res.Rest.Merge(&r.rest)
	res.Total.Merge(&r.rest)
	res.RestGroups += r.restGroups()
	return res, r.known(ctx, a, res.Total.Count)
}

// Distinct returns the values of a dimension; see
// visibility.Analytics.Distinct.
func (e *Engine) Distinct(ctx context.Context, q visibility.DistinctQuery) (*visibility.Values, error) {
	r := &reader{engine: e, query: visibility.Query{
		Filter: q.Filter, GroupBy: []visibility.Dimension{q.Dimension}, Count: q.Count, Limit: visibility.MaxLimit,
	}}
	a, err := e.analytics(r)
	if err != nil {
		return nil, err
	}
	q.Filter = nil
	v, err := a.Distinct(ctx, q)
	if err != nil {
		return nil, err
	}
	if q.Prefix == "" {
		v.Rest += r.restGroups()
		v.Total += r.rest.Count
	}
	return v, r.known(ctx, a, v.Total)
}

// Movers returns what changed most; see visibility.Analytics.Movers.
func (e *Engine) Movers(ctx context.Context, q visibility.MoversQuery) (*visibility.Movers, error) {
	if len(q.GroupBy) == 0 {
		q.GroupBy = []visibility.Dimension{visibility.Service}
	}
	if q.By == "" {
		q.By = visibility.MeasureRate
	}
	r := &reader{engine: e, query: visibility.Query{
		Filter: q.Filter, GroupBy: q.GroupBy, OrderBy: q.By, Limit: visibility.MaxLimit,
	}}
	a, err := e.analytics(r)
	if err != nil {
		return nil, err
	}
	q.Filter = nil
	m, err := a.Movers(ctx, q)
	if err != nil {
		return nil, err
	}
	return m, r.known(ctx, a, int64(len(m.Movers)))
}

// Heatmap returns how latencies are spread over time; see
// visibility.Analytics.Heatmap.
func (e *Engine) Heatmap(ctx context.Context, q visibility.HeatmapQuery) (*visibility.Heatmap, error) {
	r := &reader{engine: e, query: visibility.Query{Filter: q.Filter, Count: q.Count}}
	a, err := e.analytics(r)
	if err != nil {
		return nil, err
	}
	q.Filter = nil
	h, err := a.Heatmap(ctx, q)
	if err != nil {
		return nil, err
	}
	return h, r.known(ctx, a, h.Total)
}

// Graph returns the service graph; see visibility.Analytics.Graph.
func (e *Engine) Graph(ctx context.Context, rng visibility.Range, f *visibility.Filter) (*visibility.Graph, error) {
	r := &reader{engine: e, edges: true, query: visibility.Query{
		Filter: f, GroupBy: []visibility.Dimension{visibility.Source, visibility.Service},
	}}
	a, err := e.analytics(r)
	if err != nil {
		return nil, err
	}
	g, err := a.Graph(ctx, rng, nil)
	if err != nil {
		return nil, err
	}
	return g, r.known(ctx, a, int64(len(g.Edges)))
}

// Services lists the services that have reported spans, at most
// visibility.MaxLimit of them.
func (e *Engine) Services(ctx context.Context) ([]string, error) {
	var names []string
	statement := fmt.Sprintf("SELECT DISTINCT service FROM %s WHERE service <> '' ORDER BY service LIMIT %d", e.opts.Table, visibility.MaxLimit)
	err := e.db.Query(ctx, statement, func(row []any) error {
		names = append(names, newCells(row).text())
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	return names, nil
}
