package jmeter_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// TestSketchError holds that quantiles are within the stated error, also of
// sketches that were merged.
func TestSketchError(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	var merged jmeter.Sketch
	for range 4 {
		var s jmeter.Sketch
		for range 5000 {
			d := time.Duration(math.Exp(random.Float64()*30)) + 1
			all = append(all, d)
			s.Add(d)
		}
		merged.Merge(&s)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		exact := float64(all[int(q*float64(len(all)-1))])
		if got := float64(merged.Quantile(q)); math.Abs(got-exact) > exact*jmeter.RelativeError*1.0001+1 {
			t.Errorf("quantile %v: %v, want %v within 1%%", q, got, exact)
		}
	}
	if merged.Count() != 20000 {
		t.Error(merged.Count())
	}
}

// TestResultsAreBounded holds that labels, codes and time take constant memory
// and that nothing is lost at the bounds.
func TestResultsAreBounded(t *testing.T) {
	var r, other jmeter.Results
	for i := range 5000 {
		x := &jmeter.Sample{Label: string(rune('a'+i%26)) + time.Duration(i).String(), Code: time.Duration(i).String(), Start: time.Unix(int64(i*10), 0), Elapsed: time.Duration(i)}
		r.Add(x)
		if i%2 == 0 {
			other.Add(x)
		}
	}
	r.Merge(&other)
	if r.All.Count != 7500 || r.All.Errors != 7500 {
		t.Errorf("%d, %d errors", r.All.Count, r.All.Errors)
	}
	if n := len(r.Labels()); n > jmeter.MaxLabels+1 {
		t.Errorf("%d labels", n)
	}
	if n := len(r.All.Codes); n > jmeter.MaxCodes+1 {
		t.Errorf("%d codes", n)
	}
	sum, labelled := int64(0), int64(0)
	for _, i := range r.Timeline() {
		sum += i.Count
	}
	for _, s := range r.Labels() {
		labelled += s.Count
	}
	if sum != 7500 || labelled != 7500 || len(r.Timeline()) > jmeter.MaxTimeline {
		t.Errorf("%d on the timeline of %d, %d by label", sum, len(r.Timeline()), labelled)
	}
}

func TestCriteria(t *testing.T) {
	var r jmeter.Results
	for i := range 100 {
		r.Add(&jmeter.Sample{Label: "a(b)", Code: "200", Success: i != 0, Start: time.Unix(0, int64(i)*1e7), Elapsed: 10 * time.Millisecond})
	}
	for text, want := range map[string]bool{
		"p95(a(b)) < 200ms": true, "p99.9<=11ms": true, "p50 < 1ms": false, "errors < 1%": false, "errors <= 1%": true, "errors < 2": true,
		"rate > 90/s": true, "rate > 200": false, "count == 100": true, "mean == 10ms": true, "min(a(b)) >= 10ms": true, "max < 1s": true, "p95(none) < 1h": false,
	} {
		c, err := jmeter.ParseCriterion(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if v := c.Judge(&r); v.Pass != want {
			t.Errorf("%s: %v (%s), want %v", text, v.Pass, v.Got, want)
		}
	}
	for _, text := range []string{"", "p95", "p95 < 200", "p101 < 1s", "px < 1s", "errors < x%", "rate ~ 3", "speed > 3/s", "p95 < 200ms;", "p95(a < 1s"} {
		if c, err := jmeter.ParseCriterion(text); !errors.Is(err, jmeter.ErrInvalid) {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

func TestSummaryLine(t *testing.T) {
	l := jmeter.SummaryLine{Count: 20, Time: 48 * time.Second, Mean: 10 * time.Millisecond, Min: 6 * time.Millisecond, Max: 31 * time.Millisecond}
	const want = "    20 in 00:00:48 =    0.4/s Avg:    10 Min:     6 Max:    31 Err:     0 (0.00%)"
	if l.String() != want {
		t.Errorf("%q, want %q", l, want)
	}
}
