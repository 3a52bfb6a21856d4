package ids

import (
	"fmt"
	"strconv"
	"strings"
)

// Line is a line of a configuration file that keeps its text: a value where
// it says something, else a comment or an empty line.
type Line[T any] struct {
	// Value is nil for comments and empty lines.
	Value *T
	// Text is the line as it came, without its end. It is what prints while
	// Value says the same.
	Text string
	was  T
}

// ConfigFile is a file of single lines: thresholds, classifications or
// references. Lines that are not changed print as they came.
type ConfigFile[T interface {
	comparable
	fmt.Stringer
}] struct {
	Lines []Line[T]
	open  bool // the last line had no end
	crlf  bool
}

// All returns the values in order. They may be changed.
func (f *ConfigFile[T]) All() []*T {
	var out []*T
	for i := range f.Lines {
		if f.Lines[i].Value != nil {
			out = append(out, f.Lines[i].Value)
		}
	}
	return out
}

// Add appends a value.
func (f *ConfigFile[T]) Add(v T) {
	f.Lines = append(f.Lines, Line[T]{Value: &v, Text: v.String(), was: v})
	f.open = false
}

// String returns the file.
func (f *ConfigFile[T]) String() string {
	end := "\n"
	if f.crlf {
		end = "\r\n"
	}
	var b strings.Builder
	for i, l := range f.Lines {
		if l.Value != nil && *l.Value != l.was {
			l.Text = (*l.Value).String()
		}
		b.WriteString(l.Text)
		if i < len(f.Lines)-1 || !f.open {
			b.WriteString(end)
		}
	}
	return b.String()
}

// parseLines reads a file line by line; parse gets what is no comment.
func parseLines[T interface {
	comparable
	fmt.Stringer
}](text string, parse func(string) (T, error)) (*ConfigFile[T], error) {
	f := &ConfigFile[T]{open: text != "" && !strings.HasSuffix(text, "\n"), crlf: strings.Contains(text, "\r\n")}
	var errs SyntaxErrors
	offset, number := 0, 0
	for raw := range strings.Lines(text) {
		number++
		l := Line[T]{Text: strings.TrimSuffix(raw, ending(raw))}
		if body := strings.TrimSpace(l.Text); body != "" && body[0] != '#' {
			v, err := parse(body)
			if err != nil {
				errs = append(errs, &SyntaxError{Position{Line: number, Column: 1, Offset: offset}, err.Error()})
			} else {
				l.Value, l.was = &v, v
			}
		}
		f.Lines = append(f.Lines, l)
		offset += len(raw)
	}
	if errs != nil {
		return f, errs
	}
	return f, nil
}

// Classification is a line of classification.config.
type Classification struct {
	Name        string // of the classtype
	Description string
	Priority    uint32 // 1 is the highest
}

// String returns the line.
func (c Classification) String() string {
	return fmt.Sprintf("config classification: %s,%s,%d", c.Name, c.Description, c.Priority)
}

// ParseClassifications reads a classification.config. The file is never nil
// and keeps lines that cannot be read; the error is nil or [SyntaxErrors].
func ParseClassifications(text string) (*ConfigFile[Classification], error) {
	return parseLines(text, func(line string) (Classification, error) {
		rest, err := configValue(line, "classification")
		if err != nil {
			return Classification{}, err
		}
		p := splitTrim(rest, ",")
		if len(p) < 3 || p[0] == "" {
			return Classification{}, fmt.Errorf("want config classification: NAME,DESCRIPTION,PRIORITY")
		}
		n, err := strconv.ParseUint(p[len(p)-1], 10, 32)
		if err != nil {
			return Classification{}, fmt.Errorf("priority %q is no number", p[len(p)-1])
		}
		return Classification{p[0], strings.Join(p[1:len(p)-1], ", "), uint32(n)}, nil
	})
}

// ReferenceSystem is a line of reference.config.
type ReferenceSystem struct {
	Name string // as in the option reference
	URL  string // what stands before the identifier
}

