package ids

import (
	"fmt"
	"slices"
	"strings"
)

// Effect is what a rule loses in a conversion.
type Effect uint8

// The effects, from the least to the most.
const (
	// EffectNote: something that does not decide what matches was left out.
	EffectNote Effect = iota
	// EffectApproximate: the nearest that the dialect has stands in its
	// place; what matches may differ a little.
	EffectApproximate
	// EffectWider: a condition was left out, so the rule matches more.
	EffectWider
	// EffectRefused: the rule cannot be said in the dialect.
	EffectRefused
)

// String returns note, approximate, wider or refused.
func (e Effect) String() string {
	return [...]string{"note", "approximate", "wider", "refused"}[e]
}

// ConversionIssue is one thing that could not be converted as it was.
type ConversionIssue struct {
	GID, SID uint32
	Position Position
	// Option is the text that it is about: an option or a part of the header.
	Option string
	Effect Effect
	Reason string
}

// String returns the issue as a line for people.
func (i ConversionIssue) String() string {
	return fmt.Sprintf("%s: %d:%d %s: %s: %s", i.Position, i.GID, i.SID, i.Effect, i.Option, i.Reason)
}

// Convert translates a rule. The result is a new rule; nil if an issue has
// EffectRefused. Issues say all that is not the same.
func Convert(r *Rule, to Dialect) (*Rule, []ConversionIssue) {
	if r.Dialect == to {
		return r.Clone(), nil
	}
	c := &converter{src: r, to: to, sticky: Payload, from: Payload, last: Payload}
	c.out = &Rule{Dialect: to, Disabled: r.Disabled}
	c.header()
	c.options()
	c.services2()
	if slices.ContainsFunc(c.issues, func(i ConversionIssue) bool { return i.Effect == EffectRefused }) {
		return nil, c.issues
	}
	return c.out, c.issues
}

// ConvertSet translates a file. Comments stay. A rule that would match more
// than it should is disabled; one that was refused becomes a comment.
// Directives and what could not be read become comments too.
func ConvertSet(s *Ruleset, to Dialect) (*Ruleset, []ConversionIssue) {
	out := &Ruleset{Name: s.Name, Dialect: to}
	var issues []ConversionIssue
	for _, it := range s.Items {
		end := ending(it.Text)
		switch it.Kind {
		case KindBlank, KindComment:
			out.Items = append(out.Items, Item{Kind: it.Kind, Text: commentText(it.Text, s.Dialect, to)})
			continue
		case KindRule:
			r, list := Convert(it.Rule, to)
			for i := range list {
				list[i].Position.File = s.Name
			}
			issues = append(issues, list...)
			if r != nil {
				r.Disabled = r.Disabled || slices.ContainsFunc(list, func(i ConversionIssue) bool { return i.Effect == EffectWider })
				out.Items = append(out.Items, Item{Kind: KindRule, Text: r.String() + end, Rule: r})
				continue
			}
		}
		out.Items = append(out.Items, Item{Kind: KindComment, Text: "# not converted: " + oneLine(it.Text) + end})
	}
	return out, issues
}

// commentText makes a comment one of the other dialect: only Snort 3 has
// comments of several lines.
func commentText(text string, from, to Dialect) string {
	if from != Snort3 || to == Snort3 || strings.HasPrefix(strings.TrimSpace(text), "#") && strings.Count(text, "\n") < 2 {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		if t := strings.TrimSpace(line); t != "" && t[0] != '#' {
			b.WriteString("# ")
		}
		b.WriteString(line)
	}
	return b.String()
}

// oneLine joins the lines of a text.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// converter translates one rule.
type converter struct {
	src, out *Rule
	to       Dialect
	issues   []ConversionIssue
	services []string // names of Snort

	sticky string // buffer that is open in out
	from   string // sticky buffer that is open in src
	last   string // buffer of the last match in src
}

// issue records what is not the same.
func (c *converter) issue(what string, e Effect, reason string) {
	c.issues = append(c.issues, ConversionIssue{
		GID: c.src.GID(), SID: c.src.SID(), Position: c.src.Position(), Option: what, Effect: e, Reason: reason,
	})
}

