package visibility

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// MoversQuery asks what changed most between two ranges.
type MoversQuery struct {
	Target Range
	// Base is what Target is compared with. Zero: the range of the same
	// length before Target; with From alone: of the same length from there.
	Base    Range
	GroupBy []Dimension // none: by service
	Filter  *Filter
	By      Measure // "": MeasureRate
	Limit   int     // 0: 20
}

// Movers is the answer to a MoversQuery.
type Movers struct {
	Base, Target Range // as answered
	// Observed of both, as in Result.
	BaseObserved, TargetObserved time.Duration

	Movers       []Mover
	Completeness Completeness // of both ranges
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

// Movers returns the groups with the largest absolute change first. By a
// measure of latency or by error rate, only groups that have requests in both
// ranges can have moved.
func (a *Analytics) Movers(ctx context.Context, q MoversQuery) (*Movers, error) {
	if len(q.GroupBy) == 0 {
		q.GroupBy = []Dimension{Service}
	}
	if q.By == "" {
		q.By = MeasureRate
	}
	switch {
	case q.Limit < 0 || q.Limit > MaxLimit:
		return nil, invalidf("limit: %d is not between 1 and %d", q.Limit, MaxLimit)
	case q.Limit == 0:
		q.Limit = defaultMovers
	}
	var err error
	if q.Target, err = a.ResolveRange(q.Target); err != nil {
		return nil, err
	}
	length := q.Target.To.Sub(q.Target.From)
	if q.Base.From.IsZero() {
		q.Base.To = cmp.Or(q.Base.To, q.Target.From)
		q.Base.From = q.Base.To.Add(-length)
	}
	if q.Base.To.IsZero() {
		q.Base.To = q.Base.From.Add(length)
	}
	query := Query{Range: q.Target, Filter: q.Filter, GroupBy: q.GroupBy, OrderBy: q.By, Limit: MaxLimit}
	target, err := a.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	query.Range = q.Base
	base, err := a.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("base %w", err)
	}
	m := &Movers{
		Base: base.Range, Target: target.Range, Completeness: target.Completeness,
		BaseObserved: base.Observed, TargetObserved: target.Observed,
	}
	m.Completeness.join(&base.Completeness, "base: ")
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
		if !by.additive() && (m.Base.Count == 0 || m.Target.Count == 0) {
			continue
		}
		was := by.Of(&m.Base, base.Observed)
		m.Change = by.Of(&m.Target, target.Observed) - was
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

// additive reports whether the measure of no requests is 0; others have none.
func (m Measure) additive() bool {
	switch m {
	case MeasureCount, MeasureRate, MeasureErrors, MeasureSum:
		return true
	}
	return false
}