// String returns the line.
func (r ReferenceSystem) String() string {
	return fmt.Sprintf("config reference: %s %s", r.Name, r.URL)
}

// ParseReferences reads a reference.config, as [ParseClassifications] does.
func ParseReferences(text string) (*ConfigFile[ReferenceSystem], error) {
	return parseLines(text, func(line string) (ReferenceSystem, error) {
		rest, err := configValue(line, "reference")
		if err != nil {
			return ReferenceSystem{}, err
		}
		f := strings.Fields(rest)
		if len(f) == 0 || len(f) > 2 {
			return ReferenceSystem{}, fmt.Errorf("want config reference: NAME URL")
		}
		return ReferenceSystem{f[0], strings.Join(f[1:], "")}, nil
	})
}

// configValue returns what follows "config NAME:".
func configValue(line, name string) (string, error) {
	rest, ok := strings.CutPrefix(line, "config")
	rest, ok2 := strings.CutPrefix(strings.TrimSpace(rest), name)
	rest, ok3 := strings.CutPrefix(strings.TrimSpace(rest), ":")
	if !ok || !ok2 || !ok3 {
		return "", fmt.Errorf("want config %s: …", name)
	}
	return strings.TrimSpace(rest), nil
}

// Filter is a line of threshold.config: suppress, threshold, event_filter or
// rate_filter.
type Filter struct {
	Kind     string
	GID, SID uint32 // SID 0: all of the generator
	Type     string // limit, threshold or both
	Track    string // by_src, by_dst, by_rule, by_both, by_either
	IP       string // of suppress: addresses
	Count    uint32
	Seconds  uint32
	Action   string // new_action of rate_filter
	Timeout  uint32 // of rate_filter, in seconds
}

// String returns the line.
func (f Filter) String() string {
	b := fmt.Appendf(nil, "%s gen_id %d, sig_id %d", f.Kind, f.GID, f.SID)
	word := func(key, v string) {
		if v != "" {
			b = append(b, ", "+key+" "+v...)
		}
	}
	number := func(key string, v uint32) {
		if v != 0 {
			word(key, strconv.FormatUint(uint64(v), 10))
		}
	}
	word("type", f.Type)
	word("track", f.Track)
	word("ip", f.IP)
	number("count", f.Count)
	number("seconds", f.Seconds)
	word("new_action", f.Action)
	number("timeout", f.Timeout)
	return string(b)
}

// ParseFilters reads a threshold.config, as [ParseClassifications] does.
func ParseFilters(text string) (*ConfigFile[Filter], error) { return parseLines(text, parseFilter) }

func parseFilter(line string) (Filter, error) {
	kind, rest := cutSpace(line)
	f := Filter{Kind: kind, GID: 1}
	switch kind {
	case "suppress", "threshold", "event_filter", "rate_filter":
	default:
		return f, fmt.Errorf("%q: want suppress, threshold, event_filter or rate_filter", kind)
	}
	numbers := map[string]*uint32{"gen_id": &f.GID, "sig_id": &f.SID, "count": &f.Count, "seconds": &f.Seconds, "timeout": &f.Timeout}
	words := map[string]*string{"type": &f.Type, "track": &f.Track, "ip": &f.IP, "new_action": &f.Action}
	for _, part := range splitOutside(rest) {
		key, value := cutSpace(part)
		if n := numbers[key]; n != nil {
			var err error
			if *n, err = parse32(value); err != nil {
				return f, fmt.Errorf("%s: %w", key, err)
			}
		} else if w := words[key]; w != nil {
			*w = value
		} else {
			return f, fmt.Errorf("%q is no field of %s", key, kind)
		}
	}
	if kind != "suppress" && f.Track == "" {
		return f, fmt.Errorf("%s lacks track", kind)
	}
	return f, nil
}

// splitOutside splits at commas that are in no list.
func splitOutside(s string) []string {
	var out []string
	depth, start := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[':
			depth++
		case ']':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, strings.TrimSpace(s[start:i]))
				start = i + 1
			}
		}
	}
	return append(out, strings.TrimSpace(s[start:]))
}
