package visibility

import (
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
	// tooMany says that there were more points than MaxCells, so that the
	// series were dropped.
	tooMany bool
	// only names the groups to read, by their values; nil: all.
	only map[string]struct{}
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
	if sum.folds {
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
			return g.dropSeries()
		}
		p = &Aggregate{}
		sum.series[sec] = p
	}
	p.Merge(r.Aggregate)
	return nil
}

// group returns the group of a row, nil if it is not to be read. Beyond MaxGroups all further ones are
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
	if _, wanted := g.only[string(g.buf)]; g.only != nil && !wanted {
		return nil
	}
	values := make([]string, len(g.by))
	for i, d := range g.by {
		values[i] = strings.Clone(r.Key.Value(d, g.mode, r.Role))
	}
	if len(g.byValues) >= MaxGroups {
		for i := range values {
			values[i] = Other
		}
		g.buf = valuesKey(g.buf[:0], values)
		if sum, ok := g.byValues[string(g.buf)]; ok {
			sum.folds = true
			return sum
		}
	}
	sum := &groupSum{values: values, folds: len(g.byValues) >= MaxGroups}
	g.byValues[string(g.buf)] = sum
	return sum
}

// dropSeries gives the points up, so that the totals at least can be answered.
func (g *grouping) dropSeries() error {
	if g.only != nil {
		return &kindError{kind: ErrLimit, msg: fmt.Sprintf(
			"step: %d groups have more than %d points of %v together; take a wider step, a shorter range or a smaller limit",
			len(g.byValues), MaxCells, g.step)}
	}
	for _, s := range g.byValues {
		s.series = nil
	}
	g.step, g.tooMany = 0, true
	return nil
}

// valuesKey appends what names a group.
func valuesKey(b []byte, values []string) []byte {
	for _, v := range values {
		b = append(append(b, v...), 0)
	}
	return b
}

// groups returns the groups that counted something, in no order.
func (g *grouping) groups() []Group {
	list := make([]Group, 0, len(g.byValues))
	for _, s := range g.byValues {
		if s.sum.IsZero() {
			continue
		}
		list = append(list, Group{Values: s.values, Aggregate: s.sum, Series: s.points()})
	}
	return list
}

// points returns the series in ascending time, without empty steps.
func (s *groupSum) points() (list []Point) {
	for sec, p := range s.series {
		if !p.IsZero() {
			list = append(list, Point{Time: time.Unix(sec, 0).UTC(), Aggregate: *p})
		}
	}
	slices.SortFunc(list, func(a, b Point) int { return a.Time.Compare(b.Time) })
	return list
}

// ErrorRate returns the share of errors, 0 to 1; 0 for the empty set.
func (a *Aggregate) ErrorRate() float64 {
	if a.Count <= 0 {
		return 0
	}
	return float64(a.Errors) / float64(a.Count)
}
