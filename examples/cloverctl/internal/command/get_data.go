package command

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/visibility"
)

// protoMessage is an answer.
type protoMessage = proto.Message

// pagedFlags are --limit and --page of a list that has pages.
type pagedFlags struct {
	limit int
	token string
}

func (f *pagedFlags) add(c *cobra.Command, limit int, what string) {
	c.Flags().IntVar(&f.limit, "limit", limit, "largest number of "+what)
	c.Flags().StringVar(&f.token, "page", "", "`token` of the next page, from the answer before")
}

func (f *pagedFlags) query(q url.Values) {
	q.Set("page_size", fmt.Sprint(f.limit))
	if f.token != "" {
		q.Set("page_token", f.token)
	}
}

// more says how to get the next page, if there is one.
func more(p show.Printer, what, next string) error {
	if next == "" || !p.ForPeople() {
		return nil
	}
	return p.Note("more " + what + ": add --page " + next)
}

// paged is simple for a list that has pages.
func paged[T interface {
	protoMessage
	GetNextPageToken() string
}](a *app, use, short, route string, out func() T, table func(T) show.Table) *cobra.Command {
	var f pagedFlags
	c := simple(a, use, short, route, out, table)
	c.RunE = func(c *cobra.Command, _ []string) error {
		p, err := a.printer()
		if err != nil {
			return err
		}
		q, res := url.Values{}, out()
		f.query(q)
		raw, err := a.ask(c.Context(), route, q, res)
		if err != nil {
			return err
		}
		if err := p.Answer(raw, table(res)); err != nil {
			return err
		}
		return more(p, "rows", res.GetNextPageToken())
	}
	f.add(c, 1000, "rows")
	return c
}

// simple is a command that asks one route and prints a table.
func simple[T protoMessage](a *app, use, short, route string, out func() T, table func(T) show.Table) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		Example: "  cloverctl get visibility " + use + "\n  cloverctl get visibility " + use + " -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			return answer(c.Context(), a, route, nil, out(), table)
		},
	}
	a.addOutput(c)
	return c
}

// answer reads a route and prints it.
func answer[T protoMessage](ctx context.Context, a *app, route string, query url.Values, res T, table func(T) show.Table) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	raw, err := a.ask(ctx, route, query, res)
	if err != nil {
		return err
	}
	return p.Answer(raw, table(res))
}

func (a *app) graph() *cobra.Command {
	var f questionFlags
	c := &cobra.Command{
		Use: "graph", Short: "Show who talks to whom", Args: cobra.NoArgs,
		Example: `  cloverctl get visibility graph --since 5m
  cloverctl get visibility graph --filter 'destination = http-lb' -o yaml`,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			q, err := f.query()
			if err != nil {
				return err
			}
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
				t.Rows = append(t.Rows, []any{
					e.GetSource(), e.GetDestination(), s.GetCount(), show.Rate(s.GetRate()),
					show.Share(s.GetErrorRate()), s.GetMean(), s.GetP95(), s.GetP99(), mirrored,
				})
			}
			return p.Answer(raw, t)
		},
	}
	f.rangeFlags.add(c)
	f.addFilter(a, c)
	a.addOutput(c)
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
			q, err := moversQuery(&f, groupBy, by, limit)
			if err != nil {
				return err
			}
			if ago != "" {
				if err := earlier(q, ago, f.since); err != nil {
					return err
				}
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
	completeList(c, "group-by", visibility.DimensionNames())
	complete(c, "by", measures)
	f.rangeFlags.add(c)
	f.addFilter(a, c)
	a.addOutput(c)
	return c
}

// earlier adds to the question of movers the range to compare with, which is
// so long before its target. since is the target's length if it has no start.
func earlier(q url.Values, ago string, since time.Duration) error {
	d, err := time.ParseDuration(ago)
	if err != nil || d <= 0 {
		return usagef("--ago %q is not a duration such as 24h", ago)
	}
	to := time.Now()
	// Neither fails: they were written by the range's flags.
	if text := q.Get("target.to"); text != "" {
		to, _ = time.Parse(time.RFC3339Nano, text)
	}
	from := to.Add(-since)
	if text := q.Get("target.from"); text != "" {
		from, _ = time.Parse(time.RFC3339Nano, text)
	}
	q.Set("base.from", from.Add(-d).UTC().Format(time.RFC3339Nano))
	q.Set("base.to", to.Add(-d).UTC().Format(time.RFC3339Nano))
	return nil
}

// moversQuery is the question but for the range to compare with.
func moversQuery(f *questionFlags, groupBy []string, by string, limit int) (url.Values, error) {
	filter, err := f.expression()
	if err != nil {
		return nil, err
	}
	if err := checkDimensions(groupBy); err != nil {
		return nil, err
	}
	if _, err := visibility.ParseMeasure(by); err != nil {
		return nil, usagef("--by: %w", err)
	}
	q := url.Values{"group_by": groupBy, "by": {by}, "limit": {fmt.Sprint(limit)}}
	if filter != "" {
		q.Set("filter", filter)
	}
	return q, f.rangeFlags.query(q, "target", time.Now())
}

func moversTable(res *v1.GetMoversResponse, groupBy []string, by string) show.Table {
	t := show.Table{Completeness: res.GetCompleteness()}
	t.Columns = append(slices.Clone(groupBy), "change_of_"+by, "relative", "count_before", "count", "p95_before", "p95")
	for _, m := range res.GetMovers() {
		relative := "new"
		if m.RelativeChange != nil {
			relative = fmt.Sprintf("%+.1f%%", 100*m.GetRelativeChange())
		}
		t.Rows = append(t.Rows, append(show.Row(m.GetValues()...), fmt.Sprintf("%+.4g", m.GetChange()), relative,
			m.GetBase().GetCount(), m.GetTarget().GetCount(), m.GetBase().GetP95(), m.GetTarget().GetP95()))
	}
	return t
}
