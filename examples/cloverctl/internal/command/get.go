package command

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/visibility"
)

// getVisibility is `get visibility` itself, with the data as commands below.
func (a *app) getVisibility() *cobra.Command {
	var stat, conf string
	c := &cobra.Command{
		Use: "visibility", Short: "Show configuration and statistics of visibility",
		Example: `  cloverctl get visibility
  cloverctl get visibility -s urls
  cloverctl get visibility stats --group-by service,url --filter 'status >= 500' --since 15m --sort p99`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("get visibility %s is not known; want one of %s", args[0], nounsOf(c))
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return a.summary(c, stat, conf) },
	}
	c.Flags().StringVarP(&stat, "stat", "s", "", "one set of figures: "+strings.Join(summaryStats, ", "))
	c.Flags().StringVar(&conf, "conf", "", "one part of the configuration: "+strings.Join(configParts, ", "))
	complete(c, "stat", summaryStats)
	complete(c, "conf", configParts)
	a.addOutput(c)
	c.AddCommand(a.stats(), a.graph(), a.heatmap(), a.movers(), a.traces(), a.trace(), a.metrics(), a.ledger(), a.status(),
		a.values("services", visibility.Service), a.values("urls", visibility.URL),
		a.values("user-agents", visibility.UserAgent), a.values("status-codes", visibility.Status),
		a.values("operations", visibility.Operation), a.values("nodes", visibility.Node))
	return c
}

var summaryStats = []string{
	"services", "urls", "user_agents", "status_codes", "status_code_urls", "node_ids",
	"operation_names", "upstream_clusters", "node_urls", "response_times",
}

var configParts = []string{"services", "metric_prefixes", "metric_suffixes", "custom_metrics", "sample_interval", "tracing", "monitoring"}

// measures are what rows can be sorted and ranked by.
var measures = []string{"count", "rate", "errors", "error_rate", "min", "mean", "max", "sum", "p50", "p90", "p95", "p99"}

// stats is the command for statistics.
func (a *app) stats() *cobra.Command {
	var f questionFlags
	var by engineFlags
	var g groupFlags
	var run string
	c := &cobra.Command{
		Use: "stats", Short: "Show counts, rates, errors and latencies", Args: cobra.NoArgs,
		Long: "Shows counts, rates, errors and latencies of requests, grouped by any of\n" + strings.Join(visibility.DimensionNames(), ", ") + ".",
		Example: `  cloverctl get visibility stats --group-by service,url --filter 'status >= 500' --since 15m --sort p99 --limit 20
  cloverctl get visibility stats --group-by source,destination -o wide
  cloverctl get visibility stats --group-by service --step 1m -o json
  cloverctl get visibility stats --from 2026-01-01 --to 2026-02-01 --engine spark --explain
  cloverctl get visibility stats --run 3f0c2a9d4b1e8f67`,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			if run != "" {
				return a.runStats(c, p, run)
			}
			q, err := f.query()
			if err != nil {
				return err
			}
			if err := g.query(q); err != nil {
				return err
			}
			if err := by.query(q); err != nil {
				return err
			}
			res := &v1.GetStatsResponse{}
			raw, err := a.ask(c.Context(), "stats", q, res)
			if err != nil {
				return err
			}
			t := statsTable(res)
			t.Notes = by.notes(res.GetExplanation())
			return p.Answer(raw, t)
		},
	}
	c.Flags().StringVar(&run, "run", "", "a load test's `identity`: what its clients have measured beside what the mesh has seen of it")
	mustRegister(c, "run", a.completeRuns)
	g.add(c)
	by.add(c)
	f.add(a, c)
	return c
}

// groupFlags are how statistics are grouped and sorted.
type groupFlags struct {
	groupBy   []string
	order     string
	ascending bool
	limit     int
	step      time.Duration
}

func (g *groupFlags) add(c *cobra.Command) {
	c.Flags().StringSliceVarP(&g.groupBy, "group-by", "g", []string{"service"}, "`dimensions`, separated by commas")
	c.Flags().StringVar(&g.order, "sort", "count", "`measure` to sort by: "+strings.Join(measures, ", "))
	c.Flags().BoolVar(&g.ascending, "ascending", false, "smallest first")
	c.Flags().IntVar(&g.limit, "limit", 20, "largest number of rows")
	c.Flags().DurationVar(&g.step, "step", 0, "show a series with points that `duration` apart")
	completeList(c, "group-by", visibility.DimensionNames())
	complete(c, "sort", measures)
}

