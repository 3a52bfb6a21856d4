package visibilityredis

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/visibility"
)

var update = flag.Bool("update", false, "write the golden files again")

// text prints keys as redis-cli would have to be told.
func (c *Contents) text() string {
	var b strings.Builder
	for _, k := range c.Keys {
		fmt.Fprintf(&b, "%s %s", k.Kind, k.Name)
		for i, v := range k.Values {
			fmt.Fprintf(&b, " %q", v)
			if k.Counts != nil {
				fmt.Fprintf(&b, "=%d", k.Counts[i])
			}
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "left out %d\n", c.LeftOut)
	for _, err := range c.Faults {
		fmt.Fprintf(&b, "fault %v\n", err)
	}
	return b.String()
}

func TestResults(t *testing.T) {
	f := &visibility.ContractFigures{
		Traces: 20, Spans: 189, Metrics: 2192,
		ResponseTimes: []visibility.ServiceResponseTime{
			{Service: "clover-server1", Count: 3, Avg: 2240400, Min: 620 * time.Microsecond, Max: 13204999},
			{Service: "clover_server1"}, // the same key
			{Service: "http-lb.default"},
			{Service: "snort-events"}, // the key of alerts
		},
		URLs:       []visibility.ValueCount{{Value: "http://clover-server1:9180/", Count: 12}, {Value: "http://snort-ids/", Count: 7}, {Value: "http://rare/", Count: 1}},
		UserAgents: []visibility.ValueCount{{Value: "chrome", Count: 20}},
		NodeURLs:   []visibility.ValueCount{{Value: "sidecar~10.0.0.1~a, http://snort-ids/", Count: 7}},
		Services:   []visibility.ValueCount{{Value: "clover-server1.default", Count: 19}},
	}
	series := func(name, service string, values ...float64) visibility.MetricSeries {
		s := visibility.MetricSeries{Name: name, Service: service}
		for _, v := range values {
			s.Points = append(s.Points, visibility.MetricPoint{Value: v})
		}
		return s
	}
	c := Results(f, []visibility.MetricSeries{
		series("in_clover_server1_rq", "clover_server1", 0, 0.5, 1e20, 1e21, -3),
		series("in_clover_server9_rq", "clover_server9", 1), // not tracked
		series("in_clover_server1_cx", "clover_server1", 1), // no such suffix
		series("custom", "", 12345678),
		series("zz_custom", "", 1), // one more than the limit
		series("other", "", 1),
	}, visibility.Config{
		Services: []string{"clover-server1"}, MetricPrefixes: []string{"in_"}, MetricSuffixes: []string{"_rq"},
		CustomMetrics: []string{"custom", "zz_custom"},
	}, Limits{Values: 2, Metrics: 2})
	const golden = "testdata/results.txt"
	if *update {
		check(t, os.WriteFile(golden, []byte(c.text()), 0o600))
	}
	want, err := os.ReadFile(golden)
	check(t, err)
	if got := c.text(); got != string(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func ExampleResults() {
	figures := &visibility.ContractFigures{
		ResponseTimes: []visibility.ServiceResponseTime{{Service: "clover-server1", Count: 1, Avg: 2 * time.Millisecond, Min: time.Millisecond, Max: 3 * time.Millisecond}},
	}
	contents := Results(figures, nil, visibility.Config{}, Limits{})
	fmt.Println(contents.Keys[0].Kind, contents.Keys[0].Name, contents.Keys[0].Values)
	// Output: hash clover_server1 [avg_rt 2.00 min_rt 1.00 max_rt 3.00]
}
