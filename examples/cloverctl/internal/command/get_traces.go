package command

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/visibility"
)

func (a *app) traces() *cobra.Command {
	var f questionFlags
	var pages pagedFlags
	var service string
	var minDuration time.Duration
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
			pages.query(q)
			if service != "" {
				q.Set("service", service)
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
			return more(p, "traces", res.GetNextPageToken())
		},
	}
	c.Flags().StringVar(&service, "service", "", "`service` that takes part")
	c.Flags().DurationVar(&minDuration, "min-duration", 0, "shortest `duration` of a trace")
	pages.add(c, 20, "traces")
	mustRegister(c, "service", a.completeValues(visibility.Service))
	f.rangeFlags.add(c)
	f.filterFlags.add(a, c, "`expression` for one of its spans, e.g. 'status >= 500 and service = http-lb'")
	a.addOutput(c)
	return c
}

func tracesTable(res *v1.SearchTracesResponse) show.Table {
	t := show.Table{
		Columns: []string{"trace", "start", "duration", "status", "root", "url", "spans", "errors", "services"}, Wide: 8,
		Bad:          func(i int) bool { return res.GetTraces()[i].GetErrors() > 0 },
		Completeness: res.GetCompleteness(),
	}
	for _, s := range res.GetTraces() {
		t.Rows = append(t.Rows, []any{
			s.GetTraceId(), s.GetStart(), s.GetDuration(), s.GetStatus(),
			s.GetRootService(), s.GetUrl(), s.GetSpans(), s.GetErrors(), strings.Join(s.GetServices(), " "),
		})
	}
	return t
}

func (a *app) trace() *cobra.Command {
	c := &cobra.Command{
		Use: "trace ID", Short: "Show one trace as a waterfall",
		Example: `  cloverctl get visibility trace 4bf92f3577b34da6a3ce929d0e0e4736
  cloverctl get visibility trace 4bf92f3577b34da6a3ce929d0e0e4736 -o json`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.recentTraces(), cobra.ShellCompDirectiveNoFileComp
		},
		Args: func(_ *cobra.Command, args []string) error {
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
			if p.ForPeople() {
				return p.Waterfall(res)
			}
			t := show.Table{Completeness: res.GetCompleteness(), Columns: []string{"span", "parent", "service", "kind", "start", "duration", "status", "method", "url", "operation", "error"}}
			for _, s := range res.GetSpans() {
				t.Rows = append(t.Rows, []any{
					s.GetSpanId(), s.GetParentId(), s.GetService(), s.GetKind(), s.GetStart(),
					s.GetDuration(), s.GetStatus(), s.GetMethod(), s.GetUrl(), s.GetOperation(), s.GetError(),
				})
			}
			return p.Answer(raw, t)
		},
	}
	a.addOutput(c)
	return c
}
