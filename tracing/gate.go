package tracing

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/semaphore"
)

// errBusy says that a request found no room within the time it may wait.
var errBusy = errors.New("too many requests under way")

// gate bounds the bytes in memory and the calls under way. What finds no room
// waits its turn, first come first served, up to a limit.
type gate struct {
	bytes *semaphore.Weighted
	calls *semaphore.Weighted
	size  int64
	wait  time.Duration
}

func newGate(calls int, size int64, wait time.Duration) *gate {
	return &gate{
		bytes: semaphore.NewWeighted(size),
		calls: semaphore.NewWeighted(int64(calls)),
		size:  size,
		wait:  wait,
	}
}

// enter waits for room for n bytes; leave gives it back. The error is errBusy
// or ctx's.
func (g *gate) enter(ctx context.Context, n int64) (*pass, error) {
	p := &pass{gate: g}
	if err := p.grow(ctx, n); err != nil {
		return nil, err
	}
	return p, nil
}

// pass is the room one request has.
type pass struct {
	gate    *gate
	held    int64
	calling bool
}

// grow waits until the request has room for n bytes in all.
func (p *pass) grow(ctx context.Context, n int64) error {
	n = min(n, p.gate.size)
	if n <= p.held {
		return nil
	}
	if err := p.gate.acquire(ctx, p.gate.bytes, n-p.held); err != nil {
		return err
	}
	p.held = n
	return nil
}

// call waits for the right to call the sink.
func (p *pass) call(ctx context.Context) error {
	err := p.gate.acquire(ctx, p.gate.calls, 1)
	p.calling = err == nil
	return err
}

func (p *pass) leave() {
	if p.calling {
		p.gate.calls.Release(1)
	}
	p.gate.bytes.Release(p.held)
}

func (g *gate) acquire(ctx context.Context, s *semaphore.Weighted, n int64) error {
	if s.TryAcquire(n) {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, g.wait)
	defer cancel()
	if err := s.Acquire(limited, n); err == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errBusy
}
