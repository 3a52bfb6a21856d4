package agent

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/opnfv/clover/ids/blocklist"
	"github.com/opnfv/clover/loadbalancer"
)

// expiryInterval is how often entries that are over are looked for.
const expiryInterval = time.Second

// Deny is a driver that keeps out who is in a blocklist, by the access list of
// another driver, for one that cannot ask a list for each request. The
// entries are in no version of the configuration. Methods may be called
// concurrently.
type Deny struct {
	driver loadbalancer.Driver
	list   *blocklist.List

	mu     sync.Mutex
	config loadbalancer.Config // as it was applied last
	denied []netip.Prefix      // of the list, at that time
	begun  bool
}

var _ loadbalancer.Driver = (*Deny)(nil)

// NewDeny returns a Deny.
func NewDeny(driver loadbalancer.Driver, list *blocklist.List) *Deny {
	return &Deny{driver: driver, list: list}
}

// Describe implements loadbalancer.Driver.
func (d *Deny) Describe() loadbalancer.Description { return d.driver.Describe() }

// Apply implements loadbalancer.Driver.
func (d *Deny) Apply(ctx context.Context, c loadbalancer.Config) (loadbalancer.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.apply(ctx, c, d.blocked())
}

// apply applies a configuration with the entries. mu is held.
func (d *Deny) apply(ctx context.Context, c loadbalancer.Config, denied []netip.Prefix) (loadbalancer.Result, error) {
	whole := c.Clone()
	for _, p := range denied {
		if !slices.Contains(c.Access.Deny, p) {
			whole.Access.Deny = append(whole.Access.Deny, p)
		}
	}
	res, err := d.driver.Apply(ctx, whole)
	if err == nil {
		d.config, d.denied, d.begun = c.Clone(), denied, true
	}
	return res, err
}

// blocked returns whom the list keeps out now.
func (d *Deny) blocked() (list []netip.Prefix) {
	for _, e := range d.list.Entries() {
		if !e.DryRun {
			list = append(list, e.Prefix)
		}
	}
	return list
}

// Refresh puts the list as it is now into effect.
func (d *Deny) Refresh(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	denied := d.blocked()
	if !d.begun || slices.Equal(denied, d.denied) {
		return nil
	}
	_, err := d.apply(ctx, d.config, denied)
	return err
}

// Run lets clients in again whose time is over, until ctx ends. failed hears
// of what cannot be put into effect; it is tried again.
func (d *Deny) Run(ctx context.Context, failed func(error)) error {
	tick := time.NewTicker(expiryInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := d.Refresh(ctx); err != nil && ctx.Err() == nil {
				failed(err)
			}
		}
	}
}
