package visibility

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// SourceState is the health of a source in a word.
type SourceState string

// The states of a source.
const (
	StateStarting   SourceState = "starting"    // no pull has ended yet
	StateOK         SourceState = "ok"          // the last pull succeeded
	StateCatchingUp SourceState = "catching up" // it did, but there is more to read
	StateDegraded   SourceState = "degraded"    // it did for some services only
	StateBackingOff SourceState = "backing off" // it failed and will be tried again
	StateDown       SourceState = "down"        // so did the two before; still tried again
	StateStandby    SourceState = "standby"     // another collector does it
)

// downAfter is the number of failures in a row that make a source down.
const downAfter = 3

// CollectorStatus is what a collector is doing.
type CollectorStatus struct {
	ID      string
	Running bool // Run is under way
	Paused  bool
	// Members are the collectors among which the services of the sources are
	// divided; none if this one does not share them, or cannot now.
	Members []string
	Sources []SourceStatus // by kind and name, traces last; also outputs, such as KindResults
}

// SourceStatus is the account of one source since it was configured.
type SourceStatus struct {
	Name   string // the ledger's name
	Kind   SourceKind
	Target string // URL, "" for a source given in the options
	State  SourceState

	Error       string // why the last pull failed, wholly or in part; "" if it did not
	LastError   string // the last failure, also when it is over
	LastErrorAt time.Time
	LastSuccess time.Time // end of the last pull that succeeded
	NextTry     time.Time
	Failures    int // in a row

	Pulls, Errors int64         // pulls that ended, and those that failed
	LastPull      time.Duration // how long the last one took
	Delivered     int64         // spans or points written to the store
	Kept          int64         // of the spans: those that were new to it

	// Watermark is that of the service that is furthest behind, of those
	// that were read at all; zero for metrics.
	Watermark time.Time
	// Lag is the age of Watermark, or of the last success for metrics.
	Lag      time.Duration
	Services []ServiceProgress // of a trace source, by name
	Missing  []string          // of a metric source: selected, without a value
	Detail   string            // of an output: what is there, in words
}

// ServiceProgress is how far a service of a trace source has been read.
type ServiceProgress struct {
	Service   string
	Watermark time.Time // zero: not read yet
	Listed    bool      // the source has spans of it now
	Error     string    // of the last pull; "" if it succeeded
	NextTry   time.Time // zero: with the next pull
}

// sourceState is a SourceStatus under a lock.
type sourceState struct {
	key sourceKey

	mu       sync.Mutex
	status   SourceStatus
	degraded string // set during a pull
}

func newSourceState(key sourceKey, target string) *sourceState {
	return &sourceState{key: key, status: SourceStatus{Name: key.name, Kind: key.kind, Target: target, State: StateStarting}}
}

// begin notes the start of a pull.
func (s *sourceState) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.degraded = ""
}

// finish notes the end of a pull and returns the status before and after.
func (s *sourceState) finish(began time.Time, pause time.Duration, more bool, err error) (before, after SourceStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, st := time.Now(), &s.status
	before = *st
	st.Pulls++
	st.LastPull = now.Sub(began)
	st.NextTry = now.Add(pause)
	st.Error = s.degraded
	switch {
	case err != nil:
		st.Error = err.Error()
		st.Errors++
		st.Failures++
		st.State = StateBackingOff
		if st.Failures >= downAfter {
			st.State = StateDown
		}
	case s.degraded != "":
		st.State = StateDegraded
	case more:
		st.State = StateCatchingUp
	default:
		st.State = StateOK
	}
	if st.Error != "" {
		st.LastError, st.LastErrorAt = st.Error, now
	}
	if err == nil {
		st.Failures = 0
		st.LastSuccess = now
	}
	return before, *st
}

// degrade notes that services fail, some of them in this pull.
func (s *sourceState) degrade(err error, now int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.degraded = err.Error()
	s.status.Errors += int64(now)
}

// stored notes a batch that the store took.
func (s *sourceState) stored(spans int, r Receipt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Delivered += int64(spans)
	s.status.Kept += int64(r.Kept)
}

// collected notes a reading of metrics.
func (s *sourceState) collected(points int, missing []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Delivered += int64(points)
	s.status.Missing = slices.Clone(missing)
}

func (s *sourceState) setServices(services []ServiceProgress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Services = services // never changed after
	s.status.Watermark = time.Time{}
	for _, p := range services {
		if w := &s.status.Watermark; w.IsZero() || (!p.Watermark.IsZero() && p.Watermark.Before(*w)) {
			*w = p.Watermark
		}
	}
}

// get returns the status as of now.
func (s *sourceState) get(now time.Time) SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	switch {
	case !st.Watermark.IsZero():
		st.Lag = max(now.Sub(st.Watermark), 0)
	case st.Kind == SourceMetrics && !st.LastSuccess.IsZero():
		st.Lag = max(now.Sub(st.LastSuccess), 0)
	}
	return st
}

// Status returns what the collector is doing and how each source is. Every
// error of a source is seen here until it is over, and in LastError after.
func (c *Collector) Status() CollectorStatus {
	c.mu.Lock()
	st := CollectorStatus{ID: c.opt.ID, Running: c.running, Paused: c.paused}
	c.mu.Unlock()
	if c.opt.Share != nil {
		st.Members = c.opt.Share.Members()
	}
	now := time.Now()
	for _, source := range c.snapshot() {
		st.Sources = append(st.Sources, source.get(now))
	}
	if c.opt.Outputs != nil {
		st.Sources = append(st.Sources, c.opt.Outputs()...)
	}
	slices.SortFunc(st.Sources, func(a, b SourceStatus) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return st
}
