package command

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/visibility"
)

// protoMessage is an answer.
type protoMessage = proto.Message

// simple is a command that asks one route and prints a table.
func simple[T protoMessage](a *app, use, short, route string, out func() T, table func(T) show.Table) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			res := out()
			raw, err := a.ask(c.Context(), route, nil, res)
			if err != nil {
				return err
			}
			return p.Answer(raw, table(res))
		},
	}
	a.addOutput(c)
	return c
}

func (a *app) graph() *cobra.Command {
	var f questionFlags
	c := &cobra.Command{
		Use: "graph", Short: "Show who talks to whom", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			q, err := f.query()
			if err != nil {
				return err
			}
			q.Del("count")
			res := &v1.GetGraphResponse{}
			raw, err := a.ask(c.Context(), "graph", q, res)
			if err != nil {
				return err
			}
			t := show.Table{
				Columns:      []string{"source", "destination", "count", "rate", "error_rate", "mean", "p95", "p99", "mirrored"},
				Completeness: res.GetCompleteness(),
				Bad:          func(i int) bool { return res.GetEdges()[i].GetStats().GetErrors() > 0 },
			}
			for _, e := range res.GetEdges() {
				s := e.GetStats()
				mirrored := ""
				if e.GetMirrored() {
					mirrored = "mirrored"
				}
				t.Rows = append(t.Rows, []string{
					e.GetSource(), e.GetDestination(), show.Number(s.GetCount()), fmt.Sprintf("%.2f/s", s.GetRate()),
					show.Percent(s.GetErrorRate()), show.Duration(s.GetMean()), show.Duration(s.GetP95()), show.Duration(s.GetP99()), mirrored,
				})
			}
			return p.Answer(raw, t)
		},
	}
	f.add(a, c)
	return c
}

func (a *app) movers() *cobra.Command {
	var f questionFlags
	var groupBy []string
	var by, ago string
	var limit int
	c := &cobra.Command{
		Use: "movers", Short: "Show what changed most between two ranges", Args: cobra.NoArgs,
		Example: `  cloverctl get visibility movers --since 5m
  cloverctl get visibility movers --since 15m --ago 24h --by p99 --group-by service,url`,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			if f.from != "" || f.to != "" {
				return usagef("movers compares the last --since with the time --ago before; --from and --to are not for it")
			}
			q := url.Values{"group_by": groupBy, "by": {by}, "limit": {fmt.Sprint(limit)}}
			if f.filter != "" {
				q.Set("filter", f.filter)
			}
			if err := f.rangeFlags.query(q, "target", time.Now()); err != nil {
				return err
			}
			if ago != "" {
				d, err := time.ParseDuration(ago)
				if err != nil || d <= 0 {
					return usagef("--ago %q is not a duration such as 24h", ago)
				}
				to := time.Now().Add(-d)
				q.Set("base.to", to.UTC().Format(time.RFC3339))
				q.Set("base.from", to.Add(-f.since).UTC().Format(time.RFC3339))
			}
			res := &v1.GetMoversResponse{}
			raw, err := a.ask(c.Context(), "movers", q, res)
			if err != nil {
				return err
			}
			return p.Answer(raw, moversTable(res, groupBy, by))
		},
	}
	c.Flags().StringSliceVarP(&groupBy, "group-by", "g", []string{"service"}, "`dimensions`, separated by commas")
	c.Flags().StringVar(&by, "by", "rate", "`measure` whose change is ranked")
	c.Flags().StringVar(&ago, "ago", "", "compare with the range that `duration` before (default: the one just before)")
	c.Flags().IntVar(&limit, "limit", 20, "largest number of rows")
	complete(c, "group-by", visibility.DimensionNames())
	f.add(a, c)
	return c
}

