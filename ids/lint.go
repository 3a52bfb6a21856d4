package ids

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity is how bad a finding is.
type Severity uint8

// The severities.
const (
	Info    Severity = iota // works, and could be better
	Warning                 // works, but not as it seems, or slowly
	Error                   // an engine refuses the rule, or it never matches
)

// String returns info, warning or error.
func (s Severity) String() string { return [...]string{"info", "warning", "error"}[s] }

// Code names a kind of finding. Codes do not change.
type Code string

// The codes, with the severity that they are found with.
const (
	CodeDuplicateSID   Code = "duplicate-sid"            // error
	CodeMissingSID     Code = "missing-sid"              // error
	CodeMissingRev     Code = "missing-rev"              // warning
	CodeMissingMsg     Code = "missing-msg"              // warning
	CodeMissingClass   Code = "missing-classtype"        // info
	CodeDuplicate      Code = "duplicate-option"         // error
	CodeUnknownOption  Code = "unknown-option"           // error
	CodeOptionTooNew   Code = "option-too-new"           // error
	CodeOptionRemoved  Code = "option-removed"           // error
	CodeUnknownAction  Code = "unknown-action"           // error
	CodeUnknownProto   Code = "unknown-protocol"         // warning
	CodeBadAddress     Code = "bad-address"              // error
	CodeBadPorts       Code = "bad-ports"                // error
	CodeBadDirection   Code = "bad-direction"            // error
	CodeBadValue       Code = "bad-value"                // error
	CodeValueMissing   Code = "value-missing"            // error
	CodeValueExtra     Code = "value-unexpected"         // error
	CodeNotEnded       Code = "option-not-ended"         // error
	CodeNotClosed      Code = "rule-not-closed"          // error; warning in Suricata
	CodeSemicolon      Code = "unescaped-semicolon"      // error
	CodeVariable       Code = "undefined-variable"       // error
	CodeNoPattern      Code = "modifier-without-pattern" // error
	CodeContradiction  Code = "contradictory-modifiers"  // error
	CodeNoEffect       Code = "modifier-without-effect"  // info
	CodeSlow           Code = "slow-pattern"             // warning
	CodeNoFlow         Code = "missing-flow"             // info
	CodeClass          Code = "unknown-classtype"        // warning
	CodeReference      Code = "unknown-reference"        // info
	CodeFlowbitsUnset  Code = "flowbits-never-set"       // warning
	CodeFlowbitsUnused Code = "flowbits-never-tested"    // info
)

// Finding is something wrong with a rule.
type Finding struct {
	Code     Code
	Severity Severity
	Position Position
	GID, SID uint32 // SID 0 if the rule has none
	Message  string
	Remedy   string // what to do
}

// String returns the finding as a line for people.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s [%s]: %s", f.Position, f.Severity, f.Message, f.Code, f.Remedy)
}

// LintOptions say what is known beside the rules. The zero value works.
type LintOptions struct {
	// Version of the engine; zero: the newest that the tables know.
	Version Version
	// Variables that are defined; nil: [DefaultVariables].
	Variables *Variables
	// Classifications and References that are defined; nil: not checked.
	Classifications *ConfigFile[Classification]
	References      *ConfigFile[ReferenceSystem]
	// Disabled: check disabled rules too.
	Disabled bool
}

// Lint checks the meaning of rules and returns what it finds in the order of
// the file, at most 100 of a rule. Pieces that Parse could not read are in its
// error, not here.
func Lint(s *Ruleset, o LintOptions) []Finding { return LintAll([]*Ruleset{s}, o) }

// LintAll checks files that an engine loads together: a sid may be taken, and
// a mark of a flow set, in another file.
func LintAll(sets []*Ruleset, o LintOptions) []Finding {
	l := newLinter(o)
	for i, s := range sets {
		l.file = i
		for r := range s.Rules() {
			if r.Disabled && !o.Disabled {
				continue
			}
			l.rule, l.name, l.count = r, s.Name, 0
			l.check()
		}
	}
	l.flowbits()
	slices.SortStableFunc(l.findings, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.Position.Offset, b.Position.Offset))
	})
	out := make([]Finding, len(l.findings))
	for i, f := range l.findings {
		out[i] = f.Finding
	}
	return out
}

