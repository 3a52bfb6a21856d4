package visibility_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/opnfv/clover/visibility"
)

// TestSketchError holds the stated error for every shape of distribution and
// every rank.
func TestSketchError(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() float64{
		"uniform":     func() float64 { return rng.Float64() * 1e9 },
		"exponential": func() float64 { return rng.ExpFloat64() * 2e7 },
		"log normal":  func() float64 { return math.Exp(16 + 3*rng.NormFloat64()) },
		"two modes":   func() float64 { return 1e6 + float64(rng.IntN(2))*5e9 + rng.Float64()*1e5 },
		"constant":    func() float64 { return 123456789 },
		"tiny":        func() float64 { return float64(rng.IntN(40)) },
		"huge":        func() float64 { return 1e17 + rng.Float64()*8e18 },
	} {
		t.Run(name, func(t *testing.T) {
			var s visibility.Sketch
			values := make([]time.Duration, 5000)
			for i := range values {
				values[i] = time.Duration(draw())
				s.Add(values[i], 1)
			}
			slices.Sort(values)
			for i := range values {
				q := float64(i) / float64(len(values)-1)
				want := values[int(math.Floor(q*float64(len(values)-1)))] // as q was rounded
				if got := s.Quantile(q); !within(got, want) {
					t.Fatalf("quantile %v is %v, want %v within %v", q, got, want, visibility.RelativeError)
				}
			}
			lowest, highest := s.Extremes()
			if !within(lowest, values[0]) || !within(highest, values[len(values)-1]) {
				t.Errorf("extremes %v %v, want %v %v", lowest, highest, values[0], values[len(values)-1])
			}
			if s.Count() != int64(len(values)) {
				t.Errorf("count %d", s.Count())
			}
		})
	}
}

func TestSketchBuckets(t *testing.T) {
	var s visibility.Sketch
	values := []time.Duration{0, -time.Second, time.Microsecond, time.Microsecond, time.Second, time.Hour}
	for _, v := range values {
		s.Add(v, 2)
	}
	var total int64
	last := time.Duration(-1)
	s.Buckets(func(lower, upper time.Duration, n int64) bool {
		if lower <= last && last > 0 {
			t.Errorf("bucket %v is not above %v", lower, last)
		}
		if upper > 0 && !slices.ContainsFunc(values, func(v time.Duration) bool { return v >= lower-1 && v <= upper+1 }) {
			t.Errorf("nothing was added between %v and %v", lower, upper)
		}
		last = lower
		total += n
		return true
	})
	if total != int64(2*len(values)) || total != s.Count() {
		t.Errorf("buckets hold %d of %d", total, 2*len(values))
	}
	calls := 0
	s.Buckets(func(time.Duration, time.Duration, int64) bool { calls++; return false })
	if calls != 1 {
		t.Errorf("%d calls after yield returned false", calls)
	}
}

func TestSketchTakesBack(t *testing.T) {
	var s visibility.Sketch
	s.Add(time.Second, 3)
	s.Add(time.Hour, 1)
	s.Add(0, 1)
	s.Add(time.Hour, -1)
	s.Add(0, -1)
	if lowest, highest := s.Extremes(); s.Count() != 3 || !within(lowest, time.Second) || !within(highest, time.Second) {
		t.Errorf("count %d, extremes %v %v", s.Count(), lowest, highest)
	}
	s.Reset()
	if s.Count() != 0 || s.Quantile(.5) != 0 {
		t.Errorf("after Reset: %d", s.Count())
	}
	s.Add(time.Millisecond, 1) // in the memory that is left
	if s.Count() != 1 || !within(s.Quantile(1), time.Millisecond) {
		t.Errorf("after Reset and Add: %d, %v", s.Count(), s.Quantile(1))
	}
}

func BenchmarkSketchMerge(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	var from, into visibility.Sketch
	for range 1000 {
		from.Add(time.Duration(rng.ExpFloat64()*2e7), 1)
	}
	b.ReportAllocs()
	for b.Loop() {
		into.Merge(&from)
	}
}

func BenchmarkSketchAdd(b *testing.B) {
	var s visibility.Sketch
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Add(time.Duration(1+i%1000)*time.Millisecond, 1)
	}
}
