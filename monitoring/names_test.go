package monitoring

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const server1 = "outbound|9180||clover-server1.default.svc.cluster.local"

func TestLegacyName(t *testing.T) {
	type labels = map[string]string
	tests := []struct {
		metric string
		labels labels
		want   string // "" = none
	}{
		{"envoy_cluster_upstream_rq", labels{"cluster_name": server1, "response_code_class": "2xx"},
			"envoy_cluster_outbound_9180__clover_server1_default_svc_cluster_local_upstream_rq_2xx"},
		{"envoy_cluster_upstream_rq", labels{"cluster_name": server1, "response_code": "200"},
			"envoy_cluster_outbound_9180__clover_server1_default_svc_cluster_local_upstream_rq_200"},
		{"envoy_cluster_upstream_rq_total", labels{"cluster_name": server1},
			"envoy_cluster_outbound_9180__clover_server1_default_svc_cluster_local_upstream_rq_total"},
		{"envoy_cluster_upstream_cx_active", labels{"cluster_name": server1 + ";"},
			"envoy_cluster_outbound_9180__clover_server1_default_svc_cluster_local_upstream_cx_active"},
		{"envoy_cluster_upstream_rq_time_bucket", labels{"cluster_name": server1, "le": "5"},
			"envoy_cluster_outbound_9180__clover_server1_default_svc_cluster_local_upstream_rq_time_bucket"},
		{"envoy_cluster_upstream_rq_total", labels{"cluster_name": "outbound|9180|v1|http-lb.default.svc.cluster.local"},
			"envoy_cluster_outbound_9180_v1_http_lb_default_svc_cluster_local_upstream_rq_total"},
		{"envoy_cluster_upstream_rq", labels{"cluster_name": "inbound|9180|http|clover-server1.default.svc.cluster.local", "response_code_class": "5xx"},
			"envoy_cluster_inbound_9180_http_clover_server1_default_svc_cluster_local_upstream_rq_5xx"},
		// plain Envoy's dialect
		{"envoy_cluster_upstream_rq_xx", labels{"envoy_cluster_name": "clover_server1", "envoy_response_code_class": "2"},
			"envoy_cluster_clover_server1_upstream_rq_2xx"},
		{"envoy_cluster_upstream_rq", labels{"envoy_cluster_name": "clover-server1", "envoy_response_code": "503"},
			"envoy_cluster_clover_server1_upstream_rq_503"},
		// other families
		{"envoy_http_downstream_rq", labels{"http_conn_manager_prefix": "inbound_0.0.0.0_9180", "response_code_class": "4xx"},
			"envoy_http_inbound_0_0_0_0_9180_downstream_rq_4xx"},
		{"envoy_listener_downstream_cx_total", labels{"envoy_listener_address": "0.0.0.0_9180"},
			"envoy_listener_0_0_0_0_9180_downstream_cx_total"},
		// no old name
		{"envoy_cluster_upstream_rq_total", labels{}, ""},
		{"envoy_cluster_", labels{"cluster_name": "x"}, ""},
		{"envoy_tracing_zipkin_spans_sent", labels{"cluster_name": "x"}, ""},
		{"istio_requests_total", labels{"response_code": "200"}, ""},
		{"", nil, ""},
	}
	for _, tt := range tests {
		got, ok := LegacyName(tt.metric, tt.labels)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("LegacyName(%s, %v)\n got %q, %v\nwant %q", tt.metric, tt.labels, got, ok, tt.want)
		}
	}
}

// TestSampleRoundTrip asks, for each series that a real sidecar exposed, for
// its name of 2019, and checks that the query finds the series again.
func TestSampleRoundTrip(t *testing.T) {
	translated := 0
	for _, s := range readSample(t) {
		name, ok := LegacyName(s.Metric, s.Labels)
		if !ok {
			name = s.Metric
		} else {
			translated++
		}
		got, ok := mustPlan(t, Selection{Custom: []string{name}}).find(t, s.Metric, s.Labels)
		if !ok || got != name {
			t.Fatalf("%s%v is %s, found again as %q, %v", s.Metric, s.Labels, name, got, ok)
		}
	}
	if translated < 500 {
		t.Errorf("only %d series of the sample have a name of 2019", translated)
	}
}

