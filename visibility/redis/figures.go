package visibilityredis

import (
	"context"
	"time"

	"github.com/opnfv/clover/visibility"
)

// lateness is since when the figures of another engine lack something.
type lateness struct {
	since time.Time // zero: they do not
	why   error
}

// figures are what the results count: the store's, or those of o.Figures. Nil:
// there are none yet.
func (s *Syncer) figures(ctx context.Context, services []string) (*visibility.ContractFigures, error) {
	r := visibility.Range{From: time.Unix(0, 0), To: time.Now().Add(ahead)}
	if s.o.Window > 0 {
		r.From = time.Now().Add(-s.o.Window)
	}
	if s.o.Figures == nil {
		return visibility.ReadContractFigures(ctx, s.store, services, r)
	}
	stats, err := s.store.Stats(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case stats.Oldest.IsZero():
		r.From = r.To // the store is empty, or was cleared
	case stats.Oldest.After(r.From):
		r.From = stats.Oldest
	}
	s.count(ctx, services, r)
	if s.counted == nil {
		return nil, nil
	}
	f := *s.counted
	f.Metrics = stats.Metrics
	return &f, nil
}

// count has the other engine count. While it cannot, the figures stay as they
// are, and everything else goes on.
func (s *Syncer) count(ctx context.Context, services []string, r visibility.Range) {
	f, err := s.o.Figures.ContractFigures(ctx, services, r)
	if err != nil {
		since := s.late.since
		if since.IsZero() {
			since = time.Now()
		}
		s.late = lateness{since, err}
		return
	}
	s.counted = f
	s.late.since, s.late.why = s.o.Figures.Behind()
}
