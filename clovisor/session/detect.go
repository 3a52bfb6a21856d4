package session

import (
	"net/netip"
	"strings"
	"time"

	"github.com/opnfv/clover/clovisor/protocol"
)

// The lines of the ledger for what no parser takes.
const (
	undetected = "undetected" // too little was seen to know
	unknown    = "unknown"
	tls        = "tls"
)

// port is the protocol that a server's port is known to have, "" if none.
func (e *Engine) port(iface uint32, server netip.AddrPort) string {
	if e.options.Port == nil {
		return ""
	}
	return e.options.Port(iface, server)
}

// family are the protocols that a port's name stands for.
func (e *Engine) family(name string) []protocol.Protocol {
	name = strings.ToLower(name)
	if f := e.named(name); len(f) > 0 {
		return f
	}
	prefix, _, _ := strings.Cut(name, "-")
	return e.named(prefix)
}

func (e *Engine) named(name string) []protocol.Protocol {
	names := []string{name}
	switch name {
	case "http", "http/1.1", "http/1.0", "http1":
		names = []string{"http", "http2"}
	case "http2", "grpc", "h2c", "http/2", "kubernetes.io/h2c":
		names = []string{"http2", "http"}
	}
	var found []protocol.Protocol
	for _, n := range names {
		for _, p := range e.protocols {
			if p.Name == n {
				found = append(found, p)
			}
		}
	}
	if len(found) == 0 && e.options.Protocol != nil && name != "" {
		if p, ok := e.options.Protocol(name); ok {
			found = append(found, p)
		}
	}
	return found
}

// detect decides for a protocol when what came so far is enough, or when
// nothing more will come.
func (c *conn) detect(last bool) {
	if len(c.early) == 0 {
		return
	}
	e := c.engine
	name := e.port(c.key.iface, c.server)
	named := e.family(name)
	named = over(named, c.ctx.Datagrams)
	candidates := named
	if len(named) == 0 {
		candidates = over(e.protocols, c.ctx.Datagrams)
	}
	from, first := c.early[0].from, c.firstOf(c.early[0].from)
	// Not over UDP: the id of a DNS query may look like the start of a record.
	switch v := sniffTLS(first); {
	case c.ctx.Datagrams:
	case v == protocol.Yes:
		c.follow(tls, opaqueProtocol(c.early[0].time, protocol.Ciphertext))
		return
	case v == protocol.Maybe && !last:
		return
	}
	if len(named) == 0 && notParsed(name) {
		c.follow(unknown, opaqueProtocol(c.early[0].time, protocol.Undecodable))
		return
	}
	if c.mid && c.detectMid(candidates) {
		return
	}
	maybe := c.mid && len(named) == 0
	for _, p := range candidates {
		if p.Sniff == nil {
			if len(named) > 0 {
				c.follow(p.Name, p.New)
				return
			}
			continue
		}
		switch p.Sniff(from, first, c.mid) {
		case protocol.Yes:
			c.follow(p.Name, p.New)
			return
		case protocol.Maybe:
			maybe = true
		case protocol.No:
			if !c.certain && p.Sniff(from.Other(), first, c.mid) == protocol.Yes {
				c.swap()
				c.follow(p.Name, p.New)
				return
			}
		}
	}
	switch {
	case maybe && !last && (c.mid || len(first) < protocol.SniffBytes) && c.earlyBytes() < maxEarly:
	case len(named) > 0:
		c.follow(named[0].Name, named[0].New)
	default:
		c.follow(unknown, opaqueProtocol(c.early[0].time, protocol.Undecodable))
	}
}

// notParsed reports whether a port's name says that what it speaks is not to be
// looked at, as in Istio.
func notParsed(name string) bool {
	prefix, _, _ := strings.Cut(strings.ToLower(name), "-")
	return prefix == "tcp" || prefix == "udp"
}

// over are those of the protocols that are spoken over UDP, or over TCP.
func over(all []protocol.Protocol, udp bool) []protocol.Protocol {
	var found []protocol.Protocol
	for _, p := range all {
		if p.UDP == udp {
			found = append(found, p)
		}
	}
	return found
}

// detectMid looks for the start of a message where a segment begins.
func (c *conn) detectMid(candidates []protocol.Protocol) bool {
	h := &c.early[len(c.early)-1]
	for _, data := range [][]byte{h.data, c.firstOf(h.from)} {
		for _, p := range candidates {
			if p.Sniff == nil || len(data) == 0 {
				continue
			}
			if p.Sniff(h.from, data, true) == protocol.Yes {
				c.follow(p.Name, p.New)
				return true
			}
			if !c.certain && p.Sniff(h.from.Other(), data, true) == protocol.Yes {
				c.swap()
				c.follow(p.Name, p.New)
				return true
			}
		}
	}
	return false
}

// maxEarly bounds what is kept until the protocol is known.
const maxEarly = 64 << 10

func (c *conn) earlyBytes() int64 { return c.streams[0].heldBytes + c.streams[1].heldBytes }

// firstOf are the first bytes of a side.
func (c *conn) firstOf(from protocol.Side) []byte {
	var b []byte
	for i := range c.early {
		h := &c.early[i]
		switch {
		case h.from != from:
		case b == nil:
			b = h.data[:len(h.data):len(h.data)]
		case len(b) < protocol.SniffBytes:
			b = append(b, h.data...)
		}
	}
	return b[:min(len(b), protocol.SniffBytes)]
}

// follow begins to parse, with what came before.
func (c *conn) follow(name string, make func(*protocol.Context, bool) protocol.Parser) {
	c.move(c.engine.ledger.line(c.key.iface, name))
	c.parser = make(&c.ctx, c.mid)
	early := c.early
	c.early = nil
	for i := range early { // as if nothing had come yet
		st := &c.streams[early[i].from]
		st.next -= uint32(early[i].length)
		st.offset -= early[i].length
		st.heldBytes -= int64(len(early[i].data)) + heldOverhead
	}
	for i := range early {
		c.deliver(early[i])
	}
	for side, ended := range c.ended {
		if ended {
			c.parser.End(protocol.Side(side), protocol.Finished, c.engine.clock.wall())
		}
	}
}

// opaque follows a connection that cannot be read: one session for all of it.
type opaque struct{ ctx *protocol.Context }

func opaqueProtocol(at time.Time, o protocol.Outcome) func(*protocol.Context, bool) protocol.Parser {
	return func(ctx *protocol.Context, _ bool) protocol.Parser {
		x := ctx.New()
		x.Request.Touch(at)
		if o == protocol.Ciphertext {
			x.Protocol = tls
		}
		ctx.Done(x, o)
		return opaque{ctx}
	}
}

func (p opaque) Data(c *protocol.Chunk) int64 {
	p.ctx.Undecoded += int64(len(c.Data)) + c.Missing
	return protocol.Forever
}

func (opaque) End(protocol.Side, protocol.End, time.Time) {}

// sniffTLS recognises a TLS record (RFC 8446, 5.1).
func sniffTLS(b []byte) protocol.Verdict {
	switch {
	case len(b) == 0 || b[0] < 20 || b[0] > 23:
		return protocol.No
	case len(b) < 5:
		if len(b) > 1 && b[1] != 3 {
			return protocol.No
		}
		return protocol.Maybe
	case b[1] == 3 && b[2] <= 4 && int(b[3])<<8+int(b[4]) <= 1<<14+2048:
		return protocol.Yes
	}
	return protocol.No
}
