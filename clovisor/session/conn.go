package session

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
)

// key names a connection, the same from both directions.
type key struct {
	low, high         [16]byte
	lowPort, highPort uint16
	iface             uint32
	transport         uint32
}

// keyOf returns the key, and whether the segment goes from low to high.
func keyOf(s *packet.Segment) (key, bool) {
	a, b := s.Source, s.Destination
	k := key{low: a.Addr().As16(), high: b.Addr().As16(), lowPort: a.Port(), highPort: b.Port(),
		iface: s.Interface, transport: uint32(s.Transport)}
	order := bytes.Compare(k.low[:], k.high[:])
	if order < 0 || order == 0 && k.lowPort <= k.highPort {
		return k, true
	}
	k.low, k.high, k.lowPort, k.highPort = k.high, k.low, k.highPort, k.lowPort
	return k, false
}

// conn is a connection that is followed.
type conn struct {
	engine    *Engine
	key       key
	lowClient bool             // the side that the key calls low is the client
	certain   bool             // which side is the client is known
	mid       bool             // the start was not seen
	gone      bool             // removed
	direction packet.Direction // of the client's segments
	client    netip.AddrPort
	server    netip.AddrPort
	streams   [2]stream // by side
	ended     [2]bool

	line   *line
	parser protocol.Parser // nil until the protocol is known
	ctx    protocol.Context
	early  []held // what came before

	reset   reset   // that waits
	attempt attempt // to begin another connection

	packets, bytes int64 // until then
	tcp            TCP

	last      time.Time
	accounted int64

	list               *list
	prev, next         *conn
	holeList           bool
	holePrev, holeNext *conn
}

// connBytes is about what a connection takes with its parser.
const connBytes, closedBytes = 2048, 768

// linger is how long a connection that ended is remembered, so that segments
// that come late begin no new one.
const linger = 2 * time.Second

// open makes the connection of a segment.
func (e *Engine) open(k key, fromLow bool, s *packet.Segment) *conn {
	c := &conn{engine: e, key: k, last: e.clock.now}
	c.ctx.Shared, c.ctx.Emit = &e.shared, c.emit
	c.ctx.Datagrams = s.Transport == packet.UDP
	fromClient := true
	switch {
	case s.Transport == packet.TCP && s.Flags&packet.SYN != 0:
		fromClient, c.certain = s.Flags&packet.ACK == 0, true
	case e.port(s.Interface, s.Destination) != "":
		c.certain = e.port(s.Interface, s.Source) == ""
	case e.port(s.Interface, s.Source) != "":
		fromClient, c.certain = false, true
	default:
		fromClient = s.Destination.Port() <= s.Source.Port()
	}
	c.mid = s.Transport == packet.TCP && s.Flags&packet.SYN == 0
	c.client, c.server, c.direction = s.Source, s.Destination, s.Direction
	c.lowClient = fromLow
	if !fromClient {
		c.swap()
	}
	c.line = e.ledger.line(k.iface, undetected)
	c.line.Connections++
	e.conns[k] = c
	if s.Transport == packet.TCP {
		e.tcp.push(c)
	} else {
		e.udp.push(c)
	}
	return c
}

// swap makes the client the server; nothing was parsed yet.
func (c *conn) swap() {
	c.client, c.server = c.server, c.client
	c.lowClient = !c.lowClient
	c.streams[0], c.streams[1] = c.streams[1], c.streams[0]
	c.ended[0], c.ended[1] = c.ended[1], c.ended[0]
	if c.direction != 0 {
		c.direction = packet.Ingress + packet.Egress - c.direction
	}
	for side := range c.streams {
		for i := range c.streams[side].held {
			c.streams[side].held[i].from = protocol.Side(side)
		}
	}
	for i := range c.early {
		c.early[i].from = c.early[i].from.Other()
	}
}

func (c *conn) side(fromLow bool) protocol.Side {
	if fromLow == c.lowClient {
		return protocol.Client
	}
	return protocol.Server
}

// flow is a direction as hints name it.
func (c *conn) flow(from protocol.Side) packet.Flow {
	f := packet.Flow{Source: c.client, Destination: c.server, Transport: packet.Transport(c.key.transport)}
	if from == protocol.Server {
		return f.Reverse()
	}
	return f
}

// emit completes what a parser found and hands it on.
func (c *conn) emit(x *protocol.Exchange) {
	e := c.engine
	c.line.outcome(x.Outcome)
	rtt := c.streams[0].rtt + c.streams[1].rtt
	tcp := c.tcp
	c.tcp = TCP{}
	if e.options.Session == nil {
		return
	}
	tcp.RoundTrip = rtt
	e.out = Session{
		Interface: c.key.iface, Client: c.client, Server: c.server, Direction: c.direction,
		Transport: packet.Transport(c.key.transport),
		Protocol:  x.Protocol, Stream: x.Stream, Request: x.Request, Response: x.Response, Outcome: x.Outcome,
		Method: x.Method, Target: x.Target, Host: x.Host, Scheme: x.Scheme,
		UserAgent: x.UserAgent, ContentType: x.ContentType, RequestID: x.RequestID, Status: x.Status,
		GRPCService: x.GRPCService, GRPCMethod: x.GRPCMethod, GRPCStatus: x.GRPCStatus,
		Trace: x.Trace, TCP: tcp, Attributes: x.Attributes,
	}
	if e.out.Transport == packet.TCP {
		e.out.RequestSeq = c.streams[protocol.Client].seqOf(&x.Request)
		e.out.ResponseSeq = c.streams[protocol.Server].seqOf(&x.Response)
	}
	e.options.Session(&e.out)
}

// settleAccounts brings memory and ledger up to date after a segment.
func (c *conn) settleAccounts() {
	size := int64(connBytes)
	if c.list == &c.engine.closed {
		size = closedBytes
	}
	size += c.ctx.Used() + c.streams[0].heldBytes + c.streams[1].heldBytes
	c.engine.memory += size - c.accounted
	c.accounted = size
	if c.ctx.Undecoded > 0 {
		c.line.UndecodedBytes += c.ctx.Undecoded
		c.ctx.Undecoded = 0
	}
	begun, over := c.ctx.Counted()
	c.line.Sessions += begun
	c.line.Open += begun - over
}

// end ends a side, or both for every reason but Finished.
func (c *conn) end(from protocol.Side, how protocol.End) {
	if how != protocol.Finished {
		c.giveUpHoles()
	}
	if c.parser == nil {
		c.detect(true)
	}
	if c.ended[from] && how == protocol.Finished {
		return
	}
	c.ended[from] = true
	if how != protocol.Finished {
		c.ended = [2]bool{true, true}
	}
	if c.parser != nil {
		c.parser.End(from, how, c.engine.clock.wall())
	}
	c.settleAccounts()
}

// close keeps only what is needed to know segments that come late.
func (e *Engine) close(c *conn) {
	e.holes.remove(c)
	c.list.remove(c)
	c.parser, c.early = nil, nil
	for i := range c.streams {
		c.streams[i].held, c.streams[i].heldBytes = nil, 0
	}
	c.ctx.Use(-int(c.ctx.Used()))
	e.closed.push(c)
	c.settleAccounts()
}
