package monitoring

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Collection is what one [Client.Collect] found. Each name of the selection is
// in Points or in Missing, once, in the selection's order.
type Collection struct {
	Points   []Point
	Missing  []MissingMetric
	Warnings []string // from the server, each once
	Queries  int      // requests it took
	Samples  int      // series received, before matching
}

// Point is the value of one name of the contract.
type Point struct {
	Name    string // PREFIX+SERVICE+SUFFIX joined, or the custom metric
	Service string // as in the selection; "" for a custom metric
	Prefix  string // as in the selection; "" for a custom metric
	Suffix  string // as in the selection; "" for a custom metric

	// Value is the sum over the series (pods): right for counters and for
	// gauges that count things. Min and Max are the least and greatest single
	// series. For a histogram's bucket it is the count of all observations.
	Value, Min, Max float64

	// Buckets of a histogram, ascending, cumulative, summed over the series;
	// nil for anything else.
	Buckets []Bucket

	// Time is when the newest of the series was scraped; Scraped is false
	// when that is not known and Time is the evaluation's.
	Time    time.Time
	Scraped bool

	Series  int // how many series were summed
	NotReal int // series left out because their value was NaN or infinite

	// Members are the series themselves, sorted, with their own scrape times;
	// a bucket's le is one of the labels. They feed a [Tracker].
	Members []Sample
}

// Bucket is one cumulative bucket of a classic histogram.
type Bucket struct {
	UpperBound float64 // le, inclusive; the last is +Inf
	Count      float64
}

// MissingMetric is a name of the selection without a value.
type MissingMetric struct {
	Name    string
	Service string // "" for a custom metric
	Reason  Reason
}

// Reason says why a metric is missing.
type Reason string

// Reasons.
const (
	// ReasonAbsent: no series of that name within Options.StaleWindow.
	ReasonAbsent Reason = "absent"
	// ReasonStale: there was a series, but its last sample is older than the
	// server's look-back (5 minutes by default) or its target went away.
	ReasonStale Reason = "stale"
	// ReasonNotReal: every series is NaN or infinite.
	ReasonNotReal Reason = "not-real"
	// ReasonSummary: the quantiles of a summary cannot be added up; its _sum
	// and _count can.
	ReasonSummary Reason = "summary"
	// ReasonUnknown: missing, and the look back failed or is turned off.
	ReasonUnknown Reason = "unknown"
)

// Collect reads a selection at one moment (zero = the server's now). It finds
// each name both as it is written and in today's labelled form, with one query
// for all of them unless that grows above Options.MaxQueryBytes, and now and
// then one more to tell why something is missing. Metrics that are not there
// are no error; an error means that the whole collection failed.
func (c *Client) Collect(ctx context.Context, sel Selection, at time.Time) (Collection, error) {
	p, err := newPlan(sel)
	if err != nil {
		return Collection{}, err
	}
	queries := p.queries(c.opts.MaxQueryBytes)
	if len(queries) > 1 && at.IsZero() {
		at = time.Now() // one moment for all
	}
	g := newGather(p)
	for _, q := range queries {
		samples, warnings, err := c.Instant(ctx, q, at)
		if err != nil {
			return Collection{}, err
		}
		g.add(samples, warnings)
		if g.samples > c.opts.MaxSamples {
			return Collection{}, classify("query", c.target, c.bound(g.samples, "collect"))
		}
	}
	out := g.collection()
	out.Queries = len(queries)
	asked, warnings := c.explainMissing(ctx, p, &out, at)
	out.Queries += asked
	out.Warnings = unique(append(out.Warnings, warnings...), identity)
	return out, nil
}

// instance identifies a scraped target.
type instance struct{ job, instance string }

// gather matches samples back to a plan.
type gather struct {
	plan     *plan
	members  [][]Sample // by want
	scrapes  map[instance]time.Time
	warnings []string
	samples  int
}

func newGather(p *plan) *gather {
	return &gather{plan: p, members: make([][]Sample, len(p.wants)), scrapes: make(map[instance]time.Time)}
}

