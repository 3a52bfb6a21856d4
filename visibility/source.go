package visibility

import (
	"context"
	"time"

	"github.com/opnfv/clover/tracing"
)

// TraceSource is a place that traces can be pulled from by time, such as
// Jaeger. Methods may be called concurrently and return soon after ctx ends.
// An error is taken as temporary unless [tracing.Classify] says otherwise;
// both kinds are tried again, since a source can be repaired.
type TraceSource interface {
	// Services lists the services that the source has spans of.
	Services(ctx context.Context) ([]string, error)
	// Fetch delivers the traces in which service has a span that starts in
	// r, in any order and possibly with spans of other services and times.
	// It calls yield with pieces of any size, from one goroutine; yield does
	// not keep the slice. An error from yield ends the call and is returned.
	// When Fetch returns nil, everything the source had was delivered but
	// for the losses that are returned.
	Fetch(ctx context.Context, service string, r Range, yield func([]tracing.Span) error) ([]SourceLoss, error)
}

// SourceLoss is what a source knows to have but did not deliver.
type SourceLoss struct {
	Loss
	// Range is where it was lost. A loss of the same service, fate, reason
	// and range that is met again, because pulls overlap, is not counted
	// again; with another range it is, as a span read twice is seen twice.
	Range Range
}

// MetricSource is a place that metrics can be read from, such as Prometheus.
type MetricSource interface {
	// Collect reads the present value of everything that c selects, as of
	// the given time. Points carry their own time.
	Collect(ctx context.Context, c Config, at time.Time) (MetricSample, error)
}

// MetricSample is what one reading of a MetricSource found.
type MetricSample struct {
	Points []MetricPoint
	// Missing are names that were selected but have no value now.
	Missing []string
}

// Opener turns the endpoints of a [Config] into sources. The default is
// [OpenSources]; another may add credentials or TLS. A source that is an
// io.Closer is closed when it is no longer configured.
type Opener interface {
	OpenTraces(ctx context.Context, url string) (TraceSource, error)
	OpenMetrics(ctx context.Context, url string) (MetricSource, error)
}
