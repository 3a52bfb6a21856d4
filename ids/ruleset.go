package ids

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Kind is what an [Item] of a file is.
type Kind uint8

// The kinds of items.
const (
	KindBlank     Kind = iota // an empty line
	KindComment               // a comment that is no disabled rule
	KindRule                  // a rule, enabled or disabled
	KindDirective             // include, var, config and others that are no rules
	KindInvalid               // what could not be read; see the error of Parse
)

// String returns the kind's name.
func (k Kind) String() string {
	return [...]string{"blank", "comment", "rule", "directive", "invalid"}[k]
}

// Item is a piece of a rule file: a line, or the lines of one rule or comment.
type Item struct {
	Kind Kind
	// Text is the piece as it came, with its line end. It is what prints,
	// but for rules, which print by themselves before Ending.
	Text string
	// Rule is set for KindRule only.
	Rule *Rule
	// Line is where the piece begins, from 1; 0 for one that was added.
	Line int
}

// Ruleset is a rule file. Change Items as any slice; printing them all in
// order gives the file. Not safe for use by several goroutines while one of
// them writes.
type Ruleset struct {
	Name    string // of the file, for positions; may be empty
	Dialect Dialect
	Items   []Item
}

// Rules returns the rules in order, disabled ones too.
func (s *Ruleset) Rules() iter.Seq[*Rule] {
	return func(yield func(*Rule) bool) {
		for i := range s.Items {
			if r := s.Items[i].Rule; r != nil && !yield(r) {
				return
			}
		}
	}
}

// Len returns how many rules there are, disabled ones too.
func (s *Ruleset) Len() int {
	n := 0
	for i := range s.Items {
		if s.Items[i].Rule != nil {
			n++
		}
	}
	return n
}

// Find returns the rule with that generator and identifier: an enabled one
// before a disabled one, nil if there is none. gid 0 means 1.
func (s *Ruleset) Find(gid, sid uint32) *Rule {
	if i := s.index(gid, sid); i >= 0 {
		return s.Items[i].Rule
	}
	return nil
}

// index returns the item of a rule, -1 if there is none.
func (s *Ruleset) index(gid, sid uint32) int {
	if gid == 0 {
		gid = 1
	}
	found := -1
	for i := range s.Items {
		r := s.Items[i].Rule
		if r == nil || r.SID() != sid || r.GID() != gid {
			continue
		}
		if !r.Disabled {
			return i
		}
		if found < 0 {
			found = i
		}
	}
	return found
}

// ErrInvalid matches rules that cannot be written as they are.
var ErrInvalid = errors.New("invalid rule")

// Put adds a rule at the end, or puts it in the place of the rule with its
// gid and sid; further ones with the same identity go. It reports whether one
// was replaced. The rule must have a sid, the set's dialect, and a text that
// reads back as the same rule; otherwise nothing changes and the error
// matches [ErrInvalid].
func (s *Ruleset) Put(r *Rule) (replaced bool, err error) {
	sid := r.SID()
	if sid == 0 {
		return false, fmt.Errorf("put rule: %w: it has no sid", ErrInvalid)
	}
	if r.Dialect != s.Dialect {
		return false, fmt.Errorf("put rule %d: %w: it is of %s, the set of %s; convert it first", sid, ErrInvalid, r.Dialect, s.Dialect)
	}
	text, err := r.Text()
	if err != nil {
		return false, fmt.Errorf("put rule %d: %w", sid, err)
	}
	gid := r.GID()
	at := s.index(gid, sid)
	if at < 0 {
		s.endLine()
		s.Items = append(s.Items, Item{Kind: KindRule, Text: text + s.lineEnd(), Rule: r.Clone()})
		return false, nil
	}
	s.Items[at].Rule = r.Clone()
	kept := s.Items[at].Rule
	s.Items = slices.DeleteFunc(s.Items, func(it Item) bool {
		return it.Rule != nil && it.Rule != kept && it.Rule.SID() == sid && it.Rule.GID() == gid
	})
	return true, nil
}

// Delete takes out every rule with that generator and identifier and returns
// how many there were. gid 0 means 1.
func (s *Ruleset) Delete(gid, sid uint32) int {
	if gid == 0 {
		gid = 1
	}
	before := len(s.Items)
	s.Items = slices.DeleteFunc(s.Items, func(it Item) bool {
		return it.Rule != nil && it.Rule.SID() == sid && it.Rule.GID() == gid
	})
	return before - len(s.Items)
}

// lineEnd returns the file's line end.
func (s *Ruleset) lineEnd() string {
	for i := range s.Items {
		if e := ending(s.Items[i].Text); e != "" {
			return e
		}
	}
	return "\n"
}

// endLine ends the last line if it is open.
func (s *Ruleset) endLine() {
	if n := len(s.Items); n > 0 && ending(s.Items[n-1].Text) == "" && s.Items[n-1].Text != "" {
		s.Items[n-1].Text += s.lineEnd()
	}
}

// ending returns the line end of a text.
func ending(text string) string {
	switch {
	case strings.HasSuffix(text, "\r\n"):
		return "\r\n"
	case strings.HasSuffix(text, "\n"):
		return "\n"
	}
	return ""
}

// String returns the file.
func (s *Ruleset) String() string { return string(s.AppendText(nil)) }

// AppendText appends the file to b: as it came, but for what has changed.
func (s *Ruleset) AppendText(b []byte) []byte {
	size := 0
	for i := range s.Items {
		size += len(s.Items[i].Text)
	}
	b = slices.Grow(b, size)
	var w renderer
	for i := range s.Items {
		it := &s.Items[i]
		if it.Rule == nil {
			b = append(b, it.Text...)
			continue
		}
		b = w.rule(b, it.Rule)
		b = append(b, ending(it.Text)...)
	}
	return b
}
