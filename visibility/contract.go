package visibility

import (
	"context"
	"fmt"
	"time"
)

// NotAvailable stands for a response time of a service without requests.
const NotAvailable = "NA"

// ContractFigures are what `get visibility` has shown since 2019: counts of
// spans by one or two of their properties, and the response times of the
// tracked services. Everything here counts spans, not requests, as it did
// then. Lists are sorted by count, largest first, then by value.
type ContractFigures struct {
	Range   Range // as answered
	Traces  int64 // in the store, of any time; so are Spans and Metrics
	Spans   int64
	Metrics int64

	ResponseTimes []ServiceResponseTime // in the order of Config.Services

	URLs             []ValueCount // span_urls, span_urls_z
	UserAgents       []ValueCount // span_user_agent, span_user_agent_z
	NodeIDs          []ValueCount // span_node_id, span_node_id_z
	OperationNames   []ValueCount // span_operation_name
	UpstreamClusters []ValueCount // span_upstream_cluster
	StatusCodes      []ValueCount // span_status_code
	StatusCodeURLs   []ValueCount // span_status_codes_z, "CODE, URL"
	NodeURLs         []ValueCount // span_node_url_z, "NODE, URL"
	Services         []ValueCount // tracing_services
}

// ValueCount is a value and the number of spans that have it.
type ValueCount struct {
	Value string
	Count int64
}

// ServiceResponseTime are the response times of one tracked service, taken
// at the server's side.
type ServiceResponseTime struct {
	Service       string // as tracked
	Count         int64  // requests answered
	Avg, Min, Max time.Duration
	Inexact       bool // Min and Max are within the sketch's error
}

// AvgText returns the mean in milliseconds with two decimals, or "NA".
func (s ServiceResponseTime) AvgText() string { return s.text(s.Avg) }

// MinText returns the minimum in milliseconds with two decimals, or "NA".
func (s ServiceResponseTime) MinText() string { return s.text(s.Min) }

// MaxText returns the maximum in milliseconds with two decimals, or "NA".
func (s ServiceResponseTime) MaxText() string { return s.text(s.Max) }

func (s ServiceResponseTime) text(d time.Duration) string {
	if s.Count <= 0 {
		return NotAvailable
	}
	return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond))
}

// ServiceResponseTimes returns the response times of the given services in
// r, in their order. Names are compared by [SameService].
func ServiceResponseTimes(ctx context.Context, store RollupReader, services []string, r Range) ([]ServiceResponseTime, error) {
	var times responseTimes
	_, err := store.Rollups(ctx, r, 0, func(row *Rollup) error {
		times.add(row)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("response times: %w", err)
	}
	return times.of(services), nil
}

// ReadContractFigures reads the figures of r in one pass.
func ReadContractFigures(ctx context.Context, store interface {
	RollupReader
	Admin
}, services []string, r Range,
) (*ContractFigures, error) {
	stats, err := store.Stats(ctx)
	if err != nil {
		return nil, fmt.Errorf("visibility figures: %w", err)
	}
	var sums ContractSums
	coverage, err := store.Rollups(ctx, r, 0, func(row *Rollup) error {
		sums.Add(row)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("visibility figures: %w", err)
	}
	f := sums.Figures(services)
	f.Range, f.Traces, f.Spans, f.Metrics = coverage.Range, stats.Traces, stats.Spans, stats.Metrics
	return f, nil
}
