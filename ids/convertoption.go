package ids

import (
	"fmt"
	"strings"
)

// oldNames are the names that Snort has for options of Suricata.
var oldNames = map[string]string{
	"tcp.flags": "flags", "tcp.ack": "ack", "tcp.seq": "seq", "tcp.window": "window",
	"dcerpc.iface": "dce_iface", "dcerpc.opnum": "dce_opnum",
	"dnp3.func": "dnp3_func", "dnp3.ind": "dnp3_ind", "dnp3.obj": "dnp3_obj",
}

// inBuffer are options that work in the buffer that is open.
var inBuffer = map[string]bool{
	"byte_test": true, "byte_jump": true, "byte_extract": true, "byte_math": true, "isdataat": true,
	"base64_decode": true, "bsize": true, "bufferlen": true, "asn1": true, "ber_data": true, "ber_skip": true,
}

// harmless are options that do not decide what matches.
var harmless = map[string]bool{
	"rem": true, "tag": true, "resp": true, "react": true, "logto": true, "session": true, "target": true,
	"filestore": true, "prefilter": true, "bypass": true, "tls.store": true, "tls_store": true, "nfq_set_mark": true,
	"soid": true, "requires": true, "noalert": true, "alert": true,
}

// option translates an option that is no part of a match.
func (c *converter) option(o Option) {
	name := strings.ToLower(o.Name)
	if old, ok := oldNames[name]; ok && c.to != Suricata {
		name = old
	}
	o.Name = name
	if inBuffer[name] && !c.enterFor(o) {
		return
	}
	switch name {
	case "service":
		if c.to == Snort3 {
			c.add(o)
		}
	case "metadata":
		c.metadata(o)
	case "urilen", "bsize", "bufferlen":
		c.length(o)
	case "dsize":
		c.compare(o)
	case "noalert":
		c.add(Option{Name: "flowbits", Value: "noalert"})
	case "enable":
		c.out.Disabled = c.out.Disabled || Unquote(o.Value) == "no"
	case "threshold":
		c.threshold(o)
	case "dce_iface", "dce_opnum":
		c.dce(o)
	case "tag", "stream_size":
		if c.to == Snort3 || c.src.Dialect == Snort3 {
			c.drop(o, "Snort 3 writes it differently")
			return
		}
		c.add(o)
	case "flowbits":
		c.flowbits(o)
	default:
		if _, known := c.to.Keyword(name); !known {
			c.drop(o, c.to.String()+" has no such option")
			return
		}
		c.add(o)
	}
}

// drop leaves an option out.
func (c *converter) drop(o Option, reason string) {
	e := EffectWider
	if harmless[o.Name] {
		e = EffectNote
	}
	c.issue(o.String(), e, reason)
}

// enterFor opens the buffer that an option works in.
func (c *converter) enterFor(o Option) bool {
	name := c.from
	if c.src.Dialect == Snort2 && strings.Contains(o.Value, "relative") {
		name = c.last
	}
	if c.to == Snort2 && (o.Name == "bsize" || o.Name == "bufferlen") {
		return true // length looks at the buffer itself
	}
	resolved, open, ok := c.resolve(name, o.String())
	if !ok {
		return false
	}
	if !c.enter(resolved, open) && !strings.Contains(o.Value, "relative") {
		c.issue(o.String(), EffectRefused, "Snort 2 has it for "+name+" only relative to a pattern")
		return false
	}
	return true
}

// metadata leaves services to the place that the dialect has for them.
func (c *converter) metadata(o Option) {
	m := decodeMetadata(o.Value)
	var kept Metadata
	for _, p := range m.Pairs {
		if p.Key != "service" {
			kept.Pairs = append(kept.Pairs, p)
		}
	}
	if len(kept.Pairs) > 0 {
		c.add(kept.Option())
	}
}

// flowbits are the same but for commands and groups that Suricata lacks.
func (c *converter) flowbits(o Option) {
	t, err := o.Typed(c.src.Dialect)
	f, ok := t.(Flowbits)
	if err != nil || !ok {
		c.drop(o, "it cannot be read")
		return
	}
	if c.to != Suricata {
		c.add(o)
		return
	}
	if f.Command == "reset" || f.Command == "setx" {
		c.drop(o, "Suricata has no flowbits "+f.Command)
		return
	}
	if f.Group != "" {
		c.issue(o.String(), EffectApproximate, "Suricata has no groups of flowbits")
		f.Group = ""
	}
	if f.Join == "&" {
		for _, bit := range f.Bits {
			c.add(Flowbits{Command: f.Command, Bits: []string{bit}}.Option())
		}
		return
	}
	c.add(f.Option())
}

