package ids

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// nearest are the buffers to look in where a dialect lacks one.
var nearest = [3]map[string]string{
	Suricata: {"http.cookie.raw": "http.cookie"},
	Snort2: {
		"http.user_agent": "http.header", "http.host": "http.header", "http.host.raw": "http.header.raw",
		"http.referer": "http.header", "http.accept": "http.header", "http.accept_enc": "http.header",
		"http.accept_lang": "http.header", "http.connection": "http.header", "http.content_type": "http.header",
		"http.content_len": "http.header", "http.location": "http.header", "http.server": "http.header",
		"http.request_line": Payload, "http.response_line": Payload, "http.response_body": "file.data",
	},
}

// target returns the option that opens or names a buffer in the result.
func (c *converter) target(name string) (Option, bool) {
	b, ok := bufferByName(name)
	if !ok {
		// One dialect's own: the same name in the other is the same thing.
		k, known := c.to.Keyword(name)
		return Option{Name: name}, known && (k.Role == RoleSticky || k.Role == RoleBuffer)
	}
	o := Option{Name: b.name}
	switch c.to {
	case Snort2:
		o.Name = b.snort2
	case Snort3:
		o.Name = b.snort3
		if b.field != "" {
			o.Value = "field " + b.field
		}
	case Suricata:
		if b.name == Payload {
			o.Name = "pkt_data"
		}
	}
	_, ok = c.to.Keyword(o.Name)
	return o, ok
}

// resolve returns the buffer to use for one of the source.
func (c *converter) resolve(name, what string) (string, Option, bool) {
	if o, ok := c.target(name); ok {
		return name, o, true
	}
	if near, ok := nearest[c.to][name]; ok {
		c.issue(what, EffectApproximate, fmt.Sprintf("%s has no buffer %s: looks in %s", c.to, name, near))
		o, ok := c.target(near)
		return near, o, ok
	}
	c.issue(what, EffectRefused, fmt.Sprintf("%s has no buffer %s", c.to, name))
	return name, Option{}, false
}

// enter opens a sticky buffer. It reports false if the buffer is none, but
// named after the pattern.
func (c *converter) enter(name string, o Option) bool {
	if k, _ := c.to.Keyword(o.Name); k.Role == RoleBuffer && c.to == Snort2 {
		return false
	}
	if c.sticky != name {
		c.add(o)
		c.sticky = name
	}
	return true
}

// match translates one pattern with all that belongs to it.
func (c *converter) match(m *Match) {
	what := c.src.Options[m.Index].String()
	for _, t := range m.Transforms {
		if !t.Is("to_lowercase") {
			c.issue(t.String(), EffectRefused, "only Suricata transforms buffers")
			return
		}
		m.Modifiers = append(m.Modifiers, Modifier{Name: "nocase"})
		c.issue(t.String(), EffectApproximate, "nocase stands in its place")
	}
	name, o, ok := c.resolve(m.Buffer, what)
	if !ok {
		return
	}
	after := Option{}
	if !c.enter(name, o) {
		after = o
	}
	switch p := m.Pattern.(type) {
	case Content:
		if c.to == Suricata && name == "http.host" {
			p = lowerHost(p, m)
		}
		c.content(p, m, after)
	case PCRE:
		c.pcre(p, name, after, what)
	default:
		pattern := c.src.Options[m.Index]
		if _, known := c.to.Keyword(pattern.Name); !known {
			c.issue(what, EffectRefused, c.to.String()+" has no such pattern")
			return
		}
		c.add(pattern)
	}
}

// content writes a pattern with its modifiers.
func (c *converter) content(p Content, m *Match, after Option) {
	mods, ends := c.modifiers(p, m)
	if c.to == Snort3 {
		for _, mod := range mods {
			if mod.Name != "replace" {
				p.Modifiers = append(p.Modifiers, mod)
			}
		}
		c.add(p.Option())
		for _, mod := range mods {
			if mod.Name == "replace" {
				c.add(Option{Name: mod.Name, Value: mod.Value})
			}
		}
	} else {
		c.add(p.Option())
		for _, mod := range mods {
			c.add(Option{Name: mod.Name, Value: mod.Value})
		}
		if after.Name != "" {
			c.add(after)
		}
	}
	if ends {
		c.add(Option{Name: "isdataat", Value: "!1,relative"})
	}
}

// modifiers translates those of a pattern; ends is whether it must stand at
// the end of the buffer.
func (c *converter) modifiers(p Content, m *Match) (mods []Modifier, ends bool) {
	var offset, length string // of the fast pattern in Snort 3
	for _, mod := range m.Modifiers {
		what := c.src.Options[m.Index].String() + "; " + mod.String()
		switch mod.Name {
		case "nocase", "depth", "offset", "distance", "within", "replace":
			mods = append(mods, mod)
		case "startswith":
			if c.to == Suricata {
				mods = append(mods, mod)
			} else {
				mods = append(mods, Modifier{"depth", fmt.Sprint(len(p.Pattern))})
			}
		case "endswith":
			ends = true
		case "rawbytes":
			if c.to == Snort3 {
				c.issue(what, EffectNote, "Snort 3 has no rawbytes: raw_data before the pattern is near it")
			} else {
				mods = append(mods, mod)
			}
		case "fast_pattern":
			mods = append(mods, c.fastPattern(mod)...)
		case "fast_pattern_offset":
			offset = mod.Value
		case "fast_pattern_length":
			length = mod.Value
		default:
			c.issue(what, EffectWider, c.to.String()+" has no such modifier")
		}
	}
	if offset != "" && length != "" && c.to != Snort3 {
		for i := range mods {
			if mods[i].Name == "fast_pattern" {
				mods[i].Value = offset + "," + length
			}
		}
	}
	return mods, ends
}

func (c *converter) fastPattern(mod Modifier) []Modifier {
	if c.to != Snort3 {
		return []Modifier{mod}
	}
	out := []Modifier{{Name: "fast_pattern"}}
	if offset, length, ok := strings.Cut(mod.Value, ","); ok {
		out = append(out, Modifier{"fast_pattern_offset", strings.TrimSpace(offset)},
			Modifier{"fast_pattern_length", strings.TrimSpace(length)})
	}
	return out
}

// pcre writes an expression. Snort 2 names its buffer by a flag.
func (c *converter) pcre(p PCRE, name string, after Option, what string) {
	if c.to == Snort3 && strings.ContainsRune(p.Flags, 'B') {
		p.Flags = strings.ReplaceAll(p.Flags, "B", "")
		c.issue(what, EffectNote, "Snort 3 has no flag B for raw bytes")
	}
	if after.Name != "" {
		b, _ := bufferByName(name)
		if b.flag == 0 {
			c.issue(what, EffectRefused, "Snort 2 has no flag for "+name)
			return
		}
		p.Flags += string(b.flag)
	}
	c.add(p.Option())
}

// lowerHost fits a pattern to Suricata's http.host, which is in lower case
// and allows no nocase.
func lowerHost(p Content, m *Match) Content {
	m.Modifiers = slices.DeleteFunc(slices.Clone(m.Modifiers), func(o Modifier) bool { return o.Name == "nocase" })
	p.Pattern = bytes.ToLower(p.Pattern)
	return p
}
