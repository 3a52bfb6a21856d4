package visibility

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

const startFile = `# start_visibility.yaml
sample_interval: "2"
t_host: tracing.istio-system
t_port: "80"
m_host: prometheus.istio-system
m_port: 9090
`

const setFile = `services:
  - name: proxy_access_control
  - {name: clover_server1}
  - clover-server2
metric_prefixes: [{prefix: envoy_cluster_outbound_9180__}]
metric-suffixes:
  - suffix: _default_svc_cluster_local_upstream_rq_2xx
custom_metrics: [{metric: envoy_tracing_zipkin_spans_sent}, up]
`

func TestParseConfigReadsTheKnownFiles(t *testing.T) {
	monitoring := "http://prometheus.istio-system:9090"
	empty := ""
	for name, tc := range map[string]struct {
		yaml string
		want ConfigUpdate
	}{
		"start": {startFile, ConfigUpdate{
			SampleInterval: Interval(2 * time.Second),
			Tracing:        []string{"http://tracing.istio-system:80"}, Monitoring: &monitoring,
		}},
		"set": {setFile, ConfigUpdate{
			Services:       []string{"proxy_access_control", "clover_server1", "clover-server2"},
			MetricPrefixes: []string{"envoy_cluster_outbound_9180__"},
			MetricSuffixes: []string{"_default_svc_cluster_local_upstream_rq_2xx"},
			CustomMetrics:  []string{"envoy_tracing_zipkin_spans_sent", "up"},
		}},
		"one key":          {"sample-interval: 500ms", ConfigUpdate{SampleInterval: Interval(500 * time.Millisecond)}},
		"number":           {"Sample_Interval: 0.5", ConfigUpdate{SampleInterval: Interval(500 * time.Millisecond)}},
		"ipv6":             {"{t_host: '::1', t_port: 16686}", ConfigUpdate{Tracing: []string{"http://[::1]:16686"}}},
		"URLs":             {"tracing: [http://a:1, {url: 'https://b/jaeger'}]\n", ConfigUpdate{Tracing: []string{"http://a:1", "https://b/jaeger"}}},
		"one URL":          {"tracing: http://a:1\n", ConfigUpdate{Tracing: []string{"http://a:1"}}},
		"cleared":          {"services: []\nmonitoring: \"\"\n", ConfigUpdate{Services: []string{}, Monitoring: &empty}},
		"twice the same":   {"services: [a, {name: a}]", ConfigUpdate{Services: []string{"a"}}},
		"number as name":   {"services: [{name: 007}]", ConfigUpdate{Services: []string{"007"}}},
		"CRLF":             {"sample_interval: 2\r\nservices:\r\n- a\r\n", ConfigUpdate{SampleInterval: Interval(2 * time.Second), Services: []string{"a"}}},
		"empty second doc": {"sample_interval: 2\n---\n", ConfigUpdate{SampleInterval: Interval(2 * time.Second)}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseConfig([]byte(tc.yaml))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
			if err := (Config{}).Merge(got).Validate(); err != nil {
				t.Errorf("what was read is not valid: %v", err)
			}
		})
	}
}

