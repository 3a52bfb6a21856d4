package monitoring

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Growth is how much a counter grew.
type Growth struct {
	Increase float64 // what was counted, restarts included
	Resets   int     // how often it started again from zero
	Skipped  int     // values left out because they were NaN or infinite
}

// Increase tells how much the counter in s grew from its first value to its
// last. A value below the one before means that the process started anew, and
// what it shows was counted since; what was counted between the last scrape
// and the restart is lost, as it is to any reader.
//
// This is the exact difference between samples. PromQL's increase() finds the
// same resets and the same raw difference, and then extrapolates it to the
// ends of the window: for a window w with first and last sample d apart, it
// answers about Increase × w/d, also for counters that only take whole
// numbers. Give raw samples (see [Client.Raw]); values at steps may hide a
// reset between two steps.
func Increase(s Series) Growth {
	var g Growth
	last, started := 0.0, false
	for _, v := range s.Values {
		if !isReal(v.Value) {
			g.Skipped++
			continue
		}
		if started {
			delta, reset := step(last, v.Value)
			g.Increase += delta
			g.Resets += reset
		}
		last, started = v.Value, true
	}
	return g
}

// step is the growth from one value of a counter to the next.
func step(from, to float64) (delta float64, resets int) {
	if to < from {
		return to, 1
	}
	return to - from, 0
}

func isReal(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// DefaultTrackerSeries is the default bound of a [Tracker].
const DefaultTrackerSeries = 500_000

// Tracker follows the counters of successive collections series by series, so
// that a restarted pod, a new pod or one that went away does not bend the sum:
// the sum over pods may fall without any counter having gone backwards. Its
// zero value is ready for use; it is safe for concurrent use.
type Tracker struct {
	// MaxSeries bounds what is remembered; 0 = DefaultTrackerSeries. Series
	// above it are counted in Delta.Untracked.
	MaxSeries int
	// Forget is how long a series that is gone is remembered, by the time of
	// the collections; 0 = DefaultStaleWindow. It exceeds the server's
	// look-back, so that a gap in scraping is no new series.
	Forget time.Duration

	mu     sync.Mutex
	series map[string]tracked
	latest time.Time
}

type tracked struct {
	value float64
	at    time.Time
}

// Delta is the growth of one name between two collections.
type Delta struct {
	Growth
	New       int // series seen for the first time; they add nothing yet
	Untracked int // series above the tracker's bound; they add nothing
}

// Observe takes a collection and returns the growth of each of its names since
// the one before. Of a histogram, only the count of all observations is
// followed. A sample that was seen before, or that is older than what is
// known, changes nothing.
func (t *Tracker) Observe(c Collection) map[string]Delta {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.series == nil {
		t.series = make(map[string]tracked)
	}
	out := make(map[string]Delta, len(c.Points))
	for i := range c.Points {
		p := &c.Points[i]
		var d Delta
		for _, s := range p.Members {
			if le, ok := bucketBound(p.Name, s.Labels); !ok || math.IsInf(le, 1) {
				t.observe(p.Name, s, &d)
			}
		}
		out[p.Name] = d
	}
	t.forget()
	return out
}

func (t *Tracker) observe(name string, s Sample, d *Delta) {
	key := name + "\xff" + seriesKey(s)
	old, known := t.series[key]
	switch {
	case !known && len(t.series) >= cmp.Or(t.MaxSeries, DefaultTrackerSeries):
		d.Untracked++
		return
	case !known:
		d.New++
	case !s.Time.After(old.at):
		return
	default:
		delta, resets := step(old.value, s.Value)
		d.Increase += delta
		d.Resets += resets
	}
	t.series[key] = tracked{s.Value, s.Time}
	if s.Time.After(t.latest) {
		t.latest = s.Time
	}
}

func (t *Tracker) forget() {
	oldest := t.latest.Add(-cmp.Or(t.Forget, DefaultStaleWindow))
	maps.DeleteFunc(t.series, func(_ string, s tracked) bool { return s.at.Before(oldest) })
}

// seriesKey identifies a series: its name and its labels in order.
func seriesKey(s Sample) string {
	var b strings.Builder
	b.WriteString(s.Metric)
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		b.WriteByte(0xff)
		b.WriteString(name)
		b.WriteByte(0xff)
		b.WriteString(s.Labels[name])
	}
	return b.String()
}
