package visibility

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits and defaults of a [Config].
const (
	DefaultSampleInterval = 2 * time.Second
	MinSampleInterval     = 100 * time.Millisecond
	MaxSampleInterval     = time.Hour
	MaxConfigList         = 1000 // entries of each list
	maxNameBytes          = 253  // of a service name, as DNS has it
)

// Config says what the collector collects and how often. The zero value
// collects nothing; [Config.Validate] is the judge of a Config, and
// [ParseConfig] reads the YAML files that users know.
//
// A Config is a plain value; Clone it before changing its lists.
type Config struct {
	// Services are the tracked services, whose response times are shown and
	// whose metrics are read. "_" and "-" are equal. Spans are collected of
	// all services, tracked or not.
	Services []string `json:"services,omitempty"`
	// MetricPrefixes and MetricSuffixes select metrics: for every tracked
	// service, prefix, service and suffix are joined to a metric's name.
	MetricPrefixes []string `json:"metric_prefixes,omitempty"`
	MetricSuffixes []string `json:"metric_suffixes,omitempty"`
	// CustomMetrics are metrics selected by their whole name.
	CustomMetrics []string `json:"custom_metrics,omitempty"`
	// SampleInterval is the time between two pulls, 100 ms to 1 h.
	// 0: DefaultSampleInterval.
	SampleInterval Interval `json:"sample_interval,omitempty"`
	// Tracing are the base URLs of the Jaeger query services to pull.
	Tracing []string `json:"tracing,omitempty"`
	// Monitoring is the base URL of the Prometheus to read. "": none.
	Monitoring string `json:"monitoring,omitempty"`
}

// Interval is a time.Duration that reads and prints as users write it: JSON
// and YAML hold "2s" or "500ms"; a bare number is seconds.
type Interval time.Duration

// Duration returns the interval, or the default if it is 0.
func (i Interval) Duration() time.Duration {
	if i == 0 {
		return DefaultSampleInterval
	}
	return time.Duration(i)
}

// String returns the interval as time.Duration prints it.
func (i Interval) String() string { return time.Duration(i).String() }

// MarshalText implements encoding.TextMarshaler.
func (i Interval) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *Interval) UnmarshalText(text []byte) error {
	v, err := ParseInterval(string(text))
	if err == nil {
		*i = v
	}
	return err
}

// ParseInterval reads a sample interval: a Go duration, or a number of
// seconds. It must be between MinSampleInterval and MaxSampleInterval; the
// error matches ErrInvalid.
func ParseInterval(s string) (Interval, error) {
	text := strings.TrimSpace(s)
	d, err := time.ParseDuration(text)
	if seconds, numErr := strconv.ParseFloat(text, 64); numErr == nil {
		d, err = time.Duration(seconds*float64(time.Second)), nil
		if !(seconds >= 0 && seconds <= MaxSampleInterval.Seconds()) { // also NaN
			d = -1
		}
	}
	if err != nil {
		return 0, invalidf("%q is not an interval; want a number of seconds or a duration like 500ms, 2s or 1m", s)
	}
	if d < MinSampleInterval || d > MaxSampleInterval {
		return 0, invalidf("interval %q is out of range; want %v to %v", s, MinSampleInterval, MaxSampleInterval)
	}
	return Interval(d), nil
}

// ConfigUpdate is a change to a Config. A nil list, an Interval of 0 and a
// nil Monitoring leave what is there; an empty list and a pointer to ""
// clear it.
type ConfigUpdate struct {
	Services       []string
	MetricPrefixes []string
	MetricSuffixes []string
	CustomMetrics  []string
	SampleInterval Interval
	Tracing        []string
	Monitoring     *string
}

// Merge returns c with u applied: lists that are given replace those of c.
// Neither argument is changed, and the result shares no list with c.
func (c Config) Merge(u ConfigUpdate) Config {
	c = c.Clone()
	for _, list := range [...]struct {
		to   *[]string
		from []string
	}{
		{&c.Services, u.Services}, {&c.MetricPrefixes, u.MetricPrefixes},
		{&c.MetricSuffixes, u.MetricSuffixes}, {&c.CustomMetrics, u.CustomMetrics},
		{&c.Tracing, u.Tracing},
	} {
		if list.from != nil {
			*list.to = slices.Clone(list.from)
		}
	}
	if u.SampleInterval != 0 {
		c.SampleInterval = u.SampleInterval
	}
	if u.Monitoring != nil {
		c.Monitoring = *u.Monitoring
	}
	return c
}

// Clone returns a copy of c that shares no memory with it.
func (c Config) Clone() Config {
	c.Services = slices.Clone(c.Services)
	c.MetricPrefixes = slices.Clone(c.MetricPrefixes)
	c.MetricSuffixes = slices.Clone(c.MetricSuffixes)
	c.CustomMetrics = slices.Clone(c.CustomMetrics)
	c.Tracing = slices.Clone(c.Tracing)
	return c
}

