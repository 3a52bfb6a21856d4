package lease

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/storetest"
)

func ids(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("clover-collector-%d", i))
	}
	return list
}

// divided are the shares of members that have measured nothing.
func divided(members []string) *shares {
	t := table{Members: map[string]uint64{}}
	for _, id := range members {
		t.Members[id] = 1
	}
	return divide(t)
}

// TestOwnersAreEven holds that shares are even, and that only the share of a
// member that goes moves.
func TestOwnersAreEven(t *testing.T) {
	for _, n := range []int{1, 3, 10} {
		members := ids(n)
		all, fewer := divided(members), divided(members[1:])
		const keys = 4_000
		count := map[string]int{}
		for k := range keys {
			key := fmt.Sprintf("jaeger@tracing:16686/service-%d.default", k)
			before := all.owner(key)
			count[before]++
			if after := fewer.owner(key); before != members[0] && after != before {
				t.Fatalf("%s moved from %s to %s, though neither came nor went", key, before, after)
			}
		}
		for id, c := range count {
			if even := keys / n; c < even*80/100 || c > even*120/100 {
				t.Errorf("%s of %d has %d keys, want about %d", id, n, c, even)
			}
		}
	}
	if got := divided(nil).owner("x"); got != "" {
		t.Errorf("nobody's key belongs to %q", got)
	}
}

func TestALeaseLapsesWhenItRests(t *testing.T) {
	now := time.Now()
	w := watch{self: "a"}
	at := func(second int, numbers ...uint64) []string {
		w.look(table{Members: map[string]uint64{"a": 1, "b": numbers[0]}}, now.Add(time.Duration(second)*time.Second), 4*time.Second)
		_, lapsed := w.renew(table{}, 6*time.Second)
		return lapsed
	}
	for _, step := range []struct {
		second int
		number uint64
		lapsed bool
	}{
		{0, 7, false}, {2, 7, false}, {4, 8, false}, // it rests from here
		{6, 8, false}, {8, 8, false}, {9, 8, false}, {10, 8, true},
		{12, 1, false},                   // it is back, and began anew
		{100, 1, false}, {101, 1, false}, // we ourselves were away, for which it is not to blame
		{103, 1, true}, {104, 2, false},
	} {
		if got := at(step.second, step.number); (len(got) > 0) != step.lapsed {
			t.Errorf("after %d s, at number %d: lapsed %v", step.second, step.number, got)
		}
	}
}

// member is a Group that runs.
type member struct {
	*Group
	stop func()
}

func join(t *testing.T, store visibility.StateSwapper, id string) *member {
	t.Helper()
	g, err := New(store, Options{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	return &member{g, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}}
}

func TestMembersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewReference(storetest.Options{})
		early, err := New(store, Options{ID: "early"})
		if err != nil || early.Owns("x") {
			t.Errorf("it owns something before its lease is stored; %v", err)
		}
		a := join(t, store, "a")
		time.Sleep(time.Second)
		if !a.Owns("x") {
			t.Error("the only member does not own everything")
		}
		b, c := join(t, store, "b"), join(t, store, "c")
		time.Sleep(5 * time.Second)
		for _, m := range []*member{a, b, c} {
			if got := m.Status(); !slices.Equal(got.Members, []string{"a", "b", "c"}) || got.Error != "" {
				t.Errorf("%s sees %+v", m.o.ID, got)
			}
		}
		owners := 0
		for _, m := range []*member{a, b, c} {
			if m.Owns("some service") {
				owners++
			}
		}
		if owners != 1 {
			t.Errorf("%d owners", owners)
		}
		b.stop() // it leaves
		if b.Owns("some service") {
			t.Error("it owns something after it left")
		}
		time.Sleep(2 * time.Second)
		if got := a.Status().Members; !slices.Equal(got, []string{"a", "c"}) {
			t.Errorf("after b left: %v", got)
		}
		a.stop()
		c.stop()
		if held, err := store.State(t.Context(), stateMembers); err != nil || string(held) != `{"members":{}}` {
			t.Errorf("left behind: %s, %v", held, err)
		}
	})
}

func TestAStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewReference(storetest.Options{})
		a, b := join(t, store, "a"), join(t, store, "b")
		time.Sleep(5 * time.Second)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		for _, m := range []*member{a, b} {
			if st := m.Status(); m.Owns("x") || len(st.Members) > 0 || !strings.Contains(st.Error, "closed") {
				t.Errorf("while the store is away: %+v", st)
			}
		}
		store.Reopen()
		time.Sleep(3 * time.Second)
		// Neither was taken for dead.
		for _, m := range []*member{a, b} {
			if st := m.Status(); len(st.Members) != 2 || st.Error != "" {
				t.Errorf("the store is back: %+v", st)
			}
		}
		if err := store.SetState(t.Context(), stateMembers, []byte("nonsense")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if st := a.Status(); !strings.Contains(st.Error, "leases in the store") {
			t.Errorf("%+v", st)
		}
		a.stop()
		b.stop()
	})
	if _, err := New(nil, Options{ID: "a"}); err == nil {
		t.Error("no store is accepted")
	}
	if _, err := New(storetest.NewReference(storetest.Options{}), Options{}); err == nil || errors.Is(err, visibility.ErrInvalid) {
		t.Errorf("no ID: %v", err)
	}
}
