package session

import "time"

const (
	// farTime is how far from the engine's time a segment's may be.
	farTime = 2 * time.Minute
	// believed is how many segments in a row have another time before it counts.
	believed = 8
)

// clock is the engine's time. It goes on with that of the segments, and never
// back. A segment whose time is far from it, by a broken clock or by intent, is
// not believed, nor are a few in a row; more show that time has passed in which
// nothing was captured, or that the clock of the capture was set back.
type clock struct {
	now     time.Time
	offset  time.Duration // of now to the segments' times
	strange int           // segments in a row that were not believed
}

// segment takes the time of a segment.
func (c *clock) segment(at time.Time) {
	if c.now.IsZero() {
		c.now = at
		return
	}
	ahead := at.Add(c.offset).Sub(c.now)
	if ahead > farTime || ahead < -farTime {
		if c.strange++; c.strange < believed {
			return
		}
		if ahead < 0 {
			c.offset -= ahead
		}
	}
	c.strange = 0
	c.now = c.now.Add(max(ahead, 0))
}

// tick takes the time of a clock that can be trusted.
func (c *clock) tick(at time.Time) {
	if c.now.IsZero() {
		c.now = at
		return
	}
	ahead := at.Add(c.offset).Sub(c.now)
	if ahead < -farTime { // it was set back
		c.offset -= ahead
	}
	c.now = c.now.Add(max(ahead, 0))
}

// since returns a time of a segment in the engine's.
func (c *clock) since(at time.Time) time.Time {
	at = at.Add(c.offset)
	if ago := c.now.Sub(at); ago < 0 || ago > farTime {
		return c.now
	}
	return at
}

// wall is the time now in the segments'.
func (c *clock) wall() time.Time { return c.now.Add(-c.offset) }
