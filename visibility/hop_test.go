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
				Side: tracing.Side(rng.IntN(3)), Service: string(rune('a' + rng.IntN(3))), Observed: rng.IntN(4) == 0,
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

// TestObservedHops holds that a request that the kernel's tracer has seen too
// is counted once, whoever else reports it.
func TestObservedHops(t *testing.T) {
	id := func(n byte) tracing.SpanID { return tracing.SpanID{n} }
	client := visibility.HopSpan{ID: id(1), Side: tracing.SideClient, Service: "shop"}
	sidecar := visibility.HopSpan{ID: id(2), Parent: id(1), Side: tracing.SideServer, Service: "web"}
	seen := visibility.HopSpan{ID: id(3), Parent: id(1), Side: tracing.SideServer, Service: "web", Observed: true}
	inside := visibility.HopSpan{ID: id(4), Parent: id(2), Side: tracing.SideServer, Service: "web", Observed: true}
	leaving := visibility.HopSpan{ID: id(3), Parent: id(1), Side: tracing.SideClient, Service: "shop", Observed: true}
	alone := visibility.HopSpan{ID: id(5), Side: tracing.SideServer, Service: "web", Observed: true}
	sent := visibility.HopSpan{ID: id(5), Side: tracing.SideClient, Service: "shop", Observed: true}
	mirror := visibility.HopSpan{ID: id(6), Parent: id(1), Side: tracing.SideServer, Service: "ids", Observed: true}
	for name, test := range map[string]struct {
		spans    []visibility.HopSpan
		requests int
		open     bool
	}{
		"beside the sidecar":         {[]visibility.HopSpan{client, sidecar, seen}, 1, false},
		"behind the sidecar":         {[]visibility.HopSpan{client, sidecar, inside}, 1, false},
		"everywhere":                 {[]visibility.HopSpan{client, sidecar, seen, inside, leaving}, 1, false},
		"the server reports nothing": {[]visibility.HopSpan{client, seen}, 1, true},
		"both ends, nobody else":     {[]visibility.HopSpan{sent, alone}, 1, false},
		"both ends, below a client":  {[]visibility.HopSpan{client, leaving, seen}, 1, true},
		"the client is not there":    {[]visibility.HopSpan{seen}, 1, true},
		"a mirror without a sidecar": {[]visibility.HopSpan{client, sidecar, seen, mirror}, 2, true},
	} {
		requests, open := 0, false
		for _, hop := range visibility.ResolveHops(test.spans, nil) {
			if hop.Role != visibility.RoleSpan {
				requests++
			}
			open = open || hop.Open
		}
		if requests != test.requests || open != test.open {
			t.Errorf("%s: %d requests, open %v", name, requests, open)
		}
	}
}
