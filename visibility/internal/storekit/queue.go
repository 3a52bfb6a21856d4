package storekit

import (
	"context"
	"fmt"
	"time"

	"github.com/opnfv/clover/visibility"
)

// SlotSpans is the unit in which the queue of spans is bounded.
const SlotSpans = 256

// ErrClosed is the answer to whoever comes after [Queue.Close].
var ErrClosed = fmt.Errorf("store is closed: %w", visibility.ErrUnavailable)

// Request is one call that the committer carries out.
type Request struct {
	Batch   *visibility.Batch
	Receipt visibility.Receipt
	// Command runs alone, instead of a batch.
	Command func(context.Context) error

	slots int
	done  chan<- result
}

type result struct {
	receipt visibility.Receipt
	err     error
}

// Reject counts a span of the batch that cannot be stored.
func (r *Request) Reject(ledger Counters, reason string) {
	if r.Receipt.Rejected == nil {
		r.Receipt.Rejected = map[string]int{}
	}
	r.Receipt.Rejected[reason]++
	ledger.Add("rejected:"+reason, 1)
}

// Queue holds the calls for the one committer of a store. Its methods may be
// called concurrently, but for those that are the committer's.
type Queue struct {
	requests chan Request
	slots    chan struct{} // one for each SlotSpans of queued spans
	quit     chan struct{} // closed when Close begins
	stopped  chan struct{} // closed when every request taken was answered
}

// NewQueue returns a queue in which so many spans may wait.
func NewQueue(spans int) *Queue {
	return &Queue{
		requests: make(chan Request, 1024),
		slots:    make(chan struct{}, max(1, spans/SlotSpans)),
		quit:     make(chan struct{}),
		stopped:  make(chan struct{}),
	}
}

// Write implements visibility.Writer. It waits while the queue is full.
func (q *Queue) Write(ctx context.Context, b *visibility.Batch) (visibility.Receipt, error) {
	slots := min(cap(q.slots), (len(b.Spans)+SlotSpans-1)/SlotSpans)
	for held := range slots {
		select {
		case q.slots <- struct{}{}:
		case <-q.quit:
			q.release(held)
			return visibility.Receipt{}, ErrClosed
		case <-ctx.Done():
			q.release(held)
			return visibility.Receipt{}, fmt.Errorf("write: queue is full: %w", ctx.Err())
		}
	}
	return q.submit(ctx, Request{Batch: b, slots: slots})
}

// Do runs a command on the committer, alone.
func (q *Queue) Do(ctx context.Context, command func(context.Context) error) error {
	_, err := q.submit(ctx, Request{Command: command})
	return err
}

func (q *Queue) release(slots int) {
	for range slots {
		<-q.slots
	}
}

func (q *Queue) submit(ctx context.Context, r Request) (visibility.Receipt, error) {
	done := make(chan result, 1)
	r.done = done
	select {
	case <-q.quit:
		q.release(r.slots)
		return visibility.Receipt{}, ErrClosed
	default:
	}
	select {
	case q.requests <- r:
	case <-q.quit:
		q.release(r.slots)
		return visibility.Receipt{}, ErrClosed
	case <-ctx.Done():
		q.release(r.slots)
		return visibility.Receipt{}, ctx.Err()
	}
	// Once queued the batch belongs to the committer, which always answers.
	select {
	case res := <-done:
		return res.receipt, res.err
	case <-q.stopped:
		select {
		case res := <-done:
			return res.receipt, res.err
		default:
			return visibility.Receipt{}, ErrClosed
		}
	}
}

// Run is the committer's loop: it hands each request to handle, and calls
// background every so often, both in its own goroutine. It returns when the
// queue is closed and what was in it has been handled.
func (q *Queue) Run(every time.Duration, handle func(Request), background func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case r := <-q.requests:
			handle(r)
		case <-tick.C:
			background()
		case <-q.quit:
			for {
				select {
				case r := <-q.requests:
					handle(r)
				default:
					return
				}
			}
		}
	}
}

// Join returns a request with the batches that are queued behind it, of about
// so many spans together, and the command that ended them, if one did. Only the
// committer calls it.
func (q *Queue) Join(first Request, spans int) (group []Request, next *Request) {
	if first.Command != nil {
		return nil, &first
	}
	group = []Request{first}
	for n := len(first.Batch.Spans); n < spans; {
		select {
		case r := <-q.requests:
			if r.Command != nil {
				return group, &r
			}
			group = append(group, r)
			n += len(r.Batch.Spans)
		default:
			return group, nil
		}
	}
	return group, nil
}

// Answer ends a request.
func (q *Queue) Answer(r *Request, err error) {
	q.release(r.slots)
	if err != nil {
		r.Receipt = visibility.Receipt{}
		if r.Batch != nil {
			err = fmt.Errorf("write: %w", err)
		}
	}
	r.done <- result{receipt: r.Receipt, err: err}
}

// Close lets nothing more in. It is to be called once.
func (q *Queue) Close() { close(q.quit) }

// Stopped says that every request that was taken has been answered.
func (q *Queue) Stopped() { close(q.stopped) }
