package visibility

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/opnfv/clover/tracing"
)

// DropPaused is the ledger's reason for spans that were pushed while
// collecting was paused.
const DropPaused = "paused"

// IngestOptions adjust an [Ingest]. The zero value works.
type IngestOptions struct {
	// Source is the ledger's name of what is pushed without a name of its
	// own. "": "otlp".
	Source string
	// MaxInFlight is the number of deliveries that may wait for the store
	// at once; further ones wait their turn. 0: 64.
	MaxInFlight int
	// MaxWait is how long a delivery waits for its turn and for the store
	// before the sender is told to come again. 0: 10 s.
	MaxWait time.Duration
	// Hub is told of each span that was stored. nil: nobody is.
	Hub *Hub
	// Paused says whether to drop what comes, and count it as dropped; see
	// [Collector.Paused]. nil: never.
	Paused func() bool
}

// Ingest writes what is pushed, by OTLP or from within the program, into a
// store. A delivery that was accepted is durable. One that was not carries an
// error of package tracing that says whether to send it again; sending again
// what was stored is harmless. Methods may be called concurrently.
//
// It is the [tracing.Sink] of the OTLP receiver.
type Ingest struct {
	store Store
	opt   IngestOptions
	slots chan struct{}

	mu     sync.Mutex
	status IngestStatus
}

// IngestStatus is the account of an Ingest since it was made.
type IngestStatus struct {
	InFlight    int
	Deliveries  int64 // accepted
	Failures    int64 // refused
	Spans       int64 // in accepted deliveries
	Receipt     Receipt
	Dropped     int64 // while paused
	LastError   string
	LastErrorAt time.Time
	LastArrival time.Time
}

// NewIngest returns an Ingest that writes into store.
func NewIngest(store Store, opt IngestOptions) (*Ingest, error) {
	if store == nil {
		return nil, invalidf("ingest: a store is needed")
	}
	if opt.Source == "" {
		opt.Source = "otlp"
	}
	if opt.MaxInFlight <= 0 {
		opt.MaxInFlight = 64
	}
	if opt.MaxWait <= 0 {
		opt.MaxWait = 10 * time.Second
	}
	in := &Ingest{store: store, opt: opt, slots: make(chan struct{}, opt.MaxInFlight)}
	in.status.Receipt.Rejected = map[string]int{}
	return in, nil
}

var _ tracing.Sink = (*Ingest)(nil)

// ConsumeSpans implements [tracing.Sink]: it stores spans under the ledger's
// name source, and counts what the receiver rejected.
func (in *Ingest) ConsumeSpans(ctx context.Context, source string, spans []tracing.Span, rejected []tracing.Rejection) error {
	losses := make([]Loss, 0, len(rejected))
	for _, r := range rejected {
		losses = append(losses, Loss{Service: r.Service, Fate: FateRejected, Reason: r.Reason, Count: int64(r.Count)})
	}
	return in.Deliver(ctx, Batch{Source: source, Spans: spans, Ledger: losses})
}

// Deliver stores a batch; without a Source it has that of the options. It
// returns nil when the batch is durable, and does not keep it.
func (in *Ingest) Deliver(ctx context.Context, batch Batch) error {
	if len(batch.Spans) == 0 && len(batch.Ledger) == 0 && len(batch.Metrics) == 0 {
		return nil
	}
	if batch.Source == "" {
		batch.Source = in.opt.Source
	}
	waitCtx, cancel := context.WithTimeout(ctx, in.opt.MaxWait)
	defer cancel()
	err := in.deliver(waitCtx, &batch)
	if err != nil {
		err = in.classify(ctx, err)
		in.mu.Lock()
		defer in.mu.Unlock()
		in.status.Failures++
		in.status.LastError, in.status.LastErrorAt = err.Error(), time.Now()
	}
	return err
}

func (in *Ingest) deliver(ctx context.Context, batch *Batch) error {
	select {
	case in.slots <- struct{}{}:
		defer func() { <-in.slots }()
	case <-ctx.Done():
		return fmt.Errorf("%d deliveries wait for the store: %w", cap(in.slots), ctx.Err())
	}
	spans, dropped := len(batch.Spans), 0
	if in.opt.Paused != nil && in.opt.Paused() {
		batch.Ledger = append(dropAll(batch.Spans, DropPaused), batch.Ledger...)
		batch.Spans, dropped = nil, spans
	}
	receipt, err := in.store.Write(ctx, batch)
	if err != nil {
		return err
	}
	in.account(spans, dropped, receipt)
	in.opt.Hub.Publish(batch.Spans)
	return nil
}

// dropAll returns the losses that account for spans that are not stored.
func dropAll(spans []tracing.Span, reason string) []Loss {
	counts := map[string]int64{}
	for i := range spans {
		counts[spans[i].Service]++
	}
	losses := make([]Loss, 0, len(counts))
	for service, n := range counts {
		losses = append(losses, Loss{Service: service, Fate: FateDropped, Reason: reason, Count: n})
	}
	return losses
}

func (in *Ingest) account(spans, dropped int, r Receipt) {
	in.mu.Lock()
	defer in.mu.Unlock()
	st := &in.status
	st.Deliveries++
	st.Spans += int64(spans)
	st.Dropped += int64(dropped)
	st.LastArrival = time.Now()
	st.Receipt.Add(r)
}

// classify says in the terms of package tracing what the sender can do. A
// store that cannot write now, or for a reason nobody knows, may well do so
// later; only what can never be stored is refused for good.
func (in *Ingest) classify(ctx context.Context, err error) error {
	kind := tracing.ErrorTemporary
	switch {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled):
		kind = tracing.ErrorPermanent // the sender has gone
	case errors.Is(err, ErrInvalid), errors.Is(err, ErrLimit):
		kind = tracing.ErrorInvalid
	case errors.Is(err, ErrUnsupported):
		kind = tracing.ErrorUnsupported
	}
	e := &tracing.Error{Op: "store spans", Kind: kind, Err: err}
	if kind == tracing.ErrorTemporary {
		e.RetryAfter = time.Second
	}
	return e
}

// Status returns the account.
func (in *Ingest) Status() IngestStatus {
	in.mu.Lock()
	defer in.mu.Unlock()
	st := in.status
	st.InFlight = len(in.slots)
	st.Receipt.Rejected = maps.Clone(st.Receipt.Rejected)
	return st
}