func TestParseConfigNamesTheFault(t *testing.T) {
	for name, tc := range map[string]struct{ yaml, want string }{
		"unknown key":      {"sample_intervall: 2\n", "line 1, column 1: sample_intervall: unknown key; did you mean sample_interval?"},
		"far from all":     {"a: 1\ncolour: red\n", "line 2, column 1: colour: unknown key; want one of sample_interval, t_host,"},
		"unknown in list":  {"services:\n  - {nam: x}\n", "line 2, column 6: services[0].nam: unknown key; want name"},
		"wrong field":      {"services: [{prefix: x}]", "line 1, column 13: services[0].prefix: unknown key; want name"},
		"missing field":    {"services: [{}]", "line 1, column 12: services[0].name: missing; want {name: ...}"},
		"no value":         {"services:\n", "line 1, column 11: services: no value; want a list, e.g. [{name: ...}]"},
		"mapping for list": {"services: {name: x}\n", "line 1, column 11: services: a mapping; want a list, e.g. [{name: ...}]"},
		"list for scalar":  {"sample_interval: [2]\n", "line 1, column 18: sample_interval: a list; want seconds or a duration"},
		"bool":             {"t_host: true\nt_port: 80\n", "line 1, column 9: t_host: a boolean; want a string or number"},
		"nested list":      {"services: [[x]]\n", "line 1, column 12: services[0]: a list; want {name: ...} or a plain string"},
		"null name":        {"services: [{name: }]\n", "services[0].name: no value; want a string or number"},
		"two fields":       {"services: [{name: x, port: 1}]", "line 1, column 22: services[0].port: unknown key; want name"},
		"host alone":       {"t_host: jaeger\n", "line 1, column 1: t_port: missing; t_host needs it, e.g. t_port: 80"},
		"port alone":       {"\nm_port: 9090\n", "line 2, column 1: m_host: missing; m_port needs it"},
		"both forms":       {"t_host: a\nt_port: 1\ntracing: http://b:2\n", "line 3, column 1: tracing: given beside t_host and t_port; want one or the other"},
		"bad port":         {"t_host: a\nt_port: 65536\n", `line 2, column 9: t_port: "65536" is not a port; want a number from 1 to 65535`},
		"bad host":         {"t_host: 'a b'\nt_port: 1\n", `line 1, column 9: t_host: "a b" is not a host`},
		"bad URL":          {"tracing: jaeger:16686\n", `line 1, column 10: tracing[0]: "jaeger:16686" is not a server's URL; want e.g. http://tracing.istio-system:80`},
		"credentials":      {"monitoring: http://u:secret@h:1\n", "line 1, column 13: monitoring: the URL of h:1 holds credentials"},
		"short interval":   {"sample_interval: 0.05\n", `line 1, column 18: sample_interval: interval "0.05" is out of range; want 100ms to 1h0m0s`},
		"long interval":    {"sample_interval: 3601\n", `interval "3601" is out of range`},
		"huge interval":    {"sample_interval: 1e300\n", `interval "1e300" is out of range`},
		"no interval":      {"sample_interval: soon\n", `line 1, column 18: sample_interval: "soon" is not an interval; want a number of seconds or a duration like 500ms`},
		"injection":        {"metric_prefixes: ['x\"} or up{a=\"']\n", "line 1, column 19: metric_prefixes[0]: \"x\\\"} or up{a=\\\"\" cannot be part of a metric name"},
		"bad service":      {"services: [{name: 'a b'}]\n", `line 1, column 19: services[0]: "a b" is not a service name`},
		"empty service":    {"services: ['']\n", `services[0]: "" is not a service name`},
		"bad metric":       {"custom_metrics: [1up]\n", `custom_metrics[0]: "1up" is not a metric name`},
		"twice":            {"t_host: a\nt-host: b\nt_port: 1\n", "line 2, column 1: t_host: given twice; first on line 1"},
		"same key twice":   {"t_host: a\nt_host: b\n", "line 2, column 1: not YAML: mapping key \"t_host\" already defined"},
		"anchor":           {"t_host: &h a\nt_port: 1\n", "line 1, column 9: t_host: an anchor or alias, which are not supported"},
		"tag":              {"t_host: !!str a\nt_port: 1\n", "line 1, column 9: t_host: a tag, which is not supported"},
		"two documents":    {"t_host: a\nt_port: 1\n---\nservices: [a]\n", "line 4, column 1: a second document; want one"},
		"list document":    {"- name: x\n", "line 1, column 1: a list; want keys with values"},
		"text document":    {"hello\n", "line 1, column 1: a string; want keys with values"},
		"empty":            {"", "empty; want at least one of sample_interval"},
		"comment":          {"# nothing\n", "empty; want at least one of sample_interval"},
		"empty mapping":    {"{}", "empty; want at least one of sample_interval"},
		"not YAML":         {"services: [a\n", "line 1, column 11: not YAML: sequence end token ']' not found"},
		"deep brackets":    {"services:\n" + strings.Repeat("[", 9999), "line 2, column 1: nested too deeply"},
		"deep dashes":      {"\n\n" + strings.Repeat("- ", 9999), "line 3, column 1: nested too deeply"},
		"tab":              {"services:\n\t- a\n", "not YAML: "},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseConfig([]byte(tc.yaml))
			if err == nil {
				t.Fatalf("accepted as %+v", got)
			}
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%v does not match ErrInvalid", err)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %s\nwant %s", err, tc.want)
			}
		})
	}
}

