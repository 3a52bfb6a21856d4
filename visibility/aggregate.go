package visibility

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/opnfv/clover/tracing"
)

// Aggregate is the sum of what was measured on a set of spans or requests.
// The zero value is the aggregate of the empty set. It is a commutative
// group under [Aggregate.Merge] but for Min and Max, which cannot be taken
// back; see Inexact.
type Aggregate struct {
	Count         int64
	Errors        int64
	Sum           time.Duration
	Min, Max      time.Duration // meaningless while Count is 0
	RequestBytes  int64         // of those whose size is known
	ResponseBytes int64
	Latency       Sketch
	// Inexact says that a span was taken out again, so that Min and Max may
	// belong to it; both are then within the sketch's relative error.
	Inexact bool
}

// AggregateOf returns the aggregate of a single span.
func AggregateOf(s *tracing.Span) Aggregate {
	a := Aggregate{Count: 1, Sum: s.Duration, Min: s.Duration, Max: s.Duration}
	if s.Error {
		a.Errors = 1
	}
	a.RequestBytes = max(s.RequestSize, 0)
	a.ResponseBytes = max(s.ResponseSize, 0)
	a.Latency.Add(s.Duration, 1)
	return a
}

// Observe adds one span to the aggregate.
func (a *Aggregate) Observe(s *tracing.Span) {
	if a.Count == 0 {
		a.Min, a.Max = s.Duration, s.Duration
	}
	a.Min, a.Max = min(a.Min, s.Duration), max(a.Max, s.Duration)
	a.Count++
	a.Sum += s.Duration
	if s.Error {
		a.Errors++
	}
	a.RequestBytes += max(s.RequestSize, 0)
	a.ResponseBytes += max(s.ResponseSize, 0)
	a.Latency.Add(s.Duration, 1)
}

// Reset makes a the aggregate of the empty set and keeps its memory.
func (a *Aggregate) Reset() {
	sketch := a.Latency
	sketch.Reset()
	*a = Aggregate{Latency: sketch}
}

// IsZero reports whether a is the aggregate of the empty set, also after
// everything was taken out of it again.
func (a *Aggregate) IsZero() bool { return a.Count == 0 && a.Sum == 0 && a.Errors == 0 }

// Extremes returns the smallest and largest duration: exact, or within
// RelativeError if a is Inexact; zeros for the empty set.
func (a *Aggregate) Extremes() (lowest, highest time.Duration) {
	switch {
	case a.Count <= 0:
		return 0, 0
	case a.Inexact:
		return a.Latency.Extremes()
	}
	return a.Min, a.Max
}

// Merge adds b to a. It does not keep b's memory.
func (a *Aggregate) Merge(b *Aggregate) {
	a.mergeScalars(b)
	a.Latency.Merge(&b.Latency)
}

func (a *Aggregate) mergeScalars(b *Aggregate) {
	if b.Count > 0 {
		if a.Count <= 0 {
			a.Min, a.Max = b.Min, b.Max
		}
		a.Min, a.Max = min(a.Min, b.Min), max(a.Max, b.Max)
	}
	a.Count += b.Count
	a.Errors += b.Errors
	a.Sum += b.Sum
	a.RequestBytes += b.RequestBytes
	a.ResponseBytes += b.ResponseBytes
	a.Inexact = a.Inexact || b.Inexact
}

// Negate returns what takes a out of an aggregate that it was merged into.
func (a *Aggregate) Negate() Aggregate {
	n := Aggregate{
		Count: -a.Count, Errors: -a.Errors, Sum: -a.Sum,
		RequestBytes: -a.RequestBytes, ResponseBytes: -a.ResponseBytes, Inexact: true,
	}
	n.Latency.subtract(&a.Latency)
	return n
}

// Mean returns the arithmetic mean, 0 for the empty set.
func (a *Aggregate) Mean() time.Duration {
	if a.Count <= 0 {
		return 0
	}
	return time.Duration(math.Round(float64(a.Sum) / float64(a.Count)))
}

// Quantile returns the q-quantile (0 ≤ q ≤ 1) with the sketch's relative
// error, never outside Min and Max; 0 for the empty set.
func (a *Aggregate) Quantile(q float64) time.Duration {
	if a.Count <= 0 {
		return 0
	}
	lowest, highest := a.Extremes()
	return min(max(a.Latency.Quantile(q), lowest), highest)
}

var errCorruptAggregate = errors.New("aggregate: corrupt encoding")

// AppendBinary appends a's encoding: a flag byte, then varints. Encodings of
// all versions of Clover can be read by later ones.
func (a *Aggregate) AppendBinary(b []byte) ([]byte, error) {
	var flags byte
	if a.Inexact {
		flags |= 1
	}
	b = append(b, flags)
	for _, v := range [...]int64{a.Count, a.Errors, int64(a.Sum), int64(a.Min), int64(a.Max), a.RequestBytes, a.ResponseBytes} {
		b = binary.AppendVarint(b, v)
	}
	return a.Latency.appendBinary(b), nil
}

// MergeBinary merges an encoded aggregate into a without decoding it first.
func (a *Aggregate) MergeBinary(b []byte) error {
	if len(b) == 0 {
		return errCorruptAggregate
	}
	c := Aggregate{Inexact: b[0]&1 != 0}
	b = b[1:]
	for _, p := range [...]*int64{&c.Count, &c.Errors, (*int64)(&c.Sum), (*int64)(&c.Min), (*int64)(&c.Max), &c.RequestBytes, &c.ResponseBytes} {
		v, n := binary.Varint(b)
		if n <= 0 {
			return errCorruptAggregate
		}
		*p, b = v, b[n:]
	}
	a.mergeScalars(&c)
	return a.Latency.mergeBinary(b)
}
