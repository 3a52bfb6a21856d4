package builtin

import (
	"syscall"
	"time"
)

// shortSleep sleeps for less than timers of Go can: these wait for the network
// with a resolution of a millisecond.
func shortSleep(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil) // a signal ends it early; the caller looks at the clock
}
