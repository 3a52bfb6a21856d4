package visibility

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a filter expression.
const (
	maxFilterLen   = 4096
	maxFilterDepth = 50
	maxFilterTerms = 200
)

// ParseFilter reads a filter expression:
//
//	status >= 500 and service = "http-lb"
//	url ~ "^http://[^/]+/item/" and not user_agent in ("curl", "wget")
//	status = 5xx or tag["istio.mesh_id"] != "cluster.local"
//	duration > 250ms && (source = proxy-access-control || error = true)
//
// Fields are the dimensions and those of [FilterFields]; "-" may stand for
// "_". Operators are = != < <= > >= ~ !~ (RE2, unanchored), in and not in.
// Values are words, numbers, durations or quoted strings. Services are equal
// as [SameService] says. An empty expression is the nil filter, which matches
// everything.
//
// Errors match ErrInvalid and name the column and what would be right there.
func ParseFilter(text string) (*Filter, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if len(text) > maxFilterLen {
		return nil, invalidf("filter: %d bytes long; at most %d are allowed", len(text), maxFilterLen)
	}
	p := &filterParser{text: text, filter: &Filter{}}
	if err := p.next(); err != nil {
		return nil, err
	}
	root, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokEnd {
		return nil, p.errorf("%q is not expected here; want and, or, or the end", p.tok.text)
	}
	p.filter.root = root
	if n := len(p.filter.String()); n > maxFilterLen {
		return nil, invalidf("filter: %d bytes long when written out; at most %d are allowed", n, maxFilterLen)
	}
	return p.filter, nil
}

type tokKind uint8

const (
	tokEnd tokKind = iota
	tokWord
	tokString
	tokOp     // comparison
	tokSymbol // ( ) [ ] ,
)

type token struct {
	kind tokKind
	text string
	at   int // byte offset
}

type filterParser struct {
	text   string
	pos    int
	tok    token
	terms  int
	filter *Filter
}

func (p *filterParser) errorf(format string, args ...any) error {
	column := utf8.RuneCountInString(p.text[:p.tok.at]) + 1
	return invalidf("filter: column %d: %s", column, fmt.Sprintf(format, args...))
}

// next reads the next token.
func (p *filterParser) next() error {
	for p.pos < len(p.text) && unicode.IsSpace(rune(p.text[p.pos])) {
		p.pos++
	}
	p.tok = token{at: p.pos}
	if p.pos == len(p.text) {
		return nil
	}
	rest := p.text[p.pos:]
	for _, op := range []string{"&&", "||", "!=", "<=", ">=", "!~", "==", "=", "<", ">", "~", "!"} {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		p.pos += len(op)
		p.tok.kind, p.tok.text = tokOp, op
		switch op {
		case "&&", "||", "!":
			p.tok.kind = tokWord
			p.tok.text = map[string]string{"&&": "and", "||": "or", "!": "not"}[op]
		case "==":
			p.tok.text = "="
		}
		return nil
	}
	switch c := rest[0]; {
	case strings.IndexByte("()[],", c) >= 0:
		p.pos++
		p.tok.kind, p.tok.text = tokSymbol, rest[:1]
		return nil
	case c == '"' || c == '\'':
		return p.quoted(c)
	}
	n := strings.IndexFunc(rest, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune(`()[],=!<>~"'&|`, r)
	})
	if n < 0 {
		n = len(rest)
	}
	if n == 0 { // one & or |
		return p.errorf("%q is not expected here; want %q", rest[:1], rest[:1]+rest[:1])
	}
	p.pos += n
	p.tok.kind, p.tok.text = tokWord, rest[:n]
	return nil
}

