package ids

import (
	"fmt"
	"strconv"
	"strings"
)

// Typed is the decoded form of an option: one of [Content], [PCRE], [Text],
// [Number], [Range], [Flow], [Flowbits], [ByteTest], [ByteJump],
// [ByteExtract], [ByteMath], [Threshold], [Metadata], [Reference],
// [IsDataAt], [Flag] and, for what has no type of its own, [Raw].
type Typed interface {
	// Option encodes it.
	Option() Option
}

// Text is an option that holds a text: msg, classtype.
type Text struct {
	Name string
	Text string // without quotes and escapes
}

// Option encodes the text; that of msg is quoted.
func (t Text) Option() Option {
	if strings.EqualFold(t.Name, "msg") {
		return Option{Name: t.Name, Value: Quote(t.Text)}
	}
	return Option{Name: t.Name, Value: t.Text}
}

// Number is an option that holds one number: sid, gid, rev, priority.
type Number struct {
	Name  string
	Value uint32
}

// Option encodes the number.
func (n Number) Option() Option {
	return Option{Name: n.Name, Value: strconv.FormatUint(uint64(n.Value), 10)}
}

// Flag is an option without value, such as nocase or a sticky buffer.
type Flag struct{ Name string }

// Option encodes the flag.
func (f Flag) Option() Option { return Option{Name: f.Name} }

// Raw is an option that has no type of its own, known or not.
type Raw struct{ Name, Value string }

// Option returns the option as it is.
func (r Raw) Option() Option { return Option{Name: r.Name, Value: r.Value} }

// Flow is the direction and state of the flow: to_server, established, ….
type Flow struct{ Words []string }

// Option encodes the flow.
func (f Flow) Option() Option { return Option{Name: "flow", Value: strings.Join(f.Words, ",")} }

// Flowbits sets or tests marks of a flow.
type Flowbits struct {
	Command string   // set, isset, toggle, noalert, …
	Bits    []string // joined by Join
	Join    string   // & or |, empty for one bit
	Group   string
}

// Option encodes the marks.
func (f Flowbits) Option() Option {
	v := f.Command
	if len(f.Bits) > 0 {
		v += "," + strings.Join(f.Bits, f.Join)
	}
	if f.Group != "" {
		v += "," + f.Group
	}
	return Option{Name: "flowbits", Value: v}
}

// Metadata is a list of keys and values; a key may come more than once.
type Metadata struct{ Pairs []Pair }

// Pair is a key and its value, which may be empty.
type Pair struct{ Key, Value string }

// Get returns the first value of a key.
func (m Metadata) Get(key string) (string, bool) {
	for _, p := range m.Pairs {
		if p.Key == key {
			return p.Value, true
		}
	}
	return "", false
}

// Option encodes the list.
func (m Metadata) Option() Option {
	parts := make([]string, len(m.Pairs))
	for i, p := range m.Pairs {
		parts[i] = strings.TrimSpace(p.Key + " " + p.Value)
	}
	return Option{Name: "metadata", Value: strings.Join(parts, ", ")}
}

// Reference points to more about what a rule finds.
type Reference struct {
	System string // cve, url, … as in reference.config
	ID     string
}

