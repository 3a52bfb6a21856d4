package visibility_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// TestResolveHopsDependsOnTheSetOnly holds, for random forests with shared
// ids, missing parents and circles, that neither the order of spans nor the
// size of the trace (which chooses the index) changes the answer.
// What each shape has to be resolved to is held by storetest.
func TestResolveHopsDependsOnTheSetOnly(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	id := func(n int) (id tracing.SpanID) {
		binary.BigEndian.PutUint64(id[:], uint64(n))
		return id
	}
	for round := range 2000 {
		var spans []visibility.HopSpan
		seen := map[string]bool{}
		for range 1 + rng.IntN(20) {
			s := visibility.HopSpan{
				ID: id(1 + rng.IntN(12)), Parent: id(rng.IntN(14)),
				Side: tracing.Side(rng.IntN(3)), Service: string(rune('a' + rng.IntN(3))),
			}
			if key := fmt.Sprint(s.ID, s.Side, s.Service); !seen[key] { // an identity
				seen[key] = true
				spans = append(spans, s)
			}
		}
		want := visibility.ResolveHops(spans, nil)
		large := append([]visibility.HopSpan{}, spans...)
		for i := range 30 {
			large = append(large, visibility.HopSpan{ID: id(1000 + i), Parent: id(2000 + i), Service: "z"})
		}
		order := rng.Perm(len(large))
		shuffled := make([]visibility.HopSpan, len(large))
		for at, i := range order {
			shuffled[at] = large[i]
		}
		hops := visibility.ResolveHops(shuffled, nil)
		for at, i := range order {
			if i < len(want) && hops[at] != want[i] {
				t.Fatalf("round %d: span %d of %+v is %+v, in another order %+v", round, i, spans, want[i], hops[at])
			}
		}
	}
}

func TestResolveHopsReusesMemory(t *testing.T) {
	spans := []visibility.HopSpan{{ID: tracing.SpanID{1}, Side: tracing.SideServer, Service: "a"}}
	hops := make([]visibility.Hop, 0, 1)
	if n := testing.AllocsPerRun(100, func() { hops = visibility.ResolveHops(spans, hops) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
