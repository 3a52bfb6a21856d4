package session_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
)

// forge sends a segment from a side that is not what its kernel would send.
func forge(c *sessiontest.Conversation, from protocol.Side, change func(*packet.Segment)) {
	c.Acknowledge(from)
	change(&c.Segments[len(c.Segments)-1])
}

// carrying gives a segment payload.
func carrying(ahead uint32, text string) func(*packet.Segment) {
	return func(s *packet.Segment) {
		s.Seq += ahead
		s.Payload, s.Length = []byte(text), len(text)
	}
}

func flagged(ahead int32, flags packet.Flags) func(*packet.Segment) {
	return func(s *packet.Segment) { s.Seq, s.Flags = s.Seq+uint32(ahead), flags }
}

func exchange(c *sessiontest.Conversation, i int) {
	h := sessiontest.Get(i)
	c.Client(h.Request())
	c.Server(h.Response())
}

// TestForged has a client send what its server drops, and go on.
func TestForged(t *testing.T) {
	far := uint32(100 << 20)
	for _, test := range []struct {
		name, reason string
		forged       func(*packet.Segment)
	}{
		{"RST far away", "reset_out_of_place", flagged(1<<30, packet.RST)},
		{"RST in the window", "reset_out_of_place", flagged(100, packet.RST|packet.ACK)},
		{"RST before the window", "reset_out_of_place", flagged(-10, packet.RST)},
		{"FIN before the window", "fin_out_of_place", flagged(-10, packet.FIN|packet.ACK)},
		{"FIN far away", "segment_out_of_window", flagged(int32(far), packet.FIN|packet.ACK)},
		{"data far away", "segment_out_of_window", carrying(far, "GET /forged HTTP/1.1\r\n\r\n")},
		{"data later in the window", "", carrying(5000, "GET /forged HTTP/1.1\r\n\r\n")},
		{"SYN", "syn_in_connection", flagged(12345, packet.SYN)},
		{"SYN of this connection", "", flagged(-1-int32(len(sessiontest.Get(1).Request())), packet.SYN)},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := open()
			exchange(c, 1)
			c.Acknowledge(protocol.Client)
			forge(c, protocol.Client, test.forged)
			c.Acknowledge(protocol.Server) // a challenge (RFC 5961), or it asks for what is missing
			c.Wait(10 * time.Second)
			exchange(c, 2)
			exchange(c, 3)
			got, lines := sessiontest.Run(session.Options{}, c.Segments)
			if len(got) < 3 || got[1].Outcome != session.Paired || got[2].Outcome != session.Paired || got[2].RequestSeq == 0 {
				t.Errorf("%+v", got)
			}
			refused := map[string]int64{}
			connections := int64(0)
			for _, l := range lines {
				connections += l.Connections
				for reason, n := range l.Refused {
					refused[reason] += n
				}
			}
			if want := fmt.Sprint(map[string]int64{test.reason: 1}); test.reason != "" && fmt.Sprint(refused) != want || test.reason == "" && len(refused) > 0 {
				t.Errorf("refused %v, want %q", refused, test.reason)
			}
			if connections != 1 {
				t.Errorf("%d connections", connections)
			}
		})
	}
}

// TestHeldFlood has more out of order than is held, of a connection whose
// server asks for what is missing: the beginning is kept.
func TestHeldFlood(t *testing.T) {
	c := open()
	exchange(c, 1)
	for i := range 2000 {
		forge(c, protocol.Client, carrying(uint32(5000+i*10), "x"))
		c.Acknowledge(protocol.Server)
	}
	c.Wait(time.Minute)
	c.Acknowledge(protocol.Server)
	exchange(c, 2)
	got, _ := sessiontest.Run(session.Options{}, c.Segments)
	if len(got) < 2 || got[1].Outcome != session.Paired || got[1].Target != sessiontest.Get(2).Target {
		t.Errorf("%+v", got)
	}
}