// placed is a finding and the index of its file.
type placed struct {
	Finding
	file int
}

// maxFindings bounds what is said of one rule.
const maxFindings = 100

// linter goes over rules one after another.
type linter struct {
	options   LintOptions
	variables Variables
	classes   map[string]bool // nil: not checked
	systems   map[string]bool // nil: not checked

	rule     *Rule
	name     string // of the rule's file
	file     int    // its index
	findings []placed
	count    int                 // of this rule's findings
	seen     map[string]Position // gid:sid
	set      map[string]bool     // flowbits
	tested   map[string]bool
	bits     []bitUse
}

type bitUse struct {
	rule  *Rule
	name  string
	file  int
	index int
	bit   string
	test  bool
}

func newLinter(o LintOptions) *linter {
	l := &linter{options: o, seen: map[string]Position{}, set: map[string]bool{}, tested: map[string]bool{}}
	l.variables = DefaultVariables()
	if o.Variables != nil {
		l.variables = *o.Variables
	}
	if o.Classifications != nil {
		l.classes = map[string]bool{}
		for _, c := range o.Classifications.All() {
			l.classes[c.Name] = true
		}
	}
	if o.References != nil {
		l.systems = map[string]bool{}
		for _, r := range o.References.All() {
			l.systems[r.Name] = true
		}
	}
	return l
}

// found records a finding at an option; -1: at the rule.
func (l *linter) found(index int, c Code, s Severity, message, remedy string) {
	if l.count++; l.count > maxFindings {
		return
	}
	f := Finding{
		Code: c, Severity: s, Position: l.rule.OptionPosition(index),
		GID: l.rule.GID(), SID: l.rule.SID(), Message: message, Remedy: remedy,
	}
	f.Position.File = l.name
	l.findings = append(l.findings, placed{f, l.file})
}

func (l *linter) check() {
	l.identity()
	l.header()
	counts := map[string]int{}
	for i, o := range l.rule.Options {
		name := strings.ToLower(o.Name)
		counts[name]++
		if once[name] && counts[name] == 2 {
			l.found(i, CodeDuplicate, Error, name+" is given twice", "keep one of them")
		}
		l.option(i, o)
	}
	l.notEnded()
	matches := l.rule.Matches()
	for i := range matches {
		l.match(&matches[i])
	}
	l.speed(matches)
}

// once are options that a rule has at most one of.
var once = map[string]bool{"msg": true, "sid": true, "gid": true, "rev": true, "classtype": true, "priority": true, "flow": true, "detection_filter": true}

func (l *linter) identity() {
	r := l.rule
	sid := r.SID()
	if sid == 0 {
		l.found(-1, CodeMissingSID, Error, "rule has no sid", "give it one: 1000000 to 1999999 are for local rules")
	} else {
		key := fmt.Sprintf("%d:%d", r.GID(), sid)
		if first, ok := l.seen[key]; ok {
			l.found(-1, CodeDuplicateSID, Error, fmt.Sprintf("sid %d is taken by the rule at %s", sid, first), "give one of them another sid, or remove it")
		} else {
			first = r.Position()
			first.File = l.name
			l.seen[key] = first
		}
	}
	if r.Rev() == 0 && sid != 0 {
		l.found(-1, CodeMissingRev, Warning, "rule has no rev", "add rev:1; and count it up with each change")
	}
	if _, ok := r.Option("msg"); !ok {
		l.found(-1, CodeMissingMsg, Warning, "rule has no msg", "add msg: alerts without say nothing")
	}
	if _, ok := r.Option("classtype"); !ok && r.Dialect != Snort3 {
		l.found(-1, CodeMissingClass, Info, "rule has no classtype", "add classtype: it gives alerts their priority")
	}
}

