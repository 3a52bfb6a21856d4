package clovisor

import (
	"context"
	"maps"
	"sync"

	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/tracing"
)

// OTLP is a sink that sends each session as a span, to an endpoint that may
// change while it runs. Its methods may be called concurrently.
type OTLP struct {
	options tracing.ExporterOptions
	changed chan struct{}

	mu       sync.Mutex
	endpoint string
	spans    export.Spans
	exporter *tracing.Exporter   // nil: there is no endpoint
	fresh    []*tracing.Exporter // those that do not run yet
	past     []*tracing.Exporter // those that are sending what they have left
	stats    tracing.ExporterStats
}

// NewOTLP returns a sink without an endpoint, which drops what it gets.
func NewOTLP(o tracing.ExporterOptions) *OTLP {
	return &OTLP{options: o, changed: make(chan struct{}, 1), stats: tracing.ExporterStats{Dropped: map[string]uint64{}}}
}

// dropNoEndpoint is the reason for dropping spans that have nowhere to go.
const dropNoEndpoint = "no endpoint"

// SetEndpoint has spans sent there from now on, as [tracing.NewExporter]
// understands it; "" for nowhere. What is on its way to the old one still
// goes there.
func (o *OTLP) SetEndpoint(endpoint string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if endpoint == o.endpoint {
		return nil
	}
	var next *tracing.Exporter
	if endpoint != "" {
		var err error
		if next, err = tracing.NewExporter(endpoint, o.options); err != nil {
			return err
		}
		o.fresh = append(o.fresh, next)
	}
	if o.exporter != nil {
		o.past = append(o.past, o.exporter)
	}
	o.endpoint, o.exporter = endpoint, next
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return nil
}

// Endpoint is where spans go now.
func (o *OTLP) Endpoint() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.endpoint
}

// Session implements [Sink]. It never blocks.
func (o *OTLP) Session(s *session.Session, p export.Place) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.exporter == nil {
		o.stats.Seen++
		o.stats.Dropped[dropNoEndpoint]++
		return nil
	}
	o.exporter.Export(o.spans.Span(s, p))
	return nil
}

// Stats is the ledger of the spans, over all endpoints.
func (o *OTLP) Stats() tracing.ExporterStats {
	o.mu.Lock()
	defer o.mu.Unlock()
	sum := o.stats
	sum.Dropped = maps.Clone(o.stats.Dropped)
	for _, e := range o.past {
		addStats(&sum, e.Stats())
	}
	if o.exporter != nil {
		addStats(&sum, o.exporter.Stats())
	}
	return sum
}

func addStats(sum *tracing.ExporterStats, s tracing.ExporterStats) {
	sum.Seen += s.Seen
	sum.Exported += s.Exported
	sum.Waiting += s.Waiting
	sum.Retries += s.Retries
	for reason, n := range s.Dropped {
		sum.Dropped[reason] += n
	}
}

// Run sends until ctx ends, and what is left then for as long as the options
// say.
func (o *OTLP) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	ends := map[*tracing.Exporter]context.CancelFunc{}
	defer func() {
		for _, end := range ends {
			end()
		}
	}()
	for {
		o.mu.Lock()
		current, fresh := o.exporter, o.fresh
		o.fresh = nil
		o.mu.Unlock()
		for _, e := range fresh {
			var each context.Context
			each, ends[e] = context.WithCancel(ctx)
			running.Go(func() {
				_ = e.Run(each) // it ends without an error
				o.retire(e)
			})
		}
		for e, end := range ends {
			if e != current {
				end()
				delete(ends, e)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-o.changed:
		}
	}
}

// retire keeps the counts of an exporter that sends no more.
func (o *OTLP) retire(e *tracing.Exporter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, p := range o.past {
		if p == e {
			addStats(&o.stats, e.Stats())
			o.past = append(o.past[:i], o.past[i+1:]...)
			return
		}
	}
}
