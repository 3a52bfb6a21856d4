package monitoring

import (
	"strings"
)

// A family is a group of Envoy statistics whose 2019 name carries, between
// prefix and statistic, a part that today is the value of a label.
type family struct {
	prefix string
	label  string // Istio's name; plain Envoy puts "envoy_" before it
	roots  []string
}

// envoyLabels is what plain Envoy puts before the names of its tags. Istio's
// bootstrap gives the same tags without it.
const envoyLabels = "envoy_"

// families are the statistics trees of Envoy that carry a name in the middle:
// https://www.envoyproxy.io/docs/envoy/latest/operations/stats_overview.
// roots are the first words of the statistics in a tree, which tell where the
// carried name ends.
var families = []family{
	{"envoy_cluster_", "cluster_name", []string{
		"upstream_", "external_upstream_", "internal_upstream_", "canary_upstream_", "membership_", "lb_",
		"circuit_breakers_", "ssl_", "update_", "assignment_", "bind_errors", "http1_", "http2_", "http3_",
		"original_dst_host_", "retry_or_shadow_", "outlier_detection_", "health_check_", "max_host_weight",
		"version", "init_fetch_timeout", "warming_state", "client_ssl_", "default_total_match_count",
		"tlsMode_", "zone_",
	}},
	{"envoy_http_", "http_conn_manager_prefix", []string{
		"downstream_", "rq_", "rs_", "tracing_", "no_route", "no_cluster", "fault_", "passthrough_", "cors_",
		"rbac_", "user_agent_", "ext_authz_", "local_rate_limiter_",
	}},
	{"envoy_listener_", "listener_address", []string{
		"downstream_", "no_filter_chain_match", "ssl_", "http_", "server_ssl_", "extension_config_",
	}},
}

// LegacyName gives the name that a labelled Envoy series of today had in 2019,
// and false when the series has no such name (it belongs to no family or
// lacks the family's label). Bytes that a metric name cannot hold become "_".
//
//	envoy_cluster_upstream_rq{cluster_name="outbound|9180||clover-server1.default.svc.cluster.local",response_code_class="2xx"}
//	envoy_cluster_outbound_9180__clover_server1_default_svc_cluster_local_upstream_rq_2xx
//
// Both label dialects are understood: Istio's (cluster_name,
// response_code_class="2xx") and plain Envoy's (envoy_cluster_name,
// envoy_response_code_class="2" on ..._rq_xx). The le label of a histogram's
// bucket has no part in the name, then or now.
func LegacyName(metric string, labels map[string]string) (string, bool) {
	for i := range families {
		f := &families[i]
		stat, ok := strings.CutPrefix(metric, f.prefix)
		if !ok || stat == "" {
			continue
		}
		carried, ok := envoyLabel(labels, f.label)
		if !ok {
			continue
		}
		return legacyName(f, carried, legacyStat(stat, labels)), true
	}
	return "", false
}

func legacyName(f *family, carried, stat string) string {
	// Istio may end the name with a ";" that delimits it from the statistic.
	carried = strings.TrimSuffix(carried, ";")
	var b strings.Builder
	b.Grow(len(f.prefix) + len(carried) + 1 + len(stat))
	b.WriteString(f.prefix)
	writeSanitized(&b, carried)
	b.WriteByte('_')
	b.WriteString(stat)
	return b.String()
}

// legacyStat puts the response code labels back into the statistic's name.
func legacyStat(stat string, labels map[string]string) string {
	if code, ok := envoyLabel(labels, "response_code"); ok {
		return stat + "_" + code
	}
	class, ok := envoyLabel(labels, "response_code_class")
	if !ok {
		return stat
	}
	if len(class) == 1 { // plain Envoy: ..._rq_xx with class "2"
		return strings.TrimSuffix(stat, "_xx") + "_" + class + "xx"
	}
	return stat + "_" + class
}

// statForm is the labelled form of a 2019 statistic.
type statForm struct {
	stat  string
	class string // "2xx" or ""
	code  string // "200" or ""
}

// modernStat is the inverse of legacyStat: upstream_rq_2xx is upstream_rq with
// class 2xx, upstream_rq_200 is upstream_rq with code 200.
func modernStat(stat string) statForm {
	head, last, ok := cutLast(stat, '_')
	if !ok || !strings.HasSuffix(head, "_rq") || len(last) != 3 || !isDigit(last[0]) {
		return statForm{stat: stat}
	}
	switch {
	case last[1:] == "xx":
		return statForm{stat: head, class: last}
	case isDigit(last[1]) && isDigit(last[2]):
		return statForm{stat: head, code: last}
	}
	return statForm{stat: stat}
}

// splits lists where the carried part of s may end: pairs of carried part and
// statistic. Where the names alone do not tell, it gives every cut, since a
// name that does not exist costs a query nothing and a wrong cut is found out
// when the result is matched.
func (f *family) splits(s string) [][2]string {
	var known, all [][2]string
	found := false
	for i := range len(s) {
		if i > 0 && s[i-1] != '_' {
			continue
		}
		stat := s[i:]
		root := f.hasRoot(stat)
		found = found || root
		if i == 0 || stat == "" {
			continue
		}
		cut := [2]string{s[:i-1], stat}
		if root {
			known = append(known, cut)
		}
		all = append(all, cut)
	}
	if found {
		return known
	}
	return all
}

func (f *family) hasRoot(stat string) bool {
	for _, root := range f.roots {
		if strings.HasPrefix(stat, root) {
			return true
		}
	}
	return false
}

// familyOf finds the family of a 2019 name, or of the prefix of one.
func familyOf(name string) (*family, string, bool) {
	for i := range families {
		if rest, ok := strings.CutPrefix(name, families[i].prefix); ok {
			return &families[i], rest, true
		}
	}
	return nil, "", false
}

func envoyLabel(labels map[string]string, name string) (string, bool) {
	if v, ok := labels[name]; ok {
		return v, true
	}
	v, ok := labels[envoyLabels+name]
	return v, ok
}

// sanitize makes s fit to be part of a metric name, byte by byte as Envoy's
// Prometheus formatter does. ":" stays, recording rules use it.
func sanitize(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	writeSanitized(&b, s)
	return b.String()
}

func writeSanitized(b *strings.Builder, s string) {
	for i := range len(s) {
		c := s[i]
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && c != ':' {
			c = '_'
		}
		b.WriteByte(c)
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
