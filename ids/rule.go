package ids

import (
	"iter"
	"slices"
	"strconv"
	"strings"
)

// Rule is one rule. It is a plain value: read and change its fields. A rule
// that came from [Parse] remembers its text and prints it as it was for all
// that has not changed. Not safe for use by several goroutines while one of
// them writes.
type Rule struct {
	// Dialect is the language that the texts below are in. To translate,
	// use [Convert]; to set it by hand is to say that it was wrong.
	Dialect Dialect
	// Disabled is whether the rule is commented out.
	Disabled bool
	Header
	// Options in the order of the rule, repeated ones too.
	Options []Option

	source string // the text as it came, without the last line end
	offset int32  // of source in its file
	line   int32  // of source's first byte
}

// Header is what stands before the options.
type Header struct {
	Action string // alert, drop, …
	// Protocol may be empty in Snort 3, where a rule may have none.
	Protocol    string
	Source      Endpoint
	Direction   string // ->, <> or =>; empty if the rule has no addresses
	Destination Endpoint
}

// Endpoint is one side of the traffic. Both fields are empty in rules
// without addresses (services and files of Snort 3).
type Endpoint struct {
	Addresses Addresses
	Ports     Ports
}

// Option is one option of a rule. Names are as written; compare them with
// [Option.Is].
type Option struct {
	Name string
	// Value is the text after the colon, without the blanks around it, with
	// its quotes and escapes; empty for options without value.
	Value string

	start, end int32 // in Rule.source: the name's first byte, the byte after the value
}

// Is reports whether the option has that name, in any case.
func (o Option) Is(name string) bool { return o.Name == name || strings.EqualFold(o.Name, name) }

// String returns the option as in a rule, without the semicolon.
func (o Option) String() string {
	if o.Value == "" {
		return o.Name
	}
	return o.Name + ":" + o.Value
}

// Option returns the first option of that name.
func (r *Rule) Option(name string) (Option, bool) {
	for i := range r.Options {
		if r.Options[i].Is(name) {
			return r.Options[i], true
		}
	}
	return Option{}, false
}

// All returns the options of that name, with their indexes.
func (r *Rule) All(name string) iter.Seq2[int, Option] {
	return func(yield func(int, Option) bool) {
		for i, o := range r.Options {
			if o.Is(name) && !yield(i, o) {
				return
			}
		}
	}
}

// Set gives the first option of that name a value, or adds the option: before
// sid, gid, rev and metadata if the rule has them, which stand last by custom.
// The value is text of a rule; [Quote] and the typed options write it.
func (r *Rule) Set(name, value string) {
	for i := range r.Options {
		if r.Options[i].Is(name) {
			r.Options[i].Value = value
			return
		}
	}
	at := len(r.Options)
	if !isTail(name) {
		for at > 0 && isTail(r.Options[at-1].Name) {
			at--
		}
	}
	r.Options = slices.Insert(slices.Clip(r.Options), at, Option{Name: name, Value: value})
}

// isTail reports whether an option stands at the end of a rule by custom.
func isTail(name string) bool {
	switch strings.ToLower(name) {
	case "sid", "gid", "rev", "metadata":
		return true
	}
	return false
}

// Remove takes out every option of that name and returns how many there were.
func (r *Rule) Remove(name string) int {
	before := len(r.Options)
	r.Options = slices.DeleteFunc(slices.Clone(r.Options), func(o Option) bool { return o.Is(name) })
	return before - len(r.Options)
}

// Clone returns a copy that shares nothing that can change.
func (r *Rule) Clone() *Rule {
	c := *r
	c.Options = slices.Clone(r.Options)
	return &c
}

// number returns the value of an option that holds one number.
func (r *Rule) number(name string) (uint32, bool) {
	o, ok := r.Option(name)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.Trim(o.Value, "\" \t"), 10, 32)
	return uint32(n), err == nil
}

// SID returns the rule's identifier, 0 if it has none.
func (r *Rule) SID() uint32 { n, _ := r.number("sid"); return n }

// GID returns the generator, 1 if the rule names none.
func (r *Rule) GID() uint32 {
	if n, ok := r.number("gid"); ok {
		return n
	}
	return 1
}

// Rev returns the revision, 0 if the rule has none.
func (r *Rule) Rev() uint32 { n, _ := r.number("rev"); return n }

// Message returns the text of msg, without quotes and escapes.
func (r *Rule) Message() string {
	o, _ := r.Option("msg")
	return Unquote(o.Value)
}

// Class returns the rule's classtype.
func (r *Rule) Class() string {
	o, _ := r.Option("classtype")
	return Unquote(o.Value)
}

// Equal reports whether two rules say the same, whatever their layout.
func (r *Rule) Equal(o *Rule) bool {
	return r.Dialect == o.Dialect && r.Disabled == o.Disabled && r.Header == o.Header &&
		slices.EqualFunc(r.Options, o.Options, sameOption)
}

func sameOption(a, b Option) bool { return a.Name == b.Name && a.Value == b.Value }

// Position returns where the rule begins in its file; the zero value for a
// rule that did not come from a file.
func (r *Rule) Position() Position {
	if r.line == 0 {
		return Position{}
	}
	return Position{Line: int(r.line), Column: 1, Offset: int(r.offset)}
}

// OptionPosition returns where an option of an unchanged rule begins.
func (r *Rule) OptionPosition(i int) Position {
	p := r.Position()
	if i < 0 || i >= len(r.Options) || r.line == 0 {
		return p
	}
	return r.at(int(r.Options[i].start))
}

// at returns the place of an offset in the rule's text.
func (r *Rule) at(offset int) Position {
	before := r.source[:min(offset, len(r.source))]
	p := Position{Line: int(r.line) + strings.Count(before, "\n"), Offset: int(r.offset) + len(before)}
	p.Column = len(before) - strings.LastIndexByte(before, '\n')
	return p
}
