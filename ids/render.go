package ids

import (
	"fmt"
	"strings"
)

// String returns the rule's text: as it came where nothing has changed. It is
// written for reading; what goes into a file should come from [Rule.Text],
// which checks it.
func (r *Rule) String() string { return string(r.AppendText(nil)) }

// Text returns the rule's text if it reads back as this rule. It does not
// where an option's name or value, or a field of the header, has bytes that
// would end it early: then the error matches [ErrInvalid].
func (r *Rule) Text() (string, error) {
	text := r.String()
	back, err := ParseRule(text, r.Dialect)
	if err != nil {
		return "", fmt.Errorf("%w: as text it cannot be read: %w", ErrInvalid, err)
	}
	if !back.Equal(r) {
		return "", fmt.Errorf("%w: as text it reads as another rule: %s", ErrInvalid, difference(r, back))
	}
	return text, nil
}

// difference names the first thing in which a rule and its text differ.
func difference(want, got *Rule) string {
	if want.Header != got.Header || want.Disabled != got.Disabled {
		return "look at the header"
	}
	for i, o := range want.Options {
		if i >= len(got.Options) || !sameOption(o, got.Options[i]) {
			return fmt.Sprintf("look at option %d, %s; quote and escape its value", i+1, o.Name)
		}
	}
	return "it has more options"
}

// AppendText appends the rule's text to b, as String.
func (r *Rule) AppendText(b []byte) []byte {
	var w renderer
	return w.rule(b, r)
}

// renderer writes rules; it reads each one's text again to see what has
// changed.
type renderer struct{ ruleParser }

func (w *renderer) rule(b []byte, r *Rule) []byte {
	if r.source == "" {
		return appendFresh(b, r)
	}
	from, disabled := 0, false
	if strings.HasPrefix(r.source, "\ufeff") {
		from = len("\ufeff")
	}
	for from < len(r.source) && (isSpace(r.source[from]) || r.source[from] == '#') {
		disabled = disabled || r.source[from] == '#'
		from++
	}
	w.dialect, w.arena = r.Dialect, w.arena[:0]
	if w.parse(r.source, from) != nil {
		return appendFresh(b, r) // the dialect was changed
	}
	old := Rule{Dialect: r.Dialect, Disabled: disabled, Header: w.header, Options: w.take()}
	if old.Equal(r) {
		return append(b, r.source...)
	}
	if r.Disabled && !disabled && w.lines {
		return appendFresh(b, r) // a comment is one line
	}
	b = append(b, prefix(r.source[:from], disabled, r.Disabled)...)
	b = w.appendHeader(b, r, from)
	if w.open < 0 {
		if len(r.Options) > 0 {
			b = append(b, ' ')
			b = appendOptions(b, r)
		}
		return append(b, r.source[w.end:]...)
	}
	b = w.appendOptions(b, r, old.Options)
	return append(b, r.source[w.close:]...)
}

// prefix returns what stands before the action.
func prefix(old string, was, is bool) string {
	if was == is {
		return old
	}
	if is {
		return old + "# "
	}
	return old[:strings.IndexByte(old, '#')]
}

// appendHeader appends the header and the opening parenthesis.
func (w *renderer) appendHeader(b []byte, r *Rule, from int) []byte {
	stop := w.open + 1
	if w.open < 0 {
		stop = w.end
	}
	text := r.source
	if w.header == r.Header {
		return append(b, text[from:stop]...)
	}
	want := r.fields()
	if len(want) != w.nField {
		b = appendHeader(b, r)
		if w.open >= 0 {
			b = append(b, " ("...)
		}
		return b
	}
	for i, s := range w.fields[:w.nField] {
		b = append(b, text[from:s.start]...)
		b = append(b, want[i]...)
		from = s.end
	}
	return append(b, text[from:stop]...)
}

// appendOptions appends the options: the text of those that stayed, and new
// text in its style for the others.
func (w *renderer) appendOptions(b []byte, r *Rule, old []Option) []byte {
	next := 0 // of the old ones
	for i, o := range r.Options {
		at := next
		for at < len(old) && !sameOption(old[at], o) {
			at++
		}
		switch {
		case at < len(old):
			start, end := w.segment(old, at, r.source)
			b = append(b, r.source[start:end]...)
			next = at + 1
		case next < len(old) && old[next].Is(o.Name):
			start, end := w.segment(old, next, r.source)
			b = append(b, r.source[start:old[next].start]...)
			b = appendChanged(b, r.source[old[next].start:old[next].end], o, r.Dialect)
			b = append(b, r.source[old[next].end:end]...)
			next++
		default:
			b = append(b, w.lead(old, i, r.source)...)
			b = appendOption(b, o, r.Dialect)
			b = append(b, ';')
		}
		if i < len(r.Options)-1 && b[len(b)-1] != ';' {
			b = append(b, ';')
		}
	}
	if n := len(old); n > 0 {
		_, end := w.segment(old, n-1, r.source)
		b = append(b, r.source[end:w.close]...)
	}
	return b
}