// TestResets holds that a RST that counts ends the session.
func TestResets(t *testing.T) {
	request := sessiontest.Get(1).Request()
	for _, test := range []struct {
		name string
		send func(c *sessiontest.Conversation)
		wait time.Duration
	}{
		{"of the client", func(c *sessiontest.Conversation) { c.Reset(protocol.Client) }, 0},
		{"of the server", func(c *sessiontest.Conversation) { c.Reset(protocol.Server) }, 0},
		{"after its FIN", func(c *sessiontest.Conversation) {
			c.Finish(protocol.Client)
			c.Reset(protocol.Client)
		}, 0},
		{"without ACK, where the server expects it", func(c *sessiontest.Conversation) {
			forge(c, protocol.Client, flagged(0, packet.RST))
		}, 0},
		{"after lost bytes", func(c *sessiontest.Conversation) {
			c.Lose(protocol.Client, make([]byte, 3000))
			c.Reset(protocol.Client)
		}, 4 * time.Second},
		{"before the bytes before it", func(c *sessiontest.Conversation) {
			c.Client("GET / HT")
			c.Reset(protocol.Client)
			n := len(c.Segments)
			c.Segments[n-2], c.Segments[n-1] = c.Segments[n-1], c.Segments[n-2]
		}, 0},
		{"of the server, of what it had received", func(c *sessiontest.Conversation) {
			c.Server("HTTP/1.1 200 OK\r\n")
			forge(c, protocol.Server, flagged(-17, packet.RST)) // the client has acknowledged nothing of it
		}, 0},
		{"of the server, in what is on its way", func(c *sessiontest.Conversation) {
			c.Server("HTTP/1.1 200 OK\r\n")
			forge(c, protocol.Server, flagged(-5, packet.RST))
		}, 4 * time.Second},
	} {
		for _, mid := range []bool{false, true} {
			t.Run(fmt.Sprint(test.name, mid), func(t *testing.T) {
				c := open()
				if mid {
					c = sessiontest.Join(client, sessiontest.Server)
				}
				c.Client(request)
				test.send(c)
				var got []session.Session
				e := session.New(session.Options{Session: func(s *session.Session) { got = append(got, *s) }})
				for i := range c.Segments {
					e.Segment(&c.Segments[i])
				}
				if test.wait > 0 {
					if len(got) != 0 {
						t.Errorf("too early: %+v", got)
					}
					e.Tick(c.Now.Add(test.wait))
				}
				if len(got) == 0 || got[0].Outcome != session.NoResponseReset || got[0].TCP.Resets != 1 || e.Connections() != 0 {
					t.Errorf("%+v, %d connections", got, e.Connections())
				}
			})
		}
	}
}

// TestRefusedConnection has a server answer a SYN by RST.
func TestRefusedConnection(t *testing.T) {
	c := open()
	syn := c.Segments[0]
	answer := syn
	answer.Flow, answer.Flags, answer.Seq, answer.Ack = syn.Reverse(), packet.RST|packet.ACK, 0, syn.Seq+1
	forged := answer
	forged.Ack += 1000
	e := session.New(session.Options{})
	for _, step := range []struct {
		segment packet.Segment
		open    int
	}{{syn, 1}, {forged, 1}, {answer, 0}} {
		if e.Segment(&step.segment); e.Connections() != step.open {
			t.Errorf("%d connections, want %d", e.Connections(), step.open)
		}
	}
}

// TestPortsUsedAgain begins a connection on the ports of one whose end was not
// seen.
func TestPortsUsedAgain(t *testing.T) {
	first := open()
	exchange(first, 1)
	second := open()
	exchange(second, 2)
	exchange(second, 3)
	for _, jump := range []uint32{12345, 1 << 29, 1 << 31, 3 << 30} {
		for _, lost := range []int{-1, 1} { // nothing, or the server's SYN
			segments := slices.Clone(first.Segments)
			for i, s := range second.Segments {
				s.Time = s.Time.Add(time.Minute)
				s.Seq += jump
				if s.Flags&packet.ACK != 0 {
					s.Ack += jump
				}
				if i != lost {
					segments = append(segments, s)
				}
			}
			got, lines := sessiontest.Run(session.Options{}, segments)
			if last := got[len(got)-1]; last.Outcome != session.Paired || last.Target != sessiontest.Get(3).Target || lost < 0 && len(got) != 3 {
				t.Errorf("jump %d, lost %d: %+v", jump, lost, got)
			}
			if lost < 0 && lines[len(lines)-1].Refused["segment_out_of_window"] > 0 {
				t.Errorf("jump %d: %+v", jump, lines)
			}
		}
	}
}

// TestScaledWindow holds that windows are as large as both SYNs say.
func TestScaledWindow(t *testing.T) {
	for scale, want := range map[uint8]int64{0: 0, 1 + 7: 1} { // 8 MiB, 64 KiB
		c := open()
		c.Segments[0].WindowScale, c.Segments[1].WindowScale = scale, scale
		exchange(c, 1)
		c.Acknowledge(protocol.Client)
		forge(c, protocol.Client, carrying(1<<20, "x"))
		c.Acknowledge(protocol.Server)
		exchange(c, 2)
		got, lines := sessiontest.Run(session.Options{}, c.Segments)
		var refused int64
		for _, l := range lines {
			refused += l.Refused["segment_out_of_window"]
		}
		if refused != want || len(got) < 2 || got[1].Outcome != session.Paired {
			t.Errorf("scale %d: %d refused, %+v", scale, refused, got)
		}
	}
}
