package visibility

import (
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
)

func TestBackoffGrowsToItsLimit(t *testing.T) {
	var b backoff
	for i := range 100 {
		want := min(firstPause<<min(i, 16), 30*time.Second)
		if got := b.next(30 * time.Second); got < want/2 || got > want {
			t.Fatalf("pause %d is %v, want %v to %v", i, got, want/2, want)
		}
	}
	b.reset()
	if got := b.next(30 * time.Second); got > firstPause {
		t.Errorf("after success the first pause is %v", got)
	}
	if got := b.next(time.Millisecond); got > time.Millisecond {
		t.Errorf("pause %v with a limit of 1 ms", got)
	}
}

func TestBackoffSpreadsLoad(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 50 {
		seen[(&backoff{failures: 6}).next(time.Minute)] = true
	}
	if len(seen) < 40 {
		t.Errorf("%d different pauses of 50", len(seen))
	}
}

func TestRecentSpansIsBounded(t *testing.T) {
	r := newRecentSpans(100)
	key := func(i int) spanKey { return spanKey{trace: tracing.TraceID{byte(i), byte(i >> 8)}} }
	for i := range 1000 {
		r.add(key(i))
		if !r.has(key(i)) || !r.has(key(max(i-49, 0))) {
			t.Fatalf("span %d: the last 50 are not remembered", i)
		}
		if n := len(r.old) + len(r.new); n > 100 {
			t.Fatalf("%d are held", n)
		}
	}
	if r.has(key(800)) {
		t.Error("an old one is still there")
	}
}