func (g *groupFlags) query(q url.Values) error {
	if err := checkDimensions(g.groupBy); err != nil {
		return err
	}
	if _, err := visibility.ParseMeasure(g.order); err != nil {
		return usagef("--sort: %w", err)
	}
	q["group_by"] = g.groupBy
	q.Set("order_by", g.order)
	q.Set("ascending", fmt.Sprint(g.ascending))
	q.Set("limit", fmt.Sprint(g.limit))
	if g.step > 0 {
		q.Set("step", fmt.Sprintf("%gs", g.step.Seconds()))
	}
	return nil
}

func checkDimensions(names []string) error {
	for _, name := range names {
		if _, err := visibility.ParseDimension(name); err != nil {
			return usagef("--group-by: %w", err)
		}
	}
	return nil
}

// ask says where the controller is and asks it.
func (a *app) ask(ctx context.Context, route string, q url.Values, out protoMessage) ([]byte, error) {
	cl, err := a.client(ctx)
	if err != nil {
		return nil, err
	}
	return cl.Get(ctx, route, q, out)
}

// statsTable lays out statistics; with a series there is a row a step.
func statsTable(res *v1.GetStatsResponse) show.Table {
	t := show.Table{Completeness: res.GetCompleteness()}
	series := res.GetStep() != nil
	if series {
		t.Columns = append(t.Columns, "time")
	}
	t.Columns = append(t.Columns, res.GetGroupBy()...)
	t.Columns = append(t.Columns, "count", "rate", "errors", "error_rate", "mean", "p95", "p99", "max")
	t.Wide = len(t.Columns)
	t.Columns = append(t.Columns, "min", "p50", "p90", "request_bytes", "response_bytes")
	var bad []bool
	add := func(prefix []any, s *v1.Stats) {
		t.Rows = append(t.Rows, append(prefix,
			s.GetCount(), show.Rate(s.GetRate()), s.GetErrors(), show.Share(s.GetErrorRate()),
			s.GetMean(), s.GetP95(), s.GetP99(), s.GetMax(),
			s.GetMin(), s.GetP50(), s.GetP90(), s.GetRequestBytes(), s.GetResponseBytes()))
		bad = append(bad, s.GetErrors() > 0)
	}
	for _, g := range res.GetGroups() {
		if !series {
			add(show.Row(g.GetValues()...), g.GetStats())
			continue
		}
		for _, point := range g.GetSeries() {
			add(append([]any{point.GetTime()}, show.Row(g.GetValues()...)...), point.GetStats())
		}
	}
	if n := res.GetRestGroups(); n > 0 && !series && len(res.GetGroupBy()) > 0 {
		prefix := show.Row(make([]string, len(res.GetGroupBy()))...)
		prefix[0] = fmt.Sprintf("(%d more)", n)
		add(prefix, res.GetRest())
	}
	t.Bad = func(i int) bool { return bad[i] }
	return t
}

// values is a command for the distinct values of a dimension.
func (a *app) values(name string, dim visibility.Dimension) *cobra.Command {
	var f questionFlags
	var limit int
	c := &cobra.Command{
		Use: name, Short: "List " + strings.ReplaceAll(name, "-", " ") + " with their counts", Args: cobra.NoArgs,
		Aliases: []string{strings.ReplaceAll(name, "-", "_")},
		Example: "  cloverctl get visibility " + name + " --since 1h\n  cloverctl get visibility " + name + " --filter 'error = true' -o csv",
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			q, err := f.query()
			if err != nil {
				return err
			}
			q.Set("limit", fmt.Sprint(limit))
			res := &v1.ListValuesResponse{}
			raw, err := a.ask(c.Context(), "values/"+dim.String(), q, res)
			if err != nil {
				return err
			}
			t := show.Table{Columns: []string{dim.String(), "count", "share"}, Completeness: res.GetCompleteness()}
			for _, v := range res.GetValues() {
				t.Rows = append(t.Rows, []any{v.GetValue(), v.GetCount(), show.Share(v.GetShare())})
			}
			if n := res.GetRestValues(); n > 0 {
				t.Notes = append(t.Notes, fmt.Sprintf("%d more values; see them with a larger --limit", n))
			}
			return p.Answer(raw, t)
		},
	}
	c.Flags().IntVar(&limit, "limit", 100, "largest number of values")
	f.add(a, c)
	return c
}
