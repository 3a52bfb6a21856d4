package monitoring

import (
	"context"
	"time"

	"github.com/prometheus/common/model"
)

// How often the same missing name is asked about again, and how many names
// are remembered.
const (
	missingTTL = time.Minute
	missingMax = 100_000
)

// missingEntry remembers why a name was missing, so that a name that never
// comes costs one query a minute and not one a collection.
type missingEntry struct {
	reason  Reason
	checked time.Time
}

// explainMissing fills in the reasons of what is missing, from memory or by
// asking which series existed of late. It returns how many requests it made.
// Its failure is a warning: the values themselves are good.
func (c *Client) explainMissing(ctx context.Context, p *plan, out *Collection, at time.Time) (int, []string) {
	now := time.Now()
	recent := at.IsZero() || now.Sub(at).Abs() < missingTTL
	if at.IsZero() {
		at = now
	}
	ask := c.recall(out, now, recent)
	if len(ask) == 0 || c.opts.StaleWindow < 0 {
		return 0, nil
	}
	existed, requests, warnings, err := c.existed(ctx, p, ask, at)
	if err != nil {
		return requests, append(warnings, "cannot tell why metrics are missing: "+err.Error())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.missing)+len(ask) > missingMax {
		clear(c.missing)
	}
	for i, m := range out.Missing {
		if !ask[m.Name] {
			continue
		}
		m.Reason = ReasonAbsent
		if existed[m.Name] {
			m.Reason = ReasonStale
		}
		out.Missing[i] = m
		if recent {
			c.missing[m.Name] = missingEntry{m.Reason, now}
		}
	}
	return requests, warnings
}

// recall fills in the reasons that are remembered, forgets names that came
// back, and returns the names that must be asked about.
func (c *Client) recall(out *Collection, now time.Time, recent bool) map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range out.Points {
		delete(c.missing, out.Points[i].Name)
	}
	ask := make(map[string]bool)
	for i, m := range out.Missing {
		if m.Reason != ReasonUnknown {
			continue
		}
		if e, ok := c.missing[m.Name]; ok && recent && now.Sub(e.checked) < missingTTL {
			out.Missing[i].Reason = e.reason
			continue
		}
		ask[m.Name] = true
	}
	return ask
}

// existed tells which of the names had a series within the stale window.
func (c *Client) existed(ctx context.Context, p *plan, names map[string]bool, at time.Time) (map[string]bool, int, []string, error) {
	found := make(map[string]bool)
	var warnings []string
	requests := 0
	for _, sel := range chunks(p.subset(names), c.opts.MaxQueryBytes) {
		parts := selectors(sel)
		matches := make([]string, len(parts))
		for i, s := range parts {
			matches[i] = s.String()
		}
		requests++
		err := c.call(ctx, "series", func(ctx context.Context) error {
			sets, warn, _, err := c.api.Series(ctx, matches, at.Add(-c.opts.StaleWindow), at, c.limit())
			warnings = append(warnings, warn...)
			if err != nil {
				return err
			}
			for _, set := range sets {
				metric, labels := split(model.Metric(set))
				if i, ok := p.matchLiteral(metric); ok {
					found[p.wants[i].name] = true
				}
				if i, ok := p.matchLabelled(metric, labels); ok {
					found[p.wants[i].name] = true
				}
			}
			return c.bound(len(sets), "series")
		})
		if err != nil {
			return nil, requests, warnings, err
		}
	}
	return found, requests, warnings, nil
}