// quoted reads a string in double quotes with Go's escapes, or in single
// quotes where only \' and \\ are escapes.
func (p *filterParser) quoted(quote byte) error {
	for i := p.pos + 1; i < len(p.text); i++ {
		switch p.text[i] {
		case '\\':
			i++
		case quote:
			raw := p.text[p.pos : i+1]
			text, err := strconv.Unquote(raw)
			if quote == '\'' {
				text, err = strings.NewReplacer(`\\`, `\`, `\'`, `'`).Replace(raw[1:len(raw)-1]), nil
			}
			if err != nil {
				return p.errorf("%s is not a valid string: check its escapes", raw)
			}
			p.pos = i + 1
			p.tok.kind, p.tok.text = tokString, text
			return nil
		}
	}
	return p.errorf("the string that begins here has no closing %c", quote)
}

func (p *filterParser) isWord(word string) bool {
	return p.tok.kind == tokWord && strings.EqualFold(p.tok.text, word)
}

func (p *filterParser) or(depth int) (node, error) {
	return p.list(depth, "or", p.and, func(n []node) node { return anyOf(n) })
}

func (p *filterParser) and(depth int) (node, error) {
	return p.list(depth, "and", p.unary, func(n []node) node { return allOf(n) })
}

// list reads operands that are joined by a word.
func (p *filterParser) list(depth int, word string, operand func(int) (node, error), join func([]node) node) (node, error) {
	first, err := operand(depth)
	if err != nil {
		return nil, err
	}
	nodes := []node{first}
	for p.isWord(word) {
		if err := p.next(); err != nil {
			return nil, err
		}
		n, err := operand(depth)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	if len(nodes) == 1 {
		return first, nil
	}
	return join(nodes), nil
}

func (p *filterParser) unary(depth int) (node, error) {
	if depth > maxFilterDepth {
		return nil, p.errorf("nested deeper than %d", maxFilterDepth)
	}
	switch {
	case p.isWord("not"):
		if err := p.next(); err != nil {
			return nil, err
		}
		n, err := p.unary(depth + 1)
		return not{n}, err
	case p.tok.kind == tokSymbol && p.tok.text == "(":
		if err := p.next(); err != nil {
			return nil, err
		}
		n, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		return n, p.symbol(")")
	}
	return p.comparison()
}

func (p *filterParser) symbol(s string) error {
	if p.tok.kind != tokSymbol || p.tok.text != s {
		return p.errorf("want %q", s)
	}
	return p.next()
}

// comparison reads FIELD OP VALUE.
func (p *filterParser) comparison() (node, error) {
	if p.terms++; p.terms > maxFilterTerms {
		return nil, p.errorf("more than %d comparisons", maxFilterTerms)
	}
	c := &comparison{}
	if err := p.field(c); err != nil {
		return nil, err
	}
	if p.isWord("not") {
		c.negate = true
		if err := p.next(); err != nil {
			return nil, err
		}
		if !p.isWord("in") {
			return nil, p.errorf(`want "in" after %s not`, c.field.name)
		}
	}
	if p.isWord("in") {
		return c, p.in(c)
	}
	if p.tok.kind != tokOp {
		return nil, p.errorf("want an operator after %s: = != < <= > >= ~ !~ in", c.field.name)
	}
	c.op = p.tok.text
	if strings.Trim(c.op, "<>=") == "" && c.op != "=" && c.field.number == nil {
		return nil, p.errorf("%s has no order; use = != ~ !~ or in", c.field.name)
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	return c, p.operand(c)
}

// field reads the name of a field.
func (p *filterParser) field(c *comparison) error {
	if p.tok.kind != tokWord && p.tok.kind != tokString {
		if p.tok.kind == tokEnd {
			return p.errorf("the expression ends here; want a comparison such as status >= 500")
		}
		return p.errorf("%q is not expected here; want a field", p.tok.text)
	}
	name := strings.ReplaceAll(strings.ToLower(p.tok.text), "-", "_")
	if alias, ok := fieldAliases[name]; ok {
		name = alias
	}
	f, ok := fields[name]
	if !ok {
		return p.errorf("%q is not a field; %s", p.tok.text, suggest(name, FilterFields()))
	}
	c.field = f
	if f.dim < 0 && !slices.Contains(p.filter.spanFields, f.name) {
		p.filter.spanFields = append(p.filter.spanFields, f.name)
	}
	if err := p.next(); err != nil || !f.tag {
		return err
	}
	if err := p.symbol("["); err != nil {
		return err
	}
	if p.tok.kind != tokString && p.tok.kind != tokWord {
		return p.errorf(`want the tag's key, as in tag["http.host"]`)
	}
	c.tag = p.tok.text
	if err := p.next(); err != nil {
		return err
	}
	return p.symbol("]")
}

var fieldAliases = map[string]string{
	"src": "source", "dst": "destination", "status_code": "status",
	"http_status": "status", "agent": "user_agent", "op": "operation",
	"trace": "trace_id", "path": "url_template",
}

// in reads the list behind "in".
func (p *filterParser) in(c *comparison) error {
	c.op = "in"
	if err := p.next(); err != nil {
		return err
	}
	if err := p.symbol("("); err != nil {
		return err
	}
	for {
		if err := p.value(c); err != nil {
			return err
		}
		if p.tok.kind == tokSymbol && p.tok.text == "," {
			if err := p.next(); err != nil {
				return err
			}
			continue
		}
		return p.symbol(")")
	}
}

// value reads one value.
func (p *filterParser) value(c *comparison) error {
	if p.tok.kind != tokWord && p.tok.kind != tokString {
		return p.errorf("want a value for %s; quote it if it has other than letters and digits", c.field.name)
	}
	if len(c.values) >= maxFilterTerms {
		return p.errorf("more than %d values", maxFilterTerms)
	}
	if c.field.check != nil && (c.op == "=" || c.op == "!=" || c.op == "in") {
		if want := c.field.check(p.tok.text); want != "" {
			return p.errorf("%s is never %q; want %s", c.field.name, p.tok.text, want)
		}
	}
	c.values = append(c.values, p.tok.text)
	if c.field.name == Service.String() && (c.op == "=" || (c.op == "in" && !c.negate)) {
		p.filter.services = append(p.filter.services, p.tok.text)
	}
	return p.next()
}

// operand reads the value behind an operator and checks that it fits.
func (p *filterParser) operand(c *comparison) (err error) {
	at := p.tok
	if err := p.value(c); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			p.tok = at
		}
	}()
	value := c.values[0]
	switch c.op {
	case "~", "!~":
		if c.re, err = regexp.Compile(value); err != nil {
			p.tok = at
			return p.errorf("%q is not a regular expression (RE2): %v", value, err)
		}
	case "<", "<=", ">", ">=":
		n, ok := c.field.number(value)
		if !ok {
			p.tok = at
			return p.errorf("%s %s needs a number%s, not %q", c.field.name, c.op, unitHint(c.field), value)
		}
		c.number = n
	}
	return nil
}

func unitHint(f *field) string {
	if f.name == "duration" {
		return " or a duration such as 250ms"
	}
	return ""
}
