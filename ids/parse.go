package ids

import (
	"math"
	"strings"
)

// ParseOptions say how a file is read. The zero value works.
type ParseOptions struct {
	// Name of the file, for positions.
	Name string
	// Dialect of the file; zero is Suricata.
	Dialect Dialect
}

// Parse reads a rule file. The set is never nil and prints the text as it
// came, whatever is wrong with it. The error is nil or [SyntaxErrors]: one
// for each piece that could not be read, which is an item of KindInvalid.
// What an engine would refuse for its meaning is for [Lint] to say.
//
// The set keeps parts of the text: it stays in memory as long as the set.
func Parse(text string, o ParseOptions) (*Ruleset, error) {
	p := &parser{text: text, set: &Ruleset{Name: o.Name, Dialect: o.Dialect}, line: 1}
	p.rule.dialect = o.Dialect
	if len(text) > math.MaxInt32 {
		p.set.Items = []Item{{Kind: KindInvalid, Text: text, Line: 1}}
		return p.set, SyntaxErrors{{Position{o.Name, 1, 1, 0}, "the text is larger than 2 GiB: split it"}}
	}
	p.set.Items = make([]Item, 0, strings.Count(text, "\n")+1)
	for p.pos < len(text) {
		p.next()
	}
	if p.errs != nil {
		return p.set, p.errs
	}
	return p.set, nil
}

// ParseRule reads one rule, enabled or disabled.
func ParseRule(text string, d Dialect) (*Rule, error) {
	set, err := Parse(strings.TrimSpace(text), ParseOptions{Dialect: d})
	if err != nil {
		return nil, err
	}
	var rule *Rule
	for i := range set.Items {
		switch it := &set.Items[i]; {
		case it.Kind == KindRule && rule == nil:
			rule = it.Rule
		case it.Kind != KindBlank:
			return nil, &SyntaxError{Position{Line: it.Line, Column: 1}, "want one rule, found a " + it.Kind.String() + " more"}
		}
	}
	if rule == nil {
		return nil, &SyntaxError{Position{Line: 1, Column: 1}, "want a rule, found nothing"}
	}
	return rule, nil
}

// parser walks over a file, item by item.
type parser struct {
	text string
	pos  int
	line int
	set  *Ruleset
	errs SyntaxErrors
	rule ruleParser

	rules []Rule // room for the next rules
}

// next reads one item.
func (p *parser) next() {
	start := p.pos
	end := lineAfter(p.text, start)
	first := start
	if start == 0 {
		first = len(p.text[:end]) - len(strings.TrimPrefix(p.text[:end], "\ufeff"))
	}
	first = skipBlank(p.text, first, end)
	switch c := byteAt(p.text, first); {
	case first == end:
		p.add(KindBlank, end, nil)
	case c == '#':
		p.comment(first, end)
	case c == '/' && byteAt(p.text, first+1) == '*' && p.set.Dialect == Snort3:
		p.block(first)
	case isDirective(p.text, first):
		p.add(KindDirective, p.continued(end), nil)
	case p.set.Dialect == Snort3:
		p.free(first, end)
	default:
		p.logical(first, end)
	}
}

// add appends the item that ends at end.
func (p *parser) add(k Kind, end int, r *Rule) {
	text := p.text[p.pos:end]
	p.set.Items = append(p.set.Items, Item{Kind: k, Text: text, Rule: r, Line: p.line})
	p.pos = end
	if strings.HasSuffix(text, "\n") {
		p.line++
		text = text[:len(text)-1]
	}
	if k != KindRule || len(text) > 0 && p.rule.lines {
		p.line += strings.Count(text, "\n")
	}
}

