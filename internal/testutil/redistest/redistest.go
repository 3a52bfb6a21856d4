// Package redistest makes spans and knows what Redis has to hold of them, by a
// tally of its own, for tests of what writes there.
package redistest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// Tally is what a generator knows of its own spans.
type Tally struct {
	Spans, Traces int
	Counts        map[string]map[string]int // key of Redis → value → spans
	Times         map[string][]time.Duration
}

// Add adds what was generated besides.
func (y *Tally) Add(more Tally) {
	y.Spans, y.Traces = y.Spans+more.Spans, y.Traces+more.Traces
	for key, counts := range more.Counts {
		for value, n := range counts {
			y.count(key, value, n)
		}
	}
	for service, times := range more.Times {
		if y.Times == nil {
			y.Times = map[string][]time.Duration{}
		}
		y.Times[service] = append(y.Times[service], times...)
	}
}

func (y *Tally) count(key, value string, n int) {
	if y.Counts == nil {
		y.Counts = map[string]map[string]int{}
	}
	if y.Counts[key] == nil {
		y.Counts[key] = map[string]int{}
	}
	y.Counts[key][value] += n
}

// Generate makes n traces that begin at a time: a client's and a server's side,
// and the way to the application. Those of another seed have other ids.
func Generate(seed, n int, at time.Time) (*visibility.Batch, Tally) {
	y := Tally{Traces: n, Spans: 3 * n, Times: map[string][]time.Duration{}}
	b := &visibility.Batch{Source: "test"}
	for i := range n {
		server := fmt.Sprintf("clover-server%d", 1+i%3)
		url := fmt.Sprintf("http://%s:9180/item/%d", server, i%7)
		var id tracing.TraceID
		copy(id[:], fmt.Sprintf("%08d%08d", seed, i+1))
		for side := range 3 {
			s := tracing.Span{
				TraceID: id, Start: at, URL: url, StatusCode: []int{200, 200, 404, 503}[i%4],
				UserAgent: []string{"chrome", "curl/8, beta"}[i%2], Operation: server + ":9180/*", Duration: time.Duration(1000+137*i+side) * time.Microsecond,
			}
			s.SpanID[7] = byte(side + 1)
			switch side {
			case 0:
				s.Kind, s.Service, s.UpstreamCluster = tracing.KindClient, "proxy-access-control.default", "outbound|9180||"+server+".default.svc.cluster.local"
			case 1:
				s.Kind, s.Service, s.UpstreamCluster = tracing.KindServer, server+".default", "inbound|9180||"
				s.ParentID[7] = 1
				name := strings.ReplaceAll(server, "-", "_")
				y.Times[name] = append(y.Times[name], s.Duration)
			default:
				s.Kind, s.Service, s.UpstreamCluster = tracing.KindClient, server+".default", "inbound|9180||"
				s.ParentID[7] = 2
			}
			s.Node = "sidecar~10.0.0.1~" + s.Service + "~cluster.local"
			b.Spans = append(b.Spans, s)
			y.add(&s)
		}
	}
	return b, y
}

func (y *Tally) add(s *tracing.Span) {
	code := strconv.Itoa(s.StatusCode)
	for key, value := range map[string]string{
		"tracing_services": s.Service, "span_urls": s.URL, "span_urls_z": s.URL, "span_user_agent": s.UserAgent, "span_user_agent_z": s.UserAgent,
		"span_node_id": s.Node, "span_node_id_z": s.Node, "span_operation_name": s.Operation, "span_upstream_cluster": s.UpstreamCluster,
		"span_status_code": code, "span_status_codes_z": code + ", " + s.URL, "span_node_url_z": s.Node + ", " + s.URL,
	} {
		y.count(key, value, 1)
	}
}

// ResponseTimes are the fields of a service's hash.
func (y *Tally) ResponseTimes(service string) map[string]string {
	times := y.Times[service]
	if len(times) == 0 {
		return map[string]string{"avg_rt": "NA", "min_rt": "NA", "max_rt": "NA"}
	}
	var sum time.Duration
	for _, d := range times {
		sum += d
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/1e6) }
	return map[string]string{
		"avg_rt": ms(sum / time.Duration(len(times))), "min_rt": ms(slices.Min(times)), "max_rt": ms(slices.Max(times)),
	}
}

// Held is what Redis holds: key → value → count; of a set, each count is 1, and
// of a string the value's is 1.
type Held map[string]map[string]string

// Read reads the keys of counts by redis-cli, as users do.
func Read(r *testutil.RedisServer) Held {
	h := Held{}
	for _, key := range []string{
		"tracing_services", "span_urls", "span_user_agent", "span_node_id", "span_operation_name", "span_upstream_cluster", "span_status_code",
	} {
		h[key] = map[string]string{}
		for _, member := range Members(r, key) {
			h[key][member] = "1"
		}
	}
	for _, key := range []string{"span_urls_z", "span_user_agent_z", "span_node_id_z", "span_status_codes_z", "span_node_url_z"} {
		h[key] = Pairs(r.CLI("ZRANGE", key, "0", "-1", "WITHSCORES"))
	}
	for _, key := range []string{"trace_count", "span_count"} {
		h[key] = map[string]string{r.CLI("GET", key): "1"}
	}
	return h
}

// Differ says where Redis holds something else than was generated; "": nowhere.
func (y *Tally) Differ(h Held) string {
	var d strings.Builder
	for key, got := range h {
		want := map[string]string{}
		switch key {
		case "trace_count":
			want[strconv.Itoa(y.Traces)] = "1"
		case "span_count":
			want[strconv.Itoa(y.Spans)] = "1"
		default:
			for value, n := range y.Counts[key] {
				want[value] = "1"
				if strings.HasSuffix(key, "_z") {
					want[value] = strconv.Itoa(n)
				}
			}
		}
		if !maps.Equal(got, want) {
			fmt.Fprintf(&d, "%s: %v, want %v\n", key, got, want)
		}
	}
	return d.String()
}

// Lines splits what redis-cli prints.
func Lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// Pairs reads what redis-cli prints of a hash or a sorted set with scores.
func Pairs(text string) map[string]string {
	list := Lines(text)
	m := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m
}

// Members reads a set by redis-cli, sorted.
func Members(r *testutil.RedisServer, key string) []string {
	return slices.Sorted(slices.Values(Lines(r.CLI("SMEMBERS", key))))
}
