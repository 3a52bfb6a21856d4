package sql

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/opnfv/clover/visibility"
)

// reader gives visibility.Analytics the rollups of one question: groups
// instead of rows, which the statement has filtered and cut off already. It
// serves one question.
type reader struct {
	engine *Engine
	query  visibility.Query // what the statement does; its range and step come with each reading
	edges  bool             // of the service graph: no limit, copies apart

	rest     visibility.Aggregate // of the groups beyond the limit
	groups   int                  // also those beyond the limit
	services []string             // for KnownServices
}

// restGroups is the number of groups beyond the limit.
func (r *reader) restGroups() int {
	return max(0, r.groups-cmp.Or(r.query.Limit, visibility.DefaultLimit))
}

// compile returns the statement for a range and step.
func (r *reader) compile(rng visibility.Range, step time.Duration) (string, error) {
	o := &r.engine.opts
	q := r.query
	q.Range, q.Step = rng, step
	table := o.Table
	if o.TableIn != nil {
		table = o.TableIn(rng)
	}
	if !r.edges {
		return Compile(o.Dialect, table, q)
	}
	where, err := o.Dialect.where(rng, q.Count, q.Filter)
	if err != nil {
		return "", err
	}
	s := statement{dialect: o.Dialect, table: table, where: where, by: visibility.MeasureCount}
	for _, dim := range q.GroupBy {
		s.groupBy = append(s.groupBy, o.Dialect.value(dim, q.Count))
	}
	s.groupBy = append(s.groupBy, "CASE WHEN mirrored THEN 'true' ELSE 'false' END")
	return s.text(), nil
}

// Rollups implements visibility.RollupReader.
func (r *reader) Rollups(ctx context.Context, rng visibility.Range, step time.Duration, yield func(*visibility.Rollup) error) (visibility.Coverage, error) {
	cov := visibility.Coverage{Range: snap(rng), Finest: visibility.MinStep}
	statement, err := r.compile(cov.Range, step)
	if err != nil {
		return cov, err
	}
	if cov.First, err = r.engine.first(ctx); err != nil {
		return cov, err
	}
	r.rest, r.groups = visibility.Aggregate{}, 0
	err = r.engine.db.Query(ctx, statement, func(row []any) error {
		return r.add(row, cov.Range.From, yield)
	})
	if err != nil {
		return cov, fmt.Errorf("%s: %w", r.engine.opts.Dialect, err)
	}
	return cov, nil
}

// mirroredURL is one that visibility takes for that of a copy.
const mirroredURL = "http://copy-shadow/"

// add takes one row of the answer.
func (r *reader) add(row []any, from time.Time, yield func(*visibility.Rollup) error) error {
	c := newCells(row)
	place := c.integer()
	key := visibility.Key{}
	for _, dim := range r.query.GroupBy {
		key[dim] = c.text()
	}
	if r.edges {
		if c.text() == "true" {
			key[visibility.URL] = mirroredURL
		}
	} else if len(r.query.GroupBy) == 0 {
		c.text()
	}
	at, _ := c.integer(), c.integer() // the bar's number is of no use here
	a := c.aggregate()
	r.groups = max(r.groups, int(c.integer()))
	if c.err != nil {
		return c.err
	}
	if place == 0 {
		r.rest.Merge(&a)
		return nil
	}
	bucket := from
	if at > 0 {
		bucket = time.Unix(at, 0).UTC()
	}
	// The statement has decided who the row counts for.
	return yield(&visibility.Rollup{
		Row: uint64(place), Role: visibility.RoleServer, Key: &key, Bucket: bucket, Aggregate: &a,
	})
}

// first returns the second in which the oldest span starts.
func (e *Engine) first(ctx context.Context) (first time.Time, err error) {
	if e.opts.Oldest != nil {
		first, err = e.opts.Oldest(ctx)
		return first.Truncate(time.Second).UTC(), err
	}
	err = e.db.Query(ctx, "SELECT min(start_ns) FROM "+e.opts.Table, func(row []any) error {
		if len(row) != 1 || row[0] == nil {
			return nil // there are no spans
		}
		c := newCells(row)
		first = time.Unix(0, c.integer()).Truncate(time.Second).UTC()
		return c.err
	})
	if err != nil {
		return first, fmt.Errorf("%s: oldest span: %w", e.opts.Dialect, err)
	}
	return first, nil
}

// Ledger implements visibility.LedgerReader with what is known: how far the
// spans have been written into the table.
func (r *reader) Ledger(ctx context.Context) ([]visibility.LedgerEntry, error) {
	var entries []visibility.LedgerEntry
	if through := r.engine.opts.Through; through != nil {
		at, err := through(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.engine.opts.Dialect, err)
		}
		entries = append(entries, visibility.LedgerEntry{Source: r.engine.opts.Dialect.String(), Watermark: at})
	}
	for _, name := range r.services {
		entries = append(entries, visibility.LedgerEntry{Service: name})
	}
	return entries, nil
}

// known returns an error if nothing was found and the filter asks for
// services that were never seen.
func (r *reader) known(ctx context.Context, a *visibility.Analytics, found int64) (err error) {
	names := r.query.Filter.Services()
	if found > 0 || len(names) == 0 {
		return nil
	}
	if r.services, err = r.engine.Services(ctx); err != nil {
		return err
	}
	return a.KnownServices(ctx, names...)
}
