package ids

import (
	"context"
	"sync/atomic"

	"github.com/opnfv/clover/ids/alert"
)

// queueLength bounds the alerts that are not in a spool yet.
const queueLength = 1024

// Source hands on the alerts of a [Monitor] in the same process.
type Source struct {
	queue chan *alert.Alert
	stats struct{ read, rejected atomic.Uint64 }
}

var _ alert.Source = (*Source)(nil)

// NewSource returns a Source.
func NewSource() *Source { return &Source{queue: make(chan *alert.Alert, queueLength)} }

// Raise takes an alert and never blocks. One too many is left out and
// counted.
func (s *Source) Raise(a *alert.Alert) {
	select {
	case s.queue <- a:
	default:
		s.stats.rejected.Add(1)
	}
}

// Name implements alert.Source.
func (s *Source) Name() string { return EngineName }

// Stats implements alert.Source.
func (s *Source) Stats() alert.SourceStats {
	read, rejected := s.stats.read.Load(), s.stats.rejected.Load()
	return alert.SourceStats{Records: read + rejected, Alerts: read, Rejected: rejected}
}

// Run implements alert.Source. There is nothing to read again, so that a
// position means nothing.
func (s *Source) Run(ctx context.Context, _ string, emit alert.Emit) error {
	for {
		select {
		case a := <-s.queue:
			if err := emit(a, ""); err != nil {
				return err
			}
			s.stats.read.Add(1)
		case <-ctx.Done():
			return nil
		}
	}
}
