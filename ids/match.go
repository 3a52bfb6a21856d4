package ids

import (
	"strconv"
	"strings"
)

// Match is something that a rule looks for, with its place and conditions:
// the same for the three ways in which the dialects write them.
type Match struct {
	// Index of the pattern among the rule's options.
	Index int
	// Pattern is a [Content] or [PCRE]; nil if it cannot be decoded, and for
	// patterns of other kinds.
	Pattern Typed
	// Buffer is where to look, by the name of Suricata's sticky buffer where
	// it has one; [Payload] if the rule names none.
	Buffer string
	// Modifiers of the pattern: nocase, depth, offset, distance, within,
	// fast_pattern, startswith, ….
	Modifiers []Modifier
	// Transforms of the buffer, in Suricata.
	Transforms []Option
	// Options are the indexes of those that were taken into this match:
	// buffer, transforms and modifiers.
	Options []int
}

// Modifier returns a modifier's value.
func (m *Match) Modifier(name string) (string, bool) {
	for _, o := range m.Modifiers {
		if o.Name == name {
			return o.Value, true
		}
	}
	return "", false
}

// Number returns a modifier's value as a number; not ok if it has none, or a
// variable.
func (m *Match) Number(name string) (int, bool) {
	v, ok := m.Modifier(name)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(v)
	return n, err == nil
}

// Relative reports whether the match begins where the one before it ended.
func (m *Match) Relative() bool {
	_, distance := m.Modifier("distance")
	_, within := m.Modifier("within")
	if p, ok := m.Pattern.(PCRE); ok && strings.Contains(p.Flags, "R") {
		return true
	}
	return distance || within
}

// Matches returns what the rule looks for, in its order.
func (r *Rule) Matches() []Match {
	w := matchWalker{dialect: r.Dialect, sticky: Payload}
	for i, o := range r.Options {
		w.take(i, o)
	}
	return w.out
}

// matchWalker gathers matches while it goes over options.
type matchWalker struct {
	dialect    Dialect
	out        []Match
	sticky     string
	transforms []Option
	pending    []int // sticky buffer and transforms of the next match
}

// take looks at the next option and reports whether it is part of a match.
func (w *matchWalker) take(i int, o Option) bool {
	k, known := w.dialect.Keyword(o.Name)
	if !known {
		return false
	}
	switch k.Role {
	case RoleSticky:
		w.sticky, w.transforms = bufferOf(o, w.dialect), nil
		w.pending = append(w.pending[:0:0], i)
	case RoleTransform:
		w.transforms = append(w.transforms[:len(w.transforms):len(w.transforms)], o)
		w.pending = append(w.pending, i)
	case RolePattern:
		w.pattern(i, o)
	case RoleModifier, RoleBuffer:
		if len(w.out) == 0 {
			return false
		}
		w.modify(i, o, k.Role)
	default:
		return false
	}
	return true
}

func (w *matchWalker) pattern(i int, o Option) {
	m := Match{Index: i, Buffer: w.sticky, Transforms: w.transforms, Options: w.pending}
	w.pending = nil
	switch strings.ToLower(o.Name) {
	case "content", "uricontent", "protected_content":
		if c, err := DecodePattern(o.Value, w.dialect); err == nil {
			m.Modifiers = c.Modifiers
			c.Modifiers = nil
			m.Pattern = c
		}
		if o.Is("uricontent") {
			m.Buffer = "http.uri"
		}
	case "pcre":
		if p, err := DecodePCRE(o.Value); err == nil {
			m.Pattern = w.pcre(p, &m)
		}
	}
	w.out = append(w.out, m)
}

// pcre moves a flag that names a buffer from the expression to the match.
func (w *matchWalker) pcre(p PCRE, m *Match) PCRE {
	if w.dialect == Snort3 {
		return p
	}
	p.Flags = strings.Map(func(c rune) rune {
		if b := bufferByFlag(byte(c)); b != "" {
			m.Buffer = b
			return -1
		}
		return c
	}, p.Flags)
	return p
}

func (w *matchWalker) modify(i int, o Option, role Role) {
	m := &w.out[len(w.out)-1]
	m.Options = append(m.Options, i)
	if role == RoleBuffer {
		m.Buffer = bufferOf(o, w.dialect)
		return
	}
	m.Modifiers = append(m.Modifiers, Modifier{strings.ToLower(o.Name), o.Value})
}
