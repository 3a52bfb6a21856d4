package command

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	loadtestv1 "github.com/opnfv/clover/api/clover/loadtest/v1"
	pb "github.com/opnfv/clover/api/jmeter"
	"github.com/opnfv/clover/api/loadtest"
	"github.com/opnfv/clover/examples/cloverctl/internal/client"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/master"
	"github.com/opnfv/clover/jmeter/report"
)

// Routes of load tests.
const (
	plansRoute = "/loadtests/plans"
	runsRoute  = "/loadtests/runs"
)

func runRoute(id string) string {
	if id == "" {
		id = master.Latest
	}
	return runsRoute + "/" + url.PathEscape(id)
}

func (a *app) createTestplan() *cobra.Command {
	var file, name string
	c := &cobra.Command{
		Use: "testplan", Short: "Give the master of load tests a test plan", Args: cobra.NoArgs,
		Long: `Checks a test plan and gives it, with the files that it reads, to the master of
load tests. It stands in place of the one of its name. The plan is
jmeter_testplan.yaml or one with more (see: cloverctl explain testplan), or a
file of JMeter (.jmx).`,
		Example: "  cloverctl create testplan -f jmeter_testplan.yaml\n  cloverctl create testplan -f checkout.yaml --name checkout",
		RunE: func(c *cobra.Command, _ []string) error {
			request, err := a.testplan(file)
			if err != nil {
				return err
			}
			request.Name = name
			return a.send(c, "POST", plansRoute, request, &loadtestv1.CreatePlanResponse{})
		},
	}
	c.Flags().StringVarP(&file, "filename", "f", "", "`file` with the plan; - is standard input")
	c.Flags().StringVar(&name, "name", "", "what the plan is called (default default)")
	return c
}

// testplan reads a plan and its files. Faults of it are told before anything is
// sent.
func (a *app) testplan(file string) (*pb.GenTestRequest, error) {
	text, dir, err := a.readPlanText(file)
	if err != nil {
		return nil, err
	}
	plan, err := jmeter.ReadPlan(text)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", file, err)}
	}
	request := &pb.GenTestRequest{Plan: string(text), Files: map[string][]byte{}}
	size := len(text)
	for _, name := range plan.Files() {
		if !filepath.IsLocal(filepath.FromSlash(name)) || strings.Contains(name, "${") {
			return nil, usagef("%s: the plan reads %s; want files in the folder of the plan", file, name)
		}
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", file, err)}
		}
		request.Files[name] = data
		size += len(data)
	}
	if size > maxSentBytes {
		return nil, usagef("%s: the plan and its files have %d bytes; at most %d go to a controller", file, size, maxSentBytes)
	}
	return request, nil
}

// maxSentBytes is what fits into a request of 1 MiB, in base64.
const maxSentBytes = 700 << 10

// startFlags are those of start testplan.
type startFlags struct {
	request  loadtestv1.StartRunRequest
	limit    time.Duration
	wait     bool
	waitTime time.Duration
	output   string
}

func (a *app) startTestplan() *cobra.Command {
	f := &startFlags{}
	c := &cobra.Command{
		Use: "testplan [NAME]", Short: "Start a load test", Args: cobra.MaximumNArgs(1),
		Long: `Starts a run of a test plan that the master of load tests has. Without -s the
master makes the requests; with it, that many of JMeter's slaves do, and each of
them runs the whole plan.

One test runs at a time: another one is refused, or waits with --queue.

With --wait it prints the results when the run has ended. Exit code 1 if it was
not run to its end, if a criterion of the plan or of --criterion is not
fulfilled or, without any, if no request succeeded.`,
		Example: `  cloverctl start testplan
  cloverctl start testplan -s 3
  cloverctl start testplan checkout --engine builtin --wait -o junit > report.xml`,
		ValidArgsFunction: a.completePlans,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				f.request.Plan = args[0]
			}
			return a.runTestplan(c, f)
		},
	}
	flags := c.Flags()
	flags.Int32VarP(&f.request.Slaves, "slaves", "s", 0, "slaves to use (default: the master makes the requests)")
	flags.StringVar(&f.request.Engine, "engine", "", "jmeter or builtin (default jmeter, if the master has it)")
	flags.BoolVar(&f.request.Queue, "queue", false, "wait for the tests before this one")
	flags.StringVar(&f.request.RunId, "run-id", "", "what requests carry in the header x-clover-run-id (default a new one)")
	flags.DurationVar(&f.limit, "limit", 0, "longest time that the test may take (default as long as the plan says)")
	flags.StringArrayVar(&f.request.Criteria, "criterion", nil, "a condition for success beside those of the plan, e.g. 'p95(url1) < 200ms'")
	flags.BoolVar(&f.wait, "wait", false, "wait for the end, and print the results")
	flags.DurationVar(&f.waitTime, "wait-timeout", 24*time.Hour, "longest time for --wait")
	flags.StringVarP(&f.output, "output", "o", "table", "with --wait: "+strings.Join(report.Formats, ", "))
	complete(c, "output", report.Formats)
	complete(c, "engine", []string{master.JMeter, master.Builtin})
	return c
}

