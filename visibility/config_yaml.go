package visibility

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/opnfv/clover/internal/strictyaml"
)

// MaxConfigBytes is the largest configuration file that is read.
const MaxConfigBytes = 256 << 10

// maxConfigDepth is far deeper than the schema.
const maxConfigDepth = 64

// maxConfigErrors is how many faults of one file are reported at once.
const maxConfigErrors = 10

// ConfigError is a fault at one place of a configuration file. It matches
// ErrInvalid.
type ConfigError struct {
	Line, Column int    // from 1; 0: the file as a whole
	Key          string // e.g. "services[1].name"; "" if the fault has none
	Msg          string // what is wrong and what would be right
}

// Error returns "line L, column C: KEY: MSG".
func (e *ConfigError) Error() string { return (*strictyaml.Fault)(e).Error() }

// Unwrap returns ErrInvalid.
func (e *ConfigError) Unwrap() error { return ErrInvalid }

// ParseConfig reads start_visibility.yaml and set_visibility.yaml, which
// share one schema:
//
//	sample_interval: "2"            # seconds, or a duration such as 500ms
//	t_host: tracing.istio-system    # Jaeger; t_host needs t_port
//	t_port: "80"
//	m_host: prometheus.istio-system # Prometheus; m_host needs m_port
//	m_port: "9090"
//	tracing: [http://jaeger:16686]  # in place of t_host and t_port: one or more URLs
//	monitoring: http://prom:9090    # in place of m_host and m_port
//	services: [{name: proxy_access_control}]
//	metric_prefixes: [{prefix: envoy_cluster_outbound_9180__}]
//	metric_suffixes: [{suffix: _default_svc_cluster_local_upstream_rq_2xx}]
//	custom_metrics: [{metric: envoy_tracing_zipkin_spans_sent}]
//
// Every value may be a string or a number, keys may be written with "-" for
// "_", and an entry of a list may be the plain string. Nothing else is
// accepted: each fault is a *ConfigError, several are joined, and all match
// ErrInvalid.
func ParseConfig(data []byte) (ConfigUpdate, error) {
	root, err := parseDocument(data)
	if err != nil {
		return ConfigUpdate{}, err
	}
	r := &configReader{seen: map[string]ast.Node{}}
	r.document(root)
	r.pairs()
	if len(r.errs) > maxConfigErrors {
		more := len(r.errs) - maxConfigErrors
		r.errs = append(r.errs[:maxConfigErrors], &ConfigError{Msg: fmt.Sprintf("%d more faults", more)})
	}
	if len(r.errs) > 0 {
		return ConfigUpdate{}, errors.Join(r.errs...)
	}
	return r.update, nil
}

// parseDocument returns the mapping that a file of one YAML document holds.
func parseDocument(data []byte) (ast.Node, error) {
	root, fault := strictyaml.Document(data, strictyaml.Limits{Bytes: MaxConfigBytes, Depth: maxConfigDepth})
	if fault != nil {
		return nil, (*ConfigError)(fault)
	}
	if root == nil {
		return nil, &ConfigError{Msg: "empty; want at least one of " + strings.Join(configKeyNames(), ", ")}
	}
	if _, ok := strictyaml.Pairs(root); !ok {
		return nil, faultAt(root, "", "%s; want keys with values, e.g. sample_interval: 2", strictyaml.Describe(root))
	}
	return root, nil
}

// configReader collects an update and the faults on the way.
type configReader struct {
	update ConfigUpdate
	seen   map[string]ast.Node // top-level keys → where
	hosts  hostFields
	errs   []error
}

// hostFields are the values of the contract's host and port keys.
type hostFields struct{ tHost, tPort, mHost, mPort string }

// configKey is one key of the schema.
type configKey struct {
	name string
	read func(r *configReader, n ast.Node, key string)
}

// configKeys is the schema, in the order of the documentation. It is a
// function so that the readers may refer to each other.
func configKeys() []configKey {
	return []configKey{
		{"sample_interval", (*configReader).interval},
		{"t_host", scalarInto(func(r *configReader) *string { return &r.hosts.tHost }, checkHost)},
		{"t_port", scalarInto(func(r *configReader) *string { return &r.hosts.tPort }, checkPort)},
		{"m_host", scalarInto(func(r *configReader) *string { return &r.hosts.mHost }, checkHost)},
		{"m_port", scalarInto(func(r *configReader) *string { return &r.hosts.mPort }, checkPort)},
		{"tracing", listInto("url", func(r *configReader) *[]string { return &r.update.Tracing }, checkURL)},
		{"monitoring", (*configReader).monitoring},
		{"services", listInto("name", func(r *configReader) *[]string { return &r.update.Services }, checkService)},
		{"metric_prefixes", listInto("prefix", func(r *configReader) *[]string { return &r.update.MetricPrefixes }, checkMetricPart)},
		{"metric_suffixes", listInto("suffix", func(r *configReader) *[]string { return &r.update.MetricSuffixes }, checkMetricPart)},
		{"custom_metrics", listInto("metric", func(r *configReader) *[]string { return &r.update.CustomMetrics }, checkMetricName)},
	}
}

