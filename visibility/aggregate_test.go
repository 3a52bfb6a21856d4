package visibility_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// randomSpans returns spans whose durations spread over nine decades.
func randomSpans(rng *rand.Rand, n int) []tracing.Span {
	spans := make([]tracing.Span, n)
	for i := range spans {
		s := tracing.NewSpan()
		s.Duration = time.Duration(rng.ExpFloat64() * float64(time.Duration(1)<<rng.IntN(36)))
		s.Error = rng.IntN(4) == 0
		s.RequestSize, s.ResponseSize = rng.Int64N(1000)-1, rng.Int64N(1_000_000)-1
		spans[i] = s
	}
	return spans
}

// exact is an aggregate computed without Aggregate.
type exact struct {
	count, errors, requestBytes, responseBytes int64
	sum, lowest, highest                       time.Duration
}

func exactly(spans []tracing.Span) (e exact) {
	for i := range spans {
		s := &spans[i]
		if i == 0 {
			e.lowest = s.Duration
		}
		e.count++
		e.sum += s.Duration
		e.lowest, e.highest = min(e.lowest, s.Duration), max(e.highest, s.Duration)
		e.requestBytes += max(s.RequestSize, 0)
		e.responseBytes += max(s.ResponseSize, 0)
		if s.Error {
			e.errors++
		}
	}
	return e
}

func figures(a *visibility.Aggregate) exact {
	e := exact{count: a.Count, errors: a.Errors, requestBytes: a.RequestBytes, responseBytes: a.ResponseBytes, sum: a.Sum}
	e.lowest, e.highest = a.Extremes()
	return e
}

func encoded(t *testing.T, a *visibility.Aggregate) []byte {
	t.Helper()
	b, err := a.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAggregateIsExactHoweverItIsMade(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		spans := randomSpans(rng, 1+rng.IntN(200))
		want := exactly(spans)
		var observed, merged, decoded visibility.Aggregate
		for i := range spans {
			observed.Observe(&spans[i])
		}
		for chunk := range slices.Chunk(spans, 7) {
			var part visibility.Aggregate
			for i := range chunk {
				one := visibility.AggregateOf(&chunk[i])
				part.Merge(&one)
			}
			merged.Merge(&part)
			if err := decoded.MergeBinary(encoded(t, &part)); err != nil {
				t.Fatal(err)
			}
		}
		for name, a := range map[string]*visibility.Aggregate{"observed": &observed, "merged": &merged, "decoded": &decoded} {
			if got := figures(a); got != want || a.Inexact {
				t.Fatalf("%s: %+v, want %+v", name, got, want)
			}
			for _, q := range []float64{0, .5, .99, 1} {
				if g, w := a.Quantile(q), observed.Quantile(q); g != w {
					t.Fatalf("%s: quantile %v is %v, want %v", name, q, g, w)
				}
			}
		}
	}
}

func TestAggregateGivesBackWhatIsTakenOut(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 50 {
		all := randomSpans(rng, 2+rng.IntN(100))
		kept, taken := all[:len(all)/2], all[len(all)/2:]
		var a, out visibility.Aggregate
		for i := range taken {
			out.Observe(&taken[i])
		}
		out = out.Negate()
		if rng.IntN(2) == 0 { // in any order
			a.Merge(&out)
			out.Reset()
		}
		for i := range all {
			a.Observe(&all[i])
		}
		a.Merge(&out)
		got, want := figures(&a), exactly(kept)
		if !a.Inexact || !within(got.lowest, want.lowest) || !within(got.highest, want.highest) {
			t.Fatalf("extremes %v %v (inexact %v), want about %v %v", got.lowest, got.highest, a.Inexact, want.lowest, want.highest)
		}
		got.lowest, got.highest = want.lowest, want.highest
		if got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
		whole := a.Negate()
		if a.Merge(&whole); !a.IsZero() || a.Quantile(.5) != 0 || a.Mean() != 0 {
			t.Fatalf("not empty after all was taken out: %+v", a)
		}
	}
}

// within reports whether got is want within the sketch's relative error.
func within(got, want time.Duration) bool {
	return float64((got - want).Abs()) <= visibility.RelativeError*float64(want)+1
}

func TestAggregateOfNothing(t *testing.T) {
	var a, b visibility.Aggregate
	a.Merge(&b)
	if err := a.MergeBinary(encoded(t, &b)); err != nil {
		t.Fatal(err)
	}
	if !a.IsZero() || a.Mean() != 0 || a.Quantile(.5) != 0 || a.ErrorRate() != 0 || figures(&a) != (exact{}) {
		t.Errorf("%+v", a)
	}
	s := randomSpans(rand.New(rand.NewPCG(3, 3)), 1)[0]
	a.Observe(&s)
	if got := figures(&a); got != exactly([]tracing.Span{s}) {
		t.Errorf("one span after nothing: %+v", got)
	}
	if a.Quantile(0) != s.Duration || a.Quantile(1) != s.Duration {
		t.Errorf("quantiles %v %v are outside the only value %v", a.Quantile(0), a.Quantile(1), s.Duration)
	}
	if a.Reset(); !a.IsZero() || a.Latency.Count() != 0 || a.Inexact {
		t.Errorf("after Reset: %+v", a)
	}
}

func TestAggregateMeanIsRounded(t *testing.T) {
	a := visibility.Aggregate{Count: 3, Sum: 5}
	if a.Mean() != 2 {
		t.Errorf("mean of 5 ns by 3 is %v, want 2 ns", a.Mean())
	}
}

func FuzzAggregateMergeBinary(f *testing.F) {
	rng := rand.New(rand.NewPCG(4, 4))
	for range 4 {
		var a visibility.Aggregate
		for _, s := range randomSpans(rng, 20) {
			a.Observe(&s)
		}
		b, err := a.AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var a, again visibility.Aggregate
		if a.MergeBinary(raw) != nil {
			return
		}
		if err := again.MergeBinary(encoded(t, &a)); err != nil {
			t.Fatalf("%x was read, but not what it is written as: %v", raw, err)
		}
		if a.Count != again.Count || a.Latency.Count() != again.Latency.Count() {
			t.Fatalf("%+v is read as %+v", a, again)
		}
	})
}