// Option encodes the reference.
func (r Reference) Option() Option {
	return Option{Name: "reference", Value: r.System + "," + strings.ReplaceAll(strings.ReplaceAll(r.ID, `\`, `\\`), ";", `\;`)}
}

// IsDataAt tests that there are bytes at a place.
type IsDataAt struct {
	Not   bool
	At    string   // a number, or a variable of byte_extract
	Flags []string // relative, rawbytes
}

// Option encodes the test.
func (i IsDataAt) Option() Option {
	return Option{Name: "isdataat", Value: negated(i.Not, strings.Join(append([]string{i.At}, i.Flags...), ","))}
}

// Threshold limits alerts: the options threshold and detection_filter.
type Threshold struct {
	Name           string // threshold or detection_filter
	Type           string // limit, threshold, both; empty in detection_filter
	Track          string // by_src, by_dst, …
	Count, Seconds uint32
	// Others are parameters beyond these, such as multiplier of Suricata.
	Others []Pair
}

// Option encodes the limit.
func (t Threshold) Option() Option {
	var parts []string
	if t.Type != "" {
		parts = append(parts, "type "+t.Type)
	}
	parts = append(parts, "track "+t.Track)
	if t.Count > 0 {
		parts = append(parts, fmt.Sprintf("count %d", t.Count))
	}
	if t.Seconds > 0 {
		parts = append(parts, fmt.Sprintf("seconds %d", t.Seconds))
	}
	for _, p := range t.Others {
		parts = append(parts, strings.TrimSpace(p.Key+" "+p.Value))
	}
	return Option{Name: t.Name, Value: strings.Join(parts, ", ")}
}

// Typed decodes the option. What has no type of its own is [Raw]; an error
// says that the value is not of the option's form.
func (o Option) Typed(d Dialect) (Typed, error) {
	t, err := o.typed(d)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Name, err)
	}
	return t, nil
}

func (o Option) typed(d Dialect) (Typed, error) {
	switch name := strings.ToLower(o.Name); name {
	case "content", "uricontent", "protected_content":
		c, err := DecodePattern(o.Value, d)
		if name != "content" {
			return Raw{o.Name, o.Value}, err
		}
		return c, err
	case "pcre":
		return DecodePCRE(o.Value)
	case "msg", "classtype":
		return Text{o.Name, Unquote(o.Value)}, nil
	case "sid", "gid", "rev", "priority":
		return decodeNumber(o)
	case "dsize", "ttl", "itype", "icode", "urilen", "bsize", "bufferlen", "icmp_id", "icmp_seq", "id", "tos":
		return DecodeRange(o)
	case "flow":
		return Flow{splitTrim(o.Value, ",")}, nil
	case "flowbits":
		return decodeFlowbits(o.Value)
	case "metadata":
		return decodeMetadata(o.Value), nil
	case "reference":
		system, id, ok := strings.Cut(o.Value, ",")
		if !ok {
			return nil, fmt.Errorf("%.40q: want SYSTEM,ID", o.Value)
		}
		return Reference{strings.TrimSpace(system), Unquote(id)}, nil
	case "isdataat":
		return decodeIsDataAt(o.Value)
	case "threshold", "detection_filter":
		return decodeThreshold(o)
	case "byte_test", "byte_jump", "byte_extract", "byte_math":
		return decodeBytes(name, o.Value)
	}
	if o.Value == "" {
		return Flag{o.Name}, nil
	}
	return Raw{o.Name, o.Value}, nil
}

func decodeNumber(o Option) (Typed, error) {
	n, err := strconv.ParseUint(strings.Trim(o.Value, "\" \t"), 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%.40q is no number from 0 to 4294967295", o.Value)
	}
	return Number{o.Name, uint32(n)}, nil
}

func decodeFlowbits(v string) (Typed, error) {
	parts := splitTrim(v, ",")
	if len(parts) > 3 {
		return nil, fmt.Errorf("%.40q: want COMMAND,NAME", v)
	}
	f := Flowbits{Command: parts[0]}
	if len(parts) > 1 {
		f.Bits = []string{parts[1]}
		for _, join := range []string{"|", "&"} {
			if strings.Contains(parts[1], join) {
				f.Bits, f.Join = splitTrim(parts[1], join), join
			}
		}
	}
	if len(parts) > 2 {
		f.Group = parts[2]
	}
	return f, nil
}

func decodeMetadata(v string) Metadata {
	m := Metadata{Pairs: make([]Pair, 0, strings.Count(v, ",")+1)}
	for part := range strings.SplitSeq(v, ",") {
		key, value := cutSpace(part)
		if key != "" {
			m.Pairs = append(m.Pairs, Pair{key, value})
		}
	}
	return m
}

func decodeIsDataAt(v string) (Typed, error) {
	parts := splitTrim(v, ",")
	i := IsDataAt{Flags: parts[1:]}
	i.At, i.Not = strings.CutPrefix(parts[0], "!")
	i.At = strings.TrimSpace(i.At)
	if i.At == "" {
		return nil, fmt.Errorf("%.40q: want a number", v)
	}
	return i, nil
}

func decodeThreshold(o Option) (Typed, error) {
	t := Threshold{Name: o.Name}
	for _, part := range splitTrim(o.Value, ",") {
		key, value := cutSpace(part)
		var err error
		switch strings.ToLower(key) {
		case "type":
			t.Type = value
		case "track":
			t.Track = value
		case "count":
			t.Count, err = parse32(value)
		case "seconds":
			t.Seconds, err = parse32(value)
		default:
			t.Others = append(t.Others, Pair{key, value})
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	if t.Track == "" {
		return nil, fmt.Errorf("%.60q lacks track", o.Value)
	}
	return t, nil
}

func parse32(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%.20q is no number from 0 to 4294967295", s)
	}
	return uint32(n), nil
}

func splitTrim(s, sep string) []string {
	parts := strings.Split(s, sep)
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}
