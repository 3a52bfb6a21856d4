package sql

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/opnfv/clover/visibility"
)

// Compile returns the statement that answers a query from a table. The table
// is SQL itself and is taken as it is: a name, or what [Dialect.Parquet]
// returns. The range has to be given; it is widened to whole buckets.
//
// The answer has a row for each group, step and bar of the histogram, with
// the columns
//
//	place    the group's place in the order, from 1; 0: all groups beyond the limit together
//	g0, g1 … the group's values, as GroupBy; one empty text if there is none
//	step     start in Unix seconds; 0 without Step, and of the groups beyond the limit
//	bar      a number that grows with the durations in it; -1: of no duration
//	n, errors, total_ns, min_ns, max_ns, request_bytes, response_bytes
//	last_place   the largest place of the row; over all rows the number of groups
//
// in no order. Errors match visibility.ErrInvalid.
func Compile(d Dialect, table string, q visibility.Query) (string, error) {
	measure, err := visibility.ParseMeasure(string(q.OrderBy))
	if err != nil {
		return "", err
	}
	if q.Limit == 0 {
		q.Limit = visibility.DefaultLimit
	}
	switch {
	case !q.Range.From.Before(q.Range.To):
		return "", invalidf("range: from %v is not before to %v", q.Range.From, q.Range.To)
	case q.Step < 0 || q.Step%visibility.MinStep != 0:
		return "", invalidf("step: %v is not a multiple of %v", q.Step, visibility.MinStep)
	case q.Limit < 0 || q.Limit > visibility.MaxLimit:
		return "", invalidf("limit: %d is not between 1 and %d", q.Limit, visibility.MaxLimit)
	}
	s := statement{dialect: d, table: table, by: measure, ascending: q.Ascending, limit: q.Limit, step: q.Step}
	if s.where, err = d.where(snap(q.Range), q.Count, q.Filter); err != nil {
		return "", err
	}
	for _, dim := range q.GroupBy {
		if int(dim) >= visibility.NumDimensions {
			return "", invalidf("group_by: %s is not known", dim)
		}
		s.groupBy = append(s.groupBy, d.value(dim, q.Count))
	}
	return s.text(), nil
}

// invalidf returns an error that matches visibility.ErrInvalid.
func invalidf(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, visibility.ErrInvalid)...)
}

// snap widens a range to whole buckets.
func snap(r visibility.Range) visibility.Range {
	to := r.To.Truncate(visibility.MinStep)
	if to.Before(r.To) {
		to = to.Add(visibility.MinStep)
	}
	return visibility.Range{From: r.From.Truncate(visibility.MinStep).UTC(), To: to.UTC()}
}

// statement is a query of which each part is SQL.
type statement struct {
	dialect   Dialect
	table     string
	where     string
	groupBy   []string // expressions of texts; none: one group
	step      time.Duration
	by        visibility.Measure
	ascending bool
	limit     int // groups; 0: all
}

// text writes the statement: the spans that match, the bars of their
// histograms, the order of the groups, and the bars of the groups by place.
func (s *statement) text() string {
	groupBy := s.groupBy
	if len(groupBy) == 0 {
		groupBy = []string{"''"}
	}
	names, selected, joined := make([]string, len(groupBy)), make([]string, len(groupBy)), make([]string, len(groupBy))
	for i, expr := range groupBy {
		names[i] = "g" + strconv.Itoa(i)
		selected[i] = expr + " AS " + names[i]
		joined[i] = "bars." + names[i] + " = places." + names[i]
	}
	g := strings.Join(names, ", ")
	var b strings.Builder
	fmt.Fprintf(&b, `WITH matching AS (
  SELECT %s, %s AS step, %s AS bar, duration_ns AS ns,
    CASE WHEN error THEN 1 ELSE 0 END AS failed,
    CASE WHEN request_size > 0 THEN request_size ELSE 0 END AS request_bytes,
    CASE WHEN response_size > 0 THEN response_size ELSE 0 END AS response_bytes
  FROM %s
  WHERE %s
), bars AS (
  SELECT %s, step, bar, count(*) AS n, sum(failed) AS errors, sum(ns) AS total_ns, min(ns) AS min_ns, max(ns) AS max_ns,
    sum(request_bytes) AS request_bytes, sum(response_bytes) AS response_bytes
  FROM matching GROUP BY %s, step, bar
), %s
SELECT %s,
  CAST(sum(n) AS BIGINT) AS n, CAST(sum(errors) AS BIGINT) AS errors, CAST(sum(total_ns) AS BIGINT) AS total_ns,
  min(min_ns) AS min_ns, max(max_ns) AS max_ns,
  CAST(sum(request_bytes) AS BIGINT) AS request_bytes, CAST(sum(response_bytes) AS BIGINT) AS response_bytes,
  max(place) AS last_place
FROM bars JOIN places ON %s
GROUP BY %s`,
		strings.Join(selected, ", "), s.stepExpr(), barExpr, s.table, s.where, g, g,
		s.places(g), s.output(names), strings.Join(joined, " AND "), ordinals(len(names)+3))
	return b.String()
}

