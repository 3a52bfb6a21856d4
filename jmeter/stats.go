package jmeter

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Bounds of [Results]; what goes beyond is counted together.
const (
	MaxLabels   = 1000
	MaxCodes    = 100
	OtherLabel  = "(other labels)"
	otherCodes  = "(other)"
	MaxTimeline = 600 // intervals
)

// Stats are the numbers of one label, or of all. Counts, minimum, mean and
// maximum are exact, percentiles within RelativeError.
type Stats struct {
	Label         string
	Count, Errors int64
	Codes         map[string]int64 // results by code
	Failures      map[string]int64 // failed results by reason
	Min, Max, Sum time.Duration
	Bytes         int64
	First, Last   time.Time // first start and last end
	Latency       Sketch    // of Sample.Elapsed
	Transaction   bool
}

// Add adds a sample.
func (s *Stats) Add(x *Sample) {
	if s.Count == 0 || x.Elapsed < s.Min {
		s.Min = x.Elapsed
	}
	s.Max = max(s.Max, x.Elapsed)
	s.Count++
	s.Sum += x.Elapsed
	s.Bytes += x.Bytes
	s.Latency.Add(x.Elapsed)
	s.span(x.Start, x.Start.Add(x.Elapsed))
	s.Codes = countIn(s.Codes, x.Code, 1)
	if !x.Success {
		s.Errors++
		s.Failures = countIn(s.Failures, cmp.Or(x.Failure, x.Message, x.Code), 1)
	}
}

func (s *Stats) span(first, last time.Time) {
	if s.First.IsZero() || first.Before(s.First) {
		s.First = first
	}
	if last.After(s.Last) {
		s.Last = last
	}
}

// countIn counts a key of a map of limited size.
func countIn(m map[string]int64, key string, n int64) map[string]int64 {
	if m == nil {
		m = map[string]int64{}
	}
	if _, known := m[key]; !known && len(m) >= MaxCodes {
		key = otherCodes
	}
	m[key] += n
	return m
}

// Merge adds the numbers of another.
func (s *Stats) Merge(o *Stats) {
	if o.Count == 0 {
		return
	}
	if s.Count == 0 || o.Min < s.Min {
		s.Min = o.Min
	}
	s.Max = max(s.Max, o.Max)
	s.Count += o.Count
	s.Errors += o.Errors
	s.Sum += o.Sum
	s.Bytes += o.Bytes
	s.Latency.Merge(&o.Latency)
	s.span(o.First, o.Last)
	for code, n := range o.Codes {
		s.Codes = countIn(s.Codes, code, n)
	}
	for reason, n := range o.Failures {
		s.Failures = countIn(s.Failures, reason, n)
	}
}

// Mean returns the mean of Elapsed.
func (s *Stats) Mean() time.Duration {
	if s.Count == 0 {
		return 0
	}
	return s.Sum / time.Duration(s.Count)
}

// Rate returns results a second, from the first start to the last end.
func (s *Stats) Rate() float64 {
	d := s.Last.Sub(s.First)
	if d <= 0 {
		return 0
	}
	return float64(s.Count) / d.Seconds()
}

// ErrorRate returns the share of errors, 0 to 1.
func (s *Stats) ErrorRate() float64 {
	if s.Count == 0 {
		return 0
	}
	return float64(s.Errors) / float64(s.Count)
}

// Quantile returns a quantile of Elapsed. It is never outside of what was seen.
func (s *Stats) Quantile(q float64) time.Duration {
	return min(max(s.Latency.Quantile(q), s.Min), s.Max)
}

// Results are the numbers of a run in constant memory. The zero value is
// empty. It is not safe for concurrent use.
type Results struct {
	// All is over every request; results of transactions are not in it.
	All Stats
	// Missed are iterations of a constant rate that were never begun, because
	// MaxThreads users were busy; Begun are those that were.
	Missed, Begun int64

	labels   map[string]*Stats
	timeline timeline
}

// Add adds a sample.
func (r *Results) Add(x *Sample) {
	r.label(x.Label, x.Transaction).Add(x)
	if !x.Transaction {
		r.All.Add(x)
		r.timeline.add(x)
	}
}

