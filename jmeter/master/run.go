package master

import (
	"time"

	"github.com/opnfv/clover/jmeter"
)

// State is how far a run is.
type State string

// The states. Those from Finished on are final.
const (
	Queued      State = "queued"
	Running     State = "running"
	Stopping    State = "stopping"    // requests that have begun may end
	Finished    State = "finished"    // to its end
	Stopped     State = "stopped"     // by somebody, or by its limit of time
	Failed      State = "failed"      // could not be run to its end
	Interrupted State = "interrupted" // by an end of the master
)

// Over reports whether a run has ended.
func (s State) Over() bool { return s != Queued && s != Running && s != Stopping }

// Numbers are what was measured in all requests.
type Numbers struct {
	Count, Errors, Missed         int64
	Rate                          float64 // a second: the last one while it runs, then over all
	Min, Mean, P50, P95, P99, Max time.Duration
	Threads                       int // users that are active
}

// Verdict is what a criterion says of a run.
type Verdict struct {
	Criterion string
	Pass      bool
	Got       string // the value, or why there is none
}

// Run is a run of a plan.
type Run struct {
	ID         string
	Plan       string // its name
	PlanDigest string
	Engine     string
	Slaves     int           // that were asked for
	Addresses  []string      // of those that it has
	Criteria   []string      // of the plan and of the start
	Limit      time.Duration // 0: as long as the plan says
	State      State
	Created    time.Time
	Began      time.Time // zero: not yet
	Ended      time.Time // zero: not yet
	Numbers    Numbers
	Verdicts   []Verdict
	// Passed: it has run to its end, and all criteria are fulfilled or, without
	// any, a request has succeeded.
	Passed  bool
	Notes   []string
	Problem string // why it has failed
	Bytes   int64  // of its results on disk
}

func numbersOf(r *jmeter.Results) Numbers {
	s := &r.All
	return Numbers{
		Count: s.Count, Errors: s.Errors, Missed: r.Missed, Rate: s.Rate(), Min: s.Min, Mean: s.Mean(),
		P50: s.Quantile(.5), P95: s.Quantile(.95), P99: s.Quantile(.99), Max: s.Max,
	}
}

// judge fills in what the criteria say of a run that has ended.
func (r *Run) judge(results *jmeter.Results) {
	r.Numbers = numbersOf(results)
	r.Verdicts = nil
	all, err := results.Judge(r.Criteria)
	if err != nil { // they were checked at the start
		r.Notes = append(r.Notes, err.Error())
	}
	passed := r.State == Finished && err == nil
	for _, v := range all {
		r.Verdicts = append(r.Verdicts, Verdict{v.Criterion.Text, v.Pass, v.Got})
		passed = passed && v.Pass
	}
	r.Passed = passed && (len(all) > 0 || r.Numbers.Count > r.Numbers.Errors)
}
