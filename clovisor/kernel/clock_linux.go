package kernel

import (
	"time"

	"golang.org/x/sys/unix"
)

// clockSlack is by how much the wall clock may differ before the offset is
// changed: steps of less would only be noise between two segments.
const clockSlack = 50 * time.Microsecond

// clock turns times of a clock of the kernel into wall time. The offset is
// measured anew for each batch of records, so that it follows NTP.
type clock struct {
	id     int32
	offset int64
}

// measure returns wall time less the clock's time, from the closest of a few
// pairs of readings.
func (c *clock) measure() int64 {
	var best, width int64 = 0, 1 << 62
	for range 3 {
		before := readClock(c.id)
		wall := readClock(unix.CLOCK_REALTIME)
		after := readClock(c.id)
		if after-before < width {
			width, best = after-before, wall-before-(after-before)/2
		}
	}
	return best
}

// adjust follows the wall clock.
func (c *clock) adjust() {
	offset := c.measure()
	if d := time.Duration(offset - c.offset).Abs(); d > clockSlack {
		c.offset = offset
	}
}

func (c *clock) wall(ns int64) time.Time { return time.Unix(0, ns+c.offset) }

func readClock(id int32) int64 {
	var t unix.Timespec
	// It cannot fail for the clocks that are read here.
	_ = unix.ClockGettime(id, &t)
	return t.Nano()
}
