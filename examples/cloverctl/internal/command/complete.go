package command

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
	"github.com/opnfv/clover/visibility"
)

// completionTimeout bounds what a press of the tab key may take.
const completionTimeout = 1500 * time.Millisecond

// seen asks the server for the values of a dimension that begin so.
func (a *app) seen(dim, prefix string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	a.timeout, a.quiet = completionTimeout, true
	cl, err := a.client(ctx)
	if err != nil {
		return nil
	}
	res := &v1.ListValuesResponse{}
	q := url.Values{"limit": {"50"}, "range.last": {"3600s"}, "prefix": {prefix}}
	if _, err := cl.Get(ctx, "values/"+dim, q, res); err != nil {
		return nil // there is nobody to tell while completing
	}
	var values []string
	for _, v := range res.GetValues() {
		values = append(values, v.GetValue())
	}
	return values
}

// completeValues completes the values of a dimension from the server.
func (a *app) completeValues(dim visibility.Dimension) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return a.seen(dim.String(), prefix), cobra.ShellCompDirectiveNoFileComp
	}
}

// recentTraces asks the server for the newest traces, each with what it was.
func (a *app) recentTraces() []string {
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	a.timeout, a.quiet = completionTimeout, true
	cl, err := a.client(ctx)
	if err != nil {
		return nil
	}
	res := &v1.SearchTracesResponse{}
	q := url.Values{"page_size": {"20"}, "range.last": {"3600s"}}
	if _, err := cl.Get(ctx, "traces", q, res); err != nil {
		return nil // there is nobody to tell while completing
	}
	var ids []string
	for _, t := range res.GetTraces() {
		ids = append(ids, cobra.CompletionWithDesc(t.GetTraceId(), show.Clean(t.GetRootService()+" "+t.GetUrl())))
	}
	return ids
}

// completeList completes the last of several values with commas between them.
func completeList(c *cobra.Command, flag string, values []string) {
	mustRegister(c, flag, func(_ *cobra.Command, _ []string, text string) ([]string, cobra.ShellCompDirective) {
		given, last := "", text
		if i := strings.LastIndexByte(text, ','); i >= 0 {
			given, last = text[:i+1], text[i+1:]
		}
		var candidates []string
		for _, v := range values {
			if strings.HasPrefix(v, last) {
				candidates = append(candidates, given+v)
			}
		}
		return candidates, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
}

// completeFilter completes the last word of a filter: a field, or a value
// behind "FIELD =".
func (a *app) completeFilter(_ *cobra.Command, _ []string, text string) ([]string, cobra.ShellCompDirective) {
	words := strings.Fields(text)
	last := ""
	if text != "" && !strings.HasSuffix(text, " ") {
		last = words[len(words)-1]
		words = words[:len(words)-1]
	}
	head := strings.TrimSuffix(text, last)
	var candidates []string
	if n := len(words); n >= 2 && (words[n-1] == "=" || words[n-1] == "!=") {
		for _, v := range a.seen(strings.ReplaceAll(words[n-2], "-", "_"), strings.Trim(last, `"'`)) {
			if strings.ContainsAny(v, " ()[],=!<>~\"'&|") {
				v = strconv.Quote(v)
			}
			candidates = append(candidates, head+v)
		}
		return candidates, cobra.ShellCompDirectiveNoFileComp
	}
	for _, f := range visibility.FilterFields() {
		if strings.HasPrefix(f, last) {
			candidates = append(candidates, head+f)
		}
	}
	return candidates, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
