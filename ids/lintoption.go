package ids

import (
	"fmt"
	"regexp/syntax"
	"strings"
)

// option checks one option.
func (l *linter) option(i int, o Option) {
	d := l.rule.Dialect
	k, known := d.Keyword(o.Name)
	if !known {
		l.found(i, CodeUnknownOption, Error, fmt.Sprintf("%s has no option %s", d, o.Name), "correct its name or remove it")
		return
	}
	v := l.options.Version
	if v.before(k.Since) {
		l.found(i, CodeOptionTooNew, Error, fmt.Sprintf("option %s came with %s %s", o.Name, d, k.Since), "use a newer engine or remove it")
	}
	if k.Until != (Version{}) && (v == Version{} || k.Until.before(v)) {
		l.found(i, CodeOptionRemoved, Error, fmt.Sprintf("option %s went after %s %s", o.Name, d, k.Until), "remove it")
	}
	switch {
	case k.Arity == ArityValue && o.Value == "":
		l.found(i, CodeValueMissing, Error, o.Name+" has no value", "give it one after a colon")
		return
	case k.Arity == ArityNone && o.Value != "":
		l.found(i, CodeValueExtra, Error, o.Name+" takes no value", "remove the colon and what follows")
		return
	case o.Value == "":
		return
	}
	l.semicolon(i, o)
	t, err := o.Typed(d)
	if err != nil {
		l.found(i, CodeBadValue, l.badSeverity(o), err.Error(), "see the manual of "+d.String()+" for its form")
		return
	}
	l.typed(i, o, t)
}

// badSeverity is how bad a value is that could not be decoded: options that
// compare numbers have more forms in some versions.
func (l *linter) badSeverity(o Option) Severity {
	switch o.Name {
	case "ttl", "itype", "icode", "urilen", "bsize", "bufferlen", "icmp_id", "icmp_seq", "id", "tos", "priority":
		return Warning
	}
	return Error
}

// typed checks what an option says.
func (l *linter) typed(i int, o Option, t Typed) {
	switch t := t.(type) {
	case Text:
		if o.Is("classtype") && l.classes != nil && !l.classes[t.Text] {
			l.found(i, CodeClass, Warning, "classtype "+t.Text+" is not defined", "add it to classification.config")
		}
		if o.Is("msg") && !strings.HasPrefix(o.Value, `"`) && l.rule.Dialect != Snort2 {
			l.found(i, CodeBadValue, Error, "msg is not quoted", "put the text in quotes")
		}
	case Reference:
		if l.systems != nil && !l.systems[t.System] {
			l.found(i, CodeReference, Info, "reference system "+t.System+" is not defined", "add it to reference.config")
		}
	case PCRE:
		l.pcre(i, t)
	case Flowbits:
		l.bit(i, t)
	case Flow:
		l.flow(i, t)
	}
}

// pcre reports what is surely wrong with an expression.
func (l *linter) pcre(i int, p PCRE) {
	if strings.HasPrefix(p.Expr, ".*") || strings.HasPrefix(p.Expr, "^.*") || strings.HasPrefix(p.Expr, ".+") {
		l.found(i, CodeSlow, Warning, "expression begins with .* or .+", "begin it with what it looks for")
	}
	// Go knows less than Perl; only what is wrong in both is reported.
	if _, err := syntax.Parse(p.Expr, syntax.Perl); err != nil {
		e, ok := err.(*syntax.Error) //nolint:errorlint // Parse documents the type
		if ok && (e.Code == syntax.ErrMissingParen || e.Code == syntax.ErrUnexpectedParen || e.Code == syntax.ErrTrailingBackslash) &&
			!strings.Contains(p.Expr, "(?") && !strings.Contains(p.Expr, "[") {
			l.found(i, CodeBadValue, Error, "expression: "+string(e.Code), "correct its parentheses")
		}
	}
}

func (l *linter) bit(i int, f Flowbits) {
	for _, bit := range f.Bits {
		switch f.Command {
		case "set", "toggle", "setx":
			if !l.set[bit] {
				l.bits = append(l.bits, bitUse{l.rule, l.name, l.file, i, bit, false})
			}
			l.set[bit] = true
		case "isset":
			l.tested[bit] = true
			l.bits = append(l.bits, bitUse{l.rule, l.name, l.file, i, bit, true})
		case "isnotset":
			l.tested[bit] = true
		}
	}
}

// opposites are words of flow that exclude each other.
var opposites = [][2]string{
	{"to_server", "to_client"}, {"to_server", "from_server"}, {"to_client", "from_client"}, {"from_client", "from_server"},
	{"established", "not_established"}, {"established", "stateless"}, {"only_stream", "no_stream"}, {"only_frag", "no_frag"},
}

