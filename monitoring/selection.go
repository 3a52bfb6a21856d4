package monitoring

import (
	"strings"
	"unicode/utf8"
)

// Limits of a [Selection]: more names than anybody plots, few enough to hold.
const (
	maxNames      = 1_000_000
	maxNameLength = 1024
)

// Selection says which metrics to read, as set_visibility.yaml does: each
// prefix with each service with each suffix, and the custom metrics.
type Selection struct {
	Services []string // "clover_server1" or "clover-server1", which are the same
	Prefixes []string // "envoy_cluster_outbound_9180__"
	Suffixes []string // "_default_svc_cluster_local_upstream_rq_2xx"
	Custom   []string // whole metric names, of 2019 or of today
}

// Names lists the contract's names in order, each once: prefix × service ×
// suffix with "-" and other bytes that a name cannot hold written "_", then the
// custom metrics as given.
func (s Selection) Names() ([]string, error) {
	p, err := newPlan(s)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(p.wants))
	for i, w := range p.wants {
		names[i] = w.name
	}
	return names, nil
}

// want is one metric of the contract.
type want struct {
	name                    string
	service, prefix, suffix string // as given; empty for a custom metric
}

func (s Selection) check() error {
	for _, list := range []struct {
		field  string
		values []string
	}{{"services", s.Services}, {"metric_prefixes", s.Prefixes}, {"metric_suffixes", s.Suffixes}, {"custom_metrics", s.Custom}} {
		for i, v := range list.values {
			switch {
			case strings.TrimSpace(v) == "":
				return invalidf("collect", list.field, "entry %d is empty", i+1)
			case len(v) > maxNameLength:
				return invalidf("collect", list.field, "entry %d is longer than %d bytes", i+1, maxNameLength)
			case !utf8.ValidString(v) || strings.ContainsAny(v, "\x00\n{}\""):
				return invalidf("collect", list.field, "%q is no part of a metric name", v)
			}
		}
	}
	if n := len(s.Services) * len(s.Prefixes) * len(s.Suffixes); n+len(s.Custom) > maxNames {
		return invalidf("collect", "services", "%d services × %d prefixes × %d suffixes are more than %d metrics",
			len(s.Services), len(s.Prefixes), len(s.Suffixes), maxNames)
	}
	return nil
}