// add appends an option to the result.
func (c *converter) add(o Option) {
	c.out.Options = append(c.out.Options, Option{Name: o.Name, Value: o.Value})
}

// options walks over the options.
func (c *converter) options() {
	matches := map[int]*Match{}
	taken := map[int]bool{}
	list := c.src.Matches()
	for i := range list {
		matches[list[i].Index] = &list[i]
		for _, at := range list[i].Options {
			taken[at] = true
		}
	}
	for i, o := range c.src.Options {
		if k, ok := c.src.Dialect.Keyword(o.Name); ok && k.Role == RoleSticky {
			c.from = bufferOf(o, c.src.Dialect)
			continue
		}
		switch m := matches[i]; {
		case m != nil:
			c.match(m)
			c.last = m.Buffer
		case !taken[i]:
			c.option(o)
		}
	}
}

// actions that another dialect names differently or lacks.
var actions = [3]map[string]string{
	Suricata: {"sdrop": "drop", "block": "drop", "rewrite": "alert", "react": "reject"},
	Snort2:   {"block": "drop", "rewrite": "alert", "react": "reject", "rejectsrc": "reject", "rejectdst": "reject", "rejectboth": "reject"},
	Snort3:   {"sdrop": "drop", "rejectsrc": "reject", "rejectdst": "reject", "rejectboth": "reject"},
}

// exactActions are those of actions that mean the same.
var exactActions = map[string]bool{"block": true}

// header translates what stands before the options.
func (c *converter) header() {
	h := c.src.Header
	action := strings.ToLower(h.Action)
	if to, ok := actions[c.to][action]; ok {
		h.Action = to
		if !exactActions[action] {
			c.issue(action, EffectApproximate, "the nearest action is "+to)
		}
	} else if !slices.Contains(dialectActions[c.to], action) {
		c.issue(action, EffectRefused, c.to.String()+" has no such action")
	}
	c.protocol(&h)
	if h.Direction == "=>" {
		h.Direction = "->"
		c.issue("=>", EffectApproximate, "only Suricata follows both sides of a transaction with one rule")
	}
	if h.Direction == "" {
		h.Source, h.Direction, h.Destination = Endpoint{AnyAddress, AnyPort}, "->", Endpoint{AnyAddress, AnyPort}
	}
	for _, e := range []*Endpoint{&h.Source, &h.Destination} {
		if e.Ports == "" {
			e.Ports = AnyPort
		}
	}
	c.out.Header = h
}

// dialectActions are the actions that need no translation.
var dialectActions = [3][]string{
	Suricata: {"alert", "drop", "pass", "reject", "rejectsrc", "rejectdst", "rejectboth", "config", "accept"},
	Snort2:   {"alert", "drop", "pass", "reject", "log", "sdrop", "activate", "dynamic"},
	Snort3:   {"alert", "drop", "pass", "reject", "log", "block", "react", "rewrite", "file_id"},
}

// application is a protocol above the transport: its name in Suricata, as a
// service of Snort, and what carries it.
type application struct{ suricata, service, transport string }

var applications = []application{
	{"http", "http", "tcp"}, {"http1", "http", "tcp"}, {"http2", "http2", "tcp"}, {"tls", "ssl", "tcp"},
	{"ssl", "ssl", "tcp"}, {"ftp", "ftp", "tcp"}, {"ftp-data", "ftp-data", "tcp"}, {"smb", "netbios-ssn", "tcp"},
	{"ssh", "ssh", "tcp"}, {"smtp", "smtp", "tcp"}, {"imap", "imap", "tcp"}, {"pop3", "pop3", "tcp"},
	{"dns", "dns", "udp"}, {"dcerpc", "dcerpc", "tcp"}, {"dhcp", "dhcp", "udp"}, {"dnp3", "dnp3", "tcp"},
	{"enip", "cip", "tcp"}, {"modbus", "modbus", "tcp"}, {"nfs", "nfs", "tcp"}, {"ntp", "ntp", "udp"},
	{"snmp", "snmp", "udp"}, {"sip", "sip", "udp"}, {"tftp", "tftp", "udp"}, {"ike", "ikev2", "udp"},
	{"krb5", "kerberos", "tcp"}, {"rdp", "rdp", "tcp"}, {"rfb", "vnc", "tcp"}, {"mqtt", "mqtt", "tcp"},
	{"quic", "quic", "udp"}, {"telnet", "telnet", "tcp"}, {"pgsql", "postgresql", "tcp"}, {"ldap", "ldap", "tcp"},
}