// stepExpr is the start of a row's step.
func (s *statement) stepExpr() string {
	if s.step == 0 {
		return "CAST(0 AS BIGINT)"
	}
	return fmt.Sprintf("bucket - bucket %% %d", int64(s.step/time.Second))
}

// output lists the columns by which the answer is grouped.
func (s *statement) output(names []string) string {
	if s.limit == 0 {
		list := make([]string, len(names))
		for i, name := range names {
			list[i] = "bars." + name + " AS " + name
		}
		return "place, " + strings.Join(list, ", ") + ", step, bar"
	}
	within := func(expr, otherwise, name string) string {
		return fmt.Sprintf("CASE WHEN place <= %d THEN %s ELSE %s END AS %s", s.limit, expr, otherwise, name)
	}
	columns := []string{within("place", "0", "place")}
	for _, name := range names {
		columns = append(columns, within("bars."+name, "''", name))
	}
	return strings.Join(append(columns, within("step", "0", "step"), "bar"), ",\n  ")
}

// places numbers the groups by the measure.
func (s *statement) places(g string) string {
	direction := "DESC"
	if s.ascending {
		direction = "ASC"
	}
	sums := "sum(n) AS n, sum(errors) AS errors, sum(total_ns) AS total_ns, min(min_ns) AS min_ns, max(max_ns) AS max_ns"
	prefix, from := "", "bars"
	if q, ok := quantiles[s.by]; ok {
		prefix = fmt.Sprintf(`ranks AS (
  SELECT %[1]s, bar, n, errors, total_ns, min_ns, max_ns,
    sum(n) OVER (PARTITION BY %[1]s ORDER BY bar RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS seen,
    floor(%[2]s * (sum(n) OVER (PARTITION BY %[1]s) - 1)) AS wanted
  FROM bars
), `, g, double(q))
		from = "ranks"
		sums += ", min(CASE WHEN seen > wanted THEN bar END) AS quantile"
	}
	return fmt.Sprintf(`%sgroups AS (
  SELECT %s, %s FROM %s GROUP BY %s
), places AS (
  SELECT %s, CAST(row_number() OVER (ORDER BY %s %s, %s) AS BIGINT) AS place FROM groups
)`, prefix, g, sums, from, g, g, measureExpr(s.by), direction, g)
}

// quantiles are the measures that need the histogram.
var quantiles = map[visibility.Measure]float64{
	visibility.MeasureP50: .5, visibility.MeasureP90: .9, visibility.MeasureP95: .95, visibility.MeasureP99: .99,
}

// measureExpr is a number by which groups are in the order of the measure.
func measureExpr(m visibility.Measure) string {
	if _, ok := quantiles[m]; ok {
		// The middle of the bar, but never outside the extremes; see
		// visibility.Aggregate.Quantile.
		middle := fmt.Sprintf("CASE WHEN quantile < 0 THEN 0 ELSE round(exp(quantile / %s) * %s) END",
			double(barsPerE), double(1+visibility.RelativeError))
		return fmt.Sprintf("least(greatest(%s, min_ns), max_ns)", middle)
	}
	switch m {
	case visibility.MeasureErrors:
		return "errors"
	case visibility.MeasureErrorRate:
		return "CAST(errors AS DOUBLE) / n"
	case visibility.MeasureMin:
		return "min_ns"
	case visibility.MeasureMax:
		return "max_ns"
	case visibility.MeasureMean:
		return "round(CAST(total_ns AS DOUBLE) / n)"
	case visibility.MeasureSum:
		return "total_ns"
	}
	return "n" // also for rates: all groups are over the same time
}

// barsPerE is how many buckets a sketch has while durations grow by a factor
// of e: their bounds grow by (1+α)/(1-α), where α is the relative error.
var barsPerE = 1 / math.Log((1+visibility.RelativeError)/(1-visibility.RelativeError))

// barExpr is the bucket of a sketch into which a duration falls.
var barExpr = "CASE WHEN duration_ns <= 0 THEN -1 ELSE CAST(floor(ln(CAST(duration_ns AS DOUBLE)) * " +
	double(barsPerE) + ") AS INT) END"

// ordinals returns "1, 2, … n".
func ordinals(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.Itoa(i + 1)
	}
	return strings.Join(list, ", ")
}
