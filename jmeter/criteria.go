package jmeter

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Criterion is a condition on a run, such as "p95(url1) < 200ms".
type Criterion struct {
	Text   string
	Metric string // count, errors, missed, rate, min, mean, max or a percentile such as p99.9
	Label  string // "": all requests
	Op     string // <, <=, >, >=, ==
	Value  float64
	share  bool // Value is a percentage of the requests
}

var criterionForm = regexp.MustCompile(`^\s*([a-z]+[0-9.]*)\s*(?:\((.*)\))?\s*(<=|>=|==|<|>)\s*([0-9][^\s]*)\s*$`)

// ParseCriterion reads a criterion. A time has its unit (200ms, 1.5s), a rate
// may end in "/s", and errors and missed are a number or a percentage (1%).
// missed are iterations of a constant rate that were not begun.
func ParseCriterion(s string) (Criterion, error) {
	m := criterionForm.FindStringSubmatch(s)
	if m == nil {
		return Criterion{}, fmt.Errorf(`%w: %q; want e.g. "p95(url1) < 200ms", "errors < 1%%" or "rate > 100/s"`, ErrInvalid, s)
	}
	c := Criterion{Text: strings.TrimSpace(s), Metric: m[1], Label: strings.TrimSpace(m[2]), Op: m[3]}
	value, err := c.read(m[4])
	if err != nil {
		return Criterion{}, fmt.Errorf("%w: %q: %w", ErrInvalid, s, err)
	}
	c.Value = value
	return c, nil
}

func (c *Criterion) read(s string) (float64, error) {
	switch c.Metric {
	case "count":
		return strconv.ParseFloat(s, 64)
	case "rate":
		return strconv.ParseFloat(strings.TrimSuffix(s, "/s"), 64)
	case "errors", "missed":
		if c.Metric == "missed" && c.Label != "" {
			return 0, fmt.Errorf("missed(%s); iterations that were not begun belong to no request; want missed", c.Label)
		}
		var number string
		number, c.share = strings.CutSuffix(s, "%")
		return strconv.ParseFloat(number, 64)
	case "min", "mean", "max", "avg":
	default:
		if q, ok := c.quantile(); !ok || q < 0 || q > 1 {
			return 0, fmt.Errorf("%q; want count, errors, missed, rate, min, mean, max or a percentile such as p95", c.Metric)
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q; want a time with its unit, such as 200ms", s)
	}
	return float64(d), nil
}

func (c *Criterion) quantile() (float64, bool) {
	number, ok := strings.CutPrefix(c.Metric, "p")
	q, err := strconv.ParseFloat(number, 64)
	return q / 100, ok && err == nil
}

// Verdict is what a criterion says of a run.
type Verdict struct {
	Criterion Criterion
	Pass      bool
	Got       string // the value, or why there is none
}

// Judge says whether a run fulfils a criterion. A label without results
// fulfils none.
func (c Criterion) Judge(r *Results) Verdict {
	v := Verdict{Criterion: c}
	s := &r.All
	if c.Label != "" {
		s = r.Label(c.Label)
	}
	if s == nil || s.Count == 0 && c.Metric != "count" {
		v.Got = "no results"
		return v
	}
	got, show := c.of(s)
	if c.Metric == "missed" {
		got, show = c.ofMissed(r)
	}
	v.Got = show
	switch c.Op {
	case "<":
		v.Pass = got < c.Value
	case "<=":
		v.Pass = got <= c.Value
	case ">":
		v.Pass = got > c.Value
	case ">=":
		v.Pass = got >= c.Value
	case "==":
		v.Pass = got == c.Value
	}
	return v
}

// ofMissed returns what of a constant rate's schedule was not kept.
func (c Criterion) ofMissed(r *Results) (float64, string) {
	if c.share {
		share := 100 * r.MissedShare()
		return share, fmt.Sprintf("%.2f%%", share)
	}
	return float64(r.Missed), strconv.FormatInt(r.Missed, 10)
}

// of returns the value of the metric, and how it is shown.
func (c Criterion) of(s *Stats) (float64, string) {
	var d time.Duration
	switch c.Metric {
	case "count":
		return float64(s.Count), strconv.FormatInt(s.Count, 10)
	case "rate":
		return s.Rate(), fmt.Sprintf("%.1f/s", s.Rate())
	case "errors":
		if c.share {
			return 100 * s.ErrorRate(), fmt.Sprintf("%.2f%%", 100*s.ErrorRate())
		}
		return float64(s.Errors), strconv.FormatInt(s.Errors, 10)
	case "min":
		d = s.Min
	case "max":
		d = s.Max
	case "mean", "avg":
		d = s.Mean()
	default:
		q, _ := c.quantile()
		d = s.Quantile(q)
	}
	return float64(d), d.Round(10 * time.Microsecond).String()
}

// Judge says which of the criteria a run fulfils.
func (r *Results) Judge(criteria []string) ([]Verdict, error) {
	var out []Verdict
	for _, text := range criteria {
		c, err := ParseCriterion(text)
		if err != nil {
			return nil, err
		}
		out = append(out, c.Judge(r))
	}
	return out, nil
}
