// Package backlog does work beside the requests that cause it: they hand it
// over and go on.
package backlog

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a Backlog. All are needed.
type Options struct {
	// Size bounds what waits. What does not fit is dropped and counted.
	Size int
	// Workers is how much is done at once.
	Workers int
	// Grace bounds how long Run goes on after its context has ended. What
	// waits then is dropped and counted.
	Grace time.Duration
}

// Backlog is a bounded queue with workers. Its methods may be called
// concurrently.
type Backlog[T any] struct {
	opts    Options
	do      func(ctx context.Context, item T)
	items   chan T
	dropped atomic.Uint64
}

// New returns a Backlog of work that do does. Its context ends when Grace is
// over; how long one item may take is up to do.
func New[T any](opts Options, do func(ctx context.Context, item T)) *Backlog[T] {
	return &Backlog[T]{opts: opts, do: do, items: make(chan T, opts.Size)}
}

// Offer hands an item over, and never blocks.
func (b *Backlog[T]) Offer(item T) {
	select {
	case b.items <- item:
	default:
		b.dropped.Add(1)
	}
}

// Dropped returns how many items were left out.
func (b *Backlog[T]) Dropped() uint64 { return b.dropped.Load() }

// Run works until ctx ends, and then for Grace through what waits already.
func (b *Backlog[T]) Run(ctx context.Context) error {
	working, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	ended := make(chan struct{})
	var workers sync.WaitGroup
	for range b.opts.Workers {
		workers.Go(func() { b.work(ctx, working) })
	}
	go func() {
		workers.Wait()
		close(ended)
	}()
	<-ctx.Done()
	t := time.NewTimer(b.opts.Grace)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
		cut()
		<-ended
	}
	return nil
}

// work takes items until ctx ends, and then those that wait.
func (b *Backlog[T]) work(ctx, working context.Context) {
	for {
		select {
		case item := <-b.items:
			b.take(working, item)
		case <-ctx.Done():
			b.drain(working)
			return
		}
	}
}

func (b *Backlog[T]) drain(working context.Context) {
	for {
		select {
		case item := <-b.items:
			b.take(working, item)
		default:
			return
		}
	}
}

// take does an item, unless the time for work is over.
func (b *Backlog[T]) take(working context.Context, item T) {
	if working.Err() != nil {
		b.dropped.Add(1)
		return
	}
	b.do(working, item)
}
