package testutil

import (
	"testing"
	"time"
)

const (
	firstPoll = 2 * time.Millisecond
	lastPoll  = 100 * time.Millisecond
)

// Eventually calls the condition until it is true, at growing intervals of
// 2 to 100 ms, and ends the test if that takes longer than limit. state
// describes what the condition saw; the last one is in the failure's message.
func Eventually(t testing.TB, limit time.Duration, condition func() (ok bool, state string)) {
	t.Helper()
	start := time.Now()
	for wait := firstPoll; ; wait = min(2*wait, lastPoll) {
		ok, state := condition()
		if ok {
			return
		}
		if time.Since(start) > limit {
			t.Fatalf("not within %s: %s", limit, state)
		}
		time.Sleep(wait)
	}
}
