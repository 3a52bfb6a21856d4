package command

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/visibility"
)

// completionTimeout bounds what a press of the tab key may take.
const completionTimeout = 1500 * time.Millisecond

// seen asks the server for the values of a dimension that begin so.
func (a *app) seen(dim, prefix string) []string {
	address, _, err := a.address()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	a.timeout = completionTimeout
	res := &v1.ListValuesResponse{}
	q := url.Values{"limit": {"50"}, "range.last": {"3600s"}, "prefix": {prefix}}
	if _, err := a.clientAt(address).Get(ctx, "values/"+dim, q, res); err != nil {
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
				v = `"` + v + `"`
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