func configKeyNames() []string {
	var names []string
	for _, k := range configKeys() {
		names = append(names, k.name)
	}
	return names
}

func (r *configReader) document(root ast.Node) {
	keys := configKeys()
	entries, _ := strictyaml.Pairs(root)
	for _, entry := range entries {
		written, key := strictyaml.Key(entry.Key)
		i := slices.IndexFunc(keys, func(k configKey) bool { return k.name == key })
		switch {
		case i < 0:
			r.fault(entry.Key, written, "unknown key; %s", suggest(key, configKeyNames()))
		case r.seen[key] != nil:
			r.fault(entry.Key, key, "given twice; first on line %d", r.seen[key].GetToken().Position.Line)
		default:
			r.seen[key] = entry.Key
			keys[i].read(r, entry.Value, key)
		}
	}
	if len(entries) == 0 {
		r.fault(root, "", "empty; want at least one of %s", strings.Join(configKeyNames(), ", "))
	}
}

// pairs checks that host and port come together, and turns them into URLs.
func (r *configReader) pairs() {
	tracing := r.pair("t_host", "t_port", "tracing", r.hosts.tHost, r.hosts.tPort, "80")
	if tracing != "" {
		r.update.Tracing = []string{tracing}
	}
	monitoring := r.pair("m_host", "m_port", "monitoring", r.hosts.mHost, r.hosts.mPort, "9090")
	if monitoring != "" {
		r.update.Monitoring = &monitoring
	}
}

func (r *configReader) pair(hostKey, portKey, urlKey, host, port, example string) string {
	hostAt, portAt, urlAt := r.seen[hostKey], r.seen[portKey], r.seen[urlKey]
	switch {
	case hostAt == nil && portAt == nil:
	case urlAt != nil:
		r.fault(urlAt, urlKey, "given beside %s and %s; want one or the other", hostKey, portKey)
	case portAt == nil:
		r.fault(hostAt, portKey, "missing; %s needs it, e.g. %s: %s", hostKey, portKey, example)
	case hostAt == nil:
		r.fault(portAt, hostKey, "missing; %s needs it, e.g. %s: tracing.istio-system", portKey, hostKey)
	case host != "" && port != "":
		return hostURL(host, port)
	}
	return ""
}

func (r *configReader) interval(n ast.Node, key string) {
	text, ok := r.scalar(n, key, "seconds or a duration, e.g. 2 or 500ms")
	if !ok {
		return
	}
	v, err := ParseInterval(text)
	if err != nil {
		r.fault(n, key, "%s", err)
		return
	}
	r.update.SampleInterval = v
}

// monitoring reads a URL; an empty string switches metrics off.
func (r *configReader) monitoring(n ast.Node, key string) {
	text, ok := r.scalar(n, key, "a URL, e.g. http://prometheus.istio-system:9090")
	if !ok {
		return
	}
	if text != "" {
		if err := checkURL(text); err != nil {
			r.fault(n, key, "%s", err)
			return
		}
	}
	r.update.Monitoring = &text
}

// scalarInto returns a reader of one checked string or number.
func scalarInto(field func(*configReader) *string, check func(string) error) func(*configReader, ast.Node, string) {
	return func(r *configReader, n ast.Node, key string) {
		text, ok := r.scalar(n, key, "a string or number")
		if !ok {
			return
		}
		if err := check(text); err != nil {
			r.fault(n, key, "%s", err)
			return
		}
		*field(r) = text
	}
}

// listInto returns a reader of a list whose entries are {field: value} or the
// plain value. A single plain value stands for a list of one.
func listInto(field string, to func(*configReader) *[]string, check func(string) error) func(*configReader, ast.Node, string) {
	return func(r *configReader, n ast.Node, key string) {
		entries := []ast.Node{n}
		if seq, ok := n.(*ast.SequenceNode); ok {
			entries = seq.Values
		} else if _, ok := scalarText(n); !ok {
			r.fault(n, key, "%s; want a list, e.g. [{%s: ...}]", strictyaml.Describe(n), field)
			return
		}
		values := make([]string, 0, len(entries))
		for i, entry := range entries {
			at := fmt.Sprintf("%s[%d]", key, i)
			text, where, ok := r.entry(entry, at, field)
			if !ok {
				continue
			}
			if err := check(text); err != nil {
				r.fault(where, at, "%s", err)
				continue
			}
			if !slices.Contains(values, text) {
				values = append(values, text)
			}
		}
		if len(values) > MaxConfigList {
			r.fault(n, key, "%d entries; at most %d", len(values), MaxConfigList)
			return
		}
		*to(r) = values
	}
}
