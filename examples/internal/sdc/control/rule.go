package control

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Rule is one rule of an IDS.
type Rule struct {
	SID, Revision uint32
	Protocol      string // tcp, udp, icmp or ip
	Source        End
	Destination   End
	Message       string
	Content       []byte // what is looked for; empty: everything matches
	NoCase        bool   // letters match in either case
}

// End is an address and a port, each as the rule language writes it.
type End struct{ Address, Port string }

// Limits of a rule's fields.
const (
	maxMessage = 256
	maxContent = 1024
)

var (
	ruleVariable = regexp.MustCompile(`^!?\$[A-Z][A-Z0-9_]{0,63}$`)
	rulePort     = regexp.MustCompile(`^!?[0-9]{1,5}(:([0-9]{1,5})?)?$`)
)

// ParseRule reads a rule from its fields, each as a user writes it.
func ParseRule(sid, rev, protocol, message, content string, source, destination End) (Rule, error) {
	r := Rule{Protocol: protocol, Source: source, Destination: destination, Message: message}
	id, err := strconv.ParseUint(sid, 10, 32)
	if err != nil || id == 0 {
		return r, invalidf("sid: %q is not a number above 0", sid)
	}
	revision, err := strconv.ParseUint(rev, 10, 32)
	if err != nil {
		return r, invalidf("rev: %q is not a number", rev)
	}
	r.SID, r.Revision = uint32(id), uint32(revision)
	switch protocol {
	case "tcp", "udp", "icmp", "ip":
	default:
		return r, invalidf("protocol: %q is not tcp, udp, icmp or ip", protocol)
	}
	for field, end := range map[string]End{"src": source, "dest": destination} {
		if !validAddress(end.Address) {
			return r, invalidf("%s_ip: %q is not an address, a network, a $VARIABLE or any", field, end.Address)
		}
		if end.Port != "any" && !ruleVariable.MatchString(end.Port) && !rulePort.MatchString(end.Port) {
			return r, invalidf("%s_port: %q is not a port, a range, a $VARIABLE or any", field, end.Port)
		}
	}
	if message == "" || len(message) > maxMessage || !printable(message) || strings.ContainsAny(message, "\";\\") {
		return r, invalidf("msg: %q is not 1 to %d printable characters without \" ; and \\", message, maxMessage)
	}
	r.Content, r.NoCase, err = parseContent(content)
	return r, err
}

func validAddress(text string) bool {
	text = strings.TrimPrefix(text, "!")
	if text == "any" || ruleVariable.MatchString(text) {
		return true
	}
	_, err := netip.ParseAddr(text)
	if err != nil {
		_, err = netip.ParsePrefix(text)
	}
	return err == nil
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// parseContent reads "TEXT" with |HEX BYTES| and backslash escapes within,
// and the modifier nocase after it.
func parseContent(text string) (content []byte, noCase bool, err error) {
	text = strings.TrimSuffix(strings.TrimSpace(text), ";")
	if text == "" {
		return nil, false, nil
	}
	end := strings.LastIndexByte(text, '"')
	if text[0] != '"' || end == 0 {
		return nil, false, invalidf("content: %s is not in double quotes", text)
	}
	switch modifier := strings.Trim(text[end+1:], " ;"); modifier {
	case "":
	case "nocase":
		noCase = true
	default:
		return nil, false, invalidf("content: %q is not known after the text; only nocase is", modifier)
	}
	content, err = unescape(text[1:end])
	if err == nil && (len(content) == 0 || len(content) > maxContent) {
		err = invalidf("content: %d bytes; 1 to %d are allowed", len(content), maxContent)
	}
	return content, noCase, err
}

func unescape(text string) ([]byte, error) {
	var out bytes.Buffer
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && strings.IndexByte(`"\;:|`, text[i+1]) >= 0:
			i++
			out.WriteByte(text[i])
		case c == '|':
			n := strings.IndexByte(text[i+1:], '|')
			if n < 0 {
				return nil, invalidf("content: | without a second |")
			}
			raw, err := hex.DecodeString(strings.ReplaceAll(text[i+1:i+1+n], " ", ""))
			if err != nil {
				return nil, invalidf("content: |%s| is not hexadecimal", text[i+1:i+1+n])
			}
			out.Write(raw)
			i += n + 1
		case c == '"' || c == '\\' || c < ' ':
			return nil, invalidf("content: write %q as |%02X|", c, c)
		default:
			out.WriteByte(c)
		}
	}
	return out.Bytes(), nil
}

// String writes the rule in the language of rules.
func (r Rule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, `alert %s %s %s -> %s %s (msg:"%s"; `, r.Protocol, r.Source.Address, r.Source.Port,
		r.Destination.Address, r.Destination.Port, r.Message)
	if len(r.Content) > 0 {
		fmt.Fprintf(&b, `content:"%s"; `, escape(r.Content))
		if r.NoCase {
			b.WriteString("nocase; ")
		}
	}
	fmt.Fprintf(&b, "sid:%d; rev:%d;)", r.SID, r.Revision)
	return b.String()
}

// escape writes what is not a plain character as |HEX|.
func escape(content []byte) string {
	var b strings.Builder
	for _, c := range content {
		if c > ' ' && c < 0x7f && strings.IndexByte(`"\;:|`, c) < 0 || c == ' ' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "|%02X|", c)
		}
	}
	return b.String()
}
