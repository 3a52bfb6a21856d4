package visibility

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AnalyticsOptions configure an Analytics. The zero value works.
type AnalyticsOptions struct {
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
	// Status tells how the sources are, for the completeness of answers;
	// nil: answers do not speak of sources that are down.
	Status func() CollectorStatus
}

// Analytics answers questions from a store's rollups. What a question costs
// grows with the rows and buckets that it covers, not with the spans. Its
// methods may be called concurrently; each ends early with its context.
type Analytics struct {
	store interface {
		RollupReader
		LedgerReader
	}
	opts AnalyticsOptions
}

// NewAnalytics returns an Analytics over a store.
func NewAnalytics(store interface {
	RollupReader
	LedgerReader
}, opts AnalyticsOptions) (*Analytics, error) {
	if store == nil {
		return nil, invalidf("analytics: store is nil")
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	return &Analytics{store: store, opts: opts}, nil
}

// ResolveRange fills in what is not given (To: now, From: DefaultWindow
// before To) and refuses what is not a range.
func (a *Analytics) ResolveRange(r Range) (Range, error) {
	now := a.opts.Clock()
	if r.To.IsZero() {
		r.To = now
	}
	if r.From.IsZero() {
		r.From = r.To.Add(-DefaultWindow)
	}
	switch {
	case !r.From.Before(r.To):
		return r, invalidf("range: from %s is not before to %s", r.From.Format(time.RFC3339), r.To.Format(time.RFC3339))
	case r.From.After(now):
		return r, invalidf("range: from %s is in the future; it is %s now", r.From.Format(time.RFC3339), now.Format(time.RFC3339))
	case r.From.Unix() < 0:
		return r, invalidf("range: from %s is before 1970", r.From.Format(time.RFC3339))
	}
	return r, nil
}

// check completes a query and says what is wrong with it.
func (a *Analytics) check(q *Query) (err error) {
	if q.Range, err = a.ResolveRange(q.Range); err != nil {
		return err
	}
	switch {
	case q.Limit < 0 || q.Limit > MaxLimit:
		return invalidf("limit: %d is not between 1 and %d", q.Limit, MaxLimit)
	case q.Limit == 0:
		q.Limit = DefaultLimit
	}
	if q.Step != 0 {
		if q.Step < MinStep || q.Step%MinStep != 0 {
			return invalidf("step: %v is not a multiple of %v; the nearest that is: %v", q.Step, MinStep,
				max(MinStep, q.Step.Round(MinStep)))
		}
		if points := q.Range.To.Sub(q.Range.From) / q.Step; points > MaxPoints {
			return invalidf("step: %d points; at most %d are allowed, so take a step of at least %v",
				points, MaxPoints, (q.Range.To.Sub(q.Range.From)/MaxPoints).Truncate(MinStep)+MinStep)
		}
	}
	seen := map[Dimension]bool{}
	for _, d := range q.GroupBy {
		if int(d) >= NumDimensions || seen[d] {
			return invalidf("group_by: %s is given twice or not known; want different ones of %s",
				d, strings.Join(dimensionNames[:], ", "))
		}
		seen[d] = true
	}
	if q.OrderBy, err = ParseMeasure(string(q.OrderBy)); err != nil {
		return err
	}
	return checkRollupFilter(q.Filter)
}

// checkRollupFilter refuses what statistics cannot answer.
func checkRollupFilter(f *Filter) error {
	if only := f.SpanOnly(); len(only) > 0 {
		return invalidf("filter: statistics are not kept apart by %s; search traces for it, or filter by %s",
			strings.Join(only, ", "), strings.Join(DimensionNames(), ", "))
	}
	return nil
}

// MinStep is the finest step of a series.
const MinStep = 10 * time.Second

// ParseMeasure reads the name of a measure; "" is MeasureCount.
func ParseMeasure(s string) (Measure, error) {
	m := Measure(strings.ReplaceAll(strings.ToLower(s), "-", "_"))
	if m == "" {
		return MeasureCount, nil
	}
	if slices.Contains(measures, string(m)) {
		return m, nil
	}
	return "", invalidf("measure %q is not known; %s", s, suggest(string(m), measures))
}

var measures = []string{
	string(MeasureCount), string(MeasureRate), string(MeasureErrors), string(MeasureErrorRate),
	string(MeasureMin), string(MeasureMean), string(MeasureMax), string(MeasureSum),
	string(MeasureP50), string(MeasureP90), string(MeasureP95), string(MeasureP99),
}

// Of returns a measure's value: seconds for durations, and per second of
// span for rates.
func (m Measure) Of(a *Aggregate, span time.Duration) float64 {
	lowest, highest := a.Extremes()
	switch m {
	case MeasureErrors:
		return float64(a.Errors)
	case MeasureRate:
		return perSecond(a.Count, span)
	case MeasureErrorRate:
		return a.ErrorRate()
	case MeasureMin:
		return lowest.Seconds()
	case MeasureMax:
		return highest.Seconds()
	case MeasureMean:
		return a.Mean().Seconds()
	case MeasureSum:
		return a.Sum.Seconds()
	case MeasureP50:
		return a.Quantile(.5).Seconds()
	case MeasureP90:
		return a.Quantile(.9).Seconds()
	case MeasureP95:
		return a.Quantile(.95).Seconds()
	case MeasureP99:
		return a.Quantile(.99).Seconds()
	default:
		return float64(a.Count)
	}
}

func perSecond(n int64, span time.Duration) float64 {
	if span <= 0 {
		return 0
	}
	return float64(n) / span.Seconds()
}

// Query answers q. It returns an error that matches ErrInvalid if q is not a
// question that can be answered, and says why.
func (a *Analytics) Query(ctx context.Context, q Query) (*Result, error) {
	if err := a.check(&q); err != nil {
		return nil, err
	}
	asked := q.Step
	g, cov, err := a.read(ctx, &q)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	res := &Result{Range: cov.Range, Step: q.Step, GroupBy: q.GroupBy, Count: q.Count}
	res.Groups = g.groups()
	res.Observed = a.observed(cov)
	sortGroups(res.Groups, q.OrderBy, q.Ascending, res.Observed)
	for i := range res.Groups {
		res.Total.Merge(&res.Groups[i].Aggregate)
	}
	if len(res.Groups) > q.Limit {
		for i := range res.Groups[q.Limit:] {
			res.Rest.Merge(&res.Groups[q.Limit+i].Aggregate)
		}
		res.RestGroups = len(res.Groups) - q.Limit
		res.Groups = res.Groups[:q.Limit]
	}
	if g.tooMany {
		if err := a.readSeries(ctx, &q, res.Groups); err != nil {
			return nil, fmt.Errorf("query: %w", err)
		}
	}
	if res.Completeness, err = a.completeness(ctx, q.Range, cov, &res.Total, g); err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	if q.Step != asked {
		res.Completeness.note(Note{Code: "step_widened", Detail: fmt.Sprintf(
			"the step is %v instead of %v: of a range this old only buckets of %v are kept", q.Step, asked, cov.Finest)})
	}
	if res.Total.Count == 0 {
		if err := a.KnownServices(ctx, q.Filter.Services()...); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// read sums up the rollups that a query asks for. Where the store's buckets
// do not fit into the steps it widens q.Step until they do.
func (a *Analytics) read(ctx context.Context, q *Query) (*grouping, Coverage, error) {
	for {
		g := newGrouping(q.GroupBy, q.Filter, q.Count)
		g.step = q.Step
		cov, err := a.store.Rollups(ctx, q.Range, q.Step, g.add)
		if err != nil || q.Step == 0 || cov.Finest == 0 || q.Step%cov.Finest == 0 {
			return g, cov, err
		}
		q.Step += cov.Finest - q.Step%cov.Finest
	}
}

// readSeries reads the series of the groups that are returned, where those of
// all groups were too many to hold. What was written since the totals were
// read is in the series already.
func (a *Analytics) readSeries(ctx context.Context, q *Query, groups []Group) error {
	g := newGrouping(q.GroupBy, q.Filter, q.Count)
	g.step, g.only = q.Step, make(map[string]struct{}, len(groups))
	for i := range groups {
		g.only[string(valuesKey(nil, groups[i].Values))] = struct{}{}
	}
	if _, err := a.store.Rollups(ctx, q.Range, q.Step, g.add); err != nil {
		return err
	}
	for i := range groups {
		if s := g.byValues[string(valuesKey(nil, groups[i].Values))]; s != nil {
			groups[i].Series = s.points()
		}
	}
	return nil
}

// sortGroups sorts by a measure, then by the values.
func sortGroups(groups []Group, by Measure, ascending bool, span time.Duration) {
	type keyed struct {
		group Group
		value float64
	}
	list := make([]keyed, len(groups))
	for i, g := range groups {
		list[i] = keyed{g, by.Of(&g.Aggregate, span)}
	}
	slices.SortFunc(list, func(x, y keyed) int {
		c := cmp.Compare(y.value, x.value)
		if ascending {
			c = -c
		}
		return cmp.Or(c, slices.Compare(x.group.Values, y.group.Values))
	})
	for i := range list {
		groups[i] = list[i].group
	}
}

// DistinctQuery asks for the distinct values of a dimension.
type DistinctQuery struct {
	Range     Range
	Dimension Dimension
	Filter    *Filter
	Count     CountMode
	Prefix    string // only values that begin with it, of the MaxLimit most frequent
	Limit     int    // 0: DefaultLimit
}

// Values is the answer to a DistinctQuery.
type Values struct {
	Values       []ValueCount // the most frequent first
	Rest         int          // distinct values beyond the limit
	Total        int64        // sum of all counts
	Completeness Completeness
}

// Distinct returns the values that a dimension has, with their counts.
func (a *Analytics) Distinct(ctx context.Context, q DistinctQuery) (*Values, error) {
	limit := q.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	if limit < 0 || limit > MaxLimit {
		return nil, invalidf("limit: %d is not between 1 and %d", limit, MaxLimit)
	}
	res, err := a.Query(ctx, Query{
		Range: q.Range, Filter: q.Filter, GroupBy: []Dimension{q.Dimension}, Count: q.Count, Limit: MaxLimit,
	})
	if err != nil {
		return nil, err
	}
	v := &Values{Completeness: res.Completeness}
	if q.Prefix == "" {
		v.Rest, v.Total = res.RestGroups, res.Rest.Count
	}
	for i := range res.Groups {
		g := &res.Groups[i]
		if g.Values[0] == "" || !strings.HasPrefix(g.Values[0], q.Prefix) {
			continue
		}
		v.Total += g.Aggregate.Count
		if len(v.Values) < limit {
			v.Values = append(v.Values, ValueCount{Value: g.Values[0], Count: g.Aggregate.Count})
		} else {
			v.Rest++
		}
	}
	return v, nil
}

// KnownServices returns an error that matches ErrNotFound, and suggests
// others, if no source has ever reported any of the services. It is for
// answers that found nothing; see [Filter.Services].
func (a *Analytics) KnownServices(ctx context.Context, services ...string) error {
	if len(services) == 0 {
		return nil
	}
	entries, err := a.store.Ledger(ctx)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	var known []string
	for i := range entries {
		if entries[i].Service != "" && !slices.Contains(known, entries[i].Service) {
			known = append(known, entries[i].Service)
		}
	}
	var unknown []error
	for _, name := range services {
		if !slices.ContainsFunc(known, func(k string) bool { return SameService(k, name) }) && len(known) > 0 {
			unknown = append(unknown, &kindError{
				kind: ErrNotFound,
				msg:  fmt.Sprintf("service %q has never been seen; %s", name, suggest(name, known)),
			})
		}
	}
	if len(unknown) < len(services) {
		return nil
	}
	return errors.Join(unknown...)
}
