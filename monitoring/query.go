package monitoring

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// maxSteps is Prometheus's own limit on the points of one series in a range
// query (web/api/v1, "exceeded maximum resolution of 11,000 points").
const maxSteps = 11_000

// Sample is one value of one series.
type Sample struct {
	Metric string            // metric name; "" for a computed value
	Labels map[string]string // without __name__; never nil
	Value  float64           // may be NaN or ±Inf
	Time   time.Time         // UTC, milliseconds; see the method that made it
}

// Series is one series over time.
type Series struct {
	Metric string
	Labels map[string]string // without __name__; never nil
	Values []Value           // ascending by time
}

// Value is one point of a [Series].
type Value struct {
	Time  time.Time // UTC, milliseconds
	Value float64   // may be NaN or ±Inf
}

// Instant evaluates a PromQL expression at one moment (zero = the server's
// now). The samples' time is that moment and not the scrape's; a raw range
// such as m[1m] is the exception, its samples keep their own times and come
// flat (see [Client.Raw]). A scalar comes as one sample without name. The
// strings are the server's warnings.
func (c *Client) Instant(ctx context.Context, query string, at time.Time) ([]Sample, []string, error) {
	var samples []Sample
	value, warnings, err := c.query(ctx, query, at)
	if err != nil {
		return nil, warnings, err
	}
	switch v := value.(type) {
	case model.Vector:
		samples = make([]Sample, 0, len(v))
		for _, s := range v {
			if s.Histogram != nil {
				warnings = append(warnings, "native histogram left out: "+s.Metric.String())
				continue
			}
			name, labels := split(s.Metric)
			samples = append(samples, Sample{name, labels, float64(s.Value), utc(s.Timestamp)})
		}
	case *model.Scalar:
		samples = []Sample{{Labels: map[string]string{}, Value: float64(v.Value), Time: utc(v.Timestamp)}}
	case model.Matrix:
		for _, s := range seriesOf(v) {
			for _, p := range s.Values {
				samples = append(samples, Sample{s.Metric, s.Labels, p.Value, p.Time})
			}
		}
	default:
		return nil, warnings, invalidf("query", c.target, "the expression gives a %s, not numbers", value.Type())
	}
	return samples, warnings, nil
}

// Range evaluates a PromQL expression from..to (both included) at each step,
// and returns the series sorted by name and labels. A step with no sample
// within the server's look-back has no value.
func (c *Client) Range(ctx context.Context, query string, from, to time.Time, step time.Duration) ([]Series, []string, error) {
	switch {
	case step < time.Millisecond:
		return nil, nil, invalidf("range query", "step", "%v is below 1ms", step)
	case to.Before(from):
		return nil, nil, invalidf("range query", "to", "%s is before from %s", to.Format(time.RFC3339), from.Format(time.RFC3339))
	case to.Sub(from)/step >= maxSteps:
		return nil, nil, invalidf("range query", "step", "%d steps are above %d; take a step of at least %v",
			to.Sub(from)/step, maxSteps, (to.Sub(from)/maxSteps).Truncate(time.Second)+time.Second)
	}
	var series []Series
	var warnings []string
	err := c.call(ctx, "range query", func(ctx context.Context) error {
		value, warn, infos, err := c.api.QueryRange(ctx, query, promv1.Range{Start: from, End: to, Step: step}, c.limit())
		warnings = slices.Concat([]string(warn), []string(infos))
		if err != nil {
			return err
		}
		matrix, ok := value.(model.Matrix)
		if !ok {
			return fmt.Errorf("unexpected %s", value.Type())
		}
		if err := c.bound(count(matrix), "range query"); err != nil {
			return err
		}
		series = seriesOf(matrix)
		return nil
	})
	return series, warnings, err
}

// Raw returns the samples as they were scraped, with the scrapes' own times,
// of the series that match a selector such as up{job="envoy"}, after from and
// up to to. This is what [Increase] wants.
func (c *Client) Raw(ctx context.Context, selector string, from, to time.Time) ([]Series, []string, error) {
	window := to.Sub(from).Milliseconds()
	if window <= 0 {
		return nil, nil, invalidf("raw query", "to", "%s is not after from %s", to.Format(time.RFC3339), from.Format(time.RFC3339))
	}
	value, warnings, err := c.query(ctx, fmt.Sprintf("%s[%dms]", selector, window), to)
	if err != nil {
		return nil, warnings, err
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, warnings, invalidf("raw query", c.target, "%q is no series selector", selector)
	}
	return seriesOf(matrix), warnings, nil
}

// query runs an instant query and bounds its answer.
func (c *Client) query(ctx context.Context, query string, at time.Time) (model.Value, []string, error) {
	var value model.Value
	var warnings []string
	err := c.call(ctx, "query", func(ctx context.Context) error {
		v, warn, infos, err := c.api.Query(ctx, query, at, c.limit())
		warnings = slices.Concat([]string(warn), []string(infos))
		value = v
		if err != nil {
			return err
		}
		return c.bound(count(v), "query")
	})
	return value, warnings, err
}

// bound refuses an answer of n items when that is above MaxSamples.
func (c *Client) bound(n int, what string) error {
	if n <= c.opts.MaxSamples {
		return nil
	}
	return fmt.Errorf("%w: %s gives more than %d samples; narrow the selection or raise MaxSamples", ErrTooLarge, what, c.opts.MaxSamples)
}

func count(value model.Value) int {
	switch v := value.(type) {
	case model.Vector:
		return len(v)
	case model.Matrix:
		n := 0
		for _, s := range v {
			n += len(s.Values) + len(s.Histograms)
		}
		return n
	}
	return 1
}

func seriesOf(matrix model.Matrix) []Series {
	slices.SortFunc(matrix, func(a, b *model.SampleStream) int {
		return cmp.Or(cmp.Compare(a.Metric[model.MetricNameLabel], b.Metric[model.MetricNameLabel]),
			cmp.Compare(a.Metric.String(), b.Metric.String()))
	})
	series := make([]Series, 0, len(matrix))
	for _, s := range matrix {
		name, labels := split(s.Metric)
		values := make([]Value, len(s.Values))
		for i, v := range s.Values {
			values[i] = Value{utc(v.Timestamp), float64(v.Value)}
		}
		series = append(series, Series{name, labels, values})
	}
	return series
}

func split(m model.Metric) (string, map[string]string) {
	labels := make(map[string]string, len(m))
	for name, value := range m {
		if name != model.MetricNameLabel {
			labels[string(name)] = string(value)
		}
	}
	return string(m[model.MetricNameLabel]), labels
}

func utc(t model.Time) time.Time { return t.Time().UTC() }

// compareStrings compares pairs (a0, b0, a1, b1, …) in turn.
func compareStrings(pairs ...string) int {
	for i := 0; i+1 < len(pairs); i += 2 {
		if c := cmp.Compare(pairs[i], pairs[i+1]); c != 0 {
			return c
		}
	}
	return 0
}
