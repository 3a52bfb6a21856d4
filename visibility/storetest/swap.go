package storetest

import (
	"errors"
	"strconv"
	"sync"

	"github.com/opnfv/clover/visibility"
)

// testSwapState has something to test in stores that several processes may
// share.
func testSwapState(k *kit) {
	store, ok := k.Store.(visibility.StateSwapper)
	if !ok {
		return
	}
	ctx := k.Context()
	swap := func(old, value string, want bool) {
		k.Helper()
		bytes := func(s string) []byte {
			if s == "-" {
				return nil
			}
			return []byte(s)
		}
		if got, err := store.SwapState(ctx, "lease", bytes(old), bytes(value)); err != nil || got != want {
			k.Errorf("swap %q for %q: %v, %v; want %v", old, value, got, err, want)
		}
	}
	swap("one", "two", false) // there is none
	swap("-", "-", true)
	swap("-", "", true)
	swap("-", "one", false) // there is one, and it is empty
	swap("", "one", true)
	swap("", "two", false)
	swap("One", "two", false)
	k.reopen()
	store = k.Store.(visibility.StateSwapper)
	swap("one", "two", true)
	if got, err := store.State(ctx, "lease"); err != nil || string(got) != "two" {
		k.Errorf("swapped: %q, %v", got, err)
	}
	swap("two", "-", true)
	if _, err := store.State(ctx, "lease"); !errors.Is(err, visibility.ErrNotFound) {
		k.Errorf("removed: %v, want ErrNotFound", err)
	}
	countTogether(k, store)
}

// countTogether lets several count up one number.
func countTogether(k *kit, store visibility.StateSwapper) {
	const counters, each = 4, 10
	var wg sync.WaitGroup
	for range counters {
		wg.Go(func() {
			for done := 0; done < each; {
				held, err := store.State(k.Context(), "number")
				if err != nil && !errors.Is(err, visibility.ErrNotFound) {
					k.Error(err)
					return
				}
				n, _ := strconv.Atoi(string(held)) // nothing is 0
				swapped, err := store.SwapState(k.Context(), "number", held, []byte(strconv.Itoa(n+1)))
				if err != nil {
					k.Error(err)
					return
				}
				if swapped {
					done++
				}
			}
		})
	}
	wg.Wait()
	if got, err := store.State(k.Context(), "number"); err != nil || string(got) != strconv.Itoa(counters*each) {
		k.Errorf("%d counted %d each: %q, %v", counters, each, got, err)
	}
}
