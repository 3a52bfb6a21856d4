package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/builtin"
	"github.com/opnfv/clover/jmeter/jtl"
	"github.com/opnfv/clover/jmeter/process"
	"github.com/opnfv/clover/jmeter/report"
)

// testFlags are those of the command test.
type testFlags struct {
	file, output, results, jmeter, runID string
	criteria                             []string
	limit                                time.Duration
}

func (a *app) test() *cobra.Command {
	var f testFlags
	c := &cobra.Command{
		Use: "test", Short: "Run a load test from here", Args: cobra.NoArgs,
		Long: `Runs a test plan from this machine, without a cluster: jmeter_testplan.yaml or
one with more, or a plan of JMeter (.jmx). The runner is Clover's own, or the
JMeter in the folder of --jmeter.

Exit code 1 if a criterion of the plan or of --criterion is not fulfilled or,
without any, if no request succeeded. The first Ctrl-C lets the requests end
that have begun; the second one stops at once.`,
		Example: `  cloverctl test -f jmeter_testplan.yaml
  cloverctl test -f plan.yaml --criterion 'p95 < 200ms' --criterion 'errors < 1%' -o junit > report.xml
  cloverctl test -f plan.yaml -o html > report.html`,
		RunE: func(c *cobra.Command, _ []string) error { return a.runTest(c.Context(), f) },
	}
	flags := c.Flags()
	flags.StringVarP(&f.file, "file", "f", "", "the plan; - is standard input")
	flags.StringVarP(&f.output, "output", "o", "table", strings.Join(report.Formats, ", "))
	flags.StringVar(&f.results, "results", "", "file to write each result to, as JMeter's CSV")
	flags.StringVar(&f.jmeter, "jmeter", "", "folder of a JMeter to run the plan with")
	flags.StringVar(&f.runID, "run-id", "", "what requests carry in the header x-clover-run-id (default a new one)")
	flags.StringArrayVar(&f.criteria, "criterion", nil, "a condition for success beside those of the plan, e.g. 'p95(url1) < 200ms'")
	flags.DurationVar(&f.limit, "limit", 0, "longest time that the test may take (default as long as the plan says)")
	complete(c, "output", report.Formats)
	return c
}

func (a *app) runTest(ctx context.Context, f testFlags) error {
	if !slices.Contains(report.Formats, f.output) {
		return usagef("--output %q is not known; want %s", f.output, strings.Join(report.Formats, ", "))
	}
	plan, dir, err := a.readPlan(f.file)
	if err != nil {
		return err
	}
	plan.Criteria = append(plan.Criteria, f.criteria...)
	if err := plan.Validate(); err != nil {
		return usageError{err}
	}
	var runner jmeter.Runner = builtin.New(builtin.Options{})
	if f.jmeter != "" {
		runner = &process.JMeter{Home: f.jmeter, Log: a.Err}
	}
	if f.runID == "" {
		f.runID = jmeter.NewRunID()
	}
	if err := errors.Join(runner.Check(plan), jmeter.CheckRunID(f.runID)); err != nil {
		return usageError{err} // before a file of results is written over
	}
	ctx, stop, end := gently(ctx, f.limit)
	defer end()
	o := jmeter.RunOptions{RunID: f.runID, Dir: dir, Stop: stop}
	done, err := sinkTo(f.results, &o)
	if err != nil {
		return err
	}
	began := time.Now()
	results, outcome, runErr := jmeter.Run(ctx, runner, plan, o, a.watch())
	if errors.Is(runErr, jmeter.ErrUnsupported) || errors.Is(runErr, jmeter.ErrInvalid) {
		return errors.Join(usageError{runErr}, done())
	}
	runErr = errors.Join(runErr, done())
	verdicts, err := results.Judge(plan.Criteria)
	if err != nil {
		return err
	}
	name := plan.Name
	if name == "" {
		name = filepath.Base(f.file)
	}
	r := report.Report{Name: name, RunID: f.runID, Runner: runner.Name(), Began: began, Results: results, Verdicts: verdicts, Notes: outcome.Notes}
	if err := errors.Join(r.Write(a.Out, f.output), runErr); err != nil {
		return err
	}
	if !r.Passed() || len(verdicts) == 0 && results.All.Count == results.All.Errors {
		return silentError{exitFailure}
	}
	return nil
}

// readPlan reads a plan by what it looks like. dir is the folder that its
// files are relative to.
func (a *app) readPlan(file string) (plan *jmeter.Plan, dir string, err error) {
	data, dir, err := a.readPlanText(file)
	if err != nil {
		return nil, "", err
	}
	plan, err = jmeter.ReadPlan(data)
	if err != nil {
		return nil, "", usageError{fmt.Errorf("%s: %w", file, err)}
	}
	return plan, dir, nil
}

// gently makes the first interrupt, and the limit, let a run end; the context
// that is returned ends with the second interrupt.
func gently(ctx context.Context, limit time.Duration) (context.Context, <-chan struct{}, func()) {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	soft := ctx
	free := func() {}
	if limit > 0 {
		soft, free = context.WithTimeout(ctx, limit)
	}
	again := make(chan os.Signal, 1)
	stopped := context.AfterFunc(ctx, func() {
		signal.Notify(again, os.Interrupt, syscall.SIGTERM)
		select {
		case <-again:
			cancel()
		case <-hard.Done():
		}
		signal.Stop(again)
	})
	return hard, soft.Done(), func() { stopped(); free(); cancel() }
}

// sinkTo writes results to a file, if there is one to write.
func sinkTo(file string, o *jmeter.RunOptions) (done func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, usageError{err}
	}
	w, err := jtl.NewWriter(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	o.Sink = w.Write
	return func() error { return errors.Join(w.Flush(), f.Close()) }, nil
}

// watch prints JMeter's summary lines while a test runs: a line that is
// written over on a terminal, one each half minute elsewhere.
func (a *app) watch() jmeter.Watch {
	out, ok := a.Err.(*os.File)
	if a.quiet {
		return jmeter.Watch{}
	}
	if !ok || !isTerminal(out) {
		return jmeter.Watch{Every: 30 * time.Second, Report: func(p jmeter.Progress) {
			if !p.Final {
				fmt.Fprintf(a.Err, "summary + %s Active: %d\n", p.Interval, p.Threads)
			}
			fmt.Fprintf(a.Err, "summary = %s\n", p.Total)
		}}
	}
	return jmeter.Watch{Every: 500 * time.Millisecond, Report: func(p jmeter.Progress) {
		fmt.Fprintf(a.Err, "\r\x1b[K%s  %d requests  %.0f/s  %d errors  p50 %v  p95 %v  p99 %v  %d users", p.Time.Round(time.Second),
			p.Count, p.Rate, p.Errors, p.P50.Round(10*time.Microsecond), p.P95.Round(10*time.Microsecond), p.P99.Round(10*time.Microsecond), p.Threads)
		if p.Final {
			fmt.Fprint(a.Err, "\r\x1b[K")
		}
	}}
}

// explainTestplan shows what a plan may hold.
func (a *app) explainTestplan() *cobra.Command {
	return &cobra.Command{
		Use: "testplan", Short: "Show a test plan with every key", Args: cobra.NoArgs,
		Example: "  cloverctl explain testplan > plan.yaml",
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(a.Out, jmeter.Explanation)
			return err
		},
	}
}
