package monitoring

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// partLabel marks in a query's answer which selector found a series. Without
// it, PromQL's "or" would drop series of different names and equal labels.
const partLabel = "clover_part"

// The values of partLabel; a number follows those that may occur twice.
const (
	partLiteral  = "literal"  // found by its name as it stands
	partLabelled = "labelled" // found by name and labels, to be translated
	partScrape   = "scrape"   // value = a target's last scrape, Unix seconds
)

// queries renders the plan as PromQL expressions of at most maxBytes each;
// only an expression for a single name may be longer.
func (p *plan) queries(maxBytes int) []string {
	chunks := chunks(p.sel, maxBytes)
	out := make([]string, len(chunks))
	for i, sel := range chunks {
		out[i] = promQL(selectors(sel))
	}
	return out
}

// chunks splits a selection (sanitized) until the query of each part is at
// most maxBytes long or the part cannot be split. An empty one has no parts.
func chunks(sel Selection, maxBytes int) []Selection {
	parts := selectors(sel)
	if len(parts) == 0 {
		return nil
	}
	if a, b, ok := halve(sel); ok && len(promQL(parts)) > maxBytes {
		return append(chunks(a, maxBytes), chunks(b, maxBytes)...)
	}
	return []Selection{sel}
}

// halve splits a selection in two, and reports whether that was possible.
func halve(s Selection) (a, b Selection, ok bool) {
	a, b = s, s
	switch {
	case len(s.Services) > 0 && len(s.Custom) > 0:
		a.Custom, b.Services = nil, nil
	case len(s.Services) > 1:
		n := len(s.Services) / 2
		a.Services, b.Services = s.Services[:n], s.Services[n:]
	case len(s.Custom) > 1:
		n := len(s.Custom) / 2
		a.Custom, b.Custom = s.Custom[:n], s.Custom[n:]
	case len(s.Services) == 1 && len(s.Suffixes) > 1:
		n := len(s.Suffixes) / 2
		a.Suffixes, b.Suffixes = s.Suffixes[:n], s.Suffixes[n:]
	default:
		return a, b, false
	}
	return a, b, true
}

// selector is one PromQL series selector.
type selector struct {
	part     string
	matchers []matcher
}

// matcher is one label matcher; the pattern is anchored, as in PromQL.
type matcher struct {
	label, pattern string
}

func (s selector) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, m := range s.matchers {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(m.label)
		b.WriteString("=~")
		b.WriteString(strconv.Quote(m.pattern))
	}
	b.WriteByte('}')
	return b.String()
}

// promQL joins selectors into one expression that also brings the scrape times
// of the targets they come from. timestamp() of a bare selector is the
// sample's own time, and all samples of a scrape share it with "up"; applying
// it to the selectors themselves is impossible, it would drop their names.
func promQL(parts []selector) string {
	var b, sources strings.Builder
	for i, s := range parts {
		if i > 0 {
			b.WriteString(" or ")
			sources.WriteString(" or ")
		}
		text := s.String()
		part := s.part + strconv.Itoa(i)
		b.WriteString(`label_replace(` + text + `,"` + partLabel + `","` + part + `","","")`)
		sources.WriteString(text)
	}
	b.WriteString(` or label_replace(timestamp(up) and on(job,instance) (` + sources.String() +
		`),"` + partLabel + `","` + partScrape + `","","")`)
	return b.String()
}

// selectors renders a selection (sanitized) as series selectors that find
// every series of it in either form, and not many others.
func selectors(sel Selection) []selector {
	product := len(sel.Services) > 0 && len(sel.Prefixes) > 0 && len(sel.Suffixes) > 0
	var names []string
	if product {
		names = append(names, alternatives(sel.Prefixes, regexp.QuoteMeta)+
			alternatives(sel.Services, regexp.QuoteMeta)+alternatives(sel.Suffixes, regexp.QuoteMeta))
	}
	for _, name := range sel.Custom {
		names = append(names, regexp.QuoteMeta(name))
	}
	if len(names) == 0 {
		return nil
	}
	out := []selector{{partLiteral, []matcher{{"__name__", strings.Join(names, "|")}}}}
	for i := range families {
		n := newNeeds(&families[i])
		if product {
			n.addProduct(sel)
		}
		n.addCustom(sel.Custom)
		out = append(out, n.selectors()...)
	}
	return out
}

