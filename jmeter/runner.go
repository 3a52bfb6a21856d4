package jmeter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Runner runs plans. Its methods may be called from any goroutine, several at
// once.
type Runner interface {
	// Name names the runner in messages and results.
	Name() string
	// Check says what the runner cannot do with a plan, as an
	// [*UnsupportedError]. It starts nothing.
	Check(p *Plan) error
	// Run runs a plan to its end. It gives every sample to o.Sink, one at a
	// time. When ctx ends it stops at once and returns ctx's error; when o.Stop
	// is closed it lets the requests end that have begun and returns nil.
	// Samples that were measured are given to o.Sink in any case.
	Run(ctx context.Context, p *Plan, o RunOptions) (Outcome, error)
}

// RunOptions say how a plan is run. Its zero value works.
type RunOptions struct {
	// RunID is what requests carry in the header x-clover-run-id, of the form
	// that CheckRunID takes. "": a new one.
	RunID string
	// Dir is the folder that the plan's files are relative to. "": the current.
	Dir string
	// Sink takes the samples. The value is used again after it returns. An
	// error ends the run. nil: they are dropped.
	Sink func(*Sample) error
	// Stop, when closed, ends the run gently.
	Stop <-chan struct{}
	// Threads, if not nil, is told how many users are active as that changes.
	// It may be called from any goroutine.
	Threads func(active int)
}

// Outcome is what a run was beside its samples.
type Outcome struct {
	// Missed are iterations of a constant rate that were never begun, because
	// MaxThreads users were busy.
	Missed int64
	// Begun are those that were begun; 0 where the runner does not know.
	Begun int64
	// Notes are what users should know, e.g. that a slave has died.
	Notes []string
}

// Progress is what a run has done until now.
type Progress struct {
	Time          time.Duration // since the start
	Count, Errors int64
	Rate          float64 // requests a second since the last report
	P50, P95, P99 time.Duration
	Threads       int
	Final         bool
	// Interval has the numbers since the last report, Total all.
	Interval, Total SummaryLine
}

// Watch says how a run is looked at.
type Watch struct {
	// Every is the time between reports; 0: a second.
	Every time.Duration
	// Report takes them. It is called by one goroutine at a time.
	Report func(Progress)
}

// Run checks a plan and runs it. The numbers of all that was measured are
// returned in any case; with an error they are those until it. Samples go to
// o.Sink as well. If that fails (a full disk), the run ends gently, what was
// measured is still in the numbers, and the error says how many samples are
// missing in the sink.
func Run(ctx context.Context, r Runner, p *Plan, o RunOptions, w Watch) (*Results, Outcome, error) {
	if err := errors.Join(p.Validate(), r.Check(p), CheckRunID(o.RunID)); err != nil {
		return &Results{}, Outcome{}, err
	}
	run := &watchedRun{results: &Results{}, last: &Results{}, sink: o.Sink, began: time.Now(), stop: make(chan struct{})}
	o.Sink = run.take
	threads := o.Threads
	o.Threads = func(n int) {
		run.setThreads(n)
		if threads != nil {
			threads(n)
		}
	}
	done := make(chan struct{})
	var helpers sync.WaitGroup
	asked := o.Stop
	o.Stop = run.stop
	helpers.Go(func() { run.forwardStop(asked, done) })
	if w.Report != nil {
		if w.Every <= 0 {
			w.Every = time.Second
		}
		helpers.Go(func() { run.report(w, done) })
	}
	outcome, err := r.Run(ctx, p, o)
	close(done)
	helpers.Wait()
	run.results.Missed, run.results.Begun = outcome.Missed, outcome.Begun
	if w.Report != nil {
		w.Report(run.progress(true))
	}
	if run.sinkErr != nil {
		err = errors.Join(err, fmt.Errorf("%d results are counted but not written: %w", run.unwritten, run.sinkErr))
	}
	return run.results, outcome, err
}

// watchedRun counts the samples of a run.
type watchedRun struct {
	mu            sync.Mutex
	results, last *Results // of all, and since the last report
	sink          func(*Sample) error
	sinkErr       error
	unwritten     int64
	threads       int
	began, before time.Time
	stop          chan struct{}
	stopOnce      sync.Once
}

func (r *watchedRun) take(x *Sample) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results.Add(x)
	r.last.Add(x)
	if r.sink == nil {
		return nil
	}
	if r.sinkErr == nil {
		r.sinkErr = r.sink(x)
	}
	if r.sinkErr != nil {
		r.unwritten++
		r.stopOnce.Do(func() { close(r.stop) })
	}
	return nil
}

func (r *watchedRun) setThreads(n int) {
	r.mu.Lock()
	r.threads = n
	r.mu.Unlock()
}

// forwardStop closes our own channel, which a sink that fails closes too.
func (r *watchedRun) forwardStop(stop <-chan struct{}, done <-chan struct{}) {
	select {
	case <-stop: // nil: never
		r.stopOnce.Do(func() { close(r.stop) })
	case <-done:
	}
}

func (r *watchedRun) report(w Watch, done <-chan struct{}) {
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.Report(r.progress(false))
		case <-done:
			return
		}
	}
}

func (r *watchedRun) progress(final bool) Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	since := r.before
	if since.IsZero() {
		since = r.began
	}
	all := &r.results.All
	p := Progress{
		Time: now.Sub(r.began), Count: all.Count, Errors: all.Errors, Threads: r.threads, Final: final,
		P50: all.Quantile(0.5), P95: all.Quantile(0.95), P99: all.Quantile(0.99),
		Interval: summaryOf(&r.last.All, now.Sub(since)), Total: summaryOf(all, now.Sub(r.began)),
	}
	p.Rate = p.Interval.Rate()
	r.last, r.before = &Results{}, now
	return p
}

// SummaryLine is a line of JMeter's summariser.
type SummaryLine struct {
	Count, Errors  int64
	Time           time.Duration
	Mean, Min, Max time.Duration
}

func summaryOf(s *Stats, d time.Duration) SummaryLine {
	return SummaryLine{Count: s.Count, Errors: s.Errors, Time: d, Mean: s.Mean(), Min: s.Min, Max: s.Max}
}

// Summary returns the line for all requests of a run.
func (r *Results) Summary() SummaryLine { return summaryOf(&r.All, r.All.Last.Sub(r.All.First)) }

// Rate returns requests a second.
func (l SummaryLine) Rate() float64 {
	if l.Time <= 0 {
		return 0
	}
	return float64(l.Count) / l.Time.Seconds()
}

// String returns the line as JMeter writes it, after its name and sign:
// "20 in 00:00:48 = 0.4/s Avg: 10 Min: 6 Max: 31 Err: 0 (0.00%)".
func (l SummaryLine) String() string {
	s := int64(l.Time.Round(time.Second) / time.Second)
	share := 0.0
	if l.Count > 0 {
		share = 100 * float64(l.Errors) / float64(l.Count)
	}
	return fmt.Sprintf("%6d in %02d:%02d:%02d = %6.1f/s Avg: %5d Min: %5d Max: %5d Err: %5d (%.2f%%)",
		l.Count, s/3600, s/60%60, s%60, l.Rate(), l.Mean.Milliseconds(), l.Min.Milliseconds(), l.Max.Milliseconds(), l.Errors, share)
}