func (g *gather) add(samples []Sample, warnings []string) {
	g.warnings = append(g.warnings, warnings...)
	for _, s := range samples {
		part := s.Labels[partLabel]
		delete(s.Labels, partLabel)
		if part == partScrape {
			g.addScrape(s)
			continue
		}
		g.samples++
		var i int
		var ok bool
		if strings.HasPrefix(part, partLabelled) {
			i, ok = g.plan.matchLabelled(s.Metric, s.Labels)
		} else {
			i, ok = g.plan.matchLiteral(s.Metric)
		}
		if ok { // the selectors find a little more than was asked for
			g.members[i] = append(g.members[i], s)
		}
	}
}

func (g *gather) addScrape(s Sample) {
	key := instance{s.Labels["job"], s.Labels["instance"]}
	at := time.UnixMilli(int64(math.Round(s.Value * 1000))).UTC()
	if at.After(g.scrapes[key]) {
		g.scrapes[key] = at
	}
}

func (g *gather) collection() Collection {
	out := Collection{Points: make([]Point, 0, len(g.plan.wants)), Warnings: g.warnings, Samples: g.samples}
	for i, w := range g.plan.wants {
		if len(g.members[i]) == 0 {
			out.Missing = append(out.Missing, MissingMetric{w.name, w.service, ReasonUnknown})
			continue
		}
		point, reason := g.point(w, g.members[i])
		if reason != "" {
			out.Missing = append(out.Missing, MissingMetric{w.name, w.service, reason})
			continue
		}
		out.Points = append(out.Points, point)
	}
	return out
}

// point sums the series of one want; a reason says that it has no value.
func (g *gather) point(w want, members []Sample) (Point, Reason) {
	p := Point{Name: w.name, Service: w.service, Prefix: w.prefix, Suffix: w.suffix, Min: math.Inf(1), Max: math.Inf(-1)}
	buckets := make(map[float64]float64)
	summary := false
	for _, s := range members {
		at, scraped := g.scrapes[instance{s.Labels["job"], s.Labels["instance"]}]
		if scraped {
			s.Time = at
		}
		if _, ok := s.Labels["quantile"]; ok {
			summary = true
			continue
		}
		if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
			p.NotReal++
			continue
		}
		// A scrape's own time wins over the evaluation's, which is later.
		if p.Series+len(p.Members) == 0 || (scraped && !p.Scraped) || (scraped == p.Scraped && s.Time.After(p.Time)) {
			p.Time, p.Scraped = s.Time, scraped
		}
		p.Members = append(p.Members, s)
		if le, ok := bucketBound(w.name, s.Labels); ok {
			buckets[le] += s.Value
			if !math.IsInf(le, 1) {
				continue
			}
		}
		p.Series++
		p.Value += s.Value
		p.Min, p.Max = min(p.Min, s.Value), max(p.Max, s.Value)
	}
	switch {
	case p.Series == 0 && summary:
		return p, ReasonSummary
	case p.Series == 0:
		return p, ReasonNotReal
	}
	for le, n := range buckets {
		p.Buckets = append(p.Buckets, Bucket{le, n})
	}
	slices.SortFunc(p.Buckets, func(a, b Bucket) int { return int(math.Copysign(1, a.UpperBound-b.UpperBound)) })
	slices.SortFunc(p.Members, compareSamples)
	return p, ""
}

// bucketBound tells the bound of a classic histogram's bucket.
func bucketBound(name string, labels map[string]string) (float64, bool) {
	le, ok := labels["le"]
	if !ok || !strings.HasSuffix(name, "_bucket") {
		return 0, false
	}
	bound, err := strconv.ParseFloat(le, 64)
	return bound, err == nil && !math.IsNaN(bound)
}

func compareSamples(a, b Sample) int {
	if c := compareStrings(a.Metric, b.Metric, a.Labels["job"], b.Labels["job"], a.Labels["instance"], b.Labels["instance"]); c != 0 {
		return c
	}
	return strings.Compare(seriesKey(a), seriesKey(b))
}
