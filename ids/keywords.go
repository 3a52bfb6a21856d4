package ids

import (
	_ "embed"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Role is what a keyword does in a rule.
type Role uint8

// The roles of keywords.
const (
	RoleOther     Role = iota // it stands for itself
	RolePattern               // something to look for: content, pcre, …
	RoleModifier              // of the pattern before it: nocase, depth, …
	RoleBuffer                // where to look, for the pattern before it
	RoleSticky                // where to look, for the patterns that follow
	RoleTransform             // changes the sticky buffer before it
)

// Arity is whether a keyword has a value.
type Arity uint8

// The arities of keywords.
const (
	ArityValue Arity = iota // one is required
	ArityOptional
	ArityNone
)

// Keyword is an option that a dialect knows.
type Keyword struct {
	Name  string
	Role  Role
	Arity Arity
	// Since is the first release that the tables saw it in: the oldest that
	// they know for what is older.
	Since Version
	// Until is the last release with it, zero if it is still there.
	Until Version
}

//go:embed keywords.txt
var keywordText string

var keywordTables = sync.OnceValue(func() (tables [3]map[string]Keyword) {
	var table map[string]Keyword
	for line := range strings.Lines(keywordText) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			d, err := ParseDialect(strings.Trim(line, "[]"))
			if err != nil {
				panic("ids: keywords.txt: " + err.Error())
			}
			table = map[string]Keyword{}
			tables[d] = table
		default:
			head, names, _ := strings.Cut(line, ":")
			k := keywordHead(strings.Fields(head))
			for name := range strings.FieldsSeq(names) {
				k.Name = name
				table[name] = k
			}
		}
	}
	return tables
})

func keywordHead(f []string) Keyword {
	roles := map[string]Role{
		"other": RoleOther, "pattern": RolePattern, "modifier": RoleModifier,
		"buffer": RoleBuffer, "sticky": RoleSticky, "transform": RoleTransform,
	}
	arities := map[string]Arity{"value": ArityValue, "optional": ArityOptional, "flag": ArityNone}
	since, until, _ := strings.Cut(f[2], "-")
	k := Keyword{Role: roles[f[0]], Arity: arities[f[1]]}
	k.Since, _ = ParseVersion(since)
	if until != "" {
		k.Until, _ = ParseVersion(until)
	}
	return k
}

// Keyword returns what a dialect knows of an option.
func (d Dialect) Keyword(name string) (Keyword, bool) {
	k, ok := keywordTables()[d][name]
	if !ok {
		k, ok = keywordTables()[d][strings.ToLower(name)]
	}
	return k, ok
}

// Keywords returns every keyword of a dialect, by name.
func (d Dialect) Keywords() iter.Seq[Keyword] {
	return func(yield func(Keyword) bool) {
		table := keywordTables()[d]
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if !yield(table[name]) {
				return
			}
		}
	}
}
