package ids

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/opnfv/clover/ids"
)

// Request is what the engine looks at: a request as it is on the wire, and
// its parts by the names of the buffers that rules look into.
type Request struct {
	Source, Destination netip.AddrPort // port 0: unknown
	Buffers             map[string][]byte
}

// matcher is a rule, ready to use.
type matcher struct {
	rule                *ids.Rule
	source, destination ids.Address
	from, to            ids.Port
	texts               []text
}

// text is one text that a rule looks for.
type text struct {
	buffer string
	what   []byte
	not    bool
	noCase bool
}

// What the engine does as it says, or what changes nothing.
var (
	modifiers = []string{"nocase", "fast_pattern"}
	options   = []string{"msg", "sid", "gid", "rev", "classtype", "priority", "reference", "metadata"}
	flows     = []string{"established", "to_server", "from_client"}
)

// compile makes a rule ready, or returns nil for one that this engine cannot
// do as it says.
func compile(r *ids.Rule) *matcher {
	if !slices.Contains([]string{"tcp", "ip", "http"}, r.Protocol) {
		return nil
	}
	m := &matcher{rule: r}
	var errs [4]error
	m.source, errs[0] = r.Source.Addresses.Parse()
	m.destination, errs[1] = r.Destination.Addresses.Parse()
	m.from, errs[2] = r.Source.Ports.Parse()
	m.to, errs[3] = r.Destination.Ports.Parse()
	if slices.ContainsFunc(errs[:], func(err error) bool { return err != nil }) {
		return nil
	}
	done := map[int]bool{}
	for _, match := range r.Matches() {
		t, ok := compileText(&match)
		if !ok {
			return nil
		}
		m.texts = append(m.texts, t)
		done[match.Index] = true
		for _, i := range match.Options {
			done[i] = true
		}
	}
	for i, o := range r.Options {
		if !done[i] && !slices.Contains(options, o.Name) && (o.Name != "flow" || !ofRequests(o.Value)) {
			return nil
		}
	}
	return m
}

func compileText(match *ids.Match) (t text, ok bool) {
	content, ok := match.Pattern.(ids.Content)
	strange := func(m ids.Modifier) bool { return !slices.Contains(modifiers, m.Name) }
	if !ok || len(match.Transforms) > 0 || slices.ContainsFunc(match.Modifiers, strange) {
		return t, false
	}
	_, noCase := match.Modifier("nocase")
	t = text{buffer: match.Buffer, what: content.Pattern, not: content.Not, noCase: noCase}
	if noCase {
		t.what = bytes.ToLower(t.what)
	}
	return t, true
}

// ofRequests reports whether every request is of a flow.
func ofRequests(flow string) bool {
	for word := range strings.SplitSeq(flow, ",") {
		if !slices.Contains(flows, strings.TrimSpace(word)) {
			return false
		}
	}
	return true
}

func (m *matcher) matches(r *Request) bool {
	if !matchesAddress(m.source, r.Source.Addr()) || !matchesAddress(m.destination, r.Destination.Addr()) ||
		!matchesPort(m.from, r.Source.Port()) || !matchesPort(m.to, r.Destination.Port()) {
		return false
	}
	for _, t := range m.texts {
		in := r.Buffers[t.buffer]
		if t.noCase {
			in = bytes.ToLower(in)
		}
		if bytes.Contains(in, t.what) == t.not {
			return false
		}
	}
	return true
}

// matchesAddress compares one end of a connection. Variables stand for
// anything.
func matchesAddress(rule ids.Address, a netip.Addr) bool {
	var is bool
	switch {
	case rule.Any || rule.Variable != "":
		return true
	case rule.List != nil:
		is = anyOf(rule.List, func(item ids.Address) (bool, bool) { return matchesAddress(item, a), item.Not })
	case rule.Prefix.IsValid():
		is = rule.Prefix.Contains(a)
	case rule.From.IsValid():
		is = rule.From.Compare(a) <= 0 && a.Compare(rule.To) <= 0
	}
	return is != rule.Not
}

// matchesPort is the same for ports. One that is not known matches only any.
func matchesPort(rule ids.Port, port uint16) bool {
	var is bool
	switch {
	case rule.Any || rule.Variable != "":
		return true
	case port == 0:
		return false
	case rule.List != nil:
		is = anyOf(rule.List, func(item ids.Port) (bool, bool) { return matchesPort(item, port), item.Not })
	default:
		is = rule.From <= port && port <= rule.To
	}
	return is != rule.Not
}

// anyOf is the meaning of a list: one of those without a "!", unless there are
// none, and each of those with.
func anyOf[T any](list []T, match func(T) (is, not bool)) bool {
	wanted, found := false, false
	for _, item := range list {
		is, not := match(item)
		switch {
		case not && !is:
			return false
		case !not:
			wanted, found = true, found || is
		}
	}
	return found || !wanted
}