func (l *linter) header() {
	r := l.rule
	action, _, _ := strings.Cut(strings.ToLower(r.Action), ":")
	if !slices.Contains(dialectActions[r.Dialect], action) {
		l.found(-1, CodeUnknownAction, Error, fmt.Sprintf("%s has no action %q", r.Dialect, r.Action), "use one of "+strings.Join(dialectActions[r.Dialect], ", "))
	}
	proto, _, _ := strings.Cut(strings.ToLower(r.Protocol), ":")
	if proto != "" && !protocols[r.Dialect][proto] && r.Dialect != Snort3 {
		l.found(-1, CodeUnknownProto, Warning, fmt.Sprintf("%s may have no protocol %q", r.Dialect, r.Protocol), "use tcp, udp, icmp or ip if the engine refuses it")
	}
	if r.Direction == "<-" || r.Direction == "=>" && r.Dialect != Suricata {
		l.found(-1, CodeBadDirection, Error, "direction "+r.Direction+" does not exist", "use -> and exchange the sides, or <>")
	}
	for _, e := range []Endpoint{r.Source, r.Destination} {
		if _, err := e.Addresses.Parse(); err != nil {
			l.found(-1, CodeBadAddress, Error, err.Error(), "correct the addresses in the header")
		}
		if _, err := e.Ports.Parse(); err != nil {
			l.found(-1, CodeBadPorts, Error, err.Error(), "correct the ports in the header")
		}
	}
	for _, name := range l.variables.undefined(r.Header) {
		l.found(-1, CodeVariable, Error, "variable "+name+" is not defined", "define it in the engine's configuration")
	}
}

// protocols of the header, besides those that Snort 3 takes from services.
var protocols = [3]map[string]bool{Suricata: wordSet(`tcp udp icmp icmpv4 icmpv6 ip ip4 ip6 ipv4 ipv6 pkthdr
	tcp-pkt tcp-stream sctp arp ether esp gre igmp http http1 http2 tls ssl ftp ftp-data smb dns dcerpc dhcp ssh
	smtp imap pop3 modbus dnp3 enip nfs ike ikev2 krb5 ntp snmp sip tftp rdp rfb mqtt telnet websocket pgsql quic
	bittorrent-dht ldap doh2 mdns llmnr`), Snort2: wordSet("tcp udp icmp ip")}

func wordSet(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

// semicolon finds a semicolon that ends a value for the engine, though it
// stands in quotes.
func (l *linter) semicolon(i int, o Option) {
	p := ruleParser{dialect: l.rule.Dialect, text: o.Value}
	if p.dialect == Snort3 {
		return
	}
	for at := 0; at < len(o.Value); at++ {
		if o.Value[at] == ';' && !p.escaped(0, at) {
			l.found(i, CodeSemicolon, Error, o.Name+" has a semicolon that is not escaped", `write \; or, in content and pcre, |3B| or \x3b`)
			return
		}
	}
}

// notEnded finds a last option without semicolon, and a rule without its
// parenthesis.
func (l *linter) notEnded() {
	r, n := l.rule, len(l.rule.Options)-1
	if n < 0 || r.source == "" {
		return
	}
	end := int(r.Options[n].end)
	if end == 0 || end > len(r.source) {
		return // an option that was added
	}
	rest := r.source[end:]
	if strings.IndexByte(rest, ';') < 0 && r.Dialect != Snort2 {
		l.found(n, CodeNotEnded, Error, "the last option is not ended", "add a ; before the closing parenthesis")
	}
	if strings.IndexByte(rest, ')') < 0 {
		severity := Error
		if r.Dialect == Suricata {
			severity = Warning
		}
		l.found(n, CodeNotClosed, severity, "the rule has no closing parenthesis", "add a ) at its end")
	}
}

// flowbits finds marks that no rule sets, or none tests.
func (l *linter) flowbits() {
	for _, u := range l.bits {
		l.rule, l.name, l.file, l.count = u.rule, u.name, u.file, 0
		if u.test && !l.set[u.bit] {
			l.found(u.index, CodeFlowbitsUnset, Warning, "no rule sets flowbits "+u.bit, "enable the rule that sets it, or remove the test")
		}
		if !u.test && !l.tested[u.bit] {
			l.found(u.index, CodeFlowbitsUnused, Info, "no rule tests flowbits "+u.bit, "remove it if no other file does")
		}
	}
}
