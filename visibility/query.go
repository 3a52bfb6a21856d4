package visibility

import (
	"time"

	"github.com/opnfv/clover/tracing"
)

// CountMode says what a statistic counts.
type CountMode uint8

const (
	// CountRequests counts each request once a hop: at the server's side, or
	// at the client's where no server's side exists. The default.
	CountRequests CountMode = iota
	// CountSpans counts every span, as Clover did in 2019.
	CountSpans
)

// String returns "requests" or "spans".
func (m CountMode) String() string {
	if m == CountSpans {
		return "spans"
	}
	return "requests"
}

// ParseCountMode reads "requests", "spans" or "" (requests).
func ParseCountMode(s string) (CountMode, error) {
	switch s {
	case "", "requests":
		return CountRequests, nil
	case "spans":
		return CountSpans, nil
	}
	return 0, invalidf("count %q is not known; want requests or spans", s)
}

// Range is the half-open interval [From, To).
type Range struct{ From, To time.Time }

// Query asks for statistics. It compiles to the same answer on every store.
type Query struct {
	Range   Range
	Filter  *Filter     // nil: everything
	GroupBy []Dimension // none: one group of everything
	Count   CountMode
	// Step asks for a series of each group with points this far apart.
	// 0: totals only.
	Step time.Duration
	// OrderBy is the measure by which groups are sorted, largest first
	// unless Ascending. "" means by count.
	OrderBy   Measure
	Ascending bool
	// Limit is the largest number of groups returned; the rest is merged
	// into Result.Rest. 0: DefaultLimit; more than MaxLimit is refused.
	Limit int
}

// Limits of a Query.
const (
	DefaultLimit  = 100
	MaxLimit      = 10_000
	MaxGroups     = 100_000 // distinct groups held while answering
	MaxPoints     = 11_000  // points of a series, as Prometheus has it
	MaxCells      = 200_000 // points of all series together
	DefaultWindow = 15 * time.Minute
)

// Measure names a column of a Group to sort by.
type Measure string

// The measures.
const (
	MeasureCount     Measure = "count"
	MeasureRate      Measure = "rate"
	MeasureErrors    Measure = "errors"
	MeasureErrorRate Measure = "error_rate"
	MeasureMin       Measure = "min"
	MeasureMean      Measure = "mean"
	MeasureMax       Measure = "max"
	MeasureSum       Measure = "sum"
	MeasureP50       Measure = "p50"
	MeasureP90       Measure = "p90"
	MeasureP95       Measure = "p95"
	MeasureP99       Measure = "p99"
)

// Group is one row of an answer.
type Group struct {
	Values    []string // as Query.GroupBy
	Aggregate Aggregate
	Series    []Point // if Query.Step is set; empty steps are left out
}

// Point is one step of a series.
type Point struct {
	Time      time.Time // start of the step
	Aggregate Aggregate
}

// Result is the answer to a Query.
type Result struct {
	Range        Range         // as answered: snapped outwards to bucket bounds
	Observed     time.Duration // of the range: from the first span in the store to now; rates are over it
	Step         time.Duration // as answered: wider where old buckets have been merged
	GroupBy      []Dimension
	Count        CountMode
	Groups       []Group
	Total        Aggregate // of all groups
	Rest         Aggregate // of the groups beyond Limit
	RestGroups   int
	Completeness Completeness
}

// Completeness says what an answer is based on and what is missing.
type Completeness struct {
	// Complete is true when nothing below takes anything from the answer.
	Complete bool
	// Watermark is the time up to which every source has been read; zero
	// when there is no pulled source.
	Watermark time.Time
	// Open is the number of requests in the answer of which only one side
	// has arrived so far and for which the other is still waited for.
	Open int64
	// Notes name what is missing, late or approximate.
	Notes []Note
}

// Note is one reason why an answer is not complete.
type Note struct {
	Code    string // "late", "rejected", "truncated", "dropped", "overflow", "approximate", "source_down", "range_snapped", "begins", "step_widened", "expired", "results_behind", "spooled"
	Source  string
	Service string
	Count   int64
	Detail  string // a sentence for people
}

// TraceQuery asks for traces, newest first.
type TraceQuery struct {
	Range       Range
	Filter      *Filter // a trace matches if one of its spans does; nil: all
	Service     string  // a span of this service must be in it; "": any
	MinDuration time.Duration
	Limit       int    // 0: 20; at most MaxLimit
	Cursor      string // where the previous page ended
}

// TraceSummary is one row of a trace search.
type TraceSummary struct {
	TraceID   tracing.TraceID
	Start     time.Time
	Duration  time.Duration // from the first start to the last end
	Root      string        // service of the root, or of the earliest span
	Operation string        // operation of the same span
	URL       string
	Status    int
	Services  []string // sorted
	Spans     int
	Errors    int
}

// TracePage is one page of a trace search.
type TracePage struct {
	Traces []TraceSummary
	Next   string // cursor of the next page; "" at the end
}
