package visibility

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"
)

// followEvery is how often a collector that shares looks for changes of the
// configuration that were made by another.
const followEvery = 2 * time.Second

// follow takes over what other collectors of the store change, and the
// changes of shares, until ctx ends.
func (c *Collector) follow(ctx context.Context) {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.opt.Share.Changed():
			c.wake()
		case <-ticker.C:
			c.change.Lock()
			changed, err := c.reload(ctx)
			c.change.Unlock()
			if err == nil && changed {
				c.wake()
			}
			// An error of the store is told by the sources, which need it too.
		}
	}
}

// reload takes the configuration and the state from the store. It is called
// under c.change.
func (c *Collector) reload(ctx context.Context) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	stored := Collector{store: c.store, config: c.Config()}
	if err := stored.load(ctx); err != nil {
		return false, fmt.Errorf("collector: %w", err)
	}
	before, err := encodeConfig(c.Config())
	if err != nil {
		return false, err
	}
	after, err := encodeConfig(stored.config)
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	changed = c.paused != stored.paused || !bytes.Equal(before, after)
	c.config, c.paused = stored.config, stored.paused
	return changed, nil
}

// divide finds out which services are this collector's. Of those that it
// takes over from another, the store knows how far they were read.
func (p *tracePuller) divide(ctx context.Context) error {
	gained := map[string]*cursor{}
	for service, cur := range p.cursors {
		owns := p.c.opt.Share == nil || p.c.opt.Share.Owns(p.shareKey(service))
		switch {
		case owns && !cur.owned:
			gained[service] = cur
		case !owns:
			cur.owned, cur.err, cur.nextTry = false, nil, time.Time{}
		}
	}
	now := time.Now()
	if p.c.opt.Share != nil && len(gained) > 0 {
		entries, err := p.c.store.Ledger(ctx)
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		for _, e := range entries {
			if cur := gained[e.Service]; cur != nil && e.Source == p.state.key.name && !e.Watermark.IsZero() {
				*cur = cursor{service: cur.service, listed: cur.listed}
				cur.resume(believable(e.Watermark, now, &p.c.opt), &p.c.opt)
			}
		}
	}
	for _, cur := range gained {
		cur.owned = true
	}
	return nil
}

// believable is where to go on from another collector's watermark. One in the
// future is of a clock that is ahead: how far it was read is not known, but
// until lately it was.
func believable(watermark, now time.Time, opt *CollectorOptions) time.Time {
	if watermark.After(now) {
		return now.Add(-opt.latest())
	}
	return watermark
}

// tell tells the others of the loads of this collector's services.
func (p *tracePuller) tell() {
	if p.c.opt.Share == nil {
		return
	}
	for _, cur := range p.cursors {
		switch {
		case !cur.owned || cur.rate == 0: // not its own, or not known
		case cur.listed:
			p.c.opt.Share.Load(p.shareKey(cur.service), cur.rate)
		default:
			p.c.opt.Share.Load(p.shareKey(cur.service), 0)
		}
	}
}

func (p *tracePuller) shareKey(service string) string { return p.state.key.name + "/" + service }

// share returns the part of a configuration that this collector reads metrics
// of.
func (p *metricPuller) share(c Config) Config {
	if p.c.opt.Share == nil {
		return c
	}
	other := func(name string) bool { return !p.c.opt.Share.Owns(p.state.key.name + "/" + name) }
	c.Services = slices.DeleteFunc(c.Services, other)
	c.CustomMetrics = slices.DeleteFunc(c.CustomMetrics, other)
	return c
}

// elsewhere reports whether another collector reads a service, so that its
// spans need not be taken from the traces of this one's services too. A name
// that the source does not list is read with those traces only.
func (p *tracePuller) elsewhere(service string) bool {
	if p.c.opt.Share == nil {
		return false
	}
	cur := p.cursors[service]
	return cur != nil && cur.listed && !cur.owned
}