// length translates what tests the length of a buffer.
func (c *converter) length(o Option) {
	buffer := c.from
	if o.Name == "urilen" {
		buffer = "http.uri"
		if strings.Contains(o.Value, "raw") {
			buffer = "http.uri.raw"
		}
	}
	value, _, _ := strings.Cut(o.Value, ",")
	out := Option{Name: o.Name, Value: value}
	switch {
	case c.to != Snort3 && (buffer == "http.uri" || buffer == "http.uri.raw") && (o.Name == "urilen" || c.to == Snort2):
		out.Name = "urilen"
		if buffer == "http.uri.raw" {
			out.Value += ",raw"
		}
	case c.to == Snort3:
		out.Name = "bufferlen"
		if _, open, ok := c.resolve(buffer, o.String()); ok {
			c.enter(buffer, open)
		}
	case c.to == Suricata:
		out.Name = "bsize"
	default:
		c.drop(o, "Snort 2 tests only the length of the URI")
		return
	}
	c.compare(out)
}

// compare translates a comparison: between two numbers, Snort 3 and dsize
// and urilen of Snort 2 take in the ends that Suricata leaves out.
func (c *converter) compare(o Option) {
	r, err := DecodeRange(o)
	if err != nil || r.Operator != "<>" && r.Operator != "<=>" {
		c.add(o)
		return
	}
	inclusive := r.Operator == "<=>" || c.src.Dialect == Snort2
	switch {
	case c.to == Snort3 && inclusive:
		r.Operator = "<=>"
	case inclusive && c.to == Suricata:
		r.Operator = "<>"
		if r.From == 0 {
			r = Range{Name: r.Name, Operator: "<", From: r.To + 1, Flags: r.Flags}
			break
		}
		r.From, r.To = r.From-1, r.To+1
	case inclusive:
		r.Operator = "<>"
	case c.to == Snort2:
		if r.To < r.From+2 {
			c.issue(o.String(), EffectRefused, fmt.Sprintf("nothing is between %d and %d", r.From, r.To))
			return
		}
		r.From, r.To = r.From+1, r.To-1
	}
	c.add(r.Option())
}

// threshold limits alerts. Snort 3 does that in its configuration, but for
// what alerts only from a number of matches on.
func (c *converter) threshold(o Option) {
	if c.to != Snort3 {
		c.add(o)
		return
	}
	t, err := decodeThreshold(o)
	limit, ok := t.(Threshold)
	if err != nil || !ok {
		c.issue(o.String(), EffectRefused, "it cannot be read")
		return
	}
	if limit.Type == "limit" {
		c.issue(o.String(), EffectApproximate, "alerts on each match: Snort 3 limits them by event_filter in its configuration")
		return
	}
	c.add(Threshold{Name: "detection_filter", Track: limit.Track, Count: limit.Count, Seconds: limit.Seconds}.Option())
	c.issue(o.String(), EffectApproximate, "detection_filter alerts on each match after the number")
}

// dce writes the interface and operations of DCE/RPC: Snort 3 names the
// parts and quotes the numbers.
func (c *converter) dce(o Option) {
	switch {
	case o.Name == "dce_opnum" && c.to == Snort3:
		o.Value = `"` + Unquote(o.Value) + `"`
	case o.Name == "dce_opnum":
		o.Value = Unquote(o.Value)
	case c.src.Dialect == Snort3:
		parts := splitTrim(o.Value, ",")
		for i := range parts {
			for _, key := range []string{"uuid ", "version "} {
				parts[i] = strings.TrimPrefix(parts[i], key)
			}
			parts[i] = Unquote(parts[i])
		}
		o.Value = strings.Join(parts, ",")
	case c.to == Snort3:
		parts := splitTrim(o.Value, ",")
		parts[0] = "uuid " + parts[0]
		for i := 1; i < len(parts); i++ {
			if parts[i] != "any_frag" {
				parts[i] = "version " + parts[i]
			}
		}
		o.Value = strings.Join(parts, ",")
	}
	c.add(o)
}
