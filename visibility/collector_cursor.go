package visibility

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	firstWindow = 30 * time.Second // before it is known how fast a service is read
	minWindow   = time.Second
	maxWindow   = time.Hour
	firstPause  = 500 * time.Millisecond
	// quietWindow is the number of spans up to which a window may grow.
	quietWindow = 1000
	// turn is about how long a service is read before it is the others' turn.
	turn = 2 * time.Second
	// minRate is the rate of a service that is known to have no spans.
	minRate = 1e-3
	// rateMemory is the time over which the rate of a service is averaged.
	rateMemory = time.Minute
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
	// again is, for each age of CollectorOptions.Again, the time before which
	// everything was read when it was at least that old.
	again  []time.Time
	fresh  bool // never pulled: watermark is where to begin
	listed bool // the source knows the service
	owned  bool // it is this collector's to read
	spread bool // it is not in step with the services that began with it
	width  time.Duration
	rate   float64  // spans that come with it, for each second of the source's time
	read   pullPlan // the last that was read

	dueAt   time.Time // when it is read next, unless there is more to read
	failing backoff
	nextTry time.Time
	err     error // of the last pull
}

// pace is how much is at least read again at an age; slack is how much a
// service may be behind with it.
func pace(age time.Duration) time.Duration  { return age / 20 }
func slack(age time.Duration) time.Duration { return age / 10 }

// newCursor returns a cursor of a service that nothing was read of.
func newCursor(service string, begin time.Time, opt *CollectorOptions) *cursor {
	c := &cursor{service: service, watermark: begin, fresh: true}
	for range opt.Again {
		c.again = append(c.again, begin)
	}
	return c
}

// resume goes on from a watermark that the store has. By then the service was
// read again as plan holds it.
func (c *cursor) resume(watermark time.Time, opt *CollectorOptions) {
	c.watermark, c.fresh, c.spread = watermark, false, false
	c.again = make([]time.Time, len(opt.Again))
	for i, age := range opt.Again {
		c.again[i] = watermark.Add(-age - slack(age))
	}
}

// pullPlan is one pull of a service: what to read, oldest first, and how far
// it has been read after.
type pullPlan struct {
	reads []Range
	to    time.Time
	again []time.Time
	more  bool // the watermark will still be behind
}

// length is how much time the plan reads.
func (p *pullPlan) length() (d time.Duration) {
	for _, r := range p.reads {
		d += r.To.Sub(r.From)
	}
	return d
}

// plan returns the next pull: from the watermark up to now, and again what
// has since come of the ages at which that is done. Each of these advances by
// about the window's width at most. The watermark does not get ahead of
// reading again by more than the age and its slack, so that who knows only
// the watermark knows from where on to read again.
func (c *cursor) plan(now time.Time, opt *CollectorOptions) pullPlan {
	if c.width == 0 {
		c.width = min(firstWindow, opt.Window)
	}
	c.setBack(now)
	p := pullPlan{to: minTime(now, c.watermark.Add(c.width)), again: slices.Clone(c.again)}
	for i, age := range opt.Again {
		old := now.Add(-age)
		if old.Sub(c.again[i]) >= pace(age) {
			// Twice as fast as the watermark, which it is to reach after an outage.
			p.again[i] = minTime(old, c.again[i].Add(2*c.width))
		}
		if now.Sub(c.watermark) > 2*turn && old.Before(c.watermark) {
			// What is new goes first.
			p.again[i] = minTime(p.again[i], maxTime(c.again[i], p.to.Add(-age-slack(age))))
		}
		p.to = minTime(p.to, p.again[i].Add(age+slack(age)))
	}
	p.to = maxTime(p.to, c.watermark)
	p.more = p.to.Before(now)
	reads := []Range{{From: c.watermark, To: p.to}}
	for i, from := range c.again {
		p.again[i] = minTime(p.again[i], p.to)
		reads = append(reads, Range{From: from, To: p.again[i]})
	}
	p.reads = union(reads, c.gap(opt.QuerySpans))
	if !p.more && !c.spread {
		// Services that were first read together do not stay in step.
		for i, age := range opt.Again {
			p.again[i] = maxTime(p.again[i].Add(-c.share(pace(age))), c.again[i])
		}
	}
	return p
}

// skip is the plan of a service that the source has nothing of.
func (c *cursor) skip(now time.Time, opt *CollectorOptions) {
	all := cursor{}
	all.resume(maxTime(now, c.watermark), opt)
	c.read = pullPlan{to: all.watermark, again: all.again}
}

// setBack follows a clock that was set back: what is yet to come was not read.
func (c *cursor) setBack(now time.Time) {
	c.watermark = minTime(c.watermark, now)
	for i := range c.again {
		c.again[i] = minTime(c.again[i], c.watermark)
	}
}

// share is a part of d that depends on the service's name.
func (c *cursor) share(d time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(c.service))
	return d * time.Duration(h.Sum32()%1024) / 1024
}

// gap is the time in which so many spans come; none while nothing is known of
// the service.
func (c *cursor) gap(spans int) time.Duration {
	if c.rate == 0 {
		return 0
	}
	return time.Duration(float64(spans) / c.rate * float64(time.Second))
}

// union returns the ranges that are not empty, ordered and joined where there
// is at most gap between them.
func union(list []Range, gap time.Duration) (joined []Range) {
	slices.SortFunc(list, func(a, b Range) int { return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To)) })
	for _, r := range list {
		last := len(joined) - 1
		switch {
		case !r.From.Before(r.To):
		case last < 0 || r.From.Sub(joined[last].To) > gap:
			joined = append(joined, r)
		default:
			joined[last].To = maxTime(joined[last].To, r.To)
		}
	}
	return joined
}

// done notes that a plan was read, that n spans came, and how long it took.
// The watermark is moved by commit, when the store has it.
func (c *cursor) done(p pullPlan, n int, took time.Duration, opt *CollectorOptions) {
	length := p.length()
	if c.rate == 0 || !p.more { // what is past is not the rate of today
		c.measure(n, length)
	}
	c.read = p
	limit := opt.Window
	switch {
	case p.more && n <= quietWindow:
		limit = max(maxWindow, opt.Window)
	case p.more:
		limit = max(c.width, opt.Window)
	}
	if took > 0 { // what is read in a turn at this speed
		limit = time.Duration(min(float64(limit), length.Seconds()/took.Seconds()*float64(turn)))
	}
	c.width = max(min(2*c.width, limit), minWindow)
	c.failing.reset()
	c.err, c.nextTry = nil, time.Time{}
}

// measure notes that n spans came of so much time.
func (c *cursor) measure(n int, length time.Duration) {
	if length <= 0 {
		return
	}
	rate, weight := float64(n)/length.Seconds(), 1.0
	if c.rate > 0 {
		weight = min(float64(length)/float64(rateMemory), 1)
	}
	c.rate = max(c.rate+weight*(rate-c.rate), minRate)
}

// failure returns the error of the last pull with the service's name.
func (c *cursor) failure() error { return fmt.Errorf("read service %s: %w", c.service, c.err) }

// shrink makes the next window smaller after a source was too slow.
func (c *cursor) shrink() { c.width = max(c.width/2, minWindow) }

// commit takes over what the last plan has read.
func (c *cursor) commit() {
	c.watermark, c.again = c.read.to, c.read.again
	c.spread = c.spread || !c.read.more
	c.fresh = false
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
