package monitoring

import (
	"regexp"
	"slices"
	"strings"
)

// plan is what a Selection means, computed once: which names are wanted and
// how a series is matched to them (match.go) and which PromQL finds them
// (promql.go).
type plan struct {
	sel     Selection // names sanitized, duplicates removed
	wants   []want
	index   map[string]int // 2019 name, or custom name → wants
	inbound map[inboundKey][]inboundWant
}

// Since Istio 1.1 an inbound cluster names the port only, "inbound|9180||":
// the service is the pod's own and is told by the labels of the scrape.
type inboundKey struct {
	port, service, stat string
}

type inboundWant struct {
	namespace string // sanitized; "" = any
	want      int
}

var (
	inboundHead = regexp.MustCompile(`^inbound_(\d+)_([A-Za-z0-9]*)_$`)
	serviceTail = regexp.MustCompile(`^_([A-Za-z0-9_]+?)_svc(?:_|$)`)
)

// newPlan computes a plan. It does no I/O.
func newPlan(sel Selection) (*plan, error) {
	if err := sel.check(); err != nil {
		return nil, err
	}
	p := &plan{
		sel: Selection{Custom: unique(sel.Custom, func(s string) string { return s })},
		index: make(map[string]int,
			len(sel.Services)*len(sel.Prefixes)*len(sel.Suffixes)+len(sel.Custom)),
		inbound: make(map[inboundKey][]inboundWant),
	}
	if len(sel.Services) > 0 && len(sel.Prefixes) > 0 && len(sel.Suffixes) > 0 {
		p.sel.Services = unique(sel.Services, sanitize)
		p.sel.Prefixes = unique(sel.Prefixes, sanitize)
		p.sel.Suffixes = unique(sel.Suffixes, sanitize)
	}
	for _, prefix := range sel.Prefixes {
		for _, suffix := range sel.Suffixes {
			p.addPair(sel.Services, prefix, suffix)
		}
	}
	for _, name := range sel.Custom {
		p.add(want{name: name})
	}
	return p, nil
}

// add registers a want and returns its index, or -1 for one that is there.
func (p *plan) add(w want) int {
	if _, ok := p.index[w.name]; ok {
		return -1
	}
	p.wants = append(p.wants, w)
	p.index[w.name] = len(p.wants) - 1
	return len(p.wants) - 1
}

// addPair registers one prefix and suffix for each service.
func (p *plan) addPair(services []string, prefix, suffix string) {
	head, tail := sanitize(prefix), sanitize(suffix)
	port, cuts := inboundCuts(head, tail)
	for _, service := range services {
		name := sanitize(service)
		i := p.add(want{name: head + name + tail, service: service, prefix: prefix, suffix: suffix})
		if i < 0 {
			continue
		}
		for _, c := range cuts {
			key := inboundKey{port, name, c.stat}
			p.inbound[key] = append(p.inbound[key], inboundWant{c.namespace, i})
		}
	}
}

type inboundCut struct{ namespace, stat string }

// inboundCuts tells the port, the namespace and the statistic of a prefix and
// suffix that mean an inbound cluster; no cuts when they do not.
func inboundCuts(head, tail string) (port string, cuts []inboundCut) {
	f, rest, ok := familyOf(head)
	if !ok || f.label != "cluster_name" {
		return "", nil
	}
	m := inboundHead.FindStringSubmatch(rest)
	if m == nil {
		return "", nil
	}
	for _, cut := range f.splits(tail) {
		c := inboundCut{stat: cut[1]}
		if ns := serviceTail.FindStringSubmatch(cut[0]); ns != nil {
			c.namespace = ns[1]
		} else if cut[0] != "" {
			continue
		}
		cuts = append(cuts, c)
	}
	return m[1], cuts
}

// subset is the smallest selection (sanitized) that covers the names.
func (p *plan) subset(names map[string]bool) Selection {
	var s Selection
	for _, w := range p.wants {
		switch {
		case !names[w.name]:
		case w.service == "":
			s.Custom = append(s.Custom, w.name)
		default:
			s.Services = append(s.Services, w.service)
			s.Prefixes = append(s.Prefixes, w.prefix)
			s.Suffixes = append(s.Suffixes, w.suffix)
		}
	}
	s.Services = unique(s.Services, sanitize)
	s.Prefixes = unique(s.Prefixes, sanitize)
	s.Suffixes = unique(s.Suffixes, sanitize)
	return s
}

// matchLiteral finds the want of a series by its name as it stands.
func (p *plan) matchLiteral(metric string) (int, bool) {
	i, ok := p.index[metric]
	return i, ok
}

// matchLabelled finds the want of a labelled series of today.
func (p *plan) matchLabelled(metric string, labels map[string]string) (int, bool) {
	name, ok := LegacyName(metric, labels)
	if !ok {
		return 0, false
	}
	if i, ok := p.index[name]; ok {
		return i, true
	}
	if len(p.inbound) == 0 {
		return 0, false
	}
	return p.matchInbound(metric, labels)
}

func (p *plan) matchInbound(metric string, labels map[string]string) (int, bool) {
	cluster, _ := envoyLabel(labels, "cluster_name")
	parts := strings.SplitN(strings.TrimSuffix(cluster, ";"), "|", 4)
	stat, ok := strings.CutPrefix(metric, "envoy_cluster_")
	if !ok || len(parts) != 4 || parts[0] != "inbound" || parts[3] != "" {
		return 0, false
	}
	stat = legacyStat(stat, labels)
	namespace := sanitize(firstLabel(labels, namespaceLabels))
	for _, service := range identities(labels) {
		for _, w := range p.inbound[inboundKey{parts[1], sanitize(service), stat}] {
			if w.namespace == "" || namespace == "" || w.namespace == namespace {
				return w.want, true
			}
		}
	}
	return 0, false
}

// Labels by which Prometheus configurations in use (Istio's sample, the
// operator's PodMonitor, the Helm chart's) name a pod's service and namespace,
// surest first.
var (
	serviceLabels = []string{
		"service_istio_io_canonical_name", "app_kubernetes_io_name", "app", "service", "k8s_app", "workload", "container_label_app",
	}
	namespaceLabels = []string{"namespace", "kubernetes_namespace", "exported_namespace", "k8s_namespace_name"}
	podLabels       = []string{"pod", "pod_name", "kubernetes_pod_name", "k8s_pod_name"}
)

// podHash is what a Deployment (two parts) or a StatefulSet (an ordinal) adds
// to the workload's name.
var podHash = regexp.MustCompile(`-(?:[a-z0-9]{5,10}-[a-z0-9]{5}|\d+)$`)

// identities lists the names that a scraped pod may go by, surest first.
func identities(labels map[string]string) []string {
	names := make([]string, 0, 4)
	for _, label := range serviceLabels {
		if v := labels[label]; v != "" && !slices.Contains(names, v) {
			names = append(names, v)
		}
	}
	if pod := firstLabel(labels, podLabels); pod != "" {
		names = append(names, podHash.ReplaceAllString(pod, ""))
	}
	return names
}

func firstLabel(labels map[string]string, names []string) string {
	for _, name := range names {
		if v := labels[name]; v != "" {
			return v
		}
	}
	return ""
}

// unique maps values and keeps the first of each, in order.
func unique(values []string, f func(string) string) []string {
	seen := make(map[string]bool, len(values))
	out := make([]string, 0, len(values))
	for _, v := range values {
		if v = f(v); !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}
