package command

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/examples/cloverctl/internal/show"
)

func (a *app) heatmap() *cobra.Command {
	var f questionFlags
	var step time.Duration
	var bands int
	c := &cobra.Command{
		Use: "heatmap", Short: "Show how latencies are spread over time", Args: cobra.NoArgs,
		Long: "Shows how many requests took how long, the slowest first, and when: the darker, the more.",
		Example: `  cloverctl get visibility heatmap --since 15m
  cloverctl get visibility heatmap --filter 'service = http-lb' --step 10s -o json`,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			q, err := f.query()
			if err != nil {
				return err
			}
			if step > 0 {
				q.Set("step", fmt.Sprintf("%gs", step.Seconds()))
			}
			q.Set("max_bands", fmt.Sprint(bands))
			res := &v1.GetHeatmapResponse{}
			raw, err := a.ask(c.Context(), "heatmap", q, res)
			if err != nil {
				return err
			}
			return p.Answer(raw, heatmapTable(res))
		},
	}
	c.Flags().DurationVar(&step, "step", 0, "`duration` of a column (default: about 60 columns)")
	c.Flags().IntVar(&bands, "bands", 0, "largest number of rows, 2 to 200 (default: 24)")
	f.add(a, c)
	return c
}

// heatmapTable has a row for each band of latencies.
func heatmapTable(res *v1.GetHeatmapResponse) show.Table {
	t := show.Table{Columns: []string{"from", "to", "count", "share", "over_time"}, Completeness: res.GetCompleteness()}
	sums, overTime := spread(res)
	for i := len(res.GetBands()) - 1; i >= 0; i-- {
		b, n := res.GetBands()[i], sums[i]
		share := float64(n) / float64(max(1, res.GetTotal()))
		t.Rows = append(t.Rows, []any{b.GetLower(), b.GetUpper(), n, show.Share(share), overTime[i]})
	}
	return t
}

// maxSteps is how many steps of time fit in a row.
const maxSteps = 60

// spread returns for each band how many requests it has, and when, in shades.
func spread(res *v1.GetHeatmapResponse) (sums []int64, overTime []string) {
	bands, columns := len(res.GetBands()), res.GetColumns()
	sums, overTime = make([]int64, bands), make([]string, bands)
	step := res.GetStep().AsDuration()
	if len(columns) == 0 || step <= 0 {
		return sums, overTime
	}
	// Steps without requests are left out of the answer.
	first := columns[0].GetTime().AsTime()
	steps := int(columns[len(columns)-1].GetTime().AsTime().Sub(first)/step) + 1
	width := min(steps, maxSteps)
	cells := make([][]int64, bands)
	for i := range cells {
		cells[i] = make([]int64, width)
	}
	most := int64(1)
	for _, c := range columns {
		at := int(c.GetTime().AsTime().Sub(first)/step) * width / steps
		if at < 0 || at >= width {
			continue // not in order
		}
		for i, n := range c.GetCounts()[:min(bands, len(c.GetCounts()))] {
			n = max(0, n)
			sums[i] += n
			cells[i][at] += n
			most = max(most, cells[i][at])
		}
	}
	for i := range cells {
		overTime[i] = shades(cells[i], most)
	}
	return sums, overTime
}

// shades draws counts. They go by the root: rare and slow is what one looks
// for.
func shades(counts []int64, most int64) string {
	levels := []rune("·░▒▓█")
	var b strings.Builder
	for _, n := range counts {
		b.WriteRune(levels[int(math.Ceil(math.Sqrt(float64(n)/float64(most))*float64(len(levels)-1)))])
	}
	return b.String()
}
