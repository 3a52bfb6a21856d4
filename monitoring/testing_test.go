package monitoring

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/opnfv/clover/internal/testutil/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// samplePath is what an Istio 1.31 sidecar with Envoy 1.40 gave at
// /stats/prometheus, shortened to the statistics of interest.
const samplePath = "testdata/istio131-envoy140.prom"

var (
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	samplePair = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="([^"]*)"`)
)

// readSample parses the exposition text of the sample.
func readSample(tb testing.TB) []Sample {
	tb.Helper()
	data, err := os.ReadFile(samplePath)
	if err != nil {
		tb.Fatal(err)
	}
	var out []Sample
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			tb.Fatalf("sample line not understood: %q", line)
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			tb.Fatalf("sample line %q: %v", line, err)
		}
		s := Sample{Metric: m[1], Labels: map[string]string{}, Value: value}
		for _, pair := range samplePair.FindAllStringSubmatch(m[2], -1) {
			s.Labels[pair[1]] = pair[2]
		}
		out = append(out, s)
	}
	if len(out) < 500 {
		tb.Fatalf("sample has only %d series", len(out))
	}
	return out
}

// matches evaluates a selector as PromQL does.
func (s selector) matches(tb testing.TB, metric string, labels map[string]string) bool {
	tb.Helper()
	for _, m := range s.matchers {
		re, err := regexp.Compile("^(?s:" + m.pattern + ")$")
		if err != nil {
			tb.Fatalf("selector %v: %v", s, err)
		}
		value := labels[m.label]
		if m.label == "__name__" {
			value = metric
		}
		if !re.MatchString(value) {
			return false
		}
	}
	return true
}

// find runs a plan against one series: whether a query would bring it, and
// which name it is matched to.
func (p *plan) find(tb testing.TB, metric string, labels map[string]string) (string, bool) {
	tb.Helper()
	for _, s := range selectors(p.sel) {
		if !s.matches(tb, metric, labels) {
			continue
		}
		i, ok := p.matchLabelled(metric, labels)
		if s.part == partLiteral {
			i, ok = p.matchLiteral(metric)
		}
		if ok {
			return p.wants[i].name, true
		}
	}
	return "", false
}

func mustPlan(tb testing.TB, sel Selection) *plan {
	tb.Helper()
	p, err := newPlan(sel)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}
