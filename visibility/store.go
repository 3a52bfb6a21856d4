package visibility

import (
	"context"
	"time"

	"github.com/opnfv/clover/tracing"
)

// Store keeps spans, their rollups, metrics, the ledger and small pieces of
// state. All methods may be called concurrently. Every store passes
// visibility/storetest.
type Store interface {
	Writer
	RollupReader
	TraceReader
	MetricReader
	LedgerReader
	StateStore
	Admin
}

// Writer takes what sources deliver.
type Writer interface {
	// Write stores a batch as a whole or not at all. When it returns nil the
	// batch is durable: no crash of the process or machine loses it. Spans
	// that are in the store already are counted as duplicates and change
	// nothing, so a batch may be written again after an error. The store
	// does not keep the batch or its spans after return.
	//
	// Backpressure: Write blocks while the store's queue is full, until ctx
	// ends. An error that matches ErrUnavailable may be retried.
	Write(ctx context.Context, b *Batch) (Receipt, error)
}

// Batch is what one delivery of one source adds to the store, atomically.
type Batch struct {
	Source  string // e.g. "jaeger", "otlp"; the ledger's first key
	Spans   []tracing.Span
	Metrics []MetricPoint
	// Ledger is what the source saw but could not deliver.
	Ledger []Loss
	// Watermarks say, for each service, that everything the source had
	// before that time has been delivered with or before this batch.
	Watermarks map[string]time.Time
}

// Receipt tells what became of a batch's spans.
type Receipt struct {
	Kept       int
	Duplicates int
	Rejected   map[string]int // reason → number; see the Reject constants
	// Spooled spans are durable beside the store, which is away: what becomes
	// of them is known when it has them.
	Spooled int
}

// Add adds what became of more spans.
func (r *Receipt) Add(more Receipt) {
	r.Kept += more.Kept
	r.Duplicates += more.Duplicates
	r.Spooled += more.Spooled
	for reason, n := range more.Rejected {
		if r.Rejected == nil {
			r.Rejected = map[string]int{}
		}
		r.Rejected[reason] += n
	}
}

// Reasons for which a store rejects a span.
const (
	RejectExpired = "expired"    // older than the retention
	RejectFuture  = "future"     // starts more than an hour ahead of the clock
	RejectInvalid = "invalid_id" // trace or span id is zero
	RejectSize    = "too_large"  // encoded, larger than the store's limit
)

// RollupReader reads the sums kept as spans arrive.
type RollupReader interface {
	// Rollups calls yield for each row and bucket that lies in r, in no
	// particular order, each span's contribution exactly once. r is first
	// snapped outwards to the finest buckets that the store has for it
	// (Coverage.Finest). Each bucket lies within one interval [k·width,
	// (k+1)·width), counted from 1970, as far as Finest divides width (0: any
	// buckets). The Rollup and what it points to are only valid during the
	// call. An error from yield ends the reading and is returned.
	Rollups(ctx context.Context, r Range, width time.Duration, yield func(*Rollup) error) (Coverage, error)
}

// Rollup is the aggregate of the spans of one key and role in one bucket.
type Rollup struct {
	// Row identifies (Role, Key) within one call of Rollups, so that callers
	// may remember what they decided for it.
	Row       uint64
	Role      Role
	Key       *Key
	Bucket    time.Time // start
	Aggregate *Aggregate
}

// Coverage says what a reading of rollups was based on.
type Coverage struct {
	Range Range // as snapped
	// Finest is the width of the finest buckets that the store has for the
	// range: old ones may have been merged. 0: MinStep.
	Finest   time.Duration
	Open     int64 // spans whose other side is still waited for
	Overflow int64 // spans in rows that were folded into Other
	Oldest   time.Time
	// First is the second in which the oldest span of the store starts;
	// zero: there is none, or it is not known.
	First time.Time
	// Late is the number of requests whose second side came after the
	// first had been settled.
	Late int64
}

// TraceReader finds single traces.
type TraceReader interface {
	// Trace returns the spans of a trace ordered by start, or ErrNotFound.
	Trace(ctx context.Context, id tracing.TraceID) ([]tracing.Span, error)
	// Traces searches, newest first.
	Traces(ctx context.Context, q TraceQuery) (TracePage, error)
}

// MetricPoint is one value of one metric, named as users selected it.
type MetricPoint struct {
	Name    string
	Service string
	Time    time.Time
	Value   float64
}

// MetricQuery selects metric points; empty fields select all.
type MetricQuery struct {
	Range   Range
	Name    string
	Service string
	Limit   int // points of each metric, the newest; 0: 100
}

// MetricSeries is the points of one metric in ascending time.
type MetricSeries struct {
	Name    string
	Service string
	Points  []MetricPoint
}

// MetricReader reads stored metrics.
type MetricReader interface {
	Metrics(ctx context.Context, q MetricQuery) ([]MetricSeries, error)
}

// LedgerReader reads the ledger.
type LedgerReader interface {
	// Ledger returns an entry for each source and service, sorted by both.
	Ledger(ctx context.Context) ([]LedgerEntry, error)
}

// StateStore keeps small named values, e.g. the configuration.
type StateStore interface {
	// State returns a value, or ErrNotFound.
	State(ctx context.Context, name string) ([]byte, error)
	// SetState stores a value durably; nil removes it.
	SetState(ctx context.Context, name string, value []byte) error
}

// StateSwapper is what a store has beside StateStore if several processes may
// share it, so that they can agree. Every store that has it passes
// visibility/storetest with it.
type StateSwapper interface {
	StateStore
	// SwapState stores value durably, or removes the state if value is nil,
	// if the state is still old (nil: there is none), in one step for all
	// processes. Otherwise it changes nothing and returns false. After an
	// error it is not known which of these happened. Names that are given to
	// SwapState are never given to SetState.
	SwapState(ctx context.Context, name string, old, value []byte) (swapped bool, err error)
}

// StoreStats are a store's own figures.
type StoreStats struct {
	Name           string // e.g. "embedded"; as named to users
	Spans          int64
	Sessions       int64 // spans of sessions that Clovisor saw in the kernel
	Traces         int64
	Metrics        int64
	Rows           int64 // distinct rollup rows
	BytesOnDisk    int64
	Oldest, Newest time.Time // of the spans
}

// Admin manages a store as a whole.
type Admin interface {
	Stats(ctx context.Context) (StoreStats, error)
	// Clear removes spans, rollups, metrics and the ledger's counts; state
	// and watermarks stay, so that what was cleared is not read again.
	Clear(ctx context.Context) error
	// Close ends the store after the writes under way. It is idempotent.
	Close() error
}
