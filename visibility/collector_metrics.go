package visibility

import (
	"context"
	"fmt"
	"time"
)

// metricPuller reads one metric source: everything selected, once a pull.
type metricPuller struct {
	c     *Collector
	state *sourceState
	src   MetricSource
}

func (p *metricPuller) source() any { return p.src }

func (p *metricPuller) pull(ctx context.Context) (more bool, err error) {
	now := time.Now()
	readCtx, cancel := context.WithTimeoutCause(ctx, p.c.opt.Timeout, errSilent(p.c.opt.Timeout))
	defer cancel()
	sample, err := p.src.Collect(readCtx, p.share(p.c.Config()), now)
	if err != nil {
		return false, fmt.Errorf("read metrics: %w", causeOf(readCtx, err))
	}
	if len(sample.Points) > 0 {
		if _, err := p.c.store.Write(ctx, &Batch{Source: p.state.key.name, Metrics: sample.Points}); err != nil {
			return false, fmt.Errorf("store: %w", err)
		}
	}
	p.state.collected(len(sample.Points), sample.Missing)
	return false, nil
}
