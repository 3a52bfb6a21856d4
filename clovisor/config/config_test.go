package config_test

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/config"
)

func TestSelector(t *testing.T) {
	for text, want := range map[string]config.Selector{
		"default":                  {Namespace: "default"},
		"my-2nd-ns:app:database":   {Namespace: "my-2nd-ns", Key: "app", Value: "database"},
		"a:app.kubernetes.io/n:v1": {Namespace: "a", Key: "app.kubernetes.io/n", Value: "v1"},
		"a:empty:":                 {Namespace: "a", Key: "empty"},
	} {
		got, err := config.ParseSelector(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%q: %+v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "A", "a:b", "a:b:c:d", "a:/x:v", "a:k:v v", "a::v", "a/b", strings.Repeat("a", 64), "-a", "a\n"} {
		if got, err := config.ParseSelector(text); err == nil || !strings.Contains(err.Error(), "want NAMESPACE") {
			t.Errorf("%q: %+v %v", text, got, err)
		}
	}
}

func TestEgressMatch(t *testing.T) {
	for text, want := range map[string]struct {
		pod, to string
		matches bool
	}{
		"10.0.0.1:3456":    {"any", "10.0.0.1:3456", true},
		"10.0.0.2:3456":    {"any", "10.0.0.1:3456", false},
		"0:3456":           {"any", "[fd00::1]:3456", true},
		"0:3457":           {"any", "10.0.0.1:3456", false},
		"0:3456:proxy":     {"proxy-1", "10.0.0.1:3456", true},
		"0:80:proxy":       {"other", "10.0.0.1:80", false},
		"[fd00::1]:80":     {"any", "[fd00::1]:80", true},
		"10.0.0.0/8:443":   {"any", "10.200.0.1:443", true},
		"10.0.0.0/8:444":   {"any", "11.0.0.1:444", false},
		"[fd00::/16]:80:a": {"a", "[fd00:0:1::1]:80", true},
		"10.0.0.9:80":      {"any", "[::ffff:10.0.0.9]:80", true},
	} {
		m, err := config.ParseEgressMatch(text)
		if err != nil || m.String() != text {
			t.Errorf("%q: %v %v", text, m, err)
			continue
		}
		if got := m.Matches(want.pod, netip.MustParseAddrPort(want.to)); got != want.matches {
			t.Errorf("%q matches %s to %s: %v", text, want.pod, want.to, got)
		}
	}
	for _, text := range []string{"", "0", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:65536", "host:80", "0:80:", "0:80:Proxy", "::1:80", "[::1]", "10.0.0.0/33:80", "0:+80"} {
		if m, err := config.ParseEgressMatch(text); err == nil || !strings.Contains(err.Error(), "want IP:PORT") {
			t.Errorf("%q: %v %v", text, m, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	var c config.Config
	if !c.Selects("default", nil) || c.Selects("other", nil) {
		t.Error("the default is not namespace default")
	}
	if endpoint, notice := c.Endpoint(); endpoint != "jaeger-collector.clovisor:4317" || notice != "" {
		t.Errorf("%q %q", endpoint, notice)
	}
	c.Workloads = []config.Selector{{Namespace: "my-2nd-ns", Key: "app", Value: "database"}, {Namespace: "my-2nd-ns", Key: "app", Value: "web"}}
	for label, want := range map[string]bool{"database": true, "web": true, "other": false, "": false} {
		if c.Selects("my-2nd-ns", map[string]string{"app": label}) != want {
			t.Errorf("app=%s", label)
		}
	}
	if c.Selects("default", nil) || c.Selects("my-2nd-ns", nil) {
		t.Error("a list replaces the default")
	}
}

func TestEndpoint(t *testing.T) {
	for _, test := range []struct {
		collector, agent, want string
		noticed                bool
	}{
		{"jaeger-collector.istio-system:14268", "", "jaeger-collector.istio-system:4317", true},
		{"jaeger-collector.istio-system:14268", "jaeger-agent.istio-system:6831", "jaeger-collector.istio-system:4317", true},
		{"", "jaeger-agent.istio-system:6831", "jaeger-agent.istio-system:4317", true},
		{"otel:4317", "", "otel:4317", false},
		{"https://otel:14268/v1/traces", "", "https://otel:14268/v1/traces", false},
		{"[fd00::1]:14250", "", "[fd00::1]:4317", true},
	} {
		endpoint, notice := config.Config{Collector: test.collector, Agent: test.agent}.Endpoint()
		if endpoint != test.want || (notice != "") != test.noticed {
			t.Errorf("%+v: %q %q", test, endpoint, notice)
		}
	}
}

func TestFile(t *testing.T) {
	c, err := config.ParseFile("clovisor.yaml", []byte(`
labels: [default, "my-2nd-ns:app:web", default]
clovisor_egress_match: ["0:3456:proxy"]
jaeger-collector: https://otel.tracing:4318
proto_cfg: {memcached: /proto/memcached.wasm}
ports: {11211: memcached, "8080": http}
limits: {connections: 500, connection_bytes: 64KiB, memory_bytes: 32MiB, plugin_memory_bytes: 16777216, plugin_timeout: 50ms}
`))
	if err != nil {
		t.Fatal(err)
	}
	egress, _ := config.ParseEgressMatch("0:3456:proxy")
	want := config.Config{
		Workloads: []config.Selector{{Namespace: "default"}, {Namespace: "my-2nd-ns", Key: "app", Value: "web"}},
		Egress:    []config.EgressMatch{egress},
		Collector: "https://otel.tracing:4318",
		Plugins:   []config.Plugin{{Protocol: "memcached", Path: "/proto/memcached.wasm"}},
		Ports:     map[uint16]string{11211: "memcached", 8080: "http"},
		Limits: config.Limits{Connections: 500, ConnectionBytes: 64 << 10, MemoryBytes: 32 << 20,
			PluginMemoryBytes: 16 << 20, PluginTimeout: 50 * time.Millisecond},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v\nwant %+v", c, want)
	}
	if c, err := config.ParseFile("empty", []byte("# nothing\n")); err != nil || !reflect.DeepEqual(c, config.Config{}) {
		t.Errorf("an empty file: %+v %v", c, err)
	}
}

func TestFileFaults(t *testing.T) {
	for text, want := range map[string]string{
		"labels: []":                         `f: line 1, column 9: labels: an empty list`,
		"labels: [a, 'b:c']":                 `f: line 1, column 13: labels[1]: "b:c" has 2 parts; want NAMESPACE`,
		"label: a":                           `f: line 1, column 1: label: is not known; want labels, egress_match`,
		"labels: a\nclovisor_labels: b":      `f: line 2, column 1: labels: is there twice`,
		"- a":                                `f: line 1, column 1: a list; want keys with values`,
		"egress_match: '1.2.3.4'":            `f: line 1, column 15: egress_match[0]: "1.2.3.4"; want IP:PORT`,
		"jaeger_collector: [a]":              `f: line 1, column 19: jaeger_collector: a list; want one value`,
		"jaeger_collector: jaeger":           `f: line 1, column 19: jaeger_collector: "jaeger"; want HOST:PORT`,
		"jaeger_collector: http://a:b@c:1":   `f: line 1, column 19: jaeger_collector: "http://REDACTED@c:1"; want HOST:PORT`,
		"jaeger_agent: 'a b:1'":              `f: line 1, column 15: jaeger_agent: "a b" is no host`,
		"jaeger_agent: ftp://a:1":            `f: line 1, column 15: jaeger_agent: "ftp://a:1" has scheme "ftp"`,
		"proto_cfg: {x: /proto/x.so}":        `f: line 1, column 16: proto_cfg["x"]: "/proto/x.so" is a native plug-in, which is not supported; build`,
		"proto_cfg: {X: /proto/x.wasm}":      `f: line 1, column 16: proto_cfg["X"]: "X" is no protocol`,
		"proto_cfg: [x]":                     `f: line 1, column 12: proto_cfg: a list; want a mapping`,
		"ports: {0: http}":                   `f: line 1, column 12: ports["0"]: "0" is no port`,
		"ports: {80: 'a b'}":                 `f: line 1, column 13: ports["80"]: "a b" is no protocol`,
		"limits: {connections: -1}":          `f: line 1, column 23: limits["connections"]: "-1"; want a whole number`,
		"limits: {memory_bytes: 2TiB}":       `f: line 1, column 24: limits["memory_bytes"]: "2TiB" is no size`,
		"limits: {memory_bytes: 9999999GiB}": `f: line 1, column 24: limits["memory_bytes"]: "9999999GiB" is out of range`,
		"limits: {plugin_timeout: 50}":       `f: line 1, column 26: limits["plugin_timeout"]: "50"; want a duration`,
		"limits: {bytes: 1}":                 `f: line 1, column 17: limits["bytes"]: is not known; want connections`,
		`ports: {80: http, "80": redis}`:     `f: line 1, column 19: not YAML: mapping key "80" already defined`,
		"labels: {a: b}":                     `f: line 1, column 9: labels: a mapping; want a string or number`,
		"labels: [":                          `f: line 1, column 9: not YAML`,
		"labels: a\n---\nlabels: b":          `f: line 3, column 1: a second document`,
	} {
		_, err := config.ParseFile("f", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) || !errors.Is(err, config.ErrInvalid) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
	if _, err := config.ParseFile("f", []byte("labels: ["+strings.Repeat("':',", 50)+"]")); err == nil ||
		!strings.HasSuffix(err.Error(), "f: 40 more faults") {
		t.Errorf("fifty faults: %v", err)
	}
	if _, err := config.ParseFile("f", []byte("labels: ["+strings.Repeat("a,", 1001)+"]")); err == nil ||
		!strings.Contains(err.Error(), "more than 1000 entries") {
		t.Errorf("1001 entries: %v", err)
	}
}

func TestFlags(t *testing.T) {
	c, err := config.Values{Labels: []string{"a"}, EgressMatch: []string{"0:80"}, JaegerCollector: "otel:4317",
		Ports: map[string]string{"80": "http"}}.Config()
	if err != nil || c.Workloads[0].Namespace != "a" || len(c.Egress) != 1 || c.Collector != "otel:4317" || c.Ports[80] != "http" {
		t.Errorf("%+v %v", c, err)
	}
	_, err = config.Values{Labels: []string{"a", "B"}}.Config()
	var field *config.FieldError
	if !errors.As(err, &field) || field.Source != "flags" || field.Key != "labels" || field.Index != 1 {
		t.Errorf("%v", err)
	}
}

// FuzzParse holds that what is accepted is written as it is read.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a:b:c", "0:80:x", "[fd00::/8]:1", "10.1.2.3/8:1", "http://h:1/x", "labels: [a]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := config.ParseSelector(text); err == nil {
			if again, err := config.ParseSelector(s.String()); err != nil || again != s {
				t.Errorf("%q: %+v, then %+v %v", text, s, again, err)
			}
		}
		if m, err := config.ParseEgressMatch(text); err == nil {
			if again, err := config.ParseEgressMatch(m.String()); err != nil || again != m {
				t.Errorf("%q: %+v, then %+v %v", text, m, again, err)
			}
		}
		_, err := config.ParseFile("f", []byte(text))
		if err != nil && !errors.Is(err, config.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// TestNoPasswords holds that what a user has written by mistake is not logged.
func TestNoPasswords(t *testing.T) {
	for _, endpoint := range []string{
		"http://me:hunter2@jaeger:4318", "ftp://me:hunter2@jaeger:4317", "http://me:hunter2%zz@jaeger:4318",
		"me:hunter2@jaeger:4317", "hunter2@jaeger:4317",
	} {
		_, err := config.Values{JaegerCollector: endpoint}.Config()
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "@jaeger") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}
