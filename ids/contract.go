package ids

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// Contract is a rule in the few fields that users of Clover know: those of
// idsrule_scan.yaml. Every field is data: nothing in it can become syntax of
// the rule. Empty fields have the value that the field's comment names.
type Contract struct {
	SID      string `yaml:"sid"`       // required: a number
	Protocol string `yaml:"protocol"`  // required: tcp, udp, icmp, ip or http
	SrcIP    string `yaml:"src_ip"`    // any
	SrcPort  string `yaml:"src_port"`  // any
	DestIP   string `yaml:"dest_ip"`   // any
	DestPort string `yaml:"dest_port"` // any
	Message  string `yaml:"msg"`       // required: what an alert says
	Rev      string `yaml:"rev"`       // 1
	// Content is what to look for, in double quotes or not; empty: every
	// packet matches. Inside, |0D 0A| is bytes in hexadecimal and a backslash
	// takes the next byte as it is; a quote or semicolon is itself.
	Content string `yaml:"content"`

	Action    string `yaml:"action"`    // alert; also drop, reject and pass
	Direction string `yaml:"direction"` // ->; also <>
	Class     string `yaml:"classtype"` // none
	Priority  string `yaml:"priority"`  // that of the classtype: a number
	Flow      string `yaml:"flow"`      // none; words such as to_server, established
	NoCase    string `yaml:"nocase"`    // false: the content's capitals count
	Buffer    string `yaml:"buffer"`    // anywhere; a buffer such as http.user_agent
}

// FieldError is a field of a [Contract] that cannot be used. It matches
// [ErrInvalid].
type FieldError struct {
	Field  string // its name in the YAML file
	Value  string
	Reason string // and what to write instead
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("%s %q: %s", e.Field, clip(e.Value), e.Reason)
}

// Unwrap returns [ErrInvalid].
func (e *FieldError) Unwrap() error { return ErrInvalid }

func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// ParseContract reads a rule from YAML; values may be strings or numbers.
func ParseContract(text []byte) (Contract, error) {
	var fields map[string]any
	if err := yaml.Unmarshal(text, &fields); err != nil {
		return Contract{}, fmt.Errorf("rule: %w: %w", ErrSyntax, err)
	}
	var c Contract
	v := reflect.ValueOf(&c).Elem()
	known := map[string]reflect.Value{}
	var names []string
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		known[name] = v.Field(i)
		names = append(names, name)
	}
	for name, value := range fields {
		f, ok := known[name]
		if !ok {
			return Contract{}, &FieldError{name, fmt.Sprint(value), "is no field: the fields are " + strings.Join(names, ", ")}
		}
		switch value := value.(type) {
		case nil:
		case string:
			f.SetString(value)
		case bool, int, int64, uint64, float64:
			f.SetString(fmt.Sprint(value))
		default:
			return Contract{}, &FieldError{name, fmt.Sprint(value), "want a text or a number"}
		}
	}
	return c, nil
}

// Rule builds the rule in a dialect and checks each field. The error is a
// [FieldError].
func (c Contract) Rule(d Dialect) (*Rule, error) {
	h, err := c.header(d)
	if err != nil {
		return nil, err
	}
	r := &Rule{Dialect: d, Header: h}
	add := func(t Typed) { r.Options = append(r.Options, t.Option()) }
	if c.Message = strings.TrimSpace(c.Message); c.Message == "" {
		return nil, &FieldError{"msg", c.Message, "is empty: say what an alert of this rule means"}
	}
	if err := printable("msg", c.Message); err != nil {
		return nil, err
	}
	add(Text{"msg", c.Message})
	if err := c.flow(add); err != nil {
		return nil, err
	}
	if err := c.pattern(r); err != nil {
		return nil, err
	}
	if err := c.numbers(add); err != nil {
		return nil, err
	}
	if _, err := r.Text(); err != nil {
		return nil, fmt.Errorf("rule: %w", err)
	}
	return r, nil
}

// header checks what stands before the options.
func (c Contract) header(d Dialect) (Header, error) {
	h := Header{
		Action: strings.ToLower(orDefault(c.Action, "alert")), Protocol: strings.ToLower(strings.TrimSpace(c.Protocol)),
		Direction:   orDefault(c.Direction, "->"),
		Source:      Endpoint{Addresses(orDefault(c.SrcIP, "any")), Ports(orDefault(c.SrcPort, "any"))},
		Destination: Endpoint{Addresses(orDefault(c.DestIP, "any")), Ports(orDefault(c.DestPort, "any"))},
	}
	if !slices.Contains([]string{"alert", "drop", "reject", "pass"}, h.Action) {
		return h, &FieldError{"action", c.Action, "want alert, drop, reject or pass"}
	}
	allowed := []string{"tcp", "udp", "icmp", "ip", "http"}
	if d == Snort2 {
		allowed = allowed[:4]
	}
	if !slices.Contains(allowed, h.Protocol) {
		return h, &FieldError{"protocol", c.Protocol, "want " + strings.Join(allowed, ", ")}
	}
	if h.Direction != "->" && h.Direction != "<>" {
		return h, &FieldError{"direction", c.Direction, "want -> or <>"}
	}
	for _, f := range []struct {
		name string
		side *Endpoint
	}{{"src", &h.Source}, {"dest", &h.Destination}} {
		address, err := f.side.Addresses.Parse()
		if err != nil {
			return h, &FieldError{f.name + "_ip", string(f.side.Addresses), err.Error()}
		}
		ports, err := f.side.Ports.Parse()
		if err != nil {
			return h, &FieldError{f.name + "_port", string(f.side.Ports), err.Error()}
		}
		// Written anew from what was understood.
		*f.side = Endpoint{Addresses(address.String()), Ports(ports.String())}
	}
	return h, nil
}

