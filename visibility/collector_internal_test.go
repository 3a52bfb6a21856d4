package visibility

import (
	"testing"
	"time"

	"github.com/opnfv/clover/tracing"
)

func TestBackoffGrowsToItsLimit(t *testing.T) {
	var b backoff
	for i := range 100 {
		want := min(firstPause<<min(i, 16), 30*time.Second)
		if got := b.next(30 * time.Second); got < want/2 || got > want {
			t.Fatalf("pause %d is %v, want %v to %v", i, got, want/2, want)
		}
	}
	b.reset()
	if got := b.next(30 * time.Second); got > firstPause {
		t.Errorf("after success the first pause is %v", got)
	}
	if got := b.next(time.Millisecond); got > time.Millisecond {
		t.Errorf("pause %v with a limit of 1 ms", got)
	}
}

func TestBackoffSpreadsLoad(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 50 {
		seen[(&backoff{failures: 6}).next(time.Minute)] = true
	}
	if len(seen) < 40 {
		t.Errorf("%d different pauses of 50", len(seen))
	}
}

func TestCursorPlan(t *testing.T) {
	opt := CollectorOptions{}.withDefaults()
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, tc := range map[string]struct {
		cursor   cursor
		from, to time.Time
		more     bool
	}{
		"first":               {cursor{watermark: ago(time.Minute), fresh: true}, ago(time.Minute), now, false},
		"first, far back":     {cursor{watermark: ago(time.Hour), fresh: true}, ago(time.Hour), ago(55 * time.Minute), true},
		"next":                {cursor{watermark: ago(2 * time.Second), lateAt: ago(time.Second)}, ago(32 * time.Second), now, false},
		"long spans":          {cursor{watermark: ago(2 * time.Second), lateAt: ago(time.Second), longest: time.Minute}, ago(92 * time.Second), now, false},
		"long spans before":   {cursor{watermark: ago(2 * time.Second), lateAt: ago(time.Second), longestBefore: time.Minute}, ago(92 * time.Second), now, false},
		"longest":             {cursor{watermark: ago(0), lateAt: ago(time.Second), longest: 24 * time.Hour}, ago(10 * time.Minute), now, false},
		"far look back":       {cursor{watermark: ago(0), lateAt: ago(2 * time.Minute)}, ago(10 * time.Minute), now, false},
		"after a restart":     {cursor{watermark: ago(0)}, ago(10 * time.Minute), now, false},
		"wider":               {cursor{watermark: ago(time.Hour), lateAt: ago(0), width: 20 * time.Minute}, ago(time.Hour + 30*time.Second), ago(40 * time.Minute), true},
		"the clock went back": {cursor{watermark: now.Add(time.Minute), lateAt: ago(0)}, now.Add(30 * time.Second), now.Add(time.Minute), false},
	} {
		t.Run(name, func(t *testing.T) {
			p := tc.cursor.plan(now, &opt)
			if !p.read.From.Equal(tc.from) || !p.read.To.Equal(tc.to) || !p.to.Equal(tc.to) || p.more != tc.more {
				t.Errorf("got %v to %v, more %v; want %v to %v, more %v", p.read.From, p.read.To, p.more, tc.from, tc.to, tc.more)
			}
		})
	}
}

func TestCursorWidthFollowsWhatIsFound(t *testing.T) {
	opt := CollectorOptions{}.withDefaults()
	now := time.Now()
	c := cursor{watermark: now.Add(-1000 * time.Hour), lateAt: now}
	for range 10 {
		c.done(c.plan(now, &opt), 0, now, &opt)
	}
	if c.width != maxWindow {
		t.Errorf("width %v after empty windows, want %v", c.width, maxWindow)
	}
	c.done(c.plan(now, &opt), 10*quietWindow, now, &opt)
	if c.width != maxWindow {
		t.Errorf("width %v after a full window, want no growth", c.width)
	}
	for range 20 {
		c.shrink()
	}
	if c.width != minWindow {
		t.Errorf("width %v after time outs, want %v", c.width, minWindow)
	}
}

func TestRecentSpansIsBounded(t *testing.T) {
	r := newRecentSpans(100)
	key := func(i int) spanKey { return spanKey{trace: tracing.TraceID{byte(i), byte(i >> 8)}} }
	for i := range 1000 {
		r.add(key(i))
		if !r.has(key(i)) || !r.has(key(max(i-49, 0))) {
			t.Fatalf("span %d: the last 50 are not remembered", i)
		}
		if n := len(r.old) + len(r.new); n > 100 {
			t.Fatalf("%d are held", n)
		}
	}
	if r.has(key(800)) {
		t.Error("an old one is still there")
	}
}
