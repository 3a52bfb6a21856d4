package session_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
)

// seeds are the streams of the cases: the client's bytes and the server's.
func seeds(f *testing.F) {
	for _, c := range sessiontest.Cases() {
		var streams [2][]byte
		server := c.Segments[0].Destination
		for _, s := range c.Segments {
			side := protocol.Client
			if s.Source == server {
				side = protocol.Server
			}
			streams[side] = append(streams[side], s.Payload...)
		}
		if len(streams[0])+len(streams[1]) < 5000 {
			f.Add(streams[0], streams[1], uint64(3))
		}
	}
}

// fuzzStreams gives any two streams to the parser of a port: as they are, and
// cut into pieces. Both must give the same sessions, and add up.
func fuzzStreams(f *testing.F, port string) {
	seeds(f)
	f.Fuzz(func(t *testing.T, client, server []byte, cut uint64) {
		if len(client)+len(server) > 1<<16 {
			return
		}
		whole := runStreams(t, port, client, server, 1<<16)
		pieces := runStreams(t, port, client, server, int(cut%23)+1)
		if d := sessiontest.Compare(whole, pieces); d != "" {
			t.Errorf("cut to %d bytes:\n%s", cut%23+1, d)
		}
	})
}

func runStreams(t *testing.T, port string, client, server []byte, mss int) []session.Session {
	c := sessiontest.Open(sessiontest.Client(1, sessiontest.Server), sessiontest.Server)
	c.MSS = mss
	c.Send(protocol.Client, client)
	c.Send(protocol.Server, server)
	c.Close()
	var got []session.Session
	e := session.New(session.Options{
		Port: func(_ uint32, a netip.AddrPort) string { return map[bool]string{true: port}[a == sessiontest.Server] },
		Session: func(s *session.Session) {
			x := *s // when its bytes came is not the same when they are cut
			for _, m := range []*session.Message{&x.Request, &x.Response} {
				m.First, m.Last = time.Time{}, time.Time{}
			}
			x.TCP = session.TCP{}
			got = append(got, x)
		},
	})
	for i := range c.Segments {
		e.Segment(&c.Segments[i])
		if e.MemoryBytes() > 4<<20 {
			t.Fatalf("%d bytes for streams of %d", e.MemoryBytes(), len(client)+len(server))
		}
	}
	e.Flush()
	addsUp(t, e, len(got), len(c.Segments))
	return got
}

func addsUp(t *testing.T, e *session.Engine, sessions, segments int) {
	t.Helper()
	var begun, packets int64
	for _, l := range e.Ledger() {
		if !l.AddsUp() || l.Open != 0 {
			t.Errorf("the ledger does not add up: %+v", l)
		}
		begun += l.Sessions
		packets += l.Packets
	}
	if begun != int64(sessions) || packets != int64(segments) {
		t.Errorf("the ledger has %d sessions and %d packets, want %d and %d", begun, packets, sessions, segments)
	}
	if e.Connections() != 0 || e.MemoryBytes() != 0 {
		t.Errorf("%d connections and %d bytes are left", e.Connections(), e.MemoryBytes())
	}
}

func FuzzHTTP1(f *testing.F) { fuzzStreams(f, "http") }
func FuzzHTTP2(f *testing.F) { fuzzStreams(f, "http2") }
func FuzzRedis(f *testing.F) { fuzzStreams(f, "redis") }
func FuzzDNS(f *testing.F)   { fuzzStreams(f, "dns") }

// FuzzDetect has ports of which nothing is known.
func FuzzDetect(f *testing.F) { fuzzStreams(f, "") }

// FuzzEngine takes the input as instructions for segments of any kind.
func FuzzEngine(f *testing.F) {
	for _, c := range sessiontest.Cases() {
		var b []byte
		for i, s := range c.Segments {
			if i < 40 && len(s.Payload) < 200 {
				b = append(b, byte(s.Flags), byte(i), 0, byte(len(s.Payload)))
				b = append(b, s.Payload...)
			}
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sessions, segments := 0, 0
		e := session.New(session.Options{
			Session:        func(*session.Session) { sessions++ },
			Hint:           func(session.Hint) {},
			MaxConnections: 8, MaxMemoryBytes: 1 << 20, MaxHeldBytes: 4096,
		})
		now := sessiontest.Start
		var next [4][2]uint32
		for len(b) >= 4 && segments < 5000 {
			flags, shape, skew, size := b[0], b[1], int8(b[2]), int(b[3])
			b = b[4:]
			payload := b[:min(size, len(b))]
			b = b[len(payload):]
			conn, side := int(shape>>1)&3, int(shape&1)
			s := packet.Segment{
				Time: now, Flags: packet.Flags(flags), Window: uint16(shape), Length: size, Payload: payload,
				Elided: shape&8 != 0, Interface: uint32(shape>>4) & 1, Direction: packet.Ingress,
				Seq: next[conn][side] + uint32(int32(skew)), Ack: next[conn][1-side] - uint32(shape>>5),
				Flow: packet.Flow{Source: sessiontest.Client(conn, sessiontest.Server), Destination: sessiontest.Server, Transport: packet.TCP},
			}
			if side == 1 {
				s.Flow = s.Reverse()
			}
			if flags&0xC0 == 0xC0 {
				s.Transport = packet.UDP
			}
			next[conn][side] += uint32(size)
			now = now.Add(time.Duration(skew) * time.Millisecond)
			e.Segment(&s)
			segments++
			if e.MemoryBytes() > 1<<20 || e.Connections() > 8 {
				t.Fatalf("%d bytes, %d connections", e.MemoryBytes(), e.Connections())
			}
		}
		e.Tick(now.Add(time.Minute))
		e.Flush()
		addsUp(t, e, sessions, segments)
	})
}
