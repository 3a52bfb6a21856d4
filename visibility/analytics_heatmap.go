package visibility

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// HeatmapQuery asks how latencies are spread over time.
type HeatmapQuery struct {
	Range  Range
	Filter *Filter
	Count  CountMode
	Step   time.Duration // width of a column; 0: about 60 columns
	Bands  int           // most rows, 2 to 200; 0: 24
}

// Heatmap is the answer to a HeatmapQuery: Columns × Bands counts.
type Heatmap struct {
	Range        Range
	Step         time.Duration
	Bands        []Band // ascending, without gaps
	Columns      []Column
	Total        int64
	Completeness Completeness
}

// Band is a row of a heatmap: latencies from Lower to below Upper.
type Band struct{ Lower, Upper time.Duration }

// Column is a step of time with a count for each band.
type Column struct {
	Time   time.Time
	Counts []int64
}

// Heatmap returns how many requests took how long, over time.
func (a *Analytics) Heatmap(ctx context.Context, q HeatmapQuery) (*Heatmap, error) {
	var err error
	if q.Range, err = a.ResolveRange(q.Range); err != nil {
		return nil, err
	}
	if q.Bands == 0 {
		q.Bands = 24
	}
	if q.Bands < 2 || q.Bands > 200 {
		return nil, invalidf("max_bands: %d is not between 2 and 200", q.Bands)
	}
	if q.Step == 0 {
		q.Step = heatmapStep(q.Range.To.Sub(q.Range.From) / 60)
	}
	res, err := a.Query(ctx, Query{Range: q.Range, Filter: q.Filter, Count: q.Count, Step: q.Step})
	if err != nil {
		return nil, fmt.Errorf("heatmap: %w", err)
	}
	h := &Heatmap{Range: res.Range, Step: res.Step, Total: res.Total.Count, Completeness: res.Completeness}
	h.Bands = bandsOf(&res.Total.Latency, q.Bands)
	for _, g := range res.Groups {
		for i := range g.Series {
			p := &g.Series[i]
			h.Columns = append(h.Columns, Column{Time: p.Time, Counts: h.count(&p.Aggregate.Latency)})
		}
	}
	return h, nil
}

// heatmapStep makes a long step one of whole hours or five minutes, as stores sum
// them up: they answer it with less work.
func heatmapStep(d time.Duration) time.Duration {
	for _, unit := range [...]time.Duration{time.Hour, 5 * time.Minute} {
		if d >= unit {
			return d.Truncate(unit)
		}
	}
	return max(MinStep, d.Truncate(MinStep))
}

// bandsOf joins a sketch's buckets into at most n bands of equal ratio.
func bandsOf(s *Sketch, n int) []Band {
	var buckets []Band
	s.Buckets(func(lower, upper time.Duration, _ int64) bool {
		buckets = append(buckets, Band{lower, upper})
		return true
	})
	if len(buckets) == 0 {
		return nil
	}
	var bands []Band
	if buckets[0].Upper == 0 { // durations of 0 have a band of their own
		bands, buckets = append(bands, Band{0, 1}), buckets[1:]
	}
	if len(buckets) == 0 {
		return bands
	}
	first := indexes.Index(float64(buckets[0].Lower + 1))
	last := indexes.Index(float64(buckets[len(buckets)-1].Upper))
	width := max(1, (last-first)/max(1, n-len(bands)-1)+1)
	for i := first; i <= last; i += width {
		bands = append(bands, Band{time.Duration(indexes.LowerBound(i)), time.Duration(indexes.LowerBound(i + width))})
	}
	return bands
}

// count sorts a sketch's observations into the bands.
func (h *Heatmap) count(s *Sketch) []int64 {
	counts := make([]int64, len(h.Bands))
	s.Buckets(func(lower, upper time.Duration, n int64) bool {
		middle := lower + (upper-lower)/2
		i := slices.IndexFunc(h.Bands, func(b Band) bool { return middle < b.Upper })
		if i < 0 {
			i = len(counts) - 1
		}
		counts[i] += n
		return true
	})
	return counts
}
