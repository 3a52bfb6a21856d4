package jmeter

import (
	"context"
	"sync"
)

// Exclusive returns a runner that runs one plan at a time. A second run that
// is asked for meanwhile is refused with an error that matches ErrBusy.
func Exclusive(r Runner) Runner { return &exclusive{Runner: r} }

type exclusive struct {
	Runner
	mu sync.Mutex
}

// Run runs a plan if no other runs.
func (e *exclusive) Run(ctx context.Context, p *Plan, o RunOptions) (Outcome, error) {
	if !e.mu.TryLock() {
		return Outcome{}, ErrBusy
	}
	defer e.mu.Unlock()
	return e.Runner.Run(ctx, p, o)
}
