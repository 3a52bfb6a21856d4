package alert

import (
	"context"
	"sync/atomic"
)

// Emit takes an alert and the position behind it. A nil alert is a position
// only. An error ends the source's Run, which returns it.
type Emit func(a *Alert, position string) error

// Source reads alerts.
type Source interface {
	// Name names the source among those of a relay, and stays the same over
	// restarts.
	Name() string
	// Run emits the alerts behind a position, in order, from one goroutine,
	// until ctx ends. The empty position is the beginning.
	Run(ctx context.Context, position string, emit Emit) error
	// Stats is the source's ledger; it may be called at any time.
	Stats() SourceStats
}

// SourceStats is what a source has read since the start of this process:
// Records = Alerts + Other + Rejected, except for records that are in work.
type SourceStats struct {
	Records  uint64 // records read
	Alerts   uint64 // of those: alerts, and for unified2 what belongs to them
	Other    uint64 // of those: other events
	Rejected uint64 // of those: not as the format says; left out
	// Truncated are records without an end in logs that nobody writes to any
	// more.
	Truncated uint64
	// Gaps is how often a log was gone before it was read to its end, so that
	// alerts may be missing.
	Gaps uint64
}

type sourceStats struct {
	records, alerts, other, rejected, truncated, gaps atomic.Uint64
}

func (s *sourceStats) Stats() SourceStats {
	return SourceStats{
		Records: s.records.Load(), Alerts: s.alerts.Load(), Other: s.other.Load(), Rejected: s.rejected.Load(),
		Truncated: s.truncated.Load(), Gaps: s.gaps.Load(),
	}
}
