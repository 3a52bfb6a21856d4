package export

import (
	"net/netip"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/tracing"
)

// Bounds of what a request puts into a span.
const (
	maxTextBytes  = 4096 // of one value
	maxAttributes = 64   // that parsers and plug-ins add
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// clip shortens a value to maxTextBytes, at the border of a character.
func clip(v string) string {
	if len(v) <= maxTextBytes {
		return v
	}
	end := maxTextBytes
	for end > maxTextBytes-utf8.UTFMax && !utf8.RuneStart(v[end]) {
		end--
	}
	return v[:end]
}

// isClipped reports whether a field of the session is longer than its part of
// the span.
func isClipped(s *session.Session) bool {
	return len(s.Target)+len(s.Host) > maxTextBytes || len(s.UserAgent) > maxTextBytes || len(s.RequestID) > maxTextBytes
}

// attributes collects the attributes of a span. What is empty or zero is left
// away.
type attributes struct {
	list    []tracing.Attribute
	clipped bool
}

func (a *attributes) text(key, v string) {
	if v == "" {
		return
	}
	short := clip(v)
	a.clipped = a.clipped || len(short) < len(v)
	a.list = append(a.list, tracing.Attribute{Key: key, Value: short})
}

func (a *attributes) number(key string, n int64) {
	if n != 0 {
		a.list = append(a.list, tracing.Attribute{Key: key, Value: itoa(n), Type: tracing.TypeInt})
	}
}

func (a *attributes) flag(key string, on bool) {
	if on {
		a.list = append(a.list, tracing.Attribute{Key: key, Value: "true", Type: tracing.TypeBool})
	}
}

func (a *attributes) address(key, portKey string, v netip.AddrPort) {
	if v.IsValid() {
		a.text(key, v.Addr().String())
		a.number(portKey, int64(v.Port()))
	}
}

// messageKeys name what is said of each side of a session.
var messageKeys = [2]struct{ header, messages, size, truncated string }{
	{"clovisor.request.header.size", "clovisor.request.messages", "clovisor.request.size", "clovisor.request.truncated"},
	{"clovisor.response.header.size", "clovisor.response.messages", "clovisor.response.size", "clovisor.response.truncated"},
}

// session says what was seen of a session, and what is missing. What is
// written first has the lower key, so that there is little to sort.
func (a *attributes) session(s *session.Session, own netip.AddrPort, errorType string) {
	a.address("client.address", "client.port", s.Client)
	a.list = append(a.list, tracing.Attribute{Key: "clovisor.complete", Value: strconv.FormatBool(Complete(s)), Type: tracing.TypeBool})
	if !isKnown(s) {
		a.text("clovisor.method", s.Method)
	}
	a.text("clovisor.outcome", string(s.Outcome))
	http := isHTTP(s)
	for i, m := range [...]*session.Message{&s.Request, &s.Response} {
		keys := &messageKeys[i]
		a.number(keys.header, m.HeaderBytes)
		a.number(keys.messages, int64(m.Messages))
		if !http {
			a.number(keys.size, m.HeaderBytes+m.BodyBytes)
		}
		a.flag(keys.truncated, m.Truncated)
	}
	if !http && s.Protocol != "dns" {
		a.text("clovisor.target", s.Target)
	}
	a.tcp(&s.TCP)
	a.number("clovisor.time_to_first_byte_ns", int64(FirstByte(s)))
	a.protocol(s, errorType)
	a.address("network.local.address", "network.local.port", own)
	a.text("network.transport", transport(s))
	a.text("network.type", networkType(s))
	a.rpc(s)
	a.server(s)
	if _, _, joined := parent(s.Trace); joined {
		a.text("w3c.tracestate", s.Trace.State)
	}
}

// isKnown reports whether the conventions have a name for the method of the
// session's protocol.
func isKnown(s *session.Session) bool {
	return isHTTP(s) || s.Protocol == "redis" || s.Protocol == "dns"
}

// protocol says what there is beyond the span's fields.
func (a *attributes) protocol(s *session.Session, errorType string) {
	switch s.Protocol {
	case "redis":
		a.text("db.operation.name", s.Method)
		a.text("db.system.name", "redis")
	case "dns":
		a.text("dns.question.name", s.Target)
		a.text("dns.question.type", s.Method)
	}
	a.text("error.type", errorType)
	if !isHTTP(s) {
		return
	}
	if !methods[s.Method] {
		a.text("http.request.method_original", s.Method)
	}
	a.number("http.request.size", s.Request.HeaderBytes+s.Request.BodyBytes)
	a.text("http.response.header.content-type", s.ContentType)
	a.number("http.response.size", s.Response.HeaderBytes+s.Response.BodyBytes)
}

func (a *attributes) rpc(s *session.Session) {
	if isGRPC(s) {
		a.text("rpc.method", s.GRPCMethod)
		a.text("rpc.service", s.GRPCService)
		a.text("rpc.system", "grpc")
	}
}

// server is the server as the client calls it, else its address.
func (a *attributes) server(s *session.Session) {
	host, port := "", ""
	if isHTTP(s) {
		host, port = splitHost(s)
	}
	if host == "" {
		a.address("server.address", "server.port", s.Server)
		return
	}
	a.text("server.address", host)
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		a.number("server.port", int64(n))
	}
}

func (a *attributes) tcp(t *session.TCP) {
	a.number("clovisor.tcp.lost_bytes", t.LostBytes)
	a.number("clovisor.tcp.out_of_order", int64(t.OutOfOrder))
	a.number("clovisor.tcp.resets", int64(t.Resets))
	a.number("clovisor.tcp.retransmissions", int64(t.Retransmissions))
	a.number("clovisor.tcp.round_trip_ns", int64(t.RoundTrip))
	a.number("clovisor.tcp.zero_windows", int64(t.ZeroWindows))
}

func transport(s *session.Session) string {
	if s.Transport == packet.UDP {
		return "udp"
	}
	return "tcp"
}

func networkType(s *session.Session) string {
	if s.Server.Addr().Unmap().Is4() {
		return "ipv4"
	}
	return "ipv6"
}

// parsers adds what parsers and plug-ins found. A name that is there already
// is not written twice.
func (a *attributes) parsers(found []session.Attribute) {
	for i, f := range found {
		if i == maxAttributes {
			a.clipped = true
			return
		}
		if f.Key != "" && !slices.ContainsFunc(a.list, func(h tracing.Attribute) bool { return h.Key == f.Key }) {
			a.text(clip(f.Key), f.Value)
		}
	}
}
