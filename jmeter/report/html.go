package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"

	"github.com/opnfv/clover/jmeter"
)

//go:embed page.html
var pageText string

// page encodes every value for its place in HTML.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"short": short, "percent": func(f float64) string { return fmt.Sprintf("%.2f%%", 100*f) },
	"rate": func(f float64) string { return fmt.Sprintf("%.1f/s", f) },
	"q":    func(s *jmeter.Stats, q float64) string { return short(s.Quantile(q)) },
}).Parse(pageText))

// chart is a drawing of lines over a width of chartWidth and a height of
// chartHeight.
type chart struct {
	Title, Low, High, From, To string
	Lines                      []line
}

type line struct{ Name, Class, Points string }

const (
	chartWidth  = 640.0
	chartHeight = 160.0
)

// html writes a page that loads nothing and runs no script.
func (r *Report) html(w io.Writer) error {
	return page.Execute(w, map[string]any{
		"Report": r, "Passed": r.Passed(), "Stats": r.all(), "Failures": failures(&r.Results.All, 20), "Notes": r.notes(),
		"Charts": r.charts(), "Error": fmt.Sprintf("%.0f %%", 100*jmeter.RelativeError), "Began": r.Began.UTC().Format(time.RFC3339),
	})
}

// Count and Reason are for the page.
func (f failure) Count() int64 { return f.count }

// Reason is why.
func (f failure) Reason() string { return f.reason }

func (r *Report) charts() []chart {
	timeline := r.Results.Timeline()
	if len(timeline) == 0 {
		return nil
	}
	series := func(f func(jmeter.Interval) float64) []float64 {
		out := make([]float64, len(timeline))
		for i, p := range timeline {
			out[i] = f(p)
		}
		return out
	}
	perSecond := func(n int64, p jmeter.Interval) float64 { return float64(n) / p.Length.Seconds() }
	from, to := timeline[0].Start.Format(time.TimeOnly), timeline[len(timeline)-1].Start.Format(time.TimeOnly)
	rates := draw("Results a second", func(v float64) string { return fmt.Sprintf("%.4g/s", v) },
		[]string{"all", "errors"},
		series(func(p jmeter.Interval) float64 { return perSecond(p.Count, p) }),
		series(func(p jmeter.Interval) float64 { return perSecond(p.Errors, p) }))
	times := draw("Time", func(v float64) string { return short(time.Duration(v)) }, []string{"mean", "maximum"},
		series(func(p jmeter.Interval) float64 {
			if p.Count == 0 {
				return 0
			}
			return float64(p.Sum) / float64(p.Count)
		}), series(func(p jmeter.Interval) float64 { return float64(p.Max) }))
	rates.From, rates.To, times.From, times.To = from, to, from, to
	return []chart{rates, times, r.percentiles()}
}

// percentiles is the time by the share of the requests that took no longer;
// each step to the right is a tenth of what is left.
func (r *Report) percentiles() chart {
	const steps = 60
	values := make([]float64, steps+1)
	for i := range values {
		values[i] = float64(r.Results.All.Quantile(1 - math.Pow(10, -4*float64(i)/steps)))
	}
	c := draw("Time by percentile", func(v float64) string { return short(time.Duration(v)) }, []string{"all"}, values)
	c.From, c.To = "0 % · 90 % · 99 % · 99.9 %", "99.99 %"
	return c
}

// draw makes lines from values of one length.
func draw(title string, label func(float64) string, names []string, series ...[]float64) chart {
	high := 0.0
	for _, s := range series {
		for _, v := range s {
			high = max(high, v)
		}
	}
	c := chart{Title: title, Low: label(0), High: label(high)}
	for i, s := range series {
		if len(s) == 1 {
			s = []float64{s[0], s[0]} // a run of one interval is a level line
		}
		var points strings.Builder
		for j, v := range s {
			x := chartWidth * float64(j) / float64(len(s)-1)
			y := chartHeight
			if high > 0 {
				y -= chartHeight * v / high
			}
			fmt.Fprintf(&points, "%.1f,%.1f ", x, y)
		}
		c.Lines = append(c.Lines, line{names[i], fmt.Sprintf("line%d", i), points.String()})
	}
	return c
}
