package visibilityredis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/opnfv/clover/visibility"
)

// Limits bound what is written. The zero value has the defaults.
type Limits struct {
	// Values is the number of members of a set, the most frequent ones.
	// 0: 10,000, which is also the most.
	Values int
	// Metrics is the number of lists. 0: 10,000.
	Metrics int
}

// metricValues is the length of a list.
const metricValues = 100

func (l Limits) withDefaults() Limits {
	if l.Values <= 0 || l.Values > visibility.MaxLimit {
		l.Values = visibility.MaxLimit
	}
	if l.Metrics <= 0 {
		l.Metrics = 10_000
	}
	return l
}

// Contents are the keys of a refresh.
type Contents struct {
	Keys []Key // no name twice
	// LeftOut is the number of values and lists that limits kept out.
	LeftOut int
	// Faults name what has no key, and what to do about it.
	Faults []error
}

// values is the number of values in all keys.
func (c *Contents) values() (n int) {
	for _, k := range c.Keys {
		n += len(k.Values)
	}
	return n
}

// Results returns what Redis has to hold for figures, metrics and the
// configuration that they were read with. Metrics that the configuration does
// not select are not among them. Without figures (nil) there are metrics only.
// The arguments are not changed.
func Results(f *visibility.ContractFigures, metrics []visibility.MetricSeries, c visibility.Config, l Limits) Contents {
	r := results{limits: l.withDefaults(), seen: map[string]bool{}}
	if f != nil {
		r.figures(f)
	}
	r.metrics(metrics, c)
	slices.SortFunc(r.Keys, func(a, b Key) int { return cmp.Compare(a.Name, b.Name) })
	return r.Contents
}

type results struct {
	Contents
	limits Limits
	seen   map[string]bool // keys
}

// figures adds the keys of figures.
func (r *results) figures(f *visibility.ContractFigures) {
	for _, s := range []struct {
		set, sorted string // keys; "": none
		values      []visibility.ValueCount
	}{
		{DiscoveredKey, "", f.Services},
		{URLsKey, URLCountsKey, f.URLs},
		{UserAgentsKey, UserAgentCountsKey, f.UserAgents},
		{NodesKey, NodeCountsKey, f.NodeIDs},
		{OperationsKey, "", f.OperationNames},
		{UpstreamClustersKey, "", f.UpstreamClusters},
		{StatusCodesKey, "", f.StatusCodes},
		{"", StatusURLCountsKey, f.StatusCodeURLs},
		{"", NodeURLCountsKey, f.NodeURLs},
	} {
		r.counted(s.set, s.sorted, s.values)
	}
	for key, n := range map[string]int64{TracesKey: f.Traces, SpansKey: f.Spans, MetricsKey: f.Metrics} {
		r.add(Key{Name: key, Kind: String, Values: []string{strconv.FormatInt(n, 10)}})
	}
	for _, s := range f.ResponseTimes {
		r.service(&s)
	}
}

func (r *results) add(k Key) {
	r.seen[k.Name] = true
	r.Keys = append(r.Keys, k)
}

// counted adds the values of one property, as a set and with their counts.
func (r *results) counted(set, sorted string, values []visibility.ValueCount) {
	if over := len(values) - r.limits.Values; over > 0 {
		r.LeftOut += over
		values = values[:r.limits.Values] // the most frequent are first
	}
	names, counts := make([]string, len(values)), make([]int64, len(values))
	for i, v := range values {
		names[i], counts[i] = v.Value, v.Count
	}
	if set != "" {
		r.add(Key{Name: set, Kind: Set, Values: names})
	}
	if sorted != "" {
		r.add(Key{Name: sorted, Kind: SortedSet, Values: names, Counts: counts})
	}
}

// service adds the hash of a tracked service.
func (r *results) service(s *visibility.ServiceResponseTime) {
	key := underscored(s.Service)
	switch {
	case isReserved(key):
		r.Faults = append(r.Faults, fmt.Errorf("service %s cannot have its response times in Redis, because %s is another key: track it by its name with the namespace", s.Service, key))
	case !r.seen[key]:
		r.add(Key{Name: key, Kind: Hash, Values: []string{AvgField, s.AvgText(), MinField, s.MinText(), MaxField, s.MaxText()}})
	}
}

// metrics adds the lists of the metrics that are selected.
func (r *results) metrics(metrics []visibility.MetricSeries, c visibility.Config) {
	lists := 0
	for i := range metrics {
		m := &metrics[i]
		key := MetricPrefix + m.Name
		if r.seen[key] || !selects(&c, m) {
			continue
		}
		if lists++; lists > r.limits.Metrics {
			r.LeftOut++
			continue
		}
		points := m.Points[max(len(m.Points)-metricValues, 0):]
		values := make([]string, len(points))
		for j, p := range points {
			values[j] = number(p.Value)
		}
		r.add(Key{Name: key, Kind: List, Values: values})
	}
}

// selects reports whether a configuration selects a metric, by its whole name
// or as PREFIX SERVICE SUFFIX.
func selects(c *visibility.Config, m *visibility.MetricSeries) bool {
	if m.Service == "" {
		return slices.Contains(c.CustomMetrics, m.Name)
	}
	return c.Tracks(m.Service) &&
		slices.ContainsFunc(c.MetricPrefixes, func(p string) bool { return strings.HasPrefix(m.Name, p) }) &&
		slices.ContainsFunc(c.MetricSuffixes, func(s string) bool { return strings.HasSuffix(m.Name, s) })
}

// number writes a value without an exponent, as far as that has sense.
func number(v float64) string {
	if math.Abs(v) < 1e21 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// underscored is how Redis has the name of a service.
func underscored(service string) string { return strings.ReplaceAll(service, "-", "_") }