func (r *Results) label(name string, transaction bool) *Stats {
	if s := r.labels[name]; s != nil {
		return s
	}
	if r.labels == nil {
		r.labels = map[string]*Stats{}
	}
	if len(r.labels) >= MaxLabels && name != OtherLabel {
		return r.label(OtherLabel, false)
	}
	s := &Stats{Label: name, Transaction: transaction}
	r.labels[name] = s
	return s
}

// Merge adds the numbers of another run, or of another part of this one.
func (r *Results) Merge(o *Results) {
	r.All.Merge(&o.All)
	r.Missed += o.Missed
	r.Begun += o.Begun
	for _, s := range o.Labels() {
		r.label(s.Label, s.Transaction).Merge(s)
	}
	r.timeline.merge(&o.timeline)
}

// Labels returns the numbers of each label, by name.
func (r *Results) Labels() []*Stats {
	names := slices.Sorted(maps.Keys(r.labels))
	list := make([]*Stats, len(names))
	for i, name := range names {
		list[i] = r.labels[name]
	}
	return list
}

// MissedShare returns the share of a constant rate's iterations that were never
// begun, 0 to 1.
func (r *Results) MissedShare() float64 {
	if r.Missed == 0 {
		return 0
	}
	return float64(r.Missed) / float64(r.Missed+r.Begun)
}

// Label returns the numbers of a label, nil if there was none.
func (r *Results) Label(name string) *Stats { return r.labels[name] }

// Interval is a piece of a run's time.
type Interval struct {
	Start  time.Time
	Length time.Duration
	Count  int64
	Errors int64
	Sum    time.Duration
	Max    time.Duration
}

// Timeline returns the run's time in at most MaxTimeline pieces of one length.
func (r *Results) Timeline() []Interval { return r.timeline.intervals() }

// timeline counts per interval; the intervals double when they get too many.
type timeline struct {
	start  int64 // Unix time of slot 0 in units of width
	width  int64 // seconds
	counts []Interval
}

func (t *timeline) add(x *Sample) {
	end := x.Start.Add(x.Elapsed)
	s := t.slot(end.Unix())
	s.Count++
	s.Sum += x.Elapsed
	s.Max = max(s.Max, x.Elapsed)
	if !x.Success {
		s.Errors++
	}
}

// slot returns the interval of a Unix time.
func (t *timeline) slot(unix int64) *Interval {
	if t.width == 0 {
		t.width = 1
	}
	for {
		at := unix / t.width
		if len(t.counts) == 0 {
			t.start = at
		}
		lo, hi := min(at, t.start), max(at, t.start+int64(len(t.counts))-1)
		if hi-lo+1 > MaxTimeline {
			t.double()
			continue
		}
		if at < t.start {
			t.counts = slices.Insert(t.counts, 0, make([]Interval, t.start-at)...)
			t.start = at
		}
		if n := at - t.start + 1 - int64(len(t.counts)); n > 0 {
			t.counts = append(t.counts, make([]Interval, n)...)
		}
		return &t.counts[at-t.start]
	}
}

func (t *timeline) double() {
	old := *t
	t.width, t.start = old.width*2, old.start>>1
	t.counts = make([]Interval, 0, MaxTimeline)
	for i, c := range old.counts {
		for int64(len(t.counts)) <= (old.start+int64(i))>>1-t.start {
			t.counts = append(t.counts, Interval{})
		}
		t.counts[len(t.counts)-1].merge(c)
	}
}

func (i *Interval) merge(o Interval) {
	i.Count += o.Count
	i.Errors += o.Errors
	i.Sum += o.Sum
	i.Max = max(i.Max, o.Max)
}

func (t *timeline) merge(o *timeline) {
	for i, c := range o.counts {
		t.slot((o.start + int64(i)) * o.width).merge(c)
	}
}

func (t *timeline) intervals() []Interval {
	out := slices.Clone(t.counts)
	for i := range out {
		out[i].Start = time.Unix((t.start+int64(i))*t.width, 0).UTC()
		out[i].Length = time.Duration(t.width) * time.Second
	}
	return out
}
