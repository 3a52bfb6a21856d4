package lease

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// mesh is services with loads that fall as those of words do (Zipf).
func mesh(services int) map[string]float64 {
	loads := map[string]float64{}
	for i := range services {
		loads[fmt.Sprintf("mesh/service-%d.default", i)] = 1e5 / math.Pow(float64(i+1), .7)
	}
	return loads
}

// settle lets members tell what they measure, one after the other, until
// nothing changes, and returns the table and how often keys moved.
func settle(t *testing.T, tab table, loads map[string]float64, noise func() float64) (table, int) {
	t.Helper()
	moved := 0
	for range 10 {
		before := divide(tab)
		for _, id := range slices.Sorted(maps.Keys(tab.Members)) {
			own, s := map[string]float64{}, divide(tab)
			for _, key := range slices.Sorted(maps.Keys(loads)) {
				if s.owner(key) == id {
					own[key] = loads[key] * noise()
				}
			}
			next := table{Members: tab.Members}
			next.tell(tab, id, own, true)
			tab = next
		}
		after := divide(tab)
		for key := range loads {
			if before.owner(key) != after.owner(key) {
				moved++
			}
		}
	}
	return tab, moved
}

// busiest returns the highest load of a member, and the mean.
func busiest(tab table, loads map[string]float64) (most, mean float64) {
	sums, s := map[string]float64{}, divide(tab)
	for key, load := range loads {
		sums[s.owner(key)] += load
		mean += load / float64(len(tab.Members))
	}
	return slices.Max(slices.Collect(maps.Values(sums))), mean
}

func tableOf(n int) table {
	tab := table{Members: map[string]uint64{}}
	for _, id := range ids(n) {
		tab.Members[id] = 1
	}
	return tab
}

func exactly() float64 { return 1 }

// TestSharesAreEvenByLoad holds that a member has little more than an even
// share, or one hot key; and that the state stays small.
func TestSharesAreEvenByLoad(t *testing.T) {
	for _, c := range []struct{ members, services int }{{2, 10}, {3, 50}, {16, 200}} {
		loads := mesh(c.services)
		tab, _ := settle(t, tableOf(c.members), loads, exactly)
		most, mean := busiest(tab, loads)
		hottest := slices.Max(slices.Collect(maps.Values(loads)))
		if limit := max(1.35*mean, hottest+.1*mean); most > limit {
			t.Errorf("%d members, %d services: the busiest has %.2f of the mean, the hottest service %.2f", c.members, c.services, most/mean, hottest/mean)
		}
		if hot := len(tab.Hot); hot > 8*c.members {
			t.Errorf("%d members: %d hot keys", c.members, hot)
		}
		if text, err := tab.encode(); err != nil || len(text) > c.members*500 {
			t.Errorf("the state of %d members has %d bytes, %v", c.members, len(text), err)
		}
	}
}

// TestSharesRest holds that nothing moves while loads only waver, and that
// shares follow when one grows.
func TestSharesRest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	loads := mesh(100)
	tab, _ := settle(t, tableOf(5), loads, exactly)
	tab, moved := settle(t, tab, loads, func() float64 { return .85 + .3*rng.Float64() })
	if moved > 2 { // a key that is just so hot may begin to count as hot
		t.Errorf("%d keys moved while loads wavered by 15 %%", moved)
	}
	grows := "mesh/service-60.default"
	loads[grows] = 5 * loads["mesh/service-0.default"]
	unsettled := table{Members: tab.Members}
	unsettled.tell(tab, ids(1)[0], map[string]float64{grows: loads[grows]}, false)
	if !divide(tab).same(unsettled) || unsettled.Loads[ids(1)[0]] != loads[grows] {
		t.Errorf("before the members have settled: %+v", unsettled)
	}
	tab, moved = settle(t, tab, loads, exactly)
	if most, mean := busiest(tab, loads); tab.Hot[grows] == 0 || most > max(1.35*mean, loads[grows]+.1*mean) {
		t.Errorf("after a service grew the busiest member has %.2f of the mean", most/mean)
	}
	if moved == 0 {
		t.Error("nothing moved when a service grew")
	}
	loads[grows] = 1
	tab, _ = settle(t, tab, loads, exactly)
	if _, hot := tab.Hot[grows]; hot {
		t.Error("it counts as hot after it shrank")
	}
}

// TestOneMemberLessMovesLittle holds that when a member goes, most of what
// the others have stays.
func TestOneMemberLessMovesLittle(t *testing.T) {
	loads := mesh(300)
	tab, _ := settle(t, tableOf(10), loads, exactly)
	before := divide(tab)
	for _, gone := range ids(10) {
		less := table{Members: maps.Clone(tab.Members), Sum: tab.Sum, Hot: tab.Hot}
		delete(less.Members, gone)
		after, moved, had := divide(less), 0, 0
		for key := range loads {
			switch was := before.owner(key); {
			case was == gone:
				had++
			case was != after.owner(key):
				moved++
			}
		}
		if moved > had+len(loads)/5 {
			t.Errorf("without %s, which had %d, %d others of %d keys moved", gone, had, moved, len(loads))
		}
	}
}

// TestTablesOfBefore holds that a state without loads is read, and that who
// has measured nothing writes none.
func TestTablesOfBefore(t *testing.T) {
	tab, err := parse([]byte(`{"members":{"a":1,"b":2}}`))
	if err != nil || len(tab.Members) != 2 || divide(tab).owner("x") == "" {
		t.Fatalf("%+v, %v", tab, err)
	}
	next := table{Members: tab.Members}
	next.tell(tab, "a", nil, true)
	if text, err := next.encode(); err != nil || string(text) != `{"members":{"a":1,"b":2}}` {
		t.Errorf("%s, %v", text, err)
	}
}
