//go:build !linux

package builtin

import "time"

// shortSleep sleeps as exactly as the system's timers can.
func shortSleep(d time.Duration) { time.Sleep(d) }
