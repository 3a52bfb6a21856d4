package command

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/visibility"
)

// rangeFlags are --since, --from and --to.
type rangeFlags struct {
	since    time.Duration
	from, to string
}

func (r *rangeFlags) add(c *cobra.Command) {
	c.Flags().DurationVar(&r.since, "since", visibility.DefaultWindow, "the last `duration`, e.g. 15m")
	c.Flags().StringVar(&r.from, "from", "", "start, as `time` (RFC 3339) or as a duration ago")
	c.Flags().StringVar(&r.to, "to", "", "end, likewise; now if not given")
}

// query adds the range to a request.
func (r *rangeFlags) query(q url.Values, field string, now time.Time) error {
	if r.since <= 0 {
		return usagef("--since %v is not longer than 0s", r.since)
	}
	if r.to != "" {
		t, err := parseTime("--to", r.to, now)
		if err != nil {
			return err
		}
		q.Set(field+".to", t)
	}
	if r.from == "" {
		q.Set(field+".last", fmt.Sprintf("%gs", r.since.Seconds()))
		return nil
	}
	t, err := parseTime("--from", r.from, now)
	if err != nil {
		return err
	}
	q.Set(field+".from", t)
	return nil
}

func parseTime(flag, s string, now time.Time) (string, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d.Abs()).UTC().Format(time.RFC3339Nano), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t.UTC().Format(time.RFC3339Nano), nil
		}
	}
	return "", usagef("%s %q is neither a time such as 2026-11-24T15:04:05Z nor a duration such as 15m", flag, s)
}

// questionFlags are what most questions have.
type questionFlags struct {
	rangeFlags
	filter string
	count  string
}

func (f *questionFlags) add(a *app, c *cobra.Command) {
	f.rangeFlags.add(c)
	c.Flags().StringVar(&f.filter, "filter", "", "`expression`, e.g. 'status >= 500 and service = http-lb'")
	c.Flags().StringVar(&f.count, "count", "requests", "what to count: requests or spans")
	complete(c, "count", []string{"requests", "spans"})
	mustRegister(c, "filter", a.completeFilter)
	a.addOutput(c)
}

func (f *questionFlags) query() (url.Values, error) {
	q := url.Values{}
	if _, err := visibility.ParseFilter(f.filter); err != nil {
		return nil, usageError{err}
	}
	if f.filter != "" {
		q.Set("filter", f.filter)
	}
	mode, err := visibility.ParseCountMode(f.count)
	if err != nil {
		return nil, usagef("--count: %w", err)
	}
	if mode == visibility.CountSpans {
		q.Set("count", "COUNT_MODE_SPANS")
	}
	return q, f.rangeFlags.query(q, "range", time.Now())
}

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
	c.AddCommand(a.stats(), a.graph(), a.movers(), a.traces(), a.trace(), a.metrics(), a.ledger(), a.status(),
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

// stats is the command for statistics.
func (a *app) stats() *cobra.Command {
	var f questionFlags
	var groupBy []string
	var order string
	var ascending bool
	var limit int
	var step time.Duration
	c := &cobra.Command{
		Use: "stats", Short: "Show counts, rates, errors and latencies", Args: cobra.NoArgs,
		Long: "Shows counts, rates, errors and latencies of requests, grouped by any of\n" + strings.Join(visibility.DimensionNames(), ", ") + ".",
		Example: `  cloverctl get visibility stats --group-by service,url --filter 'status >= 500' --since 15m --sort p99 --limit 20
  cloverctl get visibility stats --group-by source,destination -o wide
  cloverctl get visibility stats --group-by service --step 1m -o json`,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			q, err := f.query()
			if err != nil {
				return err
			}
			for _, name := range groupBy {
				if _, err := visibility.ParseDimension(name); err != nil {
					return usagef("--group-by: %w", err)
				}
				q.Add("group_by", name)
			}
			if _, err := visibility.ParseMeasure(order); err != nil {
				return usagef("--sort: %w", err)
			}
			q.Set("order_by", order)
			q.Set("ascending", fmt.Sprint(ascending))
			q.Set("limit", fmt.Sprint(limit))
			if step > 0 {
				q.Set("step", fmt.Sprintf("%gs", step.Seconds()))
			}
			res := &v1.GetStatsResponse{}
			raw, err := a.ask(c.Context(), "stats", q, res)
			if err != nil {
				return err
			}
			return p.Answer(raw, statsTable(res))
		},
	}
	c.Flags().StringSliceVarP(&groupBy, "group-by", "g", []string{"service"}, "`dimensions`, separated by commas")
	c.Flags().StringVar(&order, "sort", "count", "`measure` to sort by: count, rate, errors, error_rate, min, mean, max, sum, p50, p90, p95, p99")
	c.Flags().BoolVar(&ascending, "ascending", false, "smallest first")
	c.Flags().IntVar(&limit, "limit", 20, "largest number of rows")
	c.Flags().DurationVar(&step, "step", 0, "show a series with points that `duration` apart")
	complete(c, "group-by", visibility.DimensionNames())
	complete(c, "sort", []string{"count", "rate", "errors", "error_rate", "min", "mean", "max", "sum", "p50", "p90", "p95", "p99"})
	f.add(a, c)
	return c
}

