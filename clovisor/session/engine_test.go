package session_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
)

var client = sessiontest.Client(1, sessiontest.Server)

func open() *sessiontest.Conversation { return sessiontest.Open(client, sessiontest.Server) }

// TestTCPSide counts what a connection goes through.
func TestTCPSide(t *testing.T) {
	c := open()
	h := sessiontest.Post(1, 3000, 10)
	c.Client(h.Request())
	c.Segments = append(c.Segments, c.Segments[3]) // the first again
	n := len(c.Segments)
	c.Segments[n-2], c.Segments[n-3] = c.Segments[n-3], c.Segments[n-2] // the last two swapped
	c.Acknowledge(protocol.Server)
	full := &c.Segments[len(c.Segments)-1]
	full.Window = 0
	c.Wait(5 * time.Millisecond)
	c.Acknowledge(protocol.Server)
	c.Server(h.Response())
	c.Wait(20 * time.Millisecond)
	c.Acknowledge(protocol.Client)
	c.Client(h.Request())
	c.Reset(protocol.Server)
	got, _ := sessiontest.Run(session.Options{}, c.Segments)
	if len(got) != 2 {
		t.Fatalf("%d sessions, want 2", len(got))
	}
	first, second := got[0].TCP, got[1].TCP
	if first.Retransmissions != 1 || first.OutOfOrder != 1 || first.ZeroWindows != 1 || first.Resets != 0 || first.LostBytes != 0 {
		t.Errorf("first %+v", first)
	}
	// The handshake's round trip was 0.1 ms each way; the late acknowledgement
	// moves the estimate by an eighth.
	if second.RoundTrip < 2*time.Millisecond || second.RoundTrip > 4*time.Millisecond {
		t.Errorf("round trip %v", second.RoundTrip)
	}
	if second.Retransmissions != 0 || second.Resets != 1 || got[1].Outcome != session.NoResponseReset {
		t.Errorf("second %+v", got[1])
	}
}

// TestTimes holds that sessions have the times of their segments.
func TestTimes(t *testing.T) {
	c := open()
	h := sessiontest.Get(1)
	c.MSS = 50
	sent := c.Now
	c.Client(h.Request())
	c.Wait(time.Second)
	answered := c.Now
	c.Server(h.Response())
	got, _ := sessiontest.Run(session.Options{}, c.Segments)
	s := got[0]
	if !s.Request.First.Equal(sent) || !s.Request.Last.Equal(sent.Add(sessiontest.Step)) ||
		!s.Response.First.Equal(answered) || !s.Response.Last.Equal(answered.Add(sessiontest.Step)) {
		t.Errorf("%+v", s)
	}
}

// TestTimeouts lets time pass without segments.
func TestTimeouts(t *testing.T) {
	var got []session.Session
	e := session.New(session.Options{Session: func(s *session.Session) { got = append(got, *s) }, IdleTimeout: time.Minute})
	give := func(c *sessiontest.Conversation) {
		for i := range c.Segments {
			e.Segment(&c.Segments[i])
		}
	}
	waiting := open()
	waiting.Client(sessiontest.Get(1).Request())
	give(waiting)
	// A connection with a hole: its receiver acknowledged it, so it is lost.
	hole := sessiontest.Open(sessiontest.Client(2, sessiontest.Server), sessiontest.Server)
	h := sessiontest.Post(2, 0, 4000)
	hole.Client(h.Request())
	text := h.Response()
	hole.Server(text[:1000])
	hole.Lose(protocol.Server, []byte(text[1000:2000]))
	hole.Server(text[2000:])
	hole.Acknowledge(protocol.Client)
	give(hole)
	if e.Tick(hole.Now.Add(20 * time.Millisecond)); len(got) != 0 {
		t.Fatalf("too early: %+v", got)
	}
	if e.Tick(hole.Now.Add(60 * time.Millisecond)); len(got) != 1 || got[0].Outcome != session.Truncated || got[0].TCP.LostBytes != 1000 {
		t.Fatalf("%+v", got)
	}
	query := &sessiontest.Conversation{}
	*query = *sessiontest.Join(client, sessiontest.Resolver)
	query.Datagram(protocol.Client, sessiontest.DNSMessage(1, "a.example.", false, 0))
	query.Segments[0].Time = hole.Now
	give(query)
	e.Tick(hole.Now.Add(time.Minute))
	if len(got) != 3 || e.Connections() != 0 || e.MemoryBytes() > 4096 {
		t.Fatalf("%d connections, %d bytes, %+v", e.Connections(), e.MemoryBytes(), got)
	}
	for _, s := range got[1:] {
		if s.Outcome != session.NoResponseTimeout {
			t.Errorf("%s: %s", s.Protocol, s.Outcome)
		}
	}
}

// TestPorts names protocols by port, as Istio does.
func TestPorts(t *testing.T) {
	for name, want := range map[string]session.Outcome{
		"": session.Undecodable, "http": session.Undecodable, "http-web": session.Undecodable, "redis-cache": session.Paired, "Redis": session.Paired,
	} {
		c := open()
		c.Client("BREW /pot\r\n") // an inline command, or no request
		c.Server("-ERR unknown command\r\n")
		got, _ := sessiontest.Run(session.Options{Port: func(_ uint32, a netip.AddrPort) string {
			return map[netip.AddrPort]string{sessiontest.Server: name}[a]
		}}, c.Segments)
		if len(got) == 0 || got[0].Outcome != want {
			t.Errorf("%q: %+v, want %s", name, got, want)
		}
	}
}

