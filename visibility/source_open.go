package visibility

import (
	"context"
	"time"

	"github.com/opnfv/clover/monitoring"
	"github.com/opnfv/clover/tracing"
)

// OpenSources is the default Opener: clients with the options given here and
// the URL of the configuration. The zero value has no credentials.
type OpenSources struct {
	Jaeger     tracing.JaegerOptions // URL is replaced
	Prometheus monitoring.Options    // URL is replaced
}

// OpenTraces returns a client of the Jaeger at url. It does not call it yet.
func (o OpenSources) OpenTraces(_ context.Context, url string) (TraceSource, error) {
	opt := o.Jaeger
	opt.URL = url
	client, err := tracing.NewJaeger(opt)
	if err != nil {
		return nil, err
	}
	return JaegerSource(client), nil
}

// OpenMetrics returns a client of the Prometheus at url. It does not call it
// yet.
func (o OpenSources) OpenMetrics(_ context.Context, url string) (MetricSource, error) {
	opt := o.Prometheus
	opt.URL = url
	client, err := monitoring.New(opt)
	if err != nil {
		return nil, err
	}
	return PrometheusSource(client), nil
}

// JaegerSource returns a Jaeger as a TraceSource. It is an io.Closer that
// closes the client.
func JaegerSource(client *tracing.Jaeger) TraceSource { return jaegerSource{client} }

type jaegerSource struct{ *tracing.Jaeger }

// Fetch implements TraceSource. Where Jaeger does not tell everything it has,
// one span stands for the unknown number of those that are missing.
func (j jaegerSource) Fetch(ctx context.Context, service string, r Range, yield func([]tracing.Span) error) ([]SourceLoss, error) {
	var losses []SourceLoss
	query := tracing.SearchQuery{Service: service, From: r.From, To: r.To}
	for page, err := range j.Search(ctx, query) {
		if err != nil {
			return nil, err
		}
		if err := yield(page.Spans); err != nil {
			return nil, err
		}
		window := Range{From: page.From, To: page.To}
		for _, rejected := range page.Rejected {
			loss := Loss{Service: rejected.Service, Fate: FateRejected, Reason: rejected.Reason, Count: int64(rejected.Count)}
			losses = append(losses, SourceLoss{loss, window})
		}
		if page.Truncated {
			losses = append(losses, SourceLoss{Loss{Service: service, Fate: FateTruncated, Reason: page.Reason, Count: 1}, window})
		}
	}
	return losses, nil
}

// PrometheusSource returns a Prometheus as a MetricSource. It is an io.Closer
// that closes the client's idle connections.
func PrometheusSource(client *monitoring.Client) MetricSource { return prometheusSource{client} }

type prometheusSource struct{ *monitoring.Client }

// Close implements io.Closer.
func (p prometheusSource) Close() error {
	p.CloseIdleConnections()
	return nil
}

// Collect implements MetricSource. With nothing selected it still asks the
// server whether it is there.
func (p prometheusSource) Collect(ctx context.Context, c Config, at time.Time) (MetricSample, error) {
	names, err := c.selection().Names()
	if err != nil {
		return MetricSample{}, err
	}
	if len(names) == 0 {
		return MetricSample{}, p.Check(ctx)
	}
	found, err := p.Client.Collect(ctx, c.selection(), at)
	if err != nil {
		return MetricSample{}, err
	}
	sample := MetricSample{Points: make([]MetricPoint, 0, len(found.Points))}
	for _, point := range found.Points {
		sample.Points = append(sample.Points, MetricPoint{
			Name: point.Name, Service: point.Service, Time: point.Time, Value: point.Value,
		})
	}
	for _, m := range found.Missing {
		sample.Missing = append(sample.Missing, m.Name+" ("+string(m.Reason)+")")
	}
	return sample, nil
}

// selection returns the metrics that c selects.
func (c Config) selection() monitoring.Selection {
	return monitoring.Selection{
		Services: c.Services, Prefixes: c.MetricPrefixes,
		Suffixes: c.MetricSuffixes, Custom: c.CustomMetrics,
	}
}
