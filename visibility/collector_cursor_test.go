package visibility

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func TestCursorPlan(t *testing.T) {
	opt := CollectorOptions{Again: []time.Duration{2 * time.Second, 20 * time.Second, 10 * time.Minute}}.withDefaults()
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const s, m = time.Second, time.Minute
	// read is a cursor that was read up to a time, and again up to others.
	read := func(watermark time.Duration, again ...time.Duration) *cursor {
		c := &cursor{service: "a", watermark: ago(watermark), spread: true, rate: 1000, width: opt.Window}
		for _, a := range again {
			c.again = append(c.again, ago(a))
		}
		return c
	}
	resumed := func(watermark time.Duration) *cursor {
		c := &cursor{service: "a", width: opt.Window}
		c.resume(ago(watermark), &opt)
		return c
	}
	quiet := read(2*s, 4*s, 22*s, 10*m+40*s)
	quiet.rate = .001
	for name, tc := range map[string]struct {
		cursor *cursor
		reads  [][2]time.Duration
		to     time.Duration
	}{
		"first":             {newCursor("a", ago(25*s), &opt), [][2]time.Duration{{25 * s, 0}}, 0},
		"first, far back":   {newCursor("a", ago(time.Hour), &opt), [][2]time.Duration{{60 * m, 59*m + 30*s}}, 59*m + 30*s},
		"next":              {read(2*s, 4*s, 20500*time.Millisecond, 10*m+29*s), [][2]time.Duration{{4 * s, 0}}, 0},
		"again":             {read(2*s, 4*s, 22*s, 10*m+40*s), [][2]time.Duration{{10*m + 40*s, 10 * m}, {22 * s, 20 * s}, {4 * s, 0}}, 0},
		"a quiet service":   {quiet, [][2]time.Duration{{10*m + 40*s, 0}}, 0},
		"taken over":        {resumed(8 * s), [][2]time.Duration{{11*m + 8*s, 11 * m}, {30 * s, 22 * s}, {10*s + 200*time.Millisecond, 0}}, 0},
		"after an outage":   {resumed(time.Hour), [][2]time.Duration{{71 * m, 61 * m}, {60*m + 22*s, 55 * m}}, 55 * m},
		"the clock is back": {read(-m, -m+2*s, -m+20*s, 9*m), [][2]time.Duration{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := tc.cursor.plan(now, &opt)
			var got [][2]time.Duration
			for _, r := range p.reads {
				got = append(got, [2]time.Duration{now.Sub(r.From), now.Sub(r.To)})
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.reads) || !p.to.Equal(ago(tc.to)) || p.more != (tc.to > 0) {
				t.Errorf("got %v up to %v, more %v; want %v up to %v", got, now.Sub(p.to), p.more, tc.reads, tc.to)
			}
		})
	}
}

// reading is a range that was read at a time, and stored.
type reading struct {
	Range
	at time.Time
}

// found returns the age at which a span is found that starts at a time and
// reaches the source late; 0 if it is not.
func found(readings []reading, start time.Time, late time.Duration) time.Duration {
	for _, r := range readings {
		if !start.Before(r.From) && start.Before(r.To) && r.at.Sub(start) >= late {
			return r.at.Sub(start)
		}
	}
	return 0
}

// TestLateSpansAreFound reads a service for two hours, with outages, failing
// reads, failing writes, slow reads and takeovers, of which some have not
// learnt of the last write. Each span that is late by less than the last age
// has to be found.
func TestLateSpansAreFound(t *testing.T) {
	opt := CollectorOptions{}.withDefaults()
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		now, end := begin, begin.Add(2*time.Hour)
		c := newCursor("a", begin.Add(-opt.Lookback), &opt)
		rate := []int{0, 1, 50, 10_000}[rng.IntN(4)]
		var readings []reading
		for now.Before(end) {
			switch rng.IntN(200) {
			case 0: // another takes over
				mark := c.watermark
				c = &cursor{service: "a"}
				c.resume(mark, &opt)
			case 1:
				now = now.Add(time.Duration(rng.Int64N(int64(20 * time.Minute))))
			}
			p := c.plan(now, &opt)
			at := now
			took := time.Duration(float64(p.length()) * rng.Float64() / 20)
			now = now.Add(took)
			if rng.IntN(20) == 0 {
				c.shrink()
			} else {
				c.done(p, int(float64(rate)*p.length().Seconds()), took, &opt)
				stored := rng.IntN(20) > 0
				if stored || rng.IntN(2) == 0 { // it may be stored without an answer
					for _, r := range p.reads {
						readings = append(readings, reading{r, at})
					}
				}
				if stored {
					c.commit()
				}
			}
			if !p.more {
				now = now.Add(2 * time.Second)
			}
		}
		latest := opt.latest()
		for range 300 {
			start := begin.Add(time.Duration(rng.Int64N(int64(c.watermark.Sub(begin) - latest - slack(latest)))))
			late := time.Duration(rng.Int64N(int64(latest)))
			if found(readings, start, late) == 0 {
				t.Fatalf("seed %d: a span that starts at %v and is late by %v is not found", seed, start.Sub(begin), late)
			}
		}
	}
}

// TestLateSpansAreFoundAtTheNextAge holds how soon late spans are found, and
// how often each is read, while nothing fails.
func TestLateSpansAreFoundAtTheNextAge(t *testing.T) {
	opt := CollectorOptions{}.withDefaults()
	for _, interval := range []time.Duration{2 * time.Second, 15 * time.Second} {
		begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		c := newCursor("a", begin, &opt)
		var readings []reading
		var length time.Duration
		for now := begin; now.Before(begin.Add(time.Hour)); now = now.Add(interval) {
			p := c.plan(now, &opt)
			for _, r := range p.reads {
				readings = append(readings, reading{r, now})
			}
			length += p.length()
			c.done(p, int(10_000*p.length().Seconds()), 0, &opt)
			c.commit()
		}
		if times := length.Minutes() / 60; times > float64(len(opt.Again)+1) {
			t.Errorf("every %v: each span is read %.1f times", interval, times)
		}
		rng := rand.New(rand.NewPCG(1, 1))
		for _, age := range opt.Again {
			for range 100 {
				start := begin.Add(time.Duration(rng.Int64N(int64(30 * time.Minute))))
				late := age - time.Duration(rng.Int64N(int64(age)))
				if got, limit := found(readings, start, late), age+slack(age)+2*interval; got == 0 || got > limit {
					t.Fatalf("every %v: a span that is late by %v is found after %v, want %v at most", interval, late, got, limit)
				}
			}
		}
	}
}

func TestCursorWidthFollowsWhatIsFound(t *testing.T) {
	opt := CollectorOptions{}.withDefaults()
	now := time.Now()
	c := newCursor("a", now.Add(-1000*time.Hour), &opt)
	for range 20 {
		c.done(c.plan(now, &opt), 0, 0, &opt)
	}
	if c.width != maxWindow {
		t.Errorf("width %v after empty windows, want %v", c.width, maxWindow)
	}
	c.done(c.plan(now, &opt), 10*quietWindow, 0, &opt)
	if c.width != maxWindow {
		t.Errorf("width %v after a full window, want no growth", c.width)
	}
	p := c.plan(now, &opt)
	if c.done(p, 10*quietWindow, 10*turn, &opt); c.width != p.length()/10 {
		t.Errorf("width %v after a tenth of %v would have been a turn", c.width, p.length())
	}
	for range 20 {
		c.shrink()
	}
	if c.width != minWindow {
		t.Errorf("width %v after time outs, want %v", c.width, minWindow)
	}
}