func moversTable(res *v1.GetMoversResponse, groupBy []string, by string) show.Table {
	t := show.Table{Completeness: res.GetCompleteness()}
	t.Columns = append(slices.Clone(groupBy), "change_of_"+by, "relative", "count_before", "count", "p95_before", "p95")
	for _, m := range res.GetMovers() {
		relative := "new"
		if m.RelativeChange != nil {
			relative = fmt.Sprintf("%+.1f%%", 100*m.GetRelativeChange())
		}
		t.Rows = append(t.Rows, append(slices.Clone(m.GetValues()), fmt.Sprintf("%+.4g", m.GetChange()), relative,
			show.Number(m.GetBase().GetCount()), show.Number(m.GetTarget().GetCount()),
			show.Duration(m.GetBase().GetP95()), show.Duration(m.GetTarget().GetP95())))
	}
	return t
}

func (a *app) traces() *cobra.Command {
	var f questionFlags
	var service, token string
	var minDuration time.Duration
	var limit int
	c := &cobra.Command{
		Use: "traces", Short: "Search traces, newest first", Args: cobra.NoArgs,
		Example: `  cloverctl get visibility traces --service http-lb --filter 'status >= 500'
  cloverctl get visibility traces --min-duration 100ms --since 1h`,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			q, err := f.query()
			if err != nil {
				return err
			}
			q.Del("count")
			q.Set("page_size", fmt.Sprint(limit))
			for name, v := range map[string]string{"service": service, "page_token": token} {
				if v != "" {
					q.Set(name, v)
				}
			}
			if minDuration > 0 {
				q.Set("min_duration", fmt.Sprintf("%gs", minDuration.Seconds()))
			}
			res := &v1.SearchTracesResponse{}
			raw, err := a.ask(c.Context(), "traces", q, res)
			if err != nil {
				return err
			}
			if err := p.Answer(raw, tracesTable(res)); err != nil {
				return err
			}
			if next := res.GetNextPageToken(); next != "" && (a.output == "table" || a.output == "wide") {
				fmt.Fprintln(a.Out, p.Dim("More: --page "+next))
			}
			return nil
		},
	}
	c.Flags().StringVar(&service, "service", "", "`service` that takes part")
	c.Flags().DurationVar(&minDuration, "min-duration", 0, "shortest `duration` of a trace")
	c.Flags().IntVar(&limit, "limit", 20, "largest number of traces")
	c.Flags().StringVar(&token, "page", "", "`token` of the next page, from the answer before")
	mustRegister(c, "service", a.completeValues(visibility.Service))
	f.add(a, c)
	return c
}

func tracesTable(res *v1.SearchTracesResponse) show.Table {
	t := show.Table{
		Columns: []string{"trace", "start", "duration", "status", "root", "url", "spans", "errors", "services"}, Wide: 8,
		Bad: func(i int) bool { return res.GetTraces()[i].GetErrors() > 0 },
	}
	for _, s := range res.GetTraces() {
		t.Rows = append(t.Rows, []string{
			s.GetTraceId(), show.Time(s.GetStart()), show.Duration(s.GetDuration()), show.Number(s.GetStatus()),
			s.GetRootService(), s.GetUrl(), show.Number(s.GetSpans()), show.Number(s.GetErrors()), strings.Join(s.GetServices(), " "),
		})
	}
	return t
}

func (a *app) trace() *cobra.Command {
	c := &cobra.Command{
		Use: "trace ID", Short: "Show one trace as a waterfall", Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("get visibility trace: want one trace id, as `get visibility traces` lists them")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			res := &v1.GetTraceResponse{}
			raw, err := a.ask(c.Context(), "traces/"+url.PathEscape(args[0]), nil, res)
			if err != nil {
				return err
			}
			if a.output == "table" || a.output == "wide" {
				return p.Waterfall(res)
			}
			t := show.Table{Columns: []string{"span", "parent", "service", "kind", "start", "duration_seconds", "status", "method", "url"}}
			for _, s := range res.GetSpans() {
				t.Rows = append(t.Rows, []string{
					s.GetSpanId(), s.GetParentId(), s.GetService(), s.GetKind(), s.GetStart().AsTime().Format(time.RFC3339Nano),
					fmt.Sprint(s.GetDuration().AsDuration().Seconds()), show.Number(s.GetStatus()), s.GetMethod(), s.GetUrl(),
				})
			}
			return p.Answer(raw, t)
		},
	}
	a.addOutput(c)
	return c
}