// Equal reports whether two configurations are the same.
func (c Config) Equal(d Config) bool {
	return slices.Equal(c.Services, d.Services) &&
		slices.Equal(c.MetricPrefixes, d.MetricPrefixes) &&
		slices.Equal(c.MetricSuffixes, d.MetricSuffixes) &&
		slices.Equal(c.CustomMetrics, d.CustomMetrics) &&
		slices.Equal(c.Tracing, d.Tracing) &&
		c.SampleInterval == d.SampleInterval && c.Monitoring == d.Monitoring
}

// Tracks reports whether service is one of the tracked services.
func (c Config) Tracks(service string) bool {
	return slices.ContainsFunc(c.Services, func(s string) bool { return SameService(s, service) })
}

// Validate checks every field. The error matches ErrInvalid, names each wrong
// field and says what would be right.
func (c Config) Validate() error {
	var errs []error
	for _, list := range [...]struct {
		key    string
		values []string
		check  func(string) error
	}{
		{"services", c.Services, checkService},
		{"metric_prefixes", c.MetricPrefixes, checkMetricPart},
		{"metric_suffixes", c.MetricSuffixes, checkMetricPart},
		{"custom_metrics", c.CustomMetrics, checkMetricName},
		{"tracing", c.Tracing, checkURL},
	} {
		if len(list.values) > MaxConfigList {
			errs = append(errs, invalidf("%s: %d entries; at most %d", list.key, len(list.values), MaxConfigList))
			continue
		}
		for i, v := range list.values {
			if err := list.check(v); err != nil {
				errs = append(errs, fmt.Errorf("%s[%d]: %w", list.key, i, err))
			}
		}
	}
	if i := c.SampleInterval; i != 0 && (time.Duration(i) < MinSampleInterval || time.Duration(i) > MaxSampleInterval) {
		errs = append(errs, invalidf("sample_interval: %v is out of range; want %v to %v", i, MinSampleInterval, MaxSampleInterval))
	}
	if c.Monitoring != "" {
		if err := checkURL(c.Monitoring); err != nil {
			errs = append(errs, fmt.Errorf("monitoring: %w", err))
		}
	}
	if len(errs) == 0 {
		if _, err := c.selection().Names(); err != nil { // too many of them
			errs = append(errs, invalidf("%s", err))
		}
	}
	return errors.Join(errs...)
}

// The grammars. They are narrow on purpose: the values become parts of
// queries to other programs.
var (
	serviceName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$`)
	metricPart  = regexp.MustCompile(`^[A-Za-z0-9_:]+$`)
	metricName  = regexp.MustCompile(`^[A-Za-z_:][A-Za-z0-9_:]*$`)
	hostName    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?$`)
)

func checkService(s string) error {
	if len(s) > maxNameBytes || !serviceName.MatchString(s) {
		return invalidf("%q is not a service name; want letters, digits, '-', '_', '.' and '/', at most %d", clip(s), maxNameBytes)
	}
	return nil
}

func checkMetricPart(s string) error {
	if len(s) > maxNameBytes || !metricPart.MatchString(s) {
		return invalidf("%q cannot be part of a metric name; want letters, digits, '_' and ':', at most %d", clip(s), maxNameBytes)
	}
	return nil
}

func checkMetricName(s string) error {
	if len(s) > 2*maxNameBytes || !metricName.MatchString(s) {
		return invalidf("%q is not a metric name; want letters, digits, '_' and ':', not starting with a digit", clip(s))
	}
	return nil
}

// checkURL accepts the base URL of a server: http, https, or grpc(s) for
// Jaeger's gRPC port.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "grpc", "grpcs"}, u.Scheme) {
		return invalidf("%q is not a server's URL; want e.g. http://tracing.istio-system:80", clip(s))
	}
	if u.User != nil {
		return invalidf("the URL of %s holds credentials; give them as options of the program instead", u.Host)
	}
	if err := checkHost(u.Hostname()); err != nil {
		return err
	}
	if port := u.Port(); port != "" {
		return checkPort(port)
	}
	return nil
}

func checkHost(s string) error {
	if net.ParseIP(s) != nil || (len(s) <= maxNameBytes && hostName.MatchString(s)) {
		return nil
	}
	return invalidf("%q is not a host; want a name like tracing.istio-system or an IP address", clip(s))
}

func checkPort(s string) error {
	if n, err := strconv.ParseUint(s, 10, 16); err != nil || n == 0 {
		return invalidf("%q is not a port; want a number from 1 to 65535", clip(s))
	}
	return nil
}

// hostURL joins the contract's host and port.
func hostURL(host, port string) string {
	return "http://" + net.JoinHostPort(strings.Trim(host, "[]"), port)
}

// clip keeps what users sent from flooding an error message.
func clip(s string) string {
	if len(s) > 80 {
		return s[:77] + "..."
	}
	return s
}

// encodeConfig and decodeConfig are the form in which a Config is kept as
// state of the store.
func encodeConfig(c Config) ([]byte, error) { return json.Marshal(c) }

func decodeConfig(b []byte) (Config, error) {
	var c Config
	if err := json.Unmarshal(b, &c); err != nil {
		return Config{}, fmt.Errorf("stored configuration: %w", err)
	}
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("stored configuration: %w", err)
	}
	return c, nil
}