func (a *app) runTestplan(c *cobra.Command, f *startFlags) error {
	if !slices.Contains(report.Formats, f.output) {
		return usagef("--output %q is not known; want %s", f.output, strings.Join(report.Formats, ", "))
	}
	if c.Flags().Changed("output") && !f.wait {
		return usagef("--output says how results are printed, and needs --wait")
	}
	if f.limit < 0 {
		return usagef("--limit %v is less than 0s", f.limit)
	}
	if f.limit > 0 {
		f.request.Limit = durationpb.New(f.limit)
	}
	cl, err := a.client(c.Context())
	if err != nil {
		return err
	}
	res := &loadtestv1.StartRunResponse{}
	if _, err := cl.Send(c.Context(), "POST", runsRoute, &f.request, res); err != nil {
		return err
	}
	out := a.Out
	if f.wait {
		out = a.Err // standard output is for the results
	}
	fmt.Fprintln(out, res.GetMessage())
	if !f.wait {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.Context(), f.waitTime)
	defer cancel()
	run, err := a.watchRun(ctx, cl, res.GetRun().GetId())
	if err != nil {
		return err
	}
	if err := a.printResults(c.Context(), cl, run.GetId(), f.output); err != nil {
		return err
	}
	if !run.GetPassed() {
		return silentError{exitFailure}
	}
	return nil
}

// watchAgain is how soon a stream that has broken is asked for again.
const watchAgain = time.Second

// watchRun shows how a run goes on until it has ended.
func (a *app) watchRun(ctx context.Context, cl *client.Client, id string) (*pb.Run, error) {
	var last *pb.Run
	show, end := a.runProgress()
	defer end()
	for {
		err := cl.Stream(ctx, runRoute(id)+"/watch", nil, func() proto.Message { return &loadtestv1.WatchRunResponse{} },
			func(m proto.Message, _ []byte) error {
				last = m.(*loadtestv1.WatchRunResponse).GetRun()
				show(last)
				return nil
			})
		var st *client.StatusError
		switch {
		case last != nil && last.GetEnded() != nil:
			return last, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("run %s goes on, but is not waited for any longer; see it with: cloverctl get testresult --run %s, end it with: cloverctl stop testplan", id, id)
		case errors.As(err, &st) && st.Code != codes.Unavailable && st.Code != codes.Unknown:
			return nil, err
		}
		select { // the controller or the master is away for a moment
		case <-ctx.Done():
		case <-time.After(watchAgain):
		}
	}
}

// runProgress shows a run while it goes on: a line that is written over on a
// terminal, one each half minute elsewhere.
func (a *app) runProgress() (show func(*pb.Run), end func()) {
	if a.quiet {
		return func(*pb.Run) {}, func() {}
	}
	if out, ok := a.Err.(*os.File); ok && isTerminal(out) {
		return func(r *pb.Run) { fmt.Fprint(a.Err, "\r\x1b[K"+progressLine(r)) }, func() { fmt.Fprint(a.Err, "\r\x1b[K") }
	}
	var told time.Time
	return func(r *pb.Run) {
		if time.Since(told) >= 30*time.Second && r.GetEnded() == nil {
			told = time.Now()
			fmt.Fprintln(a.Err, progressLine(r))
		}
	}, func() {}
}

func progressLine(r *pb.Run) string {
	n := r.GetNumbers()
	line := fmt.Sprintf("%s  %d requests  %.0f/s  %d errors  p50 %s  p95 %s  p99 %s  %d users", loadtest.StateName(r.GetState()),
		n.GetCount(), n.GetRate(), n.GetErrors(), show.Duration(n.GetP50()), show.Duration(n.GetP95()), show.Duration(n.GetP99()), n.GetThreads())
	if n.GetMissed() > 0 {
		line += fmt.Sprintf("  %d missed", n.GetMissed())
	}
	return line
}

func (a *app) stopTestplan() *cobra.Command {
	var id string
	var now bool
	c := &cobra.Command{
		Use: "testplan", Short: "Stop the load test that runs", Args: cobra.NoArgs,
		Long:    "Stops the load test that runs, or the one of --run. Requests that have begun may end, unless --now is given. What was measured stays.",
		Example: "  cloverctl stop testplan\n  cloverctl stop testplan --now",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.send(c, "POST", runRoute(id)+"/stop", &loadtestv1.StopRunRequest{Now: now}, &loadtestv1.StopRunResponse{})
		},
	}
	a.runFlag(c, &id, "the one that runs")
	c.Flags().BoolVar(&now, "now", false, "cut off requests that have begun")
	return c
}

// runFlag is --run.
func (a *app) runFlag(c *cobra.Command, id *string, otherwise string) {
	c.Flags().StringVar(id, "run", "", "`identity` of the run (default "+otherwise+")")
	mustRegister(c, "run", a.completeRuns)
}