func (l *linter) flow(i int, f Flow) {
	has := map[string]bool{}
	for _, w := range f.Words {
		has[w] = true
	}
	for _, pair := range opposites {
		if has[pair[0]] && has[pair[1]] {
			l.found(i, CodeContradiction, Error, fmt.Sprintf("flow is both %s and %s", pair[0], pair[1]), "keep one of them")
		}
	}
}

// match checks the modifiers of a pattern against each other.
func (l *linter) match(m *Match) {
	c, isContent := m.Pattern.(Content)
	names := map[string]int{}
	for _, mod := range m.Modifiers {
		if names[mod.Name]++; names[mod.Name] == 2 {
			l.found(m.Index, CodeContradiction, Error, mod.Name+" is given twice for one pattern", "keep one of them")
		}
	}
	if !isContent {
		return
	}
	contradiction := func(message, remedy string) { l.found(m.Index, CodeContradiction, Error, message, remedy) }
	for _, name := range []string{"depth", "within"} {
		if n, ok := m.Number(name); ok && n < len(c.Pattern) {
			contradiction(fmt.Sprintf("%s %d is shorter than the pattern, which has %d bytes", name, n, len(c.Pattern)), "make it at least as long")
		}
	}
	absolute, relative := names["depth"]+names["offset"] > 0, names["distance"]+names["within"] > 0
	if absolute && relative && l.rule.Dialect != Snort3 {
		contradiction("offset or depth together with distance or within", "place the pattern from the start or from the match before it, not both")
	}
	if names["startswith"] > 0 && (absolute || relative) {
		contradiction("startswith together with another place", "keep startswith alone")
	}
	if c.Not && names["fast_pattern"] > 0 && (absolute || relative || strings.HasPrefix(l.fastValue(m), "only")) {
		contradiction("fast_pattern on a negated pattern with a place", "give fast_pattern to a pattern that must be there")
	}
	if m.Buffer == "http.host" && names["nocase"] > 0 && l.rule.Dialect == Suricata {
		contradiction("nocase on http.host, which is in lower case", "remove nocase and write the pattern in lower case")
	}
	if names["nocase"] > 0 && !hasLetter(c.Pattern) {
		l.found(m.Index, CodeNoEffect, Info, "nocase on a pattern without letters", "remove nocase")
	}
	if l.rule.Dialect == Suricata && m.Buffer == "http.host" && hasUpper(c.Pattern) {
		contradiction("a pattern with capitals never matches http.host, which is in lower case", "write it in lower case")
	}
}

func (l *linter) fastValue(m *Match) string {
	v, _ := m.Modifier("fast_pattern")
	return v
}

func hasLetter(p []byte) bool {
	for _, c := range p {
		if c|0x20 >= 'a' && c|0x20 <= 'z' {
			return true
		}
	}
	return false
}

func hasUpper(p []byte) bool {
	for _, c := range p {
		if c >= 'A' && c <= 'Z' {
			return true
		}
	}
	return false
}

// minFast is the length from which a pattern spares an engine most rules.
const minFast = 4

// speed looks at what the engine can search for first, and finds modifiers
// that have no pattern.
func (l *linter) speed(matches []Match) {
	r := l.rule
	longest, contents, expressions := 0, 0, 0
	owned := map[int]bool{}
	for i := range matches {
		for _, at := range matches[i].Options {
			owned[at] = true
		}
		switch p := matches[i].Pattern.(type) {
		case Content:
			contents++
			if !p.Not {
				longest = max(longest, len(p.Pattern))
			}
		case PCRE:
			expressions++
		}
	}
	for i, o := range r.Options {
		k, _ := r.Dialect.Keyword(o.Name)
		alone := o.Is("fast_pattern") || r.Dialect == Snort3 && o.Is("replace") // which need no pattern before them
		if (k.Role == RoleModifier || k.Role == RoleBuffer) && !owned[i] && !alone {
			l.found(i, CodeNoPattern, Error, o.Name+" has no pattern before it", "put it after the content that it is for")
		}
	}
	switch {
	case expressions > 0 && longest == 0:
		l.found(-1, CodeSlow, Warning, "an expression without a content that must be there", "add a content that every match has")
	case contents > 0 && longest > 0 && longest < minFast && expressions > 0:
		l.found(-1, CodeSlow, Warning, fmt.Sprintf("the longest content has %d bytes", longest), fmt.Sprintf("add one of at least %d bytes", minFast))
	}
	if _, flow := r.Option("flow"); !flow && contents > 0 && strings.EqualFold(r.Protocol, "tcp") && r.Action != "pass" {
		l.found(-1, CodeNoFlow, Info, "tcp without flow", "add flow:established and a direction")
	}
}
