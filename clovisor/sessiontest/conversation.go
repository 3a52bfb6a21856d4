// Package sessiontest writes network traffic of which it is known what must
// come out: segments, capture files, and the sessions in them. Tests of
// everything that makes sessions, from the engine to a tracer in a cluster,
// take the same cases.
package sessiontest

import (
	"net/netip"
	"time"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
)

// Start is the time of the first segment of every case.
var Start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Step is the time between two segments of a conversation.
const Step = 100 * time.Microsecond

// Conversation is a TCP connection as someone beside the server sees it. Make
// it with [Open] or [Join].
type Conversation struct {
	Segments []packet.Segment
	Now      time.Time // of the next segment
	MSS      int       // most bytes of a segment, 0: 1460

	client, server netip.AddrPort
	seq            [2]uint32 // next of each side
	ack            [2]uint32 // what each side has received
}

// Open begins a connection with its handshake. Both sides start close before
// the sequence numbers wrap.
func Open(client, server netip.AddrPort) *Conversation {
	c := Join(client, server)
	c.seq = [2]uint32{0xFFFFFF00, 0xFFFFFE00}
	c.push(protocol.Client, packet.SYN, nil)
	c.seq[0]++
	c.ack[1] = c.seq[0]
	c.push(protocol.Server, packet.SYN|packet.ACK, nil)
	c.seq[1]++
	c.ack[0] = c.seq[1]
	c.push(protocol.Client, packet.ACK, nil)
	return c
}

// Join begins in the middle of a connection.
func Join(client, server netip.AddrPort) *Conversation {
	return &Conversation{Now: Start, client: client, server: server, seq: [2]uint32{1000, 2000}, ack: [2]uint32{2000, 1000}}
}

func (c *Conversation) push(from protocol.Side, flags packet.Flags, payload []byte) {
	s := packet.Segment{
		Time: c.Now, Direction: packet.Ingress, Seq: c.seq[from], Ack: c.ack[from], Flags: flags, Window: 501,
		Flow:   packet.Flow{Source: c.client, Destination: c.server, Transport: packet.TCP},
		Length: len(payload), Payload: payload,
	}
	if from == protocol.Server {
		s.Flow, s.Direction = s.Reverse(), packet.Egress
	}
	if flags&packet.ACK == 0 {
		s.Ack = 0
	}
	c.Segments = append(c.Segments, s)
	c.Now = c.Now.Add(Step)
}

// Send sends bytes from a side; the other receives them at once.
func (c *Conversation) Send(from protocol.Side, b []byte) {
	mss := c.MSS
	if mss <= 0 {
		mss = 1460
	}
	for len(b) > 0 {
		n := min(mss, len(b))
		c.push(from, packet.ACK|packet.PSH, b[:n])
		c.seq[from] += uint32(n)
		b = b[n:]
	}
	c.ack[from.Other()] = c.seq[from]
}

// Client sends from the client.
func (c *Conversation) Client(text string) { c.Send(protocol.Client, []byte(text)) }

// Server sends from the server.
func (c *Conversation) Server(text string) { c.Send(protocol.Server, []byte(text)) }

// Acknowledge sends a segment without payload.
func (c *Conversation) Acknowledge(from protocol.Side) { c.push(from, packet.ACK, nil) }

// Finish sends FIN.
func (c *Conversation) Finish(from protocol.Side) {
	c.push(from, packet.FIN|packet.ACK, nil)
	c.seq[from]++
	c.ack[from.Other()] = c.seq[from]
}

// Reset sends RST.
func (c *Conversation) Reset(from protocol.Side) { c.push(from, packet.RST|packet.ACK, nil) }

// Close ends the connection in order, the client first.
func (c *Conversation) Close() {
	c.Finish(protocol.Client)
	c.Finish(protocol.Server)
	c.Acknowledge(protocol.Client)
}

// Lose is Send without the segments: the receiver gets the bytes, the capture
// does not see them.
func (c *Conversation) Lose(from protocol.Side, b []byte) {
	before := len(c.Segments)
	c.Send(from, b)
	c.Segments = c.Segments[:before]
}

// Wait lets time pass.
func (c *Conversation) Wait(d time.Duration) { c.Now = c.Now.Add(d) }
