package export

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc/codes"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/session"
)

// appendText appends a session as a line for people:
//
//	TIME  WORKLOAD  <- PEER  PROTOCOL  STATUS  DURATION  REQUEST>RESPONSE  WHAT  [NOTES]
//
// The arrow says who asked: "<-" the peer, "->" the workload. Sizes are bytes
// of header and body. Columns grow where a value is longer than usual.
func appendText(b []byte, s *session.Session, p Place, color bool) []byte {
	start, duration := times(s)
	where, arrow, peer := s.Server, "<-", s.Client
	if s.Direction == packet.Egress {
		where, arrow, peer = s.Client, "->", s.Server
	}
	name := cmp.Or(p.Pod, p.Workload)
	switch {
	case name == "":
		name = where.String()
	case p.Namespace != "":
		name = p.Namespace + "/" + name
	}
	status, code := statusText(s)
	b = start.Local().AppendFormat(b, "15:04:05.000000")
	b = fmt.Appendf(b, "  %-28s %s %-21s  %-8s  ", clean(name), arrow, peer, clean(s.Protocol))
	b = paint(b, fmt.Sprintf("%-5s", status), code, color)
	b = fmt.Appendf(b, "  %8s  %13s  ", short(duration), size(&s.Request)+">"+size(&s.Response))
	b = append(b, clean(what(s))...)
	if notes := notes(s); notes != "" {
		b = append(b, ' ')
		b = paint(b, "["+notes+"]", "2", color)
	}
	return b
}

// paint appends text in a colour.
func paint(b []byte, text, code string, color bool) []byte {
	if !color || code == "" {
		return append(b, text...)
	}
	return fmt.Appendf(b, "\x1b[%sm%s\x1b[0m", code, text)
}

// statusText is the status with its colour: green, cyan, yellow or red.
func statusText(s *session.Session) (text, color string) {
	switch {
	case isGRPC(s) && s.GRPCStatus > 0:
		text, color = codes.Code(s.GRPCStatus).String(), "33"
		if serverFault(s.GRPCStatus) {
			color = "31"
		}
	case isGRPC(s) && s.GRPCStatus == 0:
		text, color = "OK", "32"
	case s.Status >= 500:
		text, color = strconv.Itoa(s.Status), "31"
	case s.Status >= 400:
		text, color = strconv.Itoa(s.Status), "33"
	case s.Status >= 300:
		text, color = strconv.Itoa(s.Status), "36"
	case s.Status > 0:
		text, color = strconv.Itoa(s.Status), "32"
	case s.Response.First.IsZero():
		text, color = "none", "33"
	default:
		text = "-"
	}
	return text, color
}

// what is what was asked for.
func what(s *session.Session) string {
	if isHTTP(s) {
		return strings.TrimSpace(s.Method + " " + URL(s))
	}
	var b strings.Builder
	b.WriteString(strings.TrimSpace(operation(s) + " " + clip(s.Target)))
	for i, a := range s.Attributes {
		if i == maxAttributes {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(clip(a.Key) + "=" + clip(a.Value))
	}
	return b.String()
}

// notes is what is missing, and what the connection went through.
func notes(s *session.Session) string {
	var list []string
	add := func(name string, n int64) {
		if n > 0 {
			list = append(list, name+" "+itoa(n))
		}
	}
	if !s.Outcome.Whole() {
		list = append(list, clean(string(s.Outcome)))
	}
	for _, m := range [...]struct {
		name string
		*session.Message
	}{{"request", &s.Request}, {"response", &s.Response}} {
		if m.Truncated {
			list = append(list, m.name+" truncated")
		}
	}
	add("lost bytes", s.TCP.LostBytes)
	add("retransmissions", int64(s.TCP.Retransmissions))
	add("out of order", int64(s.TCP.OutOfOrder))
	add("zero windows", int64(s.TCP.ZeroWindows))
	add("resets", int64(s.TCP.Resets))
	return strings.Join(list, ", ")
}

// short prints a duration with three digits or so.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	default:
		return d.Round(10 * time.Nanosecond).String()
	}
}

// size prints the bytes of a message, "-" if none was seen.
func size(m *session.Message) string {
	n := m.HeaderBytes + m.BodyBytes
	switch {
	case m.First.IsZero():
		return "-"
	case n < 10_000:
		return itoa(n)
	case n < 10_000_000:
		return itoa(n>>10) + "K"
	default:
		return itoa(n>>20) + "M"
	}
}

// clean makes text of a connection safe for a terminal: what is not printable,
// such as a control character that moves the cursor or turns the direction of
// writing, is shown as an escape.
func clean(s string) string {
	printable := true
	for i := 0; i < len(s) && printable; i++ {
		printable = s[i] >= ' ' && s[i] < 0x7f
	}
	if printable {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}