func TestContractOnSample(t *testing.T) {
	p := mustPlan(t, Selection{
		Services: []string{"http_lb", "proxy-access-control", "clover_server1"},
		Prefixes: []string{"envoy_cluster_outbound_9180__", "envoy_cluster_inbound_9180__"},
		Suffixes: []string{"_default_svc_cluster_local_upstream_rq_2xx", "_default_svc_cluster_local_upstream_rq_200",
			"_default_svc_cluster_local_upstream_cx_active", "_default_svc_cluster_local_upstream_rq_time_count",
			"_default_svc_cluster_local_membership_healthy"},
		Custom: []string{"envoy_tracing_zipkin_spans_sent"},
	})
	got := map[string]float64{}
	for _, s := range readSample(t) {
		s.Labels["app"], s.Labels["namespace"] = "clover-server1", "default" // as the scrape's relabelling adds
		if name, ok := p.find(t, s.Metric, s.Labels); ok {
			got[name] += s.Value
		}
	}
	const lb, in = "envoy_cluster_outbound_9180__http_lb_default_svc_cluster_local_", "envoy_cluster_inbound_9180__clover_server1_default_svc_cluster_local_"
	want := map[string]float64{
		lb + "upstream_rq_2xx": 31, lb + "upstream_rq_200": 31, lb + "upstream_cx_active": 2, lb + "upstream_rq_time_count": 31, lb + "membership_healthy": 2,
		in + "upstream_rq_2xx": 31, in + "upstream_rq_200": 31, in + "upstream_cx_active": 2, in + "upstream_rq_time_count": 31, in + "membership_healthy": 1,
		"envoy_cluster_outbound_9180__proxy_access_control_default_svc_cluster_local_membership_healthy": 1,
		"envoy_tracing_zipkin_spans_sent": 5,
	}
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s = %v, %v, want %v", name, v, ok, value)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("unexpected %s = %v", name, got[name])
		}
	}
}

func TestLiteralNames(t *testing.T) {
	p := mustPlan(t, Selection{
		Services: []string{"clover_server1"}, Prefixes: []string{"envoy_cluster_outbound_9180__"},
		Suffixes: []string{"_default_svc_cluster_local_upstream_rq_2xx"},
		Custom:   []string{"envoy_cluster_upstream_rq_total", "job:rate5m", "a.b|c"},
	})
	for metric, labels := range map[string]map[string]string{
		"envoy_cluster_outbound_9180__clover_server1_default_svc_cluster_local_upstream_rq_2xx": {},
		"envoy_cluster_upstream_rq_total": {"cluster_name": server1}, // today's name itself
		"job:rate5m":                      {},
		"a.b|c":                           {},
	} {
		if got, ok := p.find(t, metric, labels); !ok || got != metric {
			t.Errorf("%s%v found as %q, %v", metric, labels, got, ok)
		}
	}
	for _, metric := range []string{"envoy_cluster_outbound_9180__clover_server11_default_svc_cluster_local_upstream_rq_2xx", "aXb|c", "a", "c"} {
		if got, ok := p.find(t, metric, nil); ok {
			t.Errorf("%s found as %q", metric, got)
		}
	}
}

func TestInboundByScrapeLabels(t *testing.T) {
	p := mustPlan(t, Selection{
		Services: []string{"clover-server1"}, Prefixes: []string{"envoy_cluster_inbound_9180__"},
		Suffixes: []string{"_prod_eu_svc_cluster_local_upstream_rq_total"},
	})
	tests := []struct {
		name   string
		labels map[string]string
		found  bool
	}{
		{"app", map[string]string{"app": "clover-server1", "namespace": "prod-eu"}, true},
		{"canonical name", map[string]string{"service_istio_io_canonical_name": "clover-server1"}, true},
		{"deployment's pod", map[string]string{"pod": "clover-server1-7d9c5b8f6d-x2x4z", "namespace": "prod-eu"}, true},
		{"stateful pod", map[string]string{"pod_name": "clover-server1-0"}, true},
		{"other namespace", map[string]string{"app": "clover-server1", "namespace": "default"}, false},
		{"other app", map[string]string{"app": "clover-server2", "namespace": "prod-eu"}, false},
		{"nothing known", map[string]string{}, false},
	}
	for _, tt := range tests {
		tt.labels["cluster_name"] = "inbound|9180||"
		if name, ok := p.find(t, "envoy_cluster_upstream_rq_total", tt.labels); ok != tt.found {
			t.Errorf("%s: found %q, %v, want %v", tt.name, name, ok, tt.found)
		}
	}
	labels := map[string]string{"cluster_name": "inbound|8080||", "app": "clover-server1"}
	if name, ok := p.find(t, "envoy_cluster_upstream_rq_total", labels); ok {
		t.Errorf("another port found as %q", name)
	}
}

func TestSelectionNames(t *testing.T) {
	names, err := Selection{
		Services: []string{"clover_server1", "clover-server1", "http-lb"}, Prefixes: []string{"p_"}, Suffixes: []string{"_a", "_b"},
		Custom: []string{"m", "m"},
	}.Names()
	want := []string{"p_clover_server1_a", "p_http_lb_a", "p_clover_server1_b", "p_http_lb_b", "m"}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("Names() = %q, %v, want %q", names, err, want)
	}
	for field, sel := range map[string]Selection{
		"services":        {Services: []string{"ok", " "}},
		"metric_prefixes": {Prefixes: []string{strings.Repeat("x", 2000)}},
		"metric_suffixes": {Suffixes: []string{"a\"} or up"}},
		"custom_metrics":  {Custom: []string{"\xff"}},
	} {
		_, err := sel.Names()
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: error %v does not name the field as invalid", field, err)
		}
	}
}

