package command

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opnfv/clover/visibility"
)

// rangeFlags are --since, --from and --to.
type rangeFlags struct {
	since      time.Duration
	from, to   string
	sinceGiven func() bool // on the command line
}

func (r *rangeFlags) add(c *cobra.Command) {
	r.addSince(c)
	c.Flags().StringVar(&r.from, "from", "", "start, as `time` (RFC 3339) or as a duration ago")
	c.Flags().StringVar(&r.to, "to", "", "end, likewise; now if not given")
}

func (r *rangeFlags) addSince(c *cobra.Command) {
	c.Flags().DurationVar(&r.since, "since", visibility.DefaultWindow, "the last `duration`, e.g. 15m")
	r.sinceGiven = func() bool { return c.Flags().Changed("since") }
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
	if r.sinceGiven() {
		return usagef("--since and --from both say where the range begins; give one")
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

// questionFlags are what most questions have; not all have each.
type questionFlags struct {
	rangeFlags
	filterFlags
	count string
}

func (f *questionFlags) add(a *app, c *cobra.Command) {
	f.rangeFlags.add(c)
	c.Flags().StringVar(&f.count, "count", "requests", "what to count: requests or spans")
	complete(c, "count", []string{"requests", "spans"})
	f.addFilter(a, c)
	a.addOutput(c)
}

func (f *questionFlags) addFilter(a *app, c *cobra.Command) {
	f.filterFlags.add(a, c, "`expression`, e.g. 'status >= 500 and service = http-lb'")
	f.addService(a, c)
}

// filterFlags are --filter and what is short for parts of it. A shell
// completes the short ones from the server; within the quotes that most
// filters need, bash and zsh complete nothing.
type filterFlags struct{ filter, service, url string }

func (f *filterFlags) add(a *app, c *cobra.Command, usage string) {
	c.Flags().StringVar(&f.filter, "filter", "", usage)
	c.Flags().StringVar(&f.url, "url", "", "only this `URL`, as --filter 'url = URL'")
	mustRegister(c, "filter", a.completeFilter)
	mustRegister(c, "url", a.completeValues(visibility.URL))
}

func (f *filterFlags) addService(a *app, c *cobra.Command) {
	c.Flags().StringVar(&f.service, "service", "", "only this `service`, as --filter 'service = SERVICE'")
	mustRegister(c, "service", a.completeValues(visibility.Service))
}

// expression is all of them as one filter.
func (f *filterFlags) expression() (string, error) {
	if _, err := visibility.ParseFilter(f.filter); err != nil {
		return "", usageError{err}
	}
	var parts []string
	for field, value := range map[string]string{"service": f.service, "url": f.url} {
		if value != "" {
			parts = append(parts, field+" = "+strconv.Quote(value))
		}
	}
	slices.Sort(parts)
	switch given := strings.TrimSpace(f.filter); {
	case len(parts) == 0:
		return given, nil
	case given != "":
		parts = slices.Insert(parts, 0, "("+given+")")
	}
	whole := strings.Join(parts, " and ")
	if _, err := visibility.ParseFilter(whole); err != nil {
		return "", usageError{err}
	}
	return whole, nil
}

func (f *questionFlags) query() (url.Values, error) {
	q := url.Values{}
	filter, err := f.expression()
	if err != nil {
		return nil, err
	}
	if filter != "" {
		q.Set("filter", filter)
	}
	if f.count != "" { // the command has --count
		mode, err := visibility.ParseCountMode(f.count)
		if err != nil {
			return nil, usagef("--count: %w", err)
		}
		if mode == visibility.CountSpans {
			q.Set("count", "COUNT_MODE_SPANS")
		}
	}
	return q, f.rangeFlags.query(q, "range", time.Now())
}