// ask says where the controller is and asks it.
func (a *app) ask(ctx context.Context, route string, q url.Values, out protoMessage) ([]byte, error) {
	cl, err := a.client()
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
	add := func(prefix []string, s *v1.Stats) {
		t.Rows = append(t.Rows, append(slices.Clone(prefix),
			show.Number(s.GetCount()), fmt.Sprintf("%.2f/s", s.GetRate()), show.Number(s.GetErrors()), show.Percent(s.GetErrorRate()),
			show.Duration(s.GetMean()), show.Duration(s.GetP95()), show.Duration(s.GetP99()), show.Duration(s.GetMax()),
			show.Duration(s.GetMin()), show.Duration(s.GetP50()), show.Duration(s.GetP90()),
			show.Number(s.GetRequestBytes()), show.Number(s.GetResponseBytes())))
		bad = append(bad, s.GetErrors() > 0)
	}
	for _, g := range res.GetGroups() {
		if !series {
			add(g.GetValues(), g.GetStats())
			continue
		}
		for _, point := range g.GetSeries() {
			add(append([]string{show.Time(point.GetTime())}, g.GetValues()...), point.GetStats())
		}
	}
	if n := res.GetRestGroups(); n > 0 && !series && len(res.GetGroupBy()) > 0 {
		prefix := make([]string, len(res.GetGroupBy()))
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
				t.Rows = append(t.Rows, []string{v.GetValue(), show.Number(v.GetCount()), show.Percent(v.GetShare())})
			}
			return p.Answer(raw, t)
		},
	}
	c.Flags().IntVar(&limit, "limit", 100, "largest number of values")
	f.add(a, c)
	return c
}

// summary prints what `get visibility` has printed since 2019.
func (a *app) summary(c *cobra.Command, stat, conf string) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	if conf != "" || stat == "" {
		res := &v1.GetConfigResponse{}
		raw, err := a.ask(c.Context(), "config", nil, res)
		if err != nil {
			return err
		}
		if conf != "" && !slices.Contains(configParts, strings.ReplaceAll(conf, "-", "_")) {
			return usagef("--conf %q is not known; want one of %s", conf, strings.Join(configParts, ", "))
		}
		if err := p.Answer(raw, configTable(res.GetConfig(), strings.ReplaceAll(conf, "-", "_"))); err != nil || conf != "" {
			return err
		}
		fmt.Fprintln(a.Out)
		a.quiet = true
	}
	q := url.Values{}
	if stat != "" && stat != "response_times" {
		q.Set("stat", stat)
	}
	res := &v1.GetSummaryResponse{}
	raw, err := a.ask(c.Context(), "summary", q, res)
	if err != nil {
		return err
	}
	return p.Answer(raw, summaryTable(res, stat))
}

func configTable(conf *v1.Config, part string) show.Table {
	t := show.Table{Columns: []string{"configuration", "value"}}
	for _, row := range []struct {
		part   string
		values []string
	}{
		{"services", conf.GetServices()}, {"metric_prefixes", conf.GetMetricPrefixes()}, {"metric_suffixes", conf.GetMetricSuffixes()},
		{"custom_metrics", conf.GetCustomMetrics()}, {"sample_interval", []string{conf.GetSampleInterval().AsDuration().String()}},
		{"tracing", conf.GetTracingUrls()}, {"monitoring", []string{conf.GetMonitoringUrl()}},
	} {
		if part == "" || part == row.part {
			t.Rows = append(t.Rows, []string{row.part, strings.Join(row.values, ", ")})
		}
	}
	return t
}

func summaryTable(res *v1.GetSummaryResponse, stat string) show.Table {
	t := show.Table{Columns: []string{"statistic", "key", "value"}, Completeness: res.GetCompleteness()}
	if stat == "" {
		t.Rows = append(t.Rows, []string{"trace_count", "", show.Number(res.GetTraceCount())},
			[]string{"span_count", "", show.Number(res.GetSpanCount())}, []string{"metric_count", "", show.Number(res.GetMetricCount())})
	}
	if stat == "" || stat == "response_times" {
		for _, r := range res.GetResponseTimes() {
			for _, v := range [][2]string{{"avg_rt", r.GetAvgRt()}, {"min_rt", r.GetMinRt()}, {"max_rt", r.GetMaxRt()}} {
				t.Rows = append(t.Rows, []string{v[0], r.GetService(), v[1]})
			}
		}
	}
	if stat == "response_times" {
		return t
	}
	keys := make([]string, 0, len(res.GetValues()))
	for key := range res.GetValues() {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		for _, v := range res.GetValues()[key].GetValues() {
			t.Rows = append(t.Rows, []string{key, v.GetValue(), show.Number(v.GetCount())})
		}
	}
	return t
}
