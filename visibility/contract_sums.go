package visibility

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/opnfv/clover/tracing"
)

// ContractSums are what [ContractFigures] of a part of the spans are made of,
// such as those of an hour or of a file. They add up, and can be kept as JSON.
// The zero value is that of no spans.
type ContractSums struct {
	Traces int64 `json:"traces"`
	Spans  int64 `json:"spans"`
	// Values count spans by the values of one property, or of two joined. Beyond
	// MaxLimit values of a property, new ones are counted as Other.
	Values contractValues `json:"values"`
	// Times are the durations by the service that reports them.
	Times responseTimes `json:"times,omitempty"`
}

// contractTallies are the properties that figures count spans by.
var contractTallies = [...]struct {
	name string // in JSON, which is on disks
	dims []Dimension
	into func(*ContractFigures) *[]ValueCount
}{
	{"url", []Dimension{URL}, func(f *ContractFigures) *[]ValueCount { return &f.URLs }},
	{"user_agent", []Dimension{UserAgent}, func(f *ContractFigures) *[]ValueCount { return &f.UserAgents }},
	{"node", []Dimension{Node}, func(f *ContractFigures) *[]ValueCount { return &f.NodeIDs }},
	{"operation", []Dimension{Operation}, func(f *ContractFigures) *[]ValueCount { return &f.OperationNames }},
	{"upstream_cluster", []Dimension{UpstreamCluster}, func(f *ContractFigures) *[]ValueCount { return &f.UpstreamClusters }},
	{"status", []Dimension{Status}, func(f *ContractFigures) *[]ValueCount { return &f.StatusCodes }},
	{"status_url", []Dimension{Status, URL}, func(f *ContractFigures) *[]ValueCount { return &f.StatusCodeURLs }},
	{"node_url", []Dimension{Node, URL}, func(f *ContractFigures) *[]ValueCount { return &f.NodeURLs }},
	{"service", []Dimension{Service}, func(f *ContractFigures) *[]ValueCount { return &f.Services }},
}

// contractValues are counts by value, by the index of contractTallies. In JSON
// they have its names.
type contractValues [len(contractTallies)]map[string]int64

// MarshalJSON implements json.Marshaler.
func (v contractValues) MarshalJSON() ([]byte, error) {
	named := map[string]map[string]int64{}
	for i, counts := range v {
		if len(counts) > 0 {
			named[contractTallies[i].name] = counts
		}
	}
	return json.Marshal(named)
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *contractValues) UnmarshalJSON(text []byte) error {
	var named map[string]map[string]int64
	if err := json.Unmarshal(text, &named); err != nil {
		return err
	}
	for i := range contractTallies {
		v[i] = named[contractTallies[i].name]
	}
	return nil
}

// Add adds the spans of a row. It does not keep the row's memory. Traces are
// the caller's to count: rows do not tell them.
func (s *ContractSums) Add(row *Rollup) {
	s.Spans += row.Aggregate.Count
	for i := range contractTallies {
		t := &contractTallies[i]
		value := row.Key[t.dims[0]]
		if value == "" {
			continue
		}
		if len(t.dims) == 2 {
			second := row.Key[t.dims[1]]
			if second == "" {
				continue
			}
			value += ", " + second
		}
		s.Values.add(i, value, row.Aggregate.Count)
	}
	s.Times.add(row)
}

// Merge adds other sums.
func (s *ContractSums) Merge(o *ContractSums) {
	s.Traces += o.Traces
	s.Spans += o.Spans
	for i, counts := range o.Values {
		for value, n := range counts {
			s.Values.add(i, value, n)
		}
	}
	s.Times.merge(o.Times)
}

func (v *contractValues) add(i int, value string, n int64) {
	counts := v[i]
	if counts == nil {
		counts = map[string]int64{}
		v[i] = counts
	}
	if _, ok := counts[value]; !ok {
		if len(counts) >= MaxLimit {
			value = Other
		}
		value = strings.Clone(value) // a row's strings do not last
	}
	counts[value] += n
}

// Figures are the figures of these sums. Range and Metrics are not filled in.
func (s *ContractSums) Figures(services []string) *ContractFigures {
	f := &ContractFigures{Traces: s.Traces, Spans: s.Spans, ResponseTimes: s.Times.of(services)}
	for i := range contractTallies {
		*contractTallies[i].into(f) = sorted(s.Values[i])
	}
	return f
}

// sorted lists counts, largest first, then by value.
func sorted(counts map[string]int64) []ValueCount {
	values := make([]ValueCount, 0, len(counts))
	for value, n := range counts {
		if n > 0 {
			values = append(values, ValueCount{value, n})
		}
	}
	slices.SortFunc(values, func(a, b ValueCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return values
}

// responseTimes are sums by reporting service.
type responseTimes map[string]*serviceTimes

type serviceTimes struct {
	// Served is of server spans. Inbound is of other spans to an inbound
	// cluster, which stand for the service where it has no server spans.
	Served  durations `json:"served"`
	Inbound durations `json:"inbound"`
}

// durations are the sums of an Aggregate that response times need.
type durations struct {
	Count   int64         `json:"count"`
	Sum     time.Duration `json:"sum_ns"`
	Min     time.Duration `json:"min_ns"`
	Max     time.Duration `json:"max_ns"`
	Inexact bool          `json:"inexact,omitempty"`
}

func (d *durations) merge(o durations) {
	if o.Count > 0 {
		if d.Count <= 0 {
			d.Min, d.Max = o.Min, o.Max
		}
		d.Min, d.Max = min(d.Min, o.Min), max(d.Max, o.Max)
	}
	d.Count += o.Count
	d.Sum += o.Sum
	d.Inexact = d.Inexact || o.Inexact
}

func (t *responseTimes) add(row *Rollup) {
	served := row.Role == RoleServer
	if !served && !tracing.IsInbound(row.Key[UpstreamCluster]) {
		return
	}
	a, sums := row.Aggregate, t.service(row.Key[Service])
	d := durations{a.Count, a.Sum, a.Min, a.Max, a.Inexact}
	if served {
		sums.Served.merge(d)
	} else {
		sums.Inbound.merge(d)
	}
}

func (t *responseTimes) merge(o responseTimes) {
	for name, sums := range o {
		into := t.service(name)
		into.Served.merge(sums.Served)
		into.Inbound.merge(sums.Inbound)
	}
}

func (t *responseTimes) service(name string) *serviceTimes {
	sums := (*t)[name]
	if sums == nil {
		if *t == nil {
			*t = responseTimes{}
		}
		sums = &serviceTimes{}
		(*t)[strings.Clone(name)] = sums
	}
	return sums
}

// of returns the response times of tracked services, in their order.
func (t responseTimes) of(services []string) []ServiceResponseTime {
	times := make([]ServiceResponseTime, len(services))
	for i, service := range services {
		var sums serviceTimes
		for name, s := range t {
			if SameService(service, name) {
				sums.Served.merge(s.Served)
				sums.Inbound.merge(s.Inbound)
			}
		}
		d := sums.Served
		if d.Count <= 0 {
			d = sums.Inbound
		}
		times[i] = ServiceResponseTime{Service: service}
		if d.Count > 0 {
			mean := Aggregate{Count: d.Count, Sum: d.Sum}
			times[i] = ServiceResponseTime{Service: service, Count: d.Count, Avg: mean.Mean(), Min: d.Min, Max: d.Max, Inexact: d.Inexact}
		}
	}
	return times
}