// FuzzLegacyName checks, for any cluster name and statistic, that the name of
// 2019 asks for a query that finds the series and matches it back.
func FuzzLegacyName(f *testing.F) {
	f.Add(server1, "_2xx", uint8(0), uint8(2))
	f.Add("inbound|9180||", "_total", uint8(1), uint8(0))
	f.Add("xds-grpc", "_time_bucket", uint8(2), uint8(55))
	f.Add("Ünï|cödé;", "", uint8(3), uint8(4))
	f.Fuzz(func(t *testing.T, cluster, tail string, root, class uint8) {
		if cluster == "" || !utf8.ValidString(cluster) || len(cluster) > 200 || len(tail) > 50 {
			t.Skip()
		}
		roots := families[0].roots
		stat := roots[int(root)%len(roots)] + sanitize(strings.ReplaceAll(tail, ":", "_"))
		labels := map[string]string{"cluster_name": cluster}
		if c := class % 6; c > 0 {
			stat = strings.TrimRight(stat, "_") + "_rq"
			labels["response_code_class"] = fmt.Sprintf("%dxx", c)
		}
		name, ok := LegacyName("envoy_cluster_"+stat, labels)
		if !ok {
			t.Fatalf("no name for %s%v", stat, labels)
		}
		if len(name) > maxNameLength || strings.ContainsFunc(name, func(r rune) bool { return r > 0x7e || r < 0x21 }) {
			t.Fatalf("name %q is no metric name", name)
		}
		got, ok := mustPlan(t, Selection{Custom: []string{name}}).find(t, "envoy_cluster_"+stat, labels)
		if !ok || got != name {
			t.Fatalf("%s%v is %s, found again as %q, %v", stat, labels, name, got, ok)
		}
	})
}

func TestQueriesSplit(t *testing.T) {
	sel := thousand()
	whole := mustPlan(t, sel).queries(DefaultMaxQueryBytes)
	if len(whole) != 1 {
		t.Errorf("%d queries for 1,000 services with the default limit, want 1", len(whole))
	}
	const limit = 8 << 10
	parts := mustPlan(t, sel).queries(limit)
	if len(parts) < 2 {
		t.Fatalf("%d queries below %d bytes", len(parts), limit)
	}
	for i, q := range parts {
		if len(q) > limit {
			t.Errorf("query %d has %d bytes, above %d", i, len(q), limit)
		}
	}
	all := strings.Join(parts, "\n")
	for _, service := range sel.Services {
		if !strings.Contains(all, strings.ReplaceAll(service, "-", ".")+"|") && !strings.Contains(all, strings.ReplaceAll(service, "-", ".")+")") {
			t.Errorf("%s is in no query", service)
		}
	}
}

func thousand() Selection {
	sel := Selection{
		Prefixes: []string{"envoy_cluster_outbound_9180__", "envoy_cluster_inbound_9180__"},
		Suffixes: []string{"_default_svc_cluster_local_upstream_rq_2xx", "_default_svc_cluster_local_upstream_cx_active"},
		Custom:   []string{"envoy_tracing_zipkin_spans_sent"},
	}
	for i := range 1000 {
		sel.Services = append(sel.Services, fmt.Sprintf("service-%04d", i))
	}
	return sel
}

func BenchmarkLegacyName(b *testing.B) {
	labels := map[string]string{"cluster_name": server1, "response_code_class": "2xx", "instance": "10.0.0.1:15090"}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := LegacyName("envoy_cluster_upstream_rq", labels); !ok {
			b.Fatal("not translated")
		}
	}
}

// BenchmarkPlan1000 computes the plan and the PromQL for 1,000 services.
func BenchmarkPlan1000(b *testing.B) {
	sel := thousand()
	b.ReportAllocs()
	for b.Loop() {
		if len(mustPlan(b, sel).queries(DefaultMaxQueryBytes)) != 1 {
			b.Fatal("more than one query")
		}
	}
}

// BenchmarkMatch1000 matches the answer for 1,000 services, 4,000 series.
func BenchmarkMatch1000(b *testing.B) {
	sel := thousand()
	p := mustPlan(b, sel)
	var answer []Sample
	for _, service := range sel.Services {
		cluster := "outbound|9180||" + service + ".default.svc.cluster.local"
		answer = append(answer, []Sample{
			{Metric: "envoy_cluster_upstream_rq", Labels: map[string]string{"cluster_name": cluster, "response_code_class": "2xx"}},
			{Metric: "envoy_cluster_upstream_cx_active", Labels: map[string]string{"cluster_name": cluster}},
			{Metric: "envoy_cluster_upstream_rq", Labels: map[string]string{"cluster_name": "inbound|9180||", "app": service, "response_code_class": "2xx"}},
			{Metric: "envoy_cluster_upstream_cx_active", Labels: map[string]string{"cluster_name": "inbound|9180||", "app": service}},
		}...)
	}
	b.ReportAllocs()
	for b.Loop() {
		g := newGather(p)
		for _, s := range answer {
			s.Labels[partLabel] = partLabelled + "1"
		}
		g.add(answer, nil)
		if got := len(g.collection().Points); got != 4000 {
			b.Fatalf("%d points, want 4000", got)
		}
	}
}