// segment returns the text of an old option with what stands before it and
// its semicolon.
func (w *renderer) segment(old []Option, i int, text string) (start, end int) {
	start = w.open + 1
	if i > 0 {
		start = w.boundary(int(old[i-1].end), text)
	}
	return start, w.boundary(int(old[i].end), text)
}

// boundary returns the byte after the semicolon that follows end.
func (w *renderer) boundary(end int, text string) int {
	if n := strings.IndexByte(text[end:w.close], ';'); n >= 0 {
		return end + n + 1
	}
	return w.close
}

// lead returns what to write before a new option.
func (w *renderer) lead(old []Option, i int, text string) string {
	n := min(i, 1, len(old)-1)
	if n < 0 {
		return ""
	}
	start, _ := w.segment(old, n, text)
	lead := text[start:old[n].start]
	if strings.ContainsAny(lead, "#/;") {
		return " "
	}
	return lead
}

// appendChanged writes an option whose value has changed, with the blanks
// around its colon as they were.
func appendChanged(b []byte, was string, o Option, d Dialect) []byte {
	colon := strings.IndexByte(was, ':')
	if colon < 0 || o.Value == "" {
		return appendOption(b, o, d)
	}
	gap := was[colon+1:]
	gap = gap[:len(gap)-len(strings.TrimLeft(gap, " \t"))]
	b = append(b, o.Name...)
	b = append(b, was[len(strings.TrimRight(was[:colon], " \t")):colon+1]...)
	b = append(b, gap...)
	return append(b, safeValue(o.Value, d)...)
}

// fields returns the header as the words of a rule.
func (h *Header) fields() []string {
	out := []string{h.Action}
	if h.Protocol != "" {
		out = append(out, h.Protocol)
	}
	if h.Direction == "" {
		return out
	}
	out = append(out, string(h.Source.Addresses))
	if h.Source.Ports != "" {
		out = append(out, string(h.Source.Ports))
	}
	out = append(out, h.Direction, string(h.Destination.Addresses))
	if h.Destination.Ports != "" {
		out = append(out, string(h.Destination.Ports))
	}
	return out
}

func appendHeader(b []byte, r *Rule) []byte {
	return append(b, strings.Join(r.fields(), " ")...)
}

// appendFresh writes a rule that has no text yet, on one line.
func appendFresh(b []byte, r *Rule) []byte {
	if r.Disabled {
		b = append(b, "# "...)
	}
	b = appendHeader(b, r)
	b = append(b, ' ')
	return appendOptions(b, r)
}

func appendOptions(b []byte, r *Rule) []byte {
	b = append(b, '(')
	if r.Dialect == Snort3 {
		b = append(b, ' ')
	}
	for i, o := range r.Options {
		if i > 0 {
			b = append(b, ' ')
		}
		b = appendOption(b, o, r.Dialect)
		b = append(b, ';')
	}
	if r.Dialect == Snort3 && len(r.Options) > 0 {
		b = append(b, ' ')
	}
	return append(b, ')')
}

func appendOption(b []byte, o Option, d Dialect) []byte {
	b = append(b, o.Name...)
	if o.Value != "" {
		b = append(b, ':')
		b = append(b, safeValue(o.Value, d)...)
	}
	return b
}

// safeValue keeps a value on its line and in its option.
func safeValue(v string, d Dialect) string {
	if strings.IndexByte(v, '\n') >= 0 && d != Snort3 {
		v = strings.NewReplacer("\r\n", " ", "\n", " ").Replace(v)
	}
	if d == Snort3 || strings.IndexByte(v, ';') < 0 {
		return v
	}
	p := ruleParser{dialect: d, text: v}
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		if v[i] == ';' && !p.escaped(0, i) {
			b.WriteByte('\\')
		}
		b.WriteByte(v[i])
	}
	return b.String()
}
