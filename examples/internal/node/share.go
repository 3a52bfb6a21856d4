package node

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/lease"
)

// newShare returns how this process shares the services of its sources with
// the others that have the store in common; nil: it does not. It is known to
// them by its name as a writer.
func (o *Options) newShare(store visibility.Store) (*lease.Group, error) {
	if o.Embedded() || !o.Share {
		return nil, nil // a directory is of one process
	}
	swapper, ok := store.(visibility.StateSwapper)
	if !ok {
		return nil, errors.New("--share: the store cannot be shared")
	}
	return lease.New(swapper, lease.Options{ID: o.Cassandra.Writer, Logger: o.Logger})
}

// registerShare exposes the figures of a group; nil: there are none.
func registerShare(r prometheus.Registerer, g *lease.Group) error {
	if g == nil {
		return nil
	}
	return errors.Join(
		r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "clover_lease_members", Help: "Collectors that share the services; 0 while the own lease does not hold.",
		}, func() float64 { return float64(len(g.Members())) })),
		r.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "clover_lease_renewals_total", Help: "Renewals of the own lease that succeeded.",
		}, func() float64 { return float64(g.Status().Renewed) })),
		r.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "clover_lease_conflicts_total", Help: "Attempts to renew it that another collector came before.",
		}, func() float64 { return float64(g.Status().Lost) })),
	)
}
