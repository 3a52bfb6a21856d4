package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/opnfv/clover/jmeter"
)

// Difference is a label in two runs. One of them is nil where only the other
// has it.
type Difference struct {
	Label         string
	Before, After *jmeter.Stats
}

// Compare puts the labels of two runs beside each other, with all requests as
// the last.
func Compare(before, after *jmeter.Results) []Difference {
	labels := map[string]Difference{}
	for _, s := range before.Labels() {
		labels[s.Label] = Difference{Label: s.Label, Before: s}
	}
	for _, s := range after.Labels() {
		d := labels[s.Label]
		d.Label, d.After = s.Label, s
		labels[s.Label] = d
	}
	var out []Difference
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, labels[name])
	}
	return append(out, Difference{Label: "all", Before: &before.All, After: &after.All})
}

// WriteComparison writes differences as a table: before, after and the change.
func WriteComparison(w io.Writer, list []Difference) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LABEL\tCOUNT\tRATE\tMEAN\tP95\tP99\tERROR RATE")
	for _, d := range list {
		b, a := d.Before, d.After
		switch {
		case b == nil:
			fmt.Fprintf(t, "%s\tonly after: %d\n", clean(d.Label), a.Count)
		case a == nil:
			fmt.Fprintf(t, "%s\tonly before: %d\n", clean(d.Label), b.Count)
		default:
			fmt.Fprintf(t, "%s\t%d → %d\t%.1f/s → %.1f/s\t%s\t%s\t%s\t%.2f%% → %.2f%%\n", clean(d.Label), b.Count, a.Count, b.Rate(), a.Rate(),
				change(b.Mean(), a.Mean()), change(b.Quantile(.95), a.Quantile(.95)), change(b.Quantile(.99), a.Quantile(.99)),
				100*b.ErrorRate(), 100*a.ErrorRate())
		}
	}
	return t.Flush()
}

func change(before, after time.Duration) string {
	if before == 0 {
		return short(before) + " → " + short(after)
	}
	return fmt.Sprintf("%s → %s (%+.0f%%)", short(before), short(after), 100*(float64(after)/float64(before)-1))
}
