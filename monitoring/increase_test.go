package monitoring

import (
	"math"
	"testing"
	"time"
)

func seriesFrom(values ...float64) Series {
	s := Series{Metric: "c"}
	for i, v := range values {
		s.Values = append(s.Values, Value{time.Unix(int64(i), 0), v})
	}
	return s
}

func TestIncrease(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		values []float64
		want   Growth
	}{
		{nil, Growth{}},
		{[]float64{5}, Growth{}},
		{[]float64{5, 5, 8}, Growth{Increase: 3}},
		{[]float64{5, 2, 4}, Growth{Increase: 4, Resets: 1}},
		{[]float64{5, 0, 0, 3, 1}, Growth{Increase: 4, Resets: 2}},
		{[]float64{nan, 5, nan, 9, inf, 2}, Growth{Increase: 6, Resets: 1, Skipped: 3}},
	}
	for _, tt := range tests {
		if got := Increase(seriesFrom(tt.values...)); got != tt.want {
			t.Errorf("Increase(%v) = %+v, want %+v", tt.values, got, tt.want)
		}
	}
}

func collectionAt(second int64, values map[string]float64) Collection {
	p := Point{Name: "c"}
	for pod, v := range values {
		p.Members = append(p.Members, Sample{"c", map[string]string{"instance": pod}, v, time.Unix(second, 0)})
	}
	return Collection{Points: []Point{p}}
}

func TestTracker(t *testing.T) {
	tr := Tracker{MaxSeries: 3, Forget: time.Minute}
	steps := []struct {
		at     int64
		values map[string]float64
		want   Delta
	}{
		{0, map[string]float64{"a": 100, "b": 50}, Delta{New: 2}},
		{10, map[string]float64{"a": 110, "b": 51}, Delta{Growth: Growth{Increase: 11}}},
		{10, map[string]float64{"a": 110, "b": 51}, Delta{}},                                     // the same scrape again
		{20, map[string]float64{"a": 4, "b": 51}, Delta{Growth: Growth{Increase: 4, Resets: 1}}}, // a restarted
		{30, map[string]float64{"b": 60}, Delta{Growth: Growth{Increase: 9}}},                    // a is away
		{40, map[string]float64{"a": 6, "b": 60, "c": 7}, Delta{Growth{Increase: 2}, 1, 0}},      // a is back
		{50, map[string]float64{"a": 6, "c": 8, "d": 1}, Delta{Growth{Increase: 1}, 0, 1}},       // no room for d
		{120, map[string]float64{"d": 5}, Delta{Untracked: 1}},                                   // b, a, c still held
		{121, map[string]float64{"a": 6}, Delta{}},                                               // forgets b and c
		{122, map[string]float64{"d": 9}, Delta{New: 1}},
	}
	for i, s := range steps {
		if got := tr.Observe(collectionAt(s.at, s.values))["c"]; got != s.want {
			t.Errorf("step %d: %+v, want %+v", i, got, s.want)
		}
	}
}

func TestTrackerFollowsCountOfHistogram(t *testing.T) {
	var tr Tracker
	at := func(second int64, five, all float64) Collection {
		return Collection{Points: []Point{{Name: "h_bucket", Members: []Sample{
			{"h_bucket", map[string]string{"le": "5"}, five, time.Unix(second, 0)},
			{"h_bucket", map[string]string{"le": "+Inf"}, all, time.Unix(second, 0)},
		}}}}
	}
	tr.Observe(at(0, 1, 2))
	if got := tr.Observe(at(1, 5, 9))["h_bucket"]; got.Increase != 7 || got.New != 0 {
		t.Errorf("growth %+v, want 7", got)
	}
}
