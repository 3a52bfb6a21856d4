package visibility

import (
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	minWindow  = time.Second
	maxWindow  = time.Hour
	firstPause = 500 * time.Millisecond
	// quietWindow is the number of spans up to which a window may grow.
	quietWindow = 1000
)

// backoff counts failures in a row.
type backoff struct{ failures int }

// next returns the pause after one more failure: exponential from half a
// second to limit, the upper half of it random.
func (b *backoff) next(limit time.Duration) time.Duration {
	pause := limit
	if b.failures < 16 {
		pause = min(firstPause<<b.failures, limit)
	}
	b.failures++
	return pause/2 + rand.N(pause/2+1) //nolint:gosec // spreading load needs no secrecy
}

func (b *backoff) reset() { b.failures = 0 }

// cursor is how far one service of one source has been read. It is used by
// one goroutine at a time.
type cursor struct {
	service   string
	watermark time.Time // everything before is in the store
	fresh     bool      // never pulled: watermark is where to begin
	listed    bool      // the source knows the service
	owned     bool      // it is this collector's to read
	width     time.Duration
	lateAt    time.Time // of the last pull that reached back LateLookback
	// The longest durations in this period of LateEvery and the last.
	longest, longestBefore time.Duration

	failing backoff
	nextTry time.Time
	err     error // of the last pull
}

// pullPlan is one pull of a service: what to read, and the watermark after.
type pullPlan struct {
	read Range
	to   time.Time
	more bool // the watermark will still be behind
}

// plan returns the next pull. Far behind, it advances by the window's width;
// else it reads up to now. It begins early enough for spans that were late.
func (c *cursor) plan(now time.Time, opt *CollectorOptions) pullPlan {
	p := pullPlan{to: now}
	if c.width == 0 {
		c.width = opt.Window
	}
	if end := c.watermark.Add(c.width); end.Before(now) {
		p.to, p.more = end, true
	}
	from := c.watermark
	if !c.fresh {
		overlap := min(opt.Overlap+max(c.longest, c.longestBefore), max(opt.LateLookback, opt.Overlap))
		if now.Sub(c.lateAt) >= opt.LateEvery {
			overlap = max(overlap, opt.LateLookback)
		}
		from = from.Add(-overlap)
	}
	if p.to.Before(c.watermark) { // the clock was set back
		p.to = c.watermark
	}
	p.read = Range{From: from, To: p.to}
	return p
}

// observe notes the duration of a span of the service.
func (c *cursor) observe(d time.Duration) { c.longest = max(c.longest, d) }

// done notes that a plan was read and that n spans came. The watermark is
// moved by commit, when the store has it.
func (c *cursor) done(p pullPlan, n int, now time.Time, opt *CollectorOptions) {
	if now.Sub(c.lateAt) >= opt.LateEvery {
		c.lateAt = now
		c.longest, c.longestBefore = 0, c.longest
	}
	switch {
	case !p.more:
		c.width = opt.Window
	case n <= quietWindow:
		c.width = min(2*c.width, max(maxWindow, opt.Window))
	}
	c.failing.reset()
	c.err, c.nextTry = nil, time.Time{}
}

// failure returns the error of the last pull with the service's name.
func (c *cursor) failure() error { return fmt.Errorf("read service %s: %w", c.service, c.err) }

// shrink makes the next window smaller after a source was too slow.
func (c *cursor) shrink() { c.width = max(c.width/2, minWindow) }

// commit moves the watermark.
func (c *cursor) commit(to time.Time) {
	if to.After(c.watermark) {
		c.watermark = to
	}
	c.fresh = false
}
