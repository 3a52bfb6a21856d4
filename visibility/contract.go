package visibility

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opnfv/clover/tracing"
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
	times := newResponseTimes(services)
	_, err := store.Rollups(ctx, r, 0, func(row *Rollup) error {
		times.add(row)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("response times: %w", err)
	}
	return times.result(), nil
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
	f := &ContractFigures{Traces: stats.Traces, Spans: stats.Spans, Metrics: stats.Metrics}
	times := newResponseTimes(services)
	tallies := f.tallies()
	coverage, err := store.Rollups(ctx, r, 0, func(row *Rollup) error {
		times.add(row)
		for i := range tallies {
			tallies[i].add(row)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("visibility figures: %w", err)
	}
	for i := range tallies {
		*tallies[i].into = tallies[i].result()
	}
	f.Range, f.ResponseTimes = coverage.Range, times.result()
	return f, nil
}

// tally counts the spans of each value of one property, or of two joined.
type tally struct {
	dims   []Dimension
	into   *[]ValueCount
	counts map[string]int64
}

func (f *ContractFigures) tallies() []tally {
	t := []tally{
		{dims: []Dimension{URL}, into: &f.URLs},
		{dims: []Dimension{UserAgent}, into: &f.UserAgents},
		{dims: []Dimension{Node}, into: &f.NodeIDs},
		{dims: []Dimension{Operation}, into: &f.OperationNames},
		{dims: []Dimension{UpstreamCluster}, into: &f.UpstreamClusters},
		{dims: []Dimension{Status}, into: &f.StatusCodes},
		{dims: []Dimension{Status, URL}, into: &f.StatusCodeURLs},
		{dims: []Dimension{Node, URL}, into: &f.NodeURLs},
		{dims: []Dimension{Service}, into: &f.Services},
	}
	for i := range t {
		t[i].counts = map[string]int64{}
	}
	return t
}

// add counts a row, unless it lacks one of the properties. Beyond MaxLimit
// values, new ones are counted as Other.
func (t *tally) add(row *Rollup) {
	value := row.Key[t.dims[0]]
	for _, d := range t.dims {
		if row.Key[d] == "" {
			return
		}
	}
	if len(t.dims) == 2 {
		value += ", " + row.Key[t.dims[1]]
	}
	if _, ok := t.counts[value]; !ok {
		if len(t.counts) >= MaxLimit {
			value = Other
		}
		value = strings.Clone(value) // the row's strings do not last
	}
	t.counts[value] += row.Aggregate.Count
}

func (t *tally) result() []ValueCount {
	values := make([]ValueCount, 0, len(t.counts))
	for value, n := range t.counts {
		if n > 0 {
			values = append(values, ValueCount{value, n})
		}
	}
	slices.SortFunc(values, func(a, b ValueCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return values
}

// responseTimes sums up rows by tracked service.
type responseTimes struct {
	services []string
	// served is of server spans. inbound is of other spans to an inbound
	// cluster, which stand for the service where it has no server spans.
	served, inbound []Aggregate
	known           map[string][]int // reporting service → indexes of services
}

func newResponseTimes(services []string) *responseTimes {
	return &responseTimes{
		services: services, known: map[string][]int{},
		served: make([]Aggregate, len(services)), inbound: make([]Aggregate, len(services)),
	}
}

func (t *responseTimes) add(row *Rollup) {
	sums := t.inbound
	switch {
	case row.Role == RoleServer:
		sums = t.served
	case !tracing.IsInbound(row.Key[UpstreamCluster]):
		return
	}
	for _, i := range t.tracked(row.Key[Service]) {
		sums[i].mergeScalars(row.Aggregate)
	}
}

// tracked returns the indexes of the tracked services that a name means.
func (t *responseTimes) tracked(name string) []int {
	indexes, ok := t.known[name]
	if !ok {
		for i, s := range t.services {
			if SameService(s, name) {
				indexes = append(indexes, i)
			}
		}
		t.known[strings.Clone(name)] = indexes
	}
	return indexes
}

func (t *responseTimes) result() []ServiceResponseTime {
	times := make([]ServiceResponseTime, len(t.services))
	for i, service := range t.services {
		sum := &t.served[i]
		if sum.Count <= 0 {
			sum = &t.inbound[i]
		}
		times[i] = ServiceResponseTime{Service: service}
		if sum.Count > 0 {
			times[i] = ServiceResponseTime{
				Service: service, Count: sum.Count,
				Avg: sum.Mean(), Min: sum.Min, Max: sum.Max, Inexact: sum.Inexact,
			}
		}
	}
	return times
}
