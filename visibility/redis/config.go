package visibilityredis

import (
	"slices"

	"github.com/opnfv/clover/visibility"
)

// configSet is a set of the configuration and its list in a Config.
type configSet struct {
	key    string
	list   func(*visibility.Config) *[]string
	change func(*visibility.ConfigUpdate) *[]string
	// identity is equal for names that mean the same; spell is how Redis has
	// a name.
	identity, spell func(string) string
}

var configSets = [...]configSet{
	{
		ServicesKey,
		func(c *visibility.Config) *[]string { return &c.Services },
		func(u *visibility.ConfigUpdate) *[]string { return &u.Services },
		visibility.CanonicalService, underscored,
	},
	{
		MetricPrefixesKey,
		func(c *visibility.Config) *[]string { return &c.MetricPrefixes },
		func(u *visibility.ConfigUpdate) *[]string { return &u.MetricPrefixes },
		same, same,
	},
	{
		MetricSuffixesKey,
		func(c *visibility.Config) *[]string { return &c.MetricSuffixes },
		func(u *visibility.ConfigUpdate) *[]string { return &u.MetricSuffixes },
		same, same,
	},
	{
		CustomMetricsKey,
		func(c *visibility.Config) *[]string { return &c.CustomMetrics },
		func(u *visibility.ConfigUpdate) *[]string { return &u.CustomMetrics },
		same, same,
	},
}

func same(name string) string { return name }

// check says what is wrong with a member.
func (s *configSet) check(name string) error {
	var c visibility.Config
	*s.list(&c) = []string{name}
	return c.Validate()
}

// merge is what two sides make of a list that they had agreed on: what either
// has added is in it, what either has removed is not. Without an agreement
// nothing was removed. The order and the spelling of ours stay; what is new
// comes after it, sorted.
func (s *configSet) merge(ours, theirs, agreed []string) []string {
	o, t, a := s.identities(ours), s.identities(theirs), s.identities(agreed)
	stays := func(id string) bool {
		if a[id] {
			return o[id] && t[id]
		}
		return o[id] || t[id]
	}
	merged := []string{}
	for _, name := range ours {
		if stays(s.identity(name)) {
			merged = append(merged, name)
		}
	}
	for _, name := range slices.Sorted(slices.Values(theirs)) {
		if id := s.identity(name); !o[id] && stays(id) {
			merged = append(merged, name)
			o[id] = true
		}
	}
	return merged
}

// edits are what makes a set in Redis hold the wanted names.
func (s *configSet) edits(theirs, wanted []string) (add, remove []string) {
	t, w := s.identities(theirs), s.identities(wanted)
	for _, name := range wanted {
		if id := s.identity(name); !t[id] {
			add = append(add, s.spell(name))
			t[id] = true
		}
	}
	for _, name := range theirs {
		if !w[s.identity(name)] {
			remove = append(remove, name)
		}
	}
	return add, remove
}

// equal reports whether two lists mean the same names.
func (s *configSet) equal(a, b []string) bool {
	add, remove := s.edits(a, b)
	return len(add) == 0 && len(remove) == 0
}

func (s *configSet) identities(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[s.identity(name)] = true
	}
	return m
}
