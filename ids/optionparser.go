package ids

import "strings"

// readOptions reads up to and with the closing parenthesis.
func (p *ruleParser) readOptions(at int) *fault {
	text := p.text
	for {
		at = p.skip(at)
		if at == len(text) {
			p.close, p.end = at, at
			if p.dialect != Snort3 && p.hasSID() {
				return nil // Suricata does without the parenthesis
			}
			return &fault{at, "options are not closed: a ) is missing", true}
		}
		switch text[at] {
		case ';': // an empty option
			at++
			continue
		case ')':
			return p.closed(at)
		}
		if p.dialect == Snort3 && startsLine(text, at) && startsRule(text, at) {
			p.close, p.end = at, at
			return &fault{at: at, message: "options are not closed: a ) is missing before this rule"}
		}
		var f *fault
		if at, f = p.option(at); f != nil {
			p.close, p.end = at, at
			return f
		}
	}
}

// closed ends the rule at its parenthesis.
func (p *ruleParser) closed(at int) *fault {
	p.close, p.end = at, at+1
	if p.dialect == Snort3 {
		return nil
	}
	if !isRest(p.text[at+1:]) {
		return &fault{at: at + 1, message: "text after the rule: begin a new line, or escape the ; before the )"}
	}
	p.end = len(p.text)
	return nil
}

// option reads one option and its semicolon.
func (p *ruleParser) option(start int) (int, *fault) {
	text := p.text
	at := start
	for at < len(text) && text[at] != ':' && text[at] != ';' && text[at] != ')' {
		at++
	}
	nameEnd := trimRight(text, start, at)
	name := text[start:nameEnd]
	if f := p.checkName(name, start); f != nil {
		return start, f
	}
	var value string
	end := nameEnd
	if at < len(text) && text[at] == ':' {
		from := at + 1
		for from < len(text) && isSpace(text[from]) {
			from++
		}
		if p.dialect == Snort3 && startsLine(text, from) && startsRule(text, from) {
			return start, &fault{at: at, message: "option has no value before the next rule"}
		}
		var f *fault
		if at, f = p.valueEnd(name, from); f != nil {
			return start, f
		}
		end = max(trimRight(text, from, at), from)
		value = text[from:end]
	}
	p.push(Option{Name: name, Value: value, start: int32(start), end: int32(end)})
	if at < len(text) && text[at] == ';' {
		at++
	}
	return at, nil
}

func (p *ruleParser) checkName(name string, at int) *fault {
	if name == "" {
		return &fault{at: at, message: "option has no name"}
	}
	for i := 0; i < len(name); i++ {
		if !nameByte[name[i]] {
			return &fault{at: at + i, message: "option's name has a character that no name has: is the option before it ended by a semicolon, and no semicolon inside it unescaped?"}
		}
	}
	return nil
}

// push appends an option; a rule's options stay together in the arena.
func (p *ruleParser) push(o Option) {
	if len(p.arena) == cap(p.arena) {
		mine := p.arena[p.first:]
		p.arena = append(make([]Option, 0, max(p.size, 2*len(mine))), mine...)
		p.first = 0
	}
	p.arena = append(p.arena, o)
}

// valueEnd returns where an option's value ends: at its semicolon, or at the
// rule's last parenthesis where the semicolon was forgotten.
func (p *ruleParser) valueEnd(name string, from int) (int, *fault) {
	if p.dialect == Snort3 {
		return p.valueEnd3(name, from)
	}
	text := p.text
	counted, open := from, false // quotes
	for at := from; ; {
		n := strings.IndexByte(text[at:], ';')
		if n < 0 {
			break
		}
		at += n
		for ; p.quotes && counted < at; counted++ {
			open = open != (text[counted] == '"' && !p.escaped(from, counted))
		}
		if !open && !p.escaped(from, at) {
			return at, nil
		}
		at++
	}
	end := trimRight(text, from, len(text))
	if end > from && text[end-1] == ')' {
		return end - 1, nil
	}
	return 0, &fault{len(text), "rule is not closed: a ; and a ) are missing", true}
}

// hasSID reports whether the options so far have a sid.
func (p *ruleParser) hasSID() bool {
	for _, o := range p.arena[p.first:] {
		if o.Is("sid") {
			return true
		}
	}
	return false
}

// escaped reports whether the semicolon at is part of the value. Suricata
// looks at the byte before it, Snort 2 pairs backslashes.
func (p *ruleParser) escaped(from, at int) bool {
	n := 0
	for i := at - 1; i >= from && p.text[i] == '\\'; i-- {
		n++
		if p.dialect == Suricata {
			return true
		}
	}
	return n%2 == 1
}

// valueEnd3 is valueEnd by the rules of Snort 3, where quotes protect.
func (p *ruleParser) valueEnd3(name string, from int) (int, *fault) {
	text, fresh := p.text, true // fresh: a token may begin here
	whole := strings.EqualFold(name, "metadata") || strings.EqualFold(name, "reference")
	for at := from; at < len(text); at++ {
		switch c := text[at]; {
		case c == '"' && fresh:
			end, f := p.quoted(name, at)
			if f != nil {
				return 0, f
			}
			at, fresh = end, false
		case c == ';' || c == ')' && !whole:
			return at, nil
		case c == '\\':
			at++
			fresh = false
		case c == '\n' && startsRule(text, at+1):
			return 0, &fault{at: at, message: "option is not ended before the next rule: a ; is missing"}
		default:
			fresh = c == ',' || c == ':' || c == '!' && fresh || isSpace(c)
		}
	}
	return 0, &fault{len(text), "rule is not closed: a ; and a ) are missing", true}
}

// quoted returns the last byte of a string of Snort 3. That of pcre goes on
// to a semicolon.
func (p *ruleParser) quoted(name string, start int) (int, *fault) {
	text := p.text
	toSemicolon := strings.EqualFold(name, "pcre")
	for at := start + 1; at < len(text); at++ {
		switch text[at] {
		case '\\':
			at++
		case '"':
			if !toSemicolon {
				return at, nil
			}
		case ';':
			if toSemicolon {
				return at - 1, nil
			}
		case '\n':
			if startsRule(text, at+1) {
				return 0, &fault{at: start, message: "string is not closed: a \" is missing"}
			}
		}
	}
	return 0, &fault{start, "string is not closed: a \" is missing", true}
}
