package report

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// Formats are what [Report.Write] knows.
var Formats = []string{"table", "json", "csv", "junit", "html"}

// Report is a run with what is said of it.
type Report struct {
	Name, RunID, Runner string
	Began               time.Time
	Results             *jmeter.Results
	Verdicts            []jmeter.Verdict
	Notes               []string
}

// Passed reports whether all criteria are fulfilled.
func (r *Report) Passed() bool {
	return !slices.ContainsFunc(r.Verdicts, func(v jmeter.Verdict) bool { return !v.Pass })
}

// Write writes the report in a format of Formats.
func (r *Report) Write(w io.Writer, format string) error {
	switch format {
	case "table":
		return r.table(w)
	case "json":
		return r.json(w)
	case "csv":
		return r.csv(w)
	case "junit":
		return r.junit(w)
	case "html":
		return r.html(w)
	}
	return fmt.Errorf("%w: format %q; want %s", jmeter.ErrInvalid, format, strings.Join(Formats, ", "))
}

// all returns the labels and then all requests, if there is more than one.
func (r *Report) all() []*jmeter.Stats {
	list := r.Results.Labels()
	total := r.Results.All
	total.Label = "all"
	if len(list) != 1 {
		list = append(list, &total)
	}
	return list
}

// notes are what a reader has to know besides the numbers.
func (r *Report) notes() []string {
	notes := slices.Clone(r.Notes)
	if n := r.Results.Missed; n > 0 {
		notes = append(notes, fmt.Sprintf("%d iterations of a constant rate were never begun: all users (max_threads) were busy", n))
	}
	return notes
}

var columns = []string{"LABEL", "COUNT", "ERRORS", "ERROR RATE", "RATE", "MIN", "MEAN", "P50", "P90", "P95", "P99", "MAX"}

func (r *Report) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(columns, "\t"))
	for _, s := range r.all() {
		fmt.Fprintf(t, "%s\t%d\t%d\t%.2f%%\t%.1f/s", clean(s.Label), s.Count, s.Errors, 100*s.ErrorRate(), s.Rate())
		for _, d := range []time.Duration{s.Min, s.Mean(), s.Quantile(.5), s.Quantile(.9), s.Quantile(.95), s.Quantile(.99), s.Max} {
			fmt.Fprintf(t, "\t%s", short(d))
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range failures(&r.Results.All, 5) {
		fmt.Fprintf(w, "! %d × %s\n", f.count, clean(f.reason))
	}
	for _, n := range r.notes() {
		fmt.Fprintln(w, "! "+clean(n))
	}
	for _, v := range r.Verdicts {
		mark := "✗"
		if v.Pass {
			mark = "✓"
		}
		fmt.Fprintf(w, "%s %s (%s)\n", mark, clean(v.Criterion.Text), v.Got)
	}
	return nil
}

// clean leaves control characters out of what a terminal shows.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7F && c < 0xA0 {
			return ' '
		}
		return c
	}, s)
}

