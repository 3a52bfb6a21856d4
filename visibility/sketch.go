package visibility

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/DataDog/sketches-go/ddsketch/mapping"
)

// RelativeError is the largest relative error of a [Sketch]'s quantiles.
const RelativeError = 0.01

// indexes maps durations to buckets whose bounds grow by 2 %, so that any
// value of a bucket is within RelativeError of its middle
// (Masson, Rim, Lee: DDSketch, VLDB 2019).
var indexes = func() mapping.IndexMapping {
	m, err := mapping.NewLogarithmicMapping(RelativeError)
	if err != nil {
		panic(err) // only for a constant outside (0, 1)
	}
	return m
}()

// maxBuckets bounds a sketch: 1 ns to 292 years has fewer than 2,200 buckets.
const maxBuckets = 2400

// Sketch is a mergeable histogram of durations for quantiles with a relative
// error of at most [RelativeError]. Counts are signed, so that what was added
// can be taken out again exactly. The zero value is empty. It holds at most
// maxBuckets counters over the range of the values seen.
type Sketch struct {
	zero   int64 // durations ≤ 0
	base   int   // index of counts[0]
	counts []int64
}

// Add adds n observations of d.
func (s *Sketch) Add(d time.Duration, n int64) {
	if d <= 0 {
		s.zero += n
		return
	}
	s.add(indexes.Index(float64(d)), n)
}

func (s *Sketch) add(index int, n int64) {
	s.grow(index, index)
	s.counts[index-s.base] += n
}

// grow makes room for the buckets lo to hi.
func (s *Sketch) grow(lo, hi int) {
	switch end := s.base + len(s.counts); {
	case len(s.counts) == 0:
		s.base = lo
		if n := hi - lo + 1; n <= cap(s.counts) {
			s.counts = s.counts[:n]
			clear(s.counts)
		} else {
			s.counts = make([]int64, n, n+8)
		}
	case lo < s.base:
		s.counts = slices.Insert(s.counts, 0, make([]int64, s.base-lo)...)
		s.base = lo
		s.grow(lo, hi)
	case hi >= end:
		s.counts = append(s.counts, make([]int64, hi-end+1)...)
	}
}

// Merge adds o's observations to s.
func (s *Sketch) Merge(o *Sketch) { s.combine(o, 1) }

func (s *Sketch) subtract(o *Sketch) { s.combine(o, -1) }

func (s *Sketch) combine(o *Sketch, sign int64) {
	s.zero += sign * o.zero
	if len(o.counts) == 0 {
		return
	}
	s.grow(o.base, o.base+len(o.counts)-1)
	into := s.counts[o.base-s.base:]
	for i, n := range o.counts {
		into[i] += sign * n
	}
}

// Reset empties the sketch and keeps its memory.
func (s *Sketch) Reset() { s.zero, s.base, s.counts = 0, 0, s.counts[:0] }

// Extremes returns values within RelativeError of the smallest and largest
// observation; zeros when empty.
func (s *Sketch) Extremes() (lowest, highest time.Duration) {
	found := s.zero > 0
	for i, n := range s.counts {
		if n <= 0 {
			continue
		}
		highest = time.Duration(math.Round(indexes.Value(s.base + i)))
		if !found {
			lowest, found = highest, true
		}
	}
	return lowest, highest
}

// Count returns the number of observations.
func (s *Sketch) Count() int64 {
	total := s.zero
	for _, n := range s.counts {
		total += n
	}
	return total
}

// Quantile returns a value within RelativeError of the observation whose rank
// is q·(n−1), 0 ≤ q ≤ 1; 0 when empty.
func (s *Sketch) Quantile(q float64) time.Duration {
	total := s.Count()
	if total <= 0 {
		return 0
	}
	rank := int64(math.Floor(min(max(q, 0), 1) * float64(total-1)))
	seen := s.zero
	if rank < seen {
		return 0
	}
	for i, n := range s.counts {
		if seen += n; rank < seen {
			return time.Duration(math.Round(indexes.Value(s.base + i)))
		}
	}
	return 0
}

// Buckets calls yield for each non-empty bucket in ascending order with its
// lower and upper bound and its count.
func (s *Sketch) Buckets(yield func(lower, upper time.Duration, n int64) bool) {
	if s.zero != 0 && !yield(0, 0, s.zero) {
		return
	}
	for i, n := range s.counts {
		if n == 0 {
			continue
		}
		lower, upper := indexes.LowerBound(s.base+i), indexes.LowerBound(s.base+i+1)
		if !yield(time.Duration(lower), time.Duration(upper), n) {
			return
		}
	}
}

// appendBinary appends the zero count, then pairs of (gap to the previous
// index, count) for the non-empty buckets.
func (s *Sketch) appendBinary(b []byte) []byte {
	b = binary.AppendVarint(b, s.zero)
	previous := 0
	for i, n := range s.counts {
		if n == 0 {
			continue
		}
		index := s.base + i
		b = binary.AppendVarint(b, int64(index-previous))
		b = binary.AppendVarint(b, n)
		previous = index
	}
	return b
}

func (s *Sketch) mergeBinary(b []byte) error {
	zero, n := binary.Varint(b)
	if n <= 0 {
		return errCorruptAggregate
	}
	s.zero += zero
	b = b[n:]
	index := 0
	for len(b) > 0 {
		gap, n := binary.Varint(b)
		if n <= 0 {
			return errCorruptAggregate
		}
		count, m := binary.Varint(b[n:])
		if m <= 0 {
			return errCorruptAggregate
		}
		b = b[n+m:]
		index += int(gap)
		if index < -maxBuckets || index > maxBuckets {
			return errCorruptAggregate
		}
		s.add(index, count)
	}
	return nil
}
