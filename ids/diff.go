package ids

import "fmt"

// Change is how a rule differs between two sets.
type Change uint8

// The changes.
const (
	Added Change = iota
	Removed
	Changed
	Enabled  // it was disabled; nothing else has changed
	Disabled // it was enabled; nothing else has changed
)

// String returns the change's name.
func (c Change) String() string {
	return [...]string{"added", "removed", "changed", "enabled", "disabled"}[c]
}

// RuleChange is a rule that differs between two sets.
type RuleChange struct {
	Change   Change
	GID, SID uint32
	Old, New *Rule // nil if added or removed
	// Fields say what has changed in a rule that is in both.
	Fields []FieldChange
}

// String returns the change as a line for people.
func (c RuleChange) String() string {
	r := c.New
	if r == nil {
		r = c.Old
	}
	s := fmt.Sprintf("%s %d:%d %s", c.Change, c.GID, c.SID, r.Message())
	for i, f := range c.Fields {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		s += sep + f.String()
	}
	return s
}

// FieldChange is a field of the header, an option, or enabled, that has
// changed. Options that come more than once are compared in their order.
type FieldChange struct{ Name, Old, New string }

// String returns NAME OLD → NEW.
func (f FieldChange) String() string {
	return fmt.Sprintf("%s %s → %s", f.Name, orNone(f.Old), orNone(f.New))
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// Diff compares two sets by the rules' gid and sid, whatever their order and
// layout: first those of from in its order, then what to adds, in its order.
// A rule without sid is compared as text.
func Diff(from, to *Ruleset) []RuleChange {
	var out []RuleChange
	left, right := indexRules(from), indexRules(to)
	seen := map[string]bool{}
	for r := range from.Rules() {
		key := ruleKey(r)
		if seen[key] {
			continue
		}
		seen[key] = true
		now, ok := right[key]
		if !ok {
			out = append(out, RuleChange{Change: Removed, GID: r.GID(), SID: r.SID(), Old: left[key]})
		} else if c, ok := compareRules(left[key], now); ok {
			out = append(out, c)
		}
	}
	for r := range to.Rules() {
		key := ruleKey(r)
		if !seen[key] {
			seen[key] = true
			out = append(out, RuleChange{Change: Added, GID: r.GID(), SID: r.SID(), New: right[key]})
		}
	}
	return out
}

func ruleKey(r *Rule) string {
	if sid := r.SID(); sid != 0 {
		return fmt.Sprintf("%d:%d", r.GID(), sid)
	}
	return r.String()
}

// indexRules maps identities to rules; an enabled one before a disabled one.
func indexRules(s *Ruleset) map[string]*Rule {
	out := map[string]*Rule{}
	for r := range s.Rules() {
		key := ruleKey(r)
		if had, ok := out[key]; !ok || had.Disabled && !r.Disabled {
			out[key] = r
		}
	}
	return out
}

// compareRules reports in what two rules differ.
func compareRules(old, now *Rule) (RuleChange, bool) {
	c := RuleChange{Change: Changed, GID: now.GID(), SID: now.SID(), Old: old, New: now}
	field := func(name, a, b string) {
		if a != b {
			c.Fields = append(c.Fields, FieldChange{name, a, b})
		}
	}
	field("action", old.Action, now.Action)
	field("protocol", old.Protocol, now.Protocol)
	field("source", string(old.Source.Addresses), string(now.Source.Addresses))
	field("source ports", string(old.Source.Ports), string(now.Source.Ports))
	field("direction", old.Direction, now.Direction)
	field("destination", string(old.Destination.Addresses), string(now.Destination.Addresses))
	field("destination ports", string(old.Destination.Ports), string(now.Destination.Ports))
	compareOptions(old, now, field)
	if old.Disabled != now.Disabled {
		if len(c.Fields) == 0 {
			c.Change = Enabled
			if now.Disabled {
				c.Change = Disabled
			}
			return c, true
		}
		field("enabled", fmt.Sprint(!old.Disabled), fmt.Sprint(!now.Disabled))
	}
	return c, len(c.Fields) > 0
}

// compareOptions compares the values of each name in their order, and then
// the order of the options, which decides what patterns belong together.
func compareOptions(old, now *Rule, field func(name, a, b string)) {
	values := func(r *Rule) (map[string][]string, []string, string) {
		m, order, all := map[string][]string{}, []string(nil), ""
		for _, o := range r.Options {
			if _, ok := m[o.Name]; !ok {
				order = append(order, o.Name)
			}
			m[o.Name] = append(m[o.Name], o.String())
			all += o.String() + "; "
		}
		return m, order, all
	}
	a, orderA, allA := values(old)
	b, orderB, allB := values(now)
	same := true
	for _, name := range append(orderA, orderB...) {
		va, vb := a[name], b[name]
		for i := range max(len(va), len(vb)) {
			var x, y string
			if i < len(va) {
				x = va[i]
			}
			if i < len(vb) {
				y = vb[i]
			}
			same = same && x == y
			field(name, x, y)
		}
		delete(a, name)
		delete(b, name)
	}
	if same {
		field("order of options", allA, allB)
	}
}
