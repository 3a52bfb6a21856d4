package command

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	loadtestv1 "github.com/opnfv/clover/api/clover/loadtest/v1"
	pb "github.com/opnfv/clover/api/jmeter"
	"github.com/opnfv/clover/api/loadtest"
	"github.com/opnfv/clover/examples/cloverctl/internal/client"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/report"
)

func (a *app) getTestplan() *cobra.Command {
	var text bool
	c := &cobra.Command{
		Use: "testplan [NAME]", Short: "Show the test plans that the master of load tests has", Args: cobra.MaximumNArgs(1),
		Example:           "  cloverctl get testplan\n  cloverctl get testplan checkout --text > checkout.yaml",
		ValidArgsFunction: a.completePlans,
		RunE: func(c *cobra.Command, args []string) error {
			name := "default"
			if len(args) > 0 {
				name = args[0]
			}
			route := plansRoute + "/" + url.PathEscape(name)
			if text {
				res := &loadtestv1.GetPlanResponse{}
				if _, err := a.ask(c.Context(), route, nil, res); err != nil {
					return err
				}
				_, err := io.WriteString(a.Out, res.GetPlan().GetText())
				return err
			}
			if len(args) > 0 {
				return answer(c.Context(), a, route, nil, &loadtestv1.GetPlanResponse{},
					func(res *loadtestv1.GetPlanResponse) show.Table { return plansTable(res.GetPlan()) })
			}
			return answer(c.Context(), a, plansRoute, nil, &loadtestv1.ListPlansResponse{},
				func(res *loadtestv1.ListPlansResponse) show.Table { return plansTable(res.GetPlans()...) })
		},
	}
	c.Flags().BoolVar(&text, "text", false, "print the plan as it was given")
	a.addOutput(c)
	return c
}

func plansTable(all ...*pb.Plan) show.Table {
	t := show.Table{Columns: []string{"name", "threads", "requests", "engines", "created", "files", "digest"}, Wide: 5}
	for _, p := range all {
		t.Rows = append(t.Rows, []any{
			p.GetName(), p.GetThreads(), p.GetRequests(), strings.Join(p.GetEngines(), ", "), p.GetCreated(),
			strings.Join(p.GetFiles(), ", "), p.GetDigest(),
		})
		for engine, why := range p.GetProblems() {
			t.Notes = append(t.Notes, fmt.Sprintf("%s cannot run %s: %s", engine, p.GetName(), why))
		}
	}
	slices.Sort(t.Notes)
	return t
}

func (a *app) getTestruns() *cobra.Command {
	c := &cobra.Command{
		Use: "testruns", Aliases: []string{"testrun"}, Short: "Show the runs of load tests, newest first", Args: cobra.NoArgs,
		Example: "  cloverctl get testruns\n  cloverctl get testruns -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			return answer(c.Context(), a, runsRoute, nil, &loadtestv1.ListRunsResponse{}, runsTable)
		},
	}
	a.addOutput(c)
	return c
}

func runsTable(res *loadtestv1.ListRunsResponse) show.Table {
	t := show.Table{
		Columns: []string{"run", "plan", "engine", "state", "passed", "count", "errors", "rate", "mean", "p95", "began", "slaves", "p50", "p99", "max", "ended", "bytes"},
		Wide:    11,
	}
	runs := res.GetRuns()
	for _, r := range runs {
		n := r.GetNumbers()
		passed := "-"
		if r.GetEnded() != nil {
			passed = fmt.Sprint(r.GetPassed())
		}
		t.Rows = append(t.Rows, []any{
			r.GetId(), r.GetPlan(), r.GetEngine(), loadtest.StateName(r.GetState()), passed, n.GetCount(), n.GetErrors(), show.Rate(n.GetRate()),
			n.GetMean(), n.GetP95(), r.GetBegan(), strings.Join(r.GetSlaveAddresses(), ", "), n.GetP50(), n.GetP99(), n.GetMax(), r.GetEnded(), r.GetBytes(),
		})
	}
	t.Bad = func(row int) bool { return runs[row].GetEnded() != nil && !runs[row].GetPassed() }
	if n := res.GetDropped(); n > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%d older runs were dropped for room", n))
	}
	return t
}