// protocol translates the protocol and the services.
func (c *converter) protocol(h *Header) {
	proto := strings.ToLower(h.Protocol)
	if c.src.Dialect != Suricata {
		c.snortProtocol(h, proto)
		return
	}
	switch proto {
	case "ip", "tcp", "udp", "icmp":
		return
	case "tcp-pkt", "tcp-stream":
		h.Protocol = "tcp"
		c.issue(proto, EffectApproximate, "Snort decides itself between packets and the stream")
		return
	case "ip4", "ip6", "ipv4", "ipv6", "pkthdr":
		h.Protocol = "ip"
		c.issue(proto, EffectApproximate, "Snort has only ip")
		return
	}
	for _, a := range applications {
		if a.suricata == proto {
			h.Protocol = a.transport
			c.services = append(c.services, a.service)
			if a.suricata == "dns" {
				c.issue(proto, EffectApproximate, "udp only: write a second rule for tcp")
			}
			return
		}
	}
	c.issue(proto, EffectRefused, "Snort has no such protocol")
}

// snortProtocol translates from Snort 2 or 3. A rule of any address and port
// that names one service becomes one of that protocol in Suricata.
func (c *converter) snortProtocol(h *Header, proto string) {
	c.services = c.src.services()
	switch proto {
	case "ip", "tcp", "udp", "icmp":
	case "":
		h.Protocol = "ip"
		if len(c.services) > 0 || c.src.Action == "alert" {
			h.Protocol = "tcp"
		}
		if len(c.src.Matches()) == 0 {
			c.issue(h.Action, EffectRefused, "rules on events of the decoder and the inspectors are each engine's own")
		}
	case "file":
		c.issue(proto, EffectRefused, "only Snort 3 has rules on files apart from what carries them")
	default:
		h.Protocol = "tcp"
		c.services = append(c.services, proto)
		for _, a := range applications {
			if a.service == proto {
				h.Protocol = a.transport
			}
		}
	}
	if c.to != Suricata || len(c.services) != 1 || !anyPorts(*h) && proto != "" {
		return
	}
	for _, a := range applications {
		if a.service == c.services[0] {
			h.Protocol = a.suricata
			return
		}
	}
}

func anyPorts(h Header) bool {
	is := func(p Ports) bool { return p == "" || strings.EqualFold(string(p), "any") }
	return is(h.Source.Ports) && is(h.Destination.Ports)
}

// services returns the services that a rule of Snort names.
func (r *Rule) services() []string {
	var out []string
	for _, o := range r.Options {
		switch {
		case o.Is("service") && r.Dialect == Snort3:
			out = append(out, splitTrim(o.Value, ",")...)
		case o.Is("metadata") && r.Dialect == Snort2:
			for _, p := range decodeMetadata(o.Value).Pairs {
				if p.Key == "service" {
					out = append(out, p.Value)
				}
			}
		}
	}
	return out
}

// services2 writes the services as Snort wants them.
func (c *converter) services2() {
	if len(c.services) == 0 || c.to == Suricata {
		return
	}
	if c.to == Snort3 {
		c.out.Set("service", strings.Join(c.services, ","))
		return
	}
	var m Metadata
	if o, ok := c.out.Option("metadata"); ok {
		m = decodeMetadata(o.Value)
	}
	for _, s := range c.services {
		m.Pairs = append(m.Pairs, Pair{"service", s})
	}
	c.out.Set("metadata", m.Option().Value)
}