// comment reads a line that begins with #: a disabled rule if it has the
// form of one.
func (p *parser) comment(first, end int) {
	if p.set.Dialect == Snort3 && hasPrefixFold(p.text[first:end], "#begin") {
		p.add(KindComment, p.commentBlock(end), nil)
		return
	}
	at := first
	for at < end && (p.text[at] == '#' || isBlank(p.text[at])) {
		at++
	}
	if isAction(word(p.text, at)) {
		stop := trimRight(p.text, at, end)
		if p.rule.parse(p.text[p.pos:stop], at-p.pos) == nil && p.rule.open >= 0 && isRest(p.text[p.pos+p.rule.end:stop]) {
			p.addRule(end, true)
			return
		}
	}
	p.add(KindComment, end, nil)
}

// commentBlock returns the end of a block that #begin opens, as Snort 3 has it.
func (p *parser) commentBlock(end int) int {
	for end < len(p.text) {
		next := lineAfter(p.text, end)
		if hasPrefixFold(p.text[end:next], "#end") {
			return next
		}
		end = next
	}
	return end
}

// block reads a comment between /* and */.
func (p *parser) block(first int) {
	n := strings.Index(p.text[first+2:], "*/")
	if n < 0 {
		p.fail(first, len(p.text), "comment is not closed: it needs a */")
		return
	}
	end := first + 2 + n + 2
	if after := lineAfter(p.text, end); skipBlank(p.text, end, after) == after {
		end = after
	}
	p.add(KindComment, end, nil)
}

// continued returns the end of a line that goes on after a backslash.
func (p *parser) continued(end int) int {
	start := p.pos
	for end < len(p.text) && backslashAtEnd(p.text, start, end) {
		start, end = end, lineAfter(p.text, end)
	}
	return end
}

// logical reads a rule of Suricata or Snort 2: one line, which goes on after
// a backslash.
func (p *parser) logical(first, end int) {
	end = p.continued(end)
	stop := trimRight(p.text, first, end)
	text := p.text[p.pos:stop]
	if f := p.rule.parse(text, first-p.pos); f != nil {
		p.fail(p.pos+f.at, end, f.message)
		return
	}
	p.addRule(end, false)
}

// free reads a rule of Snort 3, which ends with its parenthesis.
func (p *parser) free(first, end int) {
	if f := p.rule.parse(p.text[p.pos:], first-p.pos); f != nil {
		if f.all {
			end = len(p.text)
		}
		p.fail(p.pos+f.at, p.recover(end), f.message)
		return
	}
	end = p.pos + p.rule.end
	if after := lineAfter(p.text, end); isRest(p.text[end:after]) {
		end = after
	}
	p.addRule(end, false)
}

// recover returns where reading can go on after a fault: at the next line
// that is empty, a comment or the start of a rule.
func (p *parser) recover(end int) int {
	for end < len(p.text) {
		next := lineAfter(p.text, end)
		first := skipBlank(p.text, end, next)
		if first == next || p.text[first] == '#' || startsRule(p.text, end) {
			break
		}
		end = next
	}
	return end
}

// addRule appends the rule that p.rule has read.
func (p *parser) addRule(end int, disabled bool) {
	if len(p.rules) == 0 {
		p.rules = make([]Rule, min(256, 1+len(p.text)/512))
	}
	r := &p.rules[0]
	p.rules = p.rules[1:]
	source := p.text[p.pos:end]
	source = strings.TrimSuffix(source, ending(source))
	*r = Rule{
		Dialect: p.set.Dialect, Disabled: disabled, Header: p.rule.header, Options: p.rule.take(),
		source: source, offset: int32(p.pos), line: int32(p.line),
	}
	p.add(KindRule, end, r)
}

// fail appends an item that cannot be read.
func (p *parser) fail(at, end int, message string) {
	p.errs = append(p.errs, &SyntaxError{p.position(at), message})
	p.rule.lines = true
	p.add(KindInvalid, end, nil)
}

// position returns the place of an offset that is not before p.pos.
func (p *parser) position(at int) Position {
	at = min(at, len(p.text))
	line := p.line + strings.Count(p.text[p.pos:at], "\n")
	column := at - (strings.LastIndexByte(p.text[:at], '\n') + 1) + 1
	return Position{p.set.Name, line, column, at}
}