// TestNotParsed holds that what a port speaks is not looked at where its name
// says so, but for TLS.
func TestNotParsed(t *testing.T) {
	for name, want := range map[string]session.Outcome{"": session.Paired, "tcp": session.Undecodable, "TCP-web": session.Undecodable} {
		c := open()
		exchange(c, 1)
		exchange(c, 2)
		options := session.Options{Port: func(_ uint32, a netip.AddrPort) string {
			return map[netip.AddrPort]string{sessiontest.Server: name}[a]
		}}
		got, _ := sessiontest.Run(options, c.Segments)
		if len(got) == 0 || got[0].Outcome != want || want == session.Undecodable && len(got) != 1 {
			t.Errorf("%q: %+v, want %s", name, got, want)
		}
		c = open()
		c.Client("\x16\x03\x01\x00\x05hello")
		if got, _ := sessiontest.Run(options, c.Segments); len(got) != 1 || got[0].Outcome != session.Ciphertext {
			t.Errorf("%q: TLS is not told: %+v", name, got)
		}
	}
}

// TestClientByPort holds that in a connection seen from the middle the side
// whose port is known is the server, whoever speaks first.
func TestClientByPort(t *testing.T) {
	for _, named := range []bool{true, false} {
		odd := netip.MustParseAddrPort("10.0.0.2:60001") // above the client's port
		c := sessiontest.Join(client, odd)
		h := sessiontest.Get(1)
		c.Client(h.Request())
		c.Server(h.Response())
		got, _ := sessiontest.Run(session.Options{Port: func(_ uint32, a netip.AddrPort) string {
			if named && a == odd {
				return "http"
			}
			return ""
		}}, c.Segments)
		if d := sessiontest.Compare([]session.Session{h.Want(client, odd)}, got); d != "" {
			t.Errorf("named %v: %s", named, d)
		}
	}
}

// TestLongLines holds that what is longer than is kept is counted all the
// same, and that memory stays bounded.
func TestLongLines(t *testing.T) {
	h := sessiontest.Get(1)
	h.Header = "X-Long: " + strings.Repeat("x", 1<<20) + "\r\n"
	for _, mss := range []int{1000, 1 << 21} {
		c := open()
		c.MSS = mss
		c.Client(h.Request())
		c.Server(h.Response())
		e := session.New(session.Options{Session: func(s *session.Session) {
			if d := sessiontest.Compare([]session.Session{h.Want(client, sessiontest.Server)}, []session.Session{*s}); d != "" {
				t.Error(d)
			}
		}})
		for i := range c.Segments {
			if e.Segment(&c.Segments[i]); e.MemoryBytes() > 128<<10 {
				t.Fatalf("%d bytes", e.MemoryBytes())
			}
		}
	}
}

// TestManyPipelined has more requests than may wait.
func TestManyPipelined(t *testing.T) {
	c := open()
	const n = protocol.MaxPending + 10
	c.Client(strings.Repeat(sessiontest.Get(1).Request(), n))
	got, _ := sessiontest.Run(session.Options{}, c.Segments)
	counts := map[session.Outcome]int{}
	for _, s := range got {
		counts[s.Outcome]++
	}
	if counts[session.Evicted] != protocol.MaxPending || counts[session.NoResponseStopped] != 10 {
		t.Errorf("%v", counts)
	}
}

// TestDropped holds that drops of the capture are in the ledger.
func TestDropped(t *testing.T) {
	e := session.New(session.Options{})
	e.Dropped(3, "ring full", 5)
	e.Dropped(3, "ring full", 2)
	if l := e.Ledger(); len(l) != 1 || l[0].Interface != 3 || l[0].Dropped["ring full"] != 7 || l[0].Completeness() != 100 {
		t.Errorf("%+v", l)
	}
	if e.Forget(3); len(e.Ledger()) != 0 {
		t.Error("not forgotten")
	}
}

func ExampleEngine() {
	var capture bytes.Buffer
	if err := sessiontest.WriteCapture(&capture, sessiontest.KeepAlive(2).Segments); err != nil {
		panic(err)
	}

	e := session.New(session.Options{Session: func(s *session.Session) {
		fmt.Println(s.Method, s.URL(), s.Status, s.Response.BodyBytes, s.Outcome)
	}})
	file, err := packet.NewReader(&capture)
	if err != nil {
		panic(err)
	}
	for {
		s, err := file.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			panic(err)
		}
		e.Segment(&s)
	}
	e.Flush()
	for _, l := range e.Ledger() {
		if l.Sessions > 0 {
			fmt.Printf("%s: %d packets, %d sessions, %.0f %% complete\n", l.Protocol, l.Packets, l.Sessions, l.Completeness())
		}
	}
	// Output:
	// GET http://shop.example/item/0?q=a%20b 200 6 paired
	// GET http://shop.example/item/1?q=a%20b 200 6 paired
	// http: 10 packets, 2 sessions, 100 % complete
}
