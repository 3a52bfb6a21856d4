package visibility

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// grouping sums up rollups by the values of some dimensions.
type grouping struct {
	by     []Dimension
	filter *Filter
	mode   CountMode
	step   time.Duration

	byRow    map[uint64]*groupSum // nil for rows that the filter leaves out
	byValues map[string]*groupSum
	buf      []byte
	// folded counts what was put into the group Other because there were
	// too many groups.
	folded int64
	points int // of all series
}

type groupSum struct {
	values []string
	folds  bool // of all groups beyond MaxGroups
	sum    Aggregate
	series map[int64]*Aggregate // by the step's start in Unix seconds
}

func newGrouping(by []Dimension, filter *Filter, mode CountMode) *grouping {
	return &grouping{by: by, filter: filter, mode: mode, byRow: map[uint64]*groupSum{}, byValues: map[string]*groupSum{}}
}

// add is the yield function for RollupReader.Rollups. What a row counts for
// is decided once.
func (g *grouping) add(r *Rollup) error {
	sum, known := g.byRow[r.Row]
	if !known {
		if r.Role.Counts(g.mode) && g.filter.MatchKey(r.Key, g.mode, r.Role) {
			sum = g.group(r)
		}
		g.byRow[r.Row] = sum
	}
	if sum == nil {
		return nil
	}
	sum.sum.Merge(r.Aggregate)
	if len(sum.values) > 0 && sum.values[0] == Other && len(g.byValues) >= MaxGroups {
		g.folded += r.Aggregate.Count
	}
	if g.step > 0 {
		return g.addPoint(sum, r)
	}
	return nil
}

// addPoint adds a rollup to the series of its group.
func (g *grouping) addPoint(sum *groupSum, r *Rollup) error {
	if sum.series == nil {
		sum.series = map[int64]*Aggregate{}
	}
	sec := r.Bucket.Unix()
	sec -= sec % int64(g.step/time.Second)
	p := sum.series[sec]
	if p == nil {
		if g.points++; g.points > MaxCells {
			return &kindError{kind: ErrLimit, msg: fmt.Sprintf(
				"step: %d groups have more than %d points of %v together; take a wider step, a shorter range, a filter or fewer dimensions",
				len(g.byValues), MaxCells, g.step)}
		}
		p = &Aggregate{}
		sum.series[sec] = p
	}
	p.Merge(r.Aggregate)
	return nil
}

// group returns the group of a row. Beyond MaxGroups all further ones are
// folded into one whose values are Other.
func (g *grouping) group(r *Rollup) *groupSum {
	g.buf = g.buf[:0]
	for _, d := range g.by {
		g.buf = append(g.buf, r.Key.Value(d, g.mode, r.Role)...)
		g.buf = append(g.buf, 0)
	}
	if sum, ok := g.byValues[string(g.buf)]; ok {
		return sum
	}
	values := make([]string, len(g.by))
	for i, d := range g.by {
		values[i] = strings.Clone(r.Key.Value(d, g.mode, r.Role))
	}
	if len(g.byValues) >= MaxGroups {
		for i := range values {
			values[i] = Other
		}
		g.buf = append(g.buf[:0], strings.Repeat(Other+"\x00", len(values))...)
		if sum, ok := g.byValues[string(g.buf)]; ok {
			sum.folds = true
			return sum
		}
	}
	sum := &groupSum{values: values, folds: len(g.byValues) >= MaxGroups}
	g.byValues[string(g.buf)] = sum
	return sum
}

// groups returns the groups that counted something, in no order.
func (g *grouping) groups() []Group {
	list := make([]Group, 0, len(g.byValues))
	for _, s := range g.byValues {
		if s.sum.IsZero() {
			continue
		}
		group := Group{Values: s.values, Aggregate: s.sum}
		for sec, p := range s.series {
			if !p.IsZero() {
				group.Series = append(group.Series, Point{Time: time.Unix(sec, 0).UTC(), Aggregate: *p})
			}
		}
		slices.SortFunc(group.Series, func(a, b Point) int { return cmp.Compare(a.Time.Unix(), b.Time.Unix()) })
		list = append(list, group)
	}
	return list
}

// ErrorRate returns the share of errors, 0 to 1; 0 for the empty set.
func (a *Aggregate) ErrorRate() float64 {
	if a.Count <= 0 {
		return 0
	}
	return float64(a.Errors) / float64(a.Count)
}