func orDefault(s, value string) string {
	if s = strings.TrimSpace(s); s == "" {
		return value
	}
	return s
}

// flow adds the flow if there is one.
func (c Contract) flow(add func(Typed)) error {
	if strings.TrimSpace(c.Flow) == "" {
		return nil
	}
	words := splitTrim(c.Flow, ",")
	for _, w := range words {
		if !slices.Contains([]string{"to_server", "to_client", "from_server", "from_client", "established", "not_established", "stateless"}, w) {
			return &FieldError{"flow", c.Flow, "want to_server, to_client, established, not_established or stateless, with commas"}
		}
	}
	add(Flow{words})
	return nil
}

// pattern adds the content with its buffer and nocase, as the dialect writes
// them.
func (c Contract) pattern(r *Rule) error {
	p, err := c.bytes()
	if err != nil {
		return err
	}
	if p.Pattern == nil {
		if strings.TrimSpace(c.Buffer) != "" {
			return &FieldError{"buffer", c.Buffer, "needs a content to look for in it"}
		}
		return nil
	}
	m := Match{Pattern: p, Buffer: orDefault(c.Buffer, Payload)}
	if b, ok := bufferByName(bufferOf(Option{Name: m.Buffer}, Suricata)); ok {
		m.Buffer = b.name
	} else {
		return &FieldError{"buffer", c.Buffer, "is no buffer: want one such as http.uri, http.header or http.user_agent"}
	}
	noCase, err := strconv.ParseBool(orDefault(c.NoCase, "false"))
	if err != nil {
		return &FieldError{"nocase", c.NoCase, "want true or false"}
	}
	if noCase {
		m.Modifiers = []Modifier{{Name: "nocase"}}
	}
	// The pattern is written by what writes those of converted rules.
	w := converter{src: &Rule{Options: []Option{p.Option()}}, out: r, to: r.Dialect, sticky: Payload}
	w.match(&m)
	for _, i := range w.issues {
		if i.Effect >= EffectApproximate {
			return &FieldError{"buffer", c.Buffer, i.Reason}
		}
	}
	return nil
}

// bytes decodes the content. Its Pattern is nil if the field is empty.
func (c Contract) bytes() (Content, error) {
	v := strings.TrimSpace(c.Content)
	var p Content
	if rest, ok := strings.CutPrefix(v, `!"`); ok && strings.HasSuffix(rest, `"`) {
		p.Not = true
		v = v[1:]
	}
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		v = v[1 : len(v)-1]
	}
	if v == "" {
		return Content{}, nil
	}
	var err error
	if p.Pattern, err = decodeBody(v, Suricata); err != nil {
		return p, &FieldError{"content", c.Content, err.Error()}
	}
	if len(p.Pattern) > 255 {
		return p, &FieldError{"content", c.Content, "is longer than the 255 bytes that every engine takes"}
	}
	return p, nil
}

// numbers adds classtype, priority, sid and rev.
func (c Contract) numbers(add func(Typed)) error {
	if class := strings.TrimSpace(c.Class); class != "" {
		if strings.IndexFunc(class, func(r rune) bool { return !isNameRune(r) }) >= 0 {
			return &FieldError{"classtype", c.Class, "want letters, digits, - or _"}
		}
		add(Text{"classtype", class})
	}
	for _, f := range []struct{ name, value, missing string }{
		{"priority", c.Priority, ""}, {"sid", c.SID, "want a number: 1000000 and more are free for local rules"}, {"rev", orDefault(c.Rev, "1"), ""},
	} {
		value := strings.TrimSpace(f.value)
		if value == "" && f.name == "priority" {
			continue
		}
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil || n == 0 {
			if f.missing == "" {
				f.missing = "want a number from 1"
			}
			return &FieldError{f.name, f.value, f.missing}
		}
		add(Number{f.name, uint32(n)})
	}
	return nil
}

// printable refuses bytes that an alert's text should not have.
func printable(field, s string) error {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return &FieldError{field, s, "has a control character or is no UTF-8: write plain text"}
		}
	}
	return nil
}