func (a *app) metrics() *cobra.Command {
	return simple(a, "metrics", "Show the collected metrics with their newest values", "metrics",
		func() *v1.ListMetricsResponse { return &v1.ListMetricsResponse{} },
		func(res *v1.ListMetricsResponse) show.Table {
			t := show.Table{Columns: []string{"metric", "service", "value", "time"}, Completeness: res.GetCompleteness()}
			for _, m := range res.GetMetrics() {
				t.Rows = append(t.Rows, []string{m.GetName(), m.GetService(), fmt.Sprint(m.GetNewest().GetValue()), show.Time(m.GetNewest().GetTime())})
			}
			for _, name := range res.GetMissing() {
				t.Rows = append(t.Rows, []string{name, "", "missing", ""})
			}
			return t
		})
}

func (a *app) ledger() *cobra.Command {
	return simple(a, "ledger", "Show what became of each span that was seen", "ledger",
		func() *v1.GetLedgerResponse { return &v1.GetLedgerResponse{} },
		func(res *v1.GetLedgerResponse) show.Table {
			t := show.Table{
				Columns:      []string{"source", "service", "seen", "kept", "duplicate", "truncated", "rejected", "dropped", "lag", "balance", "watermark"},
				Wide:         9,
				Completeness: res.GetCompleteness(),
				Bad:          func(i int) bool { return res.GetEntries()[i].GetBalance() != 0 },
			}
			for _, e := range res.GetEntries() {
				t.Rows = append(t.Rows, []string{
					e.GetSource(), e.GetService(), show.Number(e.GetSeen()), show.Number(e.GetKept()), show.Number(e.GetDuplicate()),
					show.Number(e.GetTruncated()), reasons(e.GetRejected()), reasons(e.GetDropped()), show.Duration(e.GetLag()),
					show.Number(e.GetBalance()), show.Time(e.GetWatermark()),
				})
			}
			return t
		})
}

// reasons prints counts with their reasons.
func reasons(m map[string]int64) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(m)) {
		if m[reason] != 0 {
			parts = append(parts, fmt.Sprintf("%d %s", m[reason], reason))
		}
	}
	if len(parts) == 0 {
		return "0"
	}
	return strings.Join(parts, ", ")
}

func (a *app) status() *cobra.Command {
	return simple(a, "status", "Show the state of collector, sources and store", "status",
		func() *v1.GetStatusResponse { return &v1.GetStatusResponse{} },
		func(res *v1.GetStatusResponse) show.Table {
			state := "collecting"
			if !res.GetCollecting() {
				state = "stopped"
			}
			st := res.GetStore()
			t := show.Table{Columns: []string{"part", "state", "lag", "detail", "last_error"}, Wide: 4, Completeness: res.GetCompleteness()}
			t.Rows = append(t.Rows,
				[]string{"collector " + res.GetCollectorId(), state, "", "version " + res.GetVersion(), ""},
				[]string{"store " + st.GetName(), "ok", "", fmt.Sprintf("%d spans, %d traces, %d metric points, %.1f MiB",
					st.GetSpans(), st.GetTraces(), st.GetMetrics(), float64(st.GetBytesOnDisk())/(1<<20)), ""})
			bad := []bool{!res.GetCollecting(), false}
			for _, s := range res.GetSources() {
				detail := s.GetTarget()
				if s.GetError() != "" {
					detail = s.GetError()
				}
				t.Rows = append(t.Rows, []string{s.GetKind() + " " + s.GetName(), s.GetState(), show.Duration(s.GetLag()), detail, s.GetLastError()})
				bad = append(bad, s.GetError() != "")
			}
			t.Bad = func(i int) bool { return bad[i] }
			return t
		})
}