func TestParseConfigReportsSeveralFaults(t *testing.T) {
	_, err := ParseConfig([]byte("x: 1\nservices: [{name: ok}, {nam: b}]\nt_port: http\n"))
	for _, want := range []string{"line 1, ", "line 2, column 25: services[1].nam", "line 3, column 9: t_port"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	var many strings.Builder
	for i := range 50 {
		many.WriteString("k" + strconv.Itoa(i) + ": 1\n")
	}
	_, err = ParseConfig([]byte(many.String()))
	if err == nil || strings.Count(err.Error(), "\n") != maxConfigErrors || !strings.Contains(err.Error(), "40 more faults") {
		t.Errorf("50 faults are told as: %v", err)
	}
	var first *ConfigError
	if !errors.As(err, &first) || first.Line != 1 || first.Column != 1 || first.Key != "k0" {
		t.Errorf("the first fault is %+v", first)
	}
}

func TestParseConfigLimits(t *testing.T) {
	list := "services: [" + strings.Repeat("a,", MaxConfigList) + "b]\n"
	if u, err := ParseConfig([]byte(list)); err != nil || len(u.Services) != 2 {
		t.Errorf("equal entries: %d, %v", len(u.Services), err)
	}
	var b strings.Builder
	b.WriteString("services:\n")
	for i := range MaxConfigList + 1 {
		b.WriteString("- s" + strconv.Itoa(i) + "\n")
	}
	if _, err := ParseConfig([]byte(b.String())); err == nil || !strings.Contains(err.Error(), "1001 entries; at most 1000") {
		t.Errorf("1001 services: %v", err)
	}
	if _, err := ParseConfig(make([]byte, MaxConfigBytes+1)); !errors.Is(err, ErrInvalid) {
		t.Errorf("a file too large: %v", err)
	}
}

func TestMergeReplacesWhatIsGiven(t *testing.T) {
	url := "http://p:9090"
	old := Config{Services: []string{"a", "b"}, CustomMetrics: []string{"m"}, SampleInterval: Interval(time.Second), Monitoring: url}
	got := old.Merge(ConfigUpdate{Services: []string{"c"}, CustomMetrics: []string{}})
	want := Config{Services: []string{"c"}, CustomMetrics: []string{}, SampleInterval: Interval(time.Second), Monitoring: url}
	if !got.Equal(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !old.Merge(ConfigUpdate{}).Equal(old) {
		t.Error("an empty update changes something")
	}
	none := ""
	if got := old.Merge(ConfigUpdate{Monitoring: &none}); got.Monitoring != "" {
		t.Error("monitoring is not cleared")
	}
	merged := old.Merge(ConfigUpdate{})
	merged.Services[0] = "changed"
	if old.Services[0] != "a" {
		t.Error("Merge shares a list")
	}
}

func TestConfigSurvivesItsEncoding(t *testing.T) {
	for range 200 {
		c := randomConfig()
		b, err := encodeConfig(c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeConfig(b)
		if err != nil || !got.Equal(c) {
			t.Fatalf("%s: got %+v, want %+v, error %v", b, got, c, err)
		}
	}
	for _, bad := range []string{"", "[]", `{"sample_interval":"1ns"}`, `{"services":["a b"]}`, `{"sample_interval":2}`} {
		if c, err := decodeConfig([]byte(bad)); err == nil {
			t.Errorf("%s is accepted as %+v", bad, c)
		}
	}
}

func randomConfig() Config {
	list := func(prefix string) []string {
		var values []string
		for i := range rand.IntN(4) {
			values = append(values, prefix+strconv.Itoa(i))
		}
		return values
	}
	c := Config{
		Services: list("s-"), MetricPrefixes: list("p_"), MetricSuffixes: list("_s"),
		CustomMetrics: list("m"), Tracing: list("http://h:80/"),
	}
	if rand.IntN(2) == 0 {
		c.SampleInterval = Interval(MinSampleInterval + rand.N(MaxSampleInterval-MinSampleInterval))
		c.Monitoring = "https://prometheus"
	}
	return c
}

func TestValidateNamesEveryField(t *testing.T) {
	c := Config{
		Services: []string{"ok", "not ok"}, MetricPrefixes: []string{""}, MetricSuffixes: []string{"{}"},
		CustomMetrics: []string{"a-b"}, SampleInterval: 1, Tracing: []string{"ftp://x"}, Monitoring: "x",
	}
	err := c.Validate()
	for _, field := range []string{"services[1]", "metric_prefixes[0]", "metric_suffixes[0]", "custom_metrics[0]", "sample_interval", "tracing[0]", "monitoring"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is missing in: %v", field, err)
		}
	}
	if !errors.Is(err, ErrInvalid) {
		t.Error("does not match ErrInvalid")
	}
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
}

func TestTracksKnowsBothSpellings(t *testing.T) {
	c := Config{Services: []string{"clover_server1", "http-lb"}}
	for service, want := range map[string]bool{
		"clover-server1": true, "clover_server1": true, "clover-server1.default": true,
		"http_lb": true, "clover-server10": false, "": false,
	} {
		if c.Tracks(service) != want {
			t.Errorf("Tracks(%q) is %v", service, !want)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, seed := range []string{startFile, setFile, "", "{}", "a: [", "services: [{name: x}]", "t_host: &x 1", "? a\n: b", "tracing: 'http://%zz'"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := ParseConfig(data)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("%v does not match ErrInvalid", err)
			}
			return
		}
		c := Config{}.Merge(u)
		if err := c.Validate(); err != nil {
			t.Fatalf("accepted, but not valid: %v", err)
		}
		b, err := encodeConfig(c)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeConfig(b); err != nil || !got.Equal(c) {
			t.Fatalf("%s: %v", b, err)
		}
	})
}