// What get testresult prints beside the formats of reports.
const (
	logResult    = "log"
	detailResult = "detail"
)

func (a *app) getTestresult() *cobra.Command {
	var id, output string
	c := &cobra.Command{
		Use: "testresult [log|detail]", Short: "Show what a load test has measured", Args: cobra.MaximumNArgs(1),
		Long: `Shows what the newest run of a load test, or the one of --run, has measured, also
while it runs: the lines of JMeter's summariser (log, the default), a line of
CSV for each request (detail), or a report (-o).`,
		Example: `  cloverctl get testresult
  cloverctl get testresult detail
  cloverctl get testresult --run 3f0c2a9d4b1e8f67 -o html > report.html`,
		ValidArgs: []string{logResult, detailResult},
		RunE: func(c *cobra.Command, args []string) error {
			what := logResult
			if len(args) > 0 {
				what = args[0]
			}
			switch {
			case what != logResult && what != detailResult:
				return usagef("get testresult %s is not known; want %s or %s, or a report by -o", what, logResult, detailResult)
			case output != "" && len(args) > 0:
				return usagef("get testresult %s has one form; leave --output away", what)
			case output != "" && !slices.Contains(report.Formats, output):
				return usagef("--output %q is not known; want %s", output, strings.Join(report.Formats, ", "))
			case output != "":
				what = output
			}
			cl, err := a.client(c.Context())
			if err != nil {
				return err
			}
			return a.printResults(c.Context(), cl, id, what)
		},
	}
	a.runFlag(c, &id, "the newest")
	c.Flags().StringVarP(&output, "output", "o", "", "a report: "+strings.Join(report.Formats, ", "))
	complete(c, "output", report.Formats)
	return c
}

// printResults prints results in a format.
func (a *app) printResults(ctx context.Context, cl *client.Client, id, format string) error {
	query := url.Values{"format": {format}}
	for {
		res := &loadtestv1.GetResultsResponse{}
		if _, err := cl.Get(ctx, runRoute(id)+"/results", query, res); err != nil {
			return err
		}
		text := res.GetMessage()
		if format == logResult || format == detailResult {
			text = cleanLines(text) // it has what servers have said
		}
		if _, err := io.WriteString(a.Out, text); err != nil {
			return err
		}
		if res.GetNextOffset() == 0 {
			return nil
		}
		id = res.GetRun().GetId() // the newest may be another by now
		query.Set("offset", fmt.Sprint(res.GetNextOffset()))
	}
}

func cleanLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = show.Clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// readPlanText reads the file of a plan. dir is the folder that its files are
// relative to.
func (a *app) readPlanText(file string) (data []byte, dir string, err error) {
	switch file {
	case "":
		return nil, "", usagef("which plan? Give it with -f, e.g. -f jmeter_testplan.yaml")
	case "-":
		data, err = io.ReadAll(io.LimitReader(a.In, jmeter.MaxJMXBytes+1))
	default:
		dir = filepath.Dir(file)
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, "", usageError{err}
	}
	return data, dir, nil
}

// completeRuns completes identities of runs from the server.
func (a *app) completeRuns(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	a.timeout, a.quiet = completionTimeout, true
	res := &loadtestv1.ListRunsResponse{}
	if _, err := a.ask(ctx, runsRoute, nil, res); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp // there is nobody to tell while completing
	}
	var ids []string
	for _, r := range res.GetRuns() {
		ids = append(ids, cobra.CompletionWithDesc(r.GetId(), show.Clean(r.GetPlan()+" "+loadtest.StateName(r.GetState()))))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// completePlans completes names of plans from the server.
func (a *app) completePlans(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	a.timeout, a.quiet = completionTimeout, true
	res := &loadtestv1.ListPlansResponse{}
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if _, err := a.ask(ctx, plansRoute, nil, res); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp // there is nobody to tell while completing
	}
	var names []string
	for _, p := range res.GetPlans() {
		names = append(names, p.GetName())
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
