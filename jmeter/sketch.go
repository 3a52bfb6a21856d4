package jmeter

import (
	"math"
	"slices"
	"time"
)

// RelativeError is the largest relative error of the quantiles of a [Sketch].
const RelativeError = 0.01

// Buckets grow by growth, so that each value is within RelativeError of its
// bucket's middle. There are about 2,200 for all durations of 1 ns and more.
const growth = (1 + RelativeError) / (1 - RelativeError)

var perLog = 1 / math.Log(growth)

// Sketch is a histogram of durations that can be merged with others. Its zero
// value is empty. It takes memory for the range of the values seen, at most
// 18 KB.
type Sketch struct {
	zero   int64 // durations ≤ 0
	base   int   // index of counts[0]
	counts []int64
}

// Add adds a duration.
func (s *Sketch) Add(d time.Duration) {
	if d <= 0 {
		s.zero++
		return
	}
	i := int(math.Ceil(math.Log(float64(d)) * perLog))
	s.grow(i, i)
	s.counts[i-s.base]++
}

// grow makes room for the buckets lo to hi.
func (s *Sketch) grow(lo, hi int) {
	switch end := s.base + len(s.counts); {
	case len(s.counts) == 0:
		s.base, s.counts = lo, make([]int64, hi-lo+1)
	case lo < s.base:
		s.counts = slices.Insert(s.counts, 0, make([]int64, s.base-lo)...)
		s.base = lo
		s.grow(lo, hi)
	case hi >= end:
		s.counts = append(s.counts, make([]int64, hi-end+1)...)
	}
}

// Merge adds all of another sketch.
func (s *Sketch) Merge(o *Sketch) {
	s.zero += o.zero
	if len(o.counts) == 0 {
		return
	}
	s.grow(o.base, o.base+len(o.counts)-1)
	for i, n := range o.counts {
		s.counts[o.base-s.base+i] += n
	}
}

// Count returns how many durations were added.
func (s *Sketch) Count() int64 {
	n := s.zero
	for _, c := range s.counts {
		n += c
	}
	return n
}

// Quantile returns a value within RelativeError of the one with the rank
// q·(n−1), 0 ≤ q ≤ 1; 0 when empty.
func (s *Sketch) Quantile(q float64) time.Duration {
	total := s.Count()
	rank := int64(min(max(q, 0), 1) * float64(max(total-1, 0)))
	if rank < s.zero {
		return 0
	}
	seen := s.zero
	for i, n := range s.counts {
		if seen += n; rank < seen {
			return middle(s.base + i)
		}
	}
	return 0
}

// middle returns the value of a bucket that is within RelativeError of all.
func middle(index int) time.Duration {
	return time.Duration(math.Round(2 * math.Pow(growth, float64(index)) / (growth + 1)))
}

// Buckets calls yield for each bucket that has values, from the smallest on,
// with the value in its middle.
func (s *Sketch) Buckets(yield func(value time.Duration, n int64) bool) {
	if s.zero > 0 && !yield(0, s.zero) {
		return
	}
	for i, n := range s.counts {
		if n > 0 && !yield(middle(s.base+i), n) {
			return
		}
	}
}
