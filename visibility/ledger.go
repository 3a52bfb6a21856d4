package visibility

import "time"

// Loss is a number of spans that a source saw but did not deliver.
type Loss struct {
	Service string // "" if not known
	Fate    Fate
	Reason  string // for FateRejected and FateDropped
	Count   int64
}

// Fate is what became of a span that was seen.
type Fate uint8

// The fates. Each span seen has exactly one.
const (
	FateKept Fate = iota
	FateDuplicate
	FateRejected  // cannot be stored, with a reason
	FateTruncated // known to exist at the source, which does not give it out
	FateDropped   // lost on the way, with a reason
)

// String returns the name the API uses.
func (f Fate) String() string {
	return [...]string{"kept", "duplicate", "rejected", "truncated", "dropped"}[f]
}

// LedgerEntry is the account of one source and service. It balances:
// Seen = Kept + Duplicate + Σ Rejected + Truncated + Σ Dropped.
type LedgerEntry struct {
	Source, Service   string
	Seen              int64
	Kept, Duplicate   int64
	Truncated         int64
	Rejected, Dropped map[string]int64 // reason → number
	Watermark         time.Time        // zero: the source is not pulled
	LastSpan          time.Time        // start of the newest span kept
	LastArrival       time.Time
}

// Balance returns Seen minus the sum of the fates: 0 unless spans are
// unaccounted for.
func (e *LedgerEntry) Balance() int64 {
	sum := e.Kept + e.Duplicate + e.Truncated
	for _, n := range e.Rejected {
		sum += n
	}
	for _, n := range e.Dropped {
		sum += n
	}
	return e.Seen - sum
}

// Lag returns how far the entry is behind now: the age of the watermark, or
// of the last arrival for a source that pushes. Zero if neither is known.
func (e *LedgerEntry) Lag(now time.Time) time.Duration {
	switch {
	case !e.Watermark.IsZero():
		return now.Sub(e.Watermark)
	case !e.LastArrival.IsZero():
		return now.Sub(e.LastArrival)
	}
	return 0
}
