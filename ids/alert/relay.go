package alert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// ErrRejected is returned by a sink that will never take an alert: it is
// left out and counted, instead of being delivered again and again.
var ErrRejected = errors.New("the sink rejects the alert")

// Sink takes alerts.
type Sink interface {
	// Deliver takes alerts, in the order of each source. An error means that
	// none, some or all may have been taken; the same ones come again after a
	// while, unless it is [ErrRejected]. Deliver ends soon after ctx.
	Deliver(ctx context.Context, alerts []Alert) error
}

// SinkFunc is a function as a sink.
type SinkFunc func(ctx context.Context, alerts []Alert) error

// Deliver implements Sink.
func (f SinkFunc) Deliver(ctx context.Context, alerts []Alert) error { return f(ctx, alerts) }

// Outlet is a sink of a relay.
type Outlet struct {
	// Name names the sink's position in the spool, and stays the same over
	// restarts.
	Name string
	Sink Sink
	// Batch is how many alerts a delivery has at most; 0 is 100.
	Batch int
	// Timeout bounds one delivery; 0 is 10 s.
	Timeout time.Duration
}

// SinkStats is the ledger of a sink since the start of this process.
type SinkStats struct {
	Delivered uint64 // alerts taken
	Rejected  uint64 // alerts that the sink will never take
	Lost      uint64 // alerts that went from the spool before; see SpoolStats
	Waiting   uint64 // alerts in the spool
	Retries   uint64 // deliveries that failed and were tried again
	LastError string // of the last delivery, empty if it worked
}

// RelayOptions says how a relay works.
type RelayOptions struct {
	// FirstRetry and LastRetry bound the wait after a failure, which doubles; 0
	// is 50 ms and 15 s.
	FirstRetry, LastRetry time.Duration
	// Logger nil is silence.
	Logger *slog.Logger
}

// Relay reads sources into a spool and delivers from it to sinks.
type Relay struct {
	spool   *Spool
	sources []Source
	outlets []*outlet
	o       RelayOptions
}

type outlet struct {
	Outlet
	reader                       *Reader
	delivered, rejected, retries atomic.Uint64

	mu        sync.Mutex
	lost      uint64
	lastError string
}

// NewRelay returns a relay. The spool stays the caller's.
func NewRelay(spool *Spool, sources []Source, outlets []Outlet, o RelayOptions) (*Relay, error) {
	o.FirstRetry, o.LastRetry = cmp.Or(o.FirstRetry, 50*time.Millisecond), cmp.Or(o.LastRetry, 15*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Relay{spool: spool, sources: sources, o: o}
	names := map[string]bool{}
	for _, s := range sources {
		if names["source "+s.Name()] {
			return nil, fmt.Errorf("alert: two sources have the name %q", s.Name())
		}
		names["source "+s.Name()] = true
	}
	for _, out := range outlets {
		if names["sink "+out.Name] {
			return nil, fmt.Errorf("alert: two sinks have the name %q", out.Name)
		}
		names["sink "+out.Name] = true
		reader, err := spool.Reader(out.Name)
		if err != nil {
			return nil, err
		}
		out.Batch, out.Timeout = cmp.Or(out.Batch, 100), cmp.Or(out.Timeout, 10*time.Second)
		r.outlets = append(r.outlets, &outlet{Outlet: out, reader: reader})
	}
	return r, nil
}

// Stats returns the ledgers of the sinks by name.
func (r *Relay) Stats() map[string]SinkStats {
	all := map[string]SinkStats{}
	for _, o := range r.outlets {
		o.mu.Lock()
		all[o.Name] = SinkStats{
			Delivered: o.delivered.Load(), Rejected: o.rejected.Load(), Retries: o.retries.Load(),
			Lost: o.lost, Waiting: r.spool.waitingFor(o.Name), LastError: o.lastError,
		}
		o.mu.Unlock()
	}
	return all
}

// Run reads and delivers until ctx ends. A source or a sink that fails is
// tried again; it does not hold up the others. What was not delivered stays
// in the spool. It may be called once.
func (r *Relay) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, s := range r.sources {
		all.Go(func() { r.read(ctx, s) })
	}
	for _, o := range r.outlets {
		all.Go(func() { r.deliver(ctx, o) })
	}
	sync := time.NewTicker(time.Second)
	defer sync.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-sync.C:
			if err := r.spool.Sync(); err != nil {
				r.o.Logger.Error("alert: sync the spool", "error", err)
			}
		}
	}
	all.Wait()
	return r.spool.Sync()
}

// read runs a source, again after each failure.
func (r *Relay) read(ctx context.Context, s Source) {
	for wait := r.o.FirstRetry; ctx.Err() == nil; wait = min(2*wait, r.o.LastRetry) {
		err := s.Run(ctx, r.spool.Position(s.Name()), func(a *Alert, position string) error {
			err := r.spool.Append(s.Name(), position, a)
			if err == nil {
				wait = r.o.FirstRetry
			}
			return err
		})
		if ctx.Err() != nil {
			return
		}
		r.o.Logger.Warn("alert: a source has ended and is read again", "source", s.Name(), "error", err, "wait", wait)
		pause(ctx, wait)
	}
}

// deliver delivers to a sink, in order.
func (r *Relay) deliver(ctx context.Context, o *outlet) {
	wait := r.o.FirstRetry
	limit := o.Batch
	for ctx.Err() == nil {
		batch, err := o.reader.Next(ctx, limit)
		if err == nil {
			err = o.send(ctx, batch)
		}
		if ctx.Err() != nil && err != nil {
			return
		}
		switch {
		case err == nil:
			limit, wait = min(2*limit, o.Batch), r.o.FirstRetry
			continue
		case errors.Is(err, ErrRejected) && len(batch) > 1:
			limit = 1 // to find out which
			continue
		case errors.Is(err, ErrRejected):
			o.rejected.Add(1)
			r.o.Logger.Warn("alert: left out", "sink", o.Name, "alert", batch[0].ID, "error", err)
			if err := o.reader.Done(); err == nil {
				continue
			}
		}
		limit = max(len(batch)/2, 1) // one that is slow gets on with fewer at a time
		o.retries.Add(1)
		r.o.Logger.Warn("alert: deliver again", "sink", o.Name, "error", err, "wait", wait)
		pause(ctx, wait)
		wait = min(2*wait, r.o.LastRetry)
	}
}

// send delivers a batch and notes it.
func (o *outlet) send(ctx context.Context, batch []Alert) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	err := o.Sink.Deliver(ctx, batch)
	if err == nil {
		o.delivered.Add(uint64(len(batch)))
		err = o.reader.Done()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost, o.lastError = o.reader.Lost(), ""
	if err != nil {
		o.lastError = err.Error()
	}
	return err
}

// pause waits about that long, so that not all that wait come at once.
func pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait/2 + rand.N(wait/2+1))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
