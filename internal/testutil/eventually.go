package testutil

import (
	"testing"
	"time"
)

const (
	firstPoll = 2 * time.Millisecond
	lastPoll  = 100 * time.Millisecond
)

// patience is the least that is waited for what is to happen. A machine that
// has other work takes many times as long as one that is idle, and a test that
// passes does not wait. A variable for the tests of this package.
var patience = 2 * time.Minute

// Eventually calls the condition until it is true, at growing intervals of
// 2 to 100 ms, and ends the test if that takes longer than limit and than two
// minutes, for the machine may be busy. state describes what the condition
// saw; the last one is in the failure's message.
func Eventually(t testing.TB, limit time.Duration, condition func() (ok bool, state string)) {
	t.Helper()
	start, limit := time.Now(), max(limit, patience)
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