// needs gathers what must be asked of one family.
type needs struct {
	f       *family
	stats   []string // today's statistics, without the family's prefix
	carried []string // patterns of the label's value
	classes []string // response code classes as digits
	codes   []string
}

func newNeeds(f *family) *needs { return &needs{f: f} }

func (n *needs) addStat(stat string) {
	form := modernStat(stat)
	n.stats = append(n.stats, stat, form.stat)
	if form.class != "" {
		n.stats = append(n.stats, form.stat+"_xx") // plain Envoy
		n.classes = append(n.classes, form.class[:1])
	}
	if form.code != "" {
		n.codes = append(n.codes, form.code)
	}
}

func (n *needs) addProduct(sel Selection) {
	var heads, tails []string
	for _, prefix := range sel.Prefixes {
		if rest, ok := strings.CutPrefix(prefix, n.f.prefix); ok {
			heads = append(heads, rest)
		}
	}
	if len(heads) == 0 {
		return
	}
	for _, suffix := range sel.Suffixes {
		for _, cut := range n.f.splits(suffix) {
			tails = append(tails, cut[0])
			n.addStat(cut[1])
		}
	}
	if len(tails) == 0 {
		return
	}
	n.carried = append(n.carried, alternatives(heads, wildcard)+alternatives(sel.Services, wildcard)+alternatives(tails, wildcard))
	for _, head := range heads {
		if m := inboundHead.FindStringSubmatch(head); m != nil && n.f.label == "cluster_name" {
			n.carried = append(n.carried, `inbound\|`+m[1]+`\|[^|]*\|`)
		}
	}
}

func (n *needs) addCustom(names []string) {
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, n.f.prefix)
		if !ok {
			continue
		}
		for _, cut := range n.f.splits(rest) {
			n.carried = append(n.carried, wildcard(cut[0]))
			n.addStat(cut[1])
		}
	}
}

// selectors gives one selector for each dialect of labels.
func (n *needs) selectors() []selector {
	if len(n.stats) == 0 || len(n.carried) == 0 {
		return nil
	}
	stats := regexp.QuoteMeta(n.f.prefix) + alternatives(n.stats, regexp.QuoteMeta)
	carried := "(?:" + strings.Join(unique(n.carried, identity), "|") + ");?"
	var classes []string
	for _, class := range n.classes {
		classes = append(classes, class, class+"xx")
	}
	out := make([]selector, 0, 2)
	for _, dialect := range []string{"", envoyLabels} {
		m := []matcher{
			{"__name__", stats},
			{dialect + n.f.label, carried},
			{dialect + "response_code_class", optional(classes)},
			{dialect + "response_code", optional(n.codes)},
		}
		if dialect != "" {
			m = append(m, matcher{n.f.label, ""}) // found by the other selector
		}
		out = append(out, selector{partLabelled, m})
	}
	return out
}

// alternatives renders a non-empty list as a group of patterns.
func alternatives(values []string, quote func(string) string) string {
	values = unique(values, quote)
	slices.Sort(values)
	if len(values) == 1 {
		return values[0]
	}
	return "(?:" + strings.Join(values, "|") + ")"
}

// optional matches any of the values, and the absence of the label.
func optional(values []string) string {
	values = unique(values, regexp.QuoteMeta)
	if len(values) == 0 {
		return ""
	}
	slices.Sort(values)
	return "|" + strings.Join(values, "|")
}

var underscores = regexp.MustCompile(`_+`)

// wildcard turns a sanitized part into a pattern of what it was before: each
// "_" may have been any byte that a name cannot hold, and several of them one
// character of several bytes.
func wildcard(s string) string {
	return underscores.ReplaceAllStringFunc(regexp.QuoteMeta(s), func(run string) string {
		if len(run) == 1 {
			return "."
		}
		return ".{1," + strconv.Itoa(len(run)) + "}"
	})
}

func identity(s string) string { return s }