// short shows three digits of a time.
func short(d time.Duration) string {
	unit := time.Nanosecond
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// failure is a reason with how often it was.
type failure struct {
	reason string
	count  int64
}

// failures returns the most frequent reasons.
func failures(s *jmeter.Stats, most int) []failure {
	var list []failure
	for reason, n := range s.Failures {
		list = append(list, failure{reason, n})
	}
	slices.SortFunc(list, func(a, b failure) int {
		if a.count != b.count {
			return int(min(max(b.count-a.count, -1), 1))
		}
		return strings.Compare(a.reason, b.reason)
	})
	return list[:min(len(list), most)]
}

// numbers is the JSON of a label; times are in milliseconds.
type numbers struct {
	Label     string           `json:"label"`
	Count     int64            `json:"count"`
	Errors    int64            `json:"errors"`
	ErrorRate float64          `json:"error_rate"`
	Rate      float64          `json:"rate_per_second"`
	Min       float64          `json:"min_ms"`
	Mean      float64          `json:"mean_ms"`
	P50       float64          `json:"p50_ms"`
	P90       float64          `json:"p90_ms"`
	P95       float64          `json:"p95_ms"`
	P99       float64          `json:"p99_ms"`
	P999      float64          `json:"p999_ms"`
	Max       float64          `json:"max_ms"`
	Bytes     int64            `json:"bytes"`
	Codes     map[string]int64 `json:"codes"`
	Failures  map[string]int64 `json:"failures,omitempty"`
}

func numbersOf(s *jmeter.Stats) numbers {
	ms := func(d time.Duration) float64 { return float64(d.Round(time.Microsecond)) / 1e6 }
	return numbers{
		s.Label, s.Count, s.Errors, s.ErrorRate(), s.Rate(), ms(s.Min), ms(s.Mean()), ms(s.Quantile(.5)), ms(s.Quantile(.9)),
		ms(s.Quantile(.95)), ms(s.Quantile(.99)), ms(s.Quantile(.999)), ms(s.Max), s.Bytes, s.Codes, s.Failures,
	}
}

func (r *Report) json(w io.Writer) error {
	type verdict struct {
		Criterion string `json:"criterion"`
		Pass      bool   `json:"pass"`
		Got       string `json:"got"`
	}
	out := struct {
		Name     string    `json:"name"`
		RunID    string    `json:"run_id"`
		Runner   string    `json:"runner"`
		Began    time.Time `json:"began"`
		Passed   bool      `json:"passed"`
		Error    float64   `json:"percentile_relative_error"`
		Missed   int64     `json:"missed"`
		All      numbers   `json:"all"`
		Labels   []numbers `json:"labels"`
		Criteria []verdict `json:"criteria"`
		Notes    []string  `json:"notes"`
	}{r.Name, r.RunID, r.Runner, r.Began, r.Passed(), jmeter.RelativeError, r.Results.Missed, numbersOf(&r.Results.All), []numbers{}, []verdict{}, r.notes()}
	for _, s := range r.Results.Labels() {
		out.Labels = append(out.Labels, numbersOf(s))
	}
	for _, v := range r.Verdicts {
		out.Criteria = append(out.Criteria, verdict{v.Criterion.Text, v.Pass, v.Got})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func (r *Report) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	head := []string{"label", "count", "errors", "rate", "min_ms", "mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms"}
	rows := [][]string{head}
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	for _, s := range r.all() {
		n := numbersOf(s)
		row := []string{n.Label, strconv.FormatInt(n.Count, 10), strconv.FormatInt(n.Errors, 10)}
		for _, f := range []float64{n.Rate, n.Min, n.Mean, n.P50, n.P90, n.P95, n.P99, n.Max} {
			row = append(row, number(f))
		}
		rows = append(rows, row)
	}
	return out.WriteAll(rows)
}

// JUnit's XML, as CI systems read it: a case for each label, which fails with
// its errors, and one for each criterion.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Time     string      `xml:"time,attr"`
		Began    string      `xml:"timestamp,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// junit has no case for a label's errors if there are criteria: then these
// decide.
func (r *Report) junit(w io.Writer) error {
	suite := junitSuite{Name: r.Name, Began: r.Began.UTC().Format("2006-01-02T15:04:05")}
	all := &r.Results.All
	suite.Time = fmt.Sprintf("%.3f", all.Last.Sub(all.First).Seconds())
	for _, s := range r.Results.Labels() {
		c := junitCase{Class: "requests", Name: s.Label, Time: fmt.Sprintf("%.6f", s.Mean().Seconds())}
		if s.Errors > 0 && len(r.Verdicts) == 0 {
			c.Failure = &junitFailure{Message: fmt.Sprintf("%d of %d failed", s.Errors, s.Count)}
			for _, f := range failures(s, 10) {
				c.Failure.Text += fmt.Sprintf("%d × %s\n", f.count, f.reason)
			}
		}
		suite.Cases = append(suite.Cases, c)
	}
	for _, v := range r.Verdicts {
		c := junitCase{Class: "criteria", Name: v.Criterion.Text, Time: "0"}
		if !v.Pass {
			c.Failure = &junitFailure{Message: "got " + v.Got}
		}
		suite.Cases = append(suite.Cases, c)
	}
	suite.Tests = len(suite.Cases)
	for _, c := range suite.Cases {
		if c.Failure != nil {
			suite.Failures++
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
