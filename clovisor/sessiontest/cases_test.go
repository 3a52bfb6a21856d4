package sessiontest_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/sessiontest"
)

// check runs segments and compares session by session.
func check(t *testing.T, c sessiontest.Case, o session.Options, segments sessiontest.Segments) {
	t.Helper()
	got, ledger := sessiontest.Run(o, segments)
	if d := sessiontest.Compare(c.Want, got); d != "" {
		t.Errorf("%s:\n%s", c.Name, d)
	}
	checkLedger(t, c.Name, ledger, segments, len(c.Want))
}

// checkLedger holds that the ledger accounts for everything.
func checkLedger(t *testing.T, name string, ledger []session.Line, segments sessiontest.Segments, sessions int) {
	t.Helper()
	var packets, begun, over int64
	for _, l := range ledger {
		if !l.AddsUp() || l.Open != 0 {
			t.Errorf("%s: the ledger does not add up: %+v", name, l)
		}
		packets += l.Packets
		begun += l.Sessions
		for _, n := range l.Outcomes {
			over += n
		}
	}
	if packets != int64(len(segments)) || begun != int64(sessions) || over != begun {
		t.Errorf("%s: the ledger has %d packets, %d sessions, %d outcomes; want %d, %d, %d",
			name, packets, begun, over, len(segments), sessions, sessions)
	}
}

func TestCases(t *testing.T) {
	for _, c := range sessiontest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			check(t, c, session.Options{}, c.Segments)
			var lost int64
			_, ledger := sessiontest.Run(session.Options{}, c.Segments)
			for _, l := range ledger {
				lost += l.LostBytes
			}
			if lost != c.Lost {
				t.Errorf("%d bytes lost, want %d", lost, c.Lost)
			}
		})
	}
}

// TestTransformed holds that what the network may do to a stream changes
// nothing.
func TestTransformed(t *testing.T) {
	for _, c := range sessiontest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if c.Lost == 0 {
				for seed := range uint64(3) {
					check(t, c, session.Options{}, sessiontest.Retransmit(c.Segments, seed))
					check(t, c, session.Options{}, sessiontest.Reorder(c.Segments, seed))
				}
			}
			for _, n := range []int{1, 7, 100} {
				if n < 100 && strings.HasPrefix(c.Name, "super") {
					continue // takes long and shows nothing else
				}
				check(t, c, session.Options{}, sessiontest.Cut(c.Segments, n))
			}
			check(t, c, session.Options{}, sessiontest.Merge(c.Segments, 65000))
		})
	}
}

// TestHints leaves out of the segments what the engine says is not needed: the
// payload or the whole packet, at once or some segments later.
func TestHints(t *testing.T) {
	for _, c := range sessiontest.Cases() {
		if strings.Contains(c.Name, "lost part") {
			continue // what nobody needs cannot be lost
		}
		t.Run(c.Name, func(t *testing.T) {
			for _, late := range []int{0, 3} {
				for _, drop := range []bool{false, true} {
					if d := sessiontest.Compare(c.Want, hinted(c.Segments, late, drop)); d != "" {
						t.Errorf("late %d, drop %v:\n%s", late, drop, d)
					}
				}
			}
		})
	}
}

func hinted(segments sessiontest.Segments, late int, drop bool) []session.Session {
	type hint struct {
		session.Hint
		from int
	}
	var hints []hint
	var got []session.Session
	now := 0
	e := session.New(session.Options{
		Session: func(s *session.Session) { got = append(got, *s) },
		Hint:    func(h session.Hint) { hints = append(hints, hint{h, now + late}) }, MinHintBytes: 1,
	})
	for i, s := range segments {
		now = i
		for _, h := range hints {
			if h.from <= i && h.Flow == s.Flow && s.Length > 0 && int32(h.Until-s.Seq-uint32(s.Length)) >= 0 {
				s.Payload, s.Elided = nil, true
			}
		}
		if s.Elided && drop {
			continue
		}
		e.Segment(&s)
	}
	e.Flush()
	return got
}

// TestElidedThoughNeeded has a capture that leaves out what it should not:
// that is lost, and everything adds up.
func TestElidedThoughNeeded(t *testing.T) {
	for _, c := range sessiontest.Cases() {
		for _, n := range []int{0, 20, 200} {
			segments := sessiontest.Elide(c.Segments, n)
			got, ledger := sessiontest.Run(session.Options{}, segments)
			checkLedger(t, c.Name, ledger, segments, len(got))
		}
	}
}

// TestCapture holds that a capture file gives the same sessions.
func TestCapture(t *testing.T) {
	for _, c := range sessiontest.Cases() {
		for _, tags := range [][]uint16{nil, {7}, {100, 7}} {
			var b bytes.Buffer
			if err := sessiontest.WriteCapture(&b, c.Segments, tags...); err != nil {
				t.Fatal(err)
			}
			segments, err := sessiontest.ReadCapture(&b)
			if err != nil {
				t.Fatal(err)
			}
			for i := range c.Want {
				c.Want[i].Direction = 0 // a pcap file does not say
			}
			check(t, c, session.Options{}, segments)
		}
	}
}

func TestCuts(t *testing.T) {
	for _, c := range sessiontest.Cuts() {
		check(t, c, session.Options{}, c.Segments)
	}
}

func TestPipelined(t *testing.T) {
	for n := 1; n <= 64; n++ {
		check(t, sessiontest.Pipelined(n), session.Options{}, sessiontest.Pipelined(n).Segments)
	}
}

func TestKeepAlive(t *testing.T) {
	c := sessiontest.KeepAlive(10000)
	check(t, c, session.Options{}, c.Segments)
}

// TestFlood has more than may be followed; every session that the engine
// began is accounted for, and every session of the generator too.
func TestFlood(t *testing.T) {
	c := sessiontest.Flood(2000, 4)
	check(t, c, session.Options{}, c.Segments)
	for _, o := range []session.Options{{MaxConnections: 100}, {MaxMemoryBytes: 256 << 10}} {
		e := session.New(o)
		for i := range c.Segments {
			e.Segment(&c.Segments[i])
			if e.Connections() > max(o.MaxConnections, 200) || o.MaxMemoryBytes > 0 && e.MemoryBytes() > o.MaxMemoryBytes {
				t.Fatalf("%d connections, %d bytes", e.Connections(), e.MemoryBytes())
			}
		}
		e.Flush()
		var evictions, unanswered, unrequested int64
		for _, l := range e.Ledger() {
			if !l.AddsUp() || l.Open != 0 {
				t.Errorf("the ledger does not add up: %+v", l)
			}
			evictions += l.Evictions
			unrequested += l.Outcomes[session.Unrequested] + l.Outcomes[session.Gap] + l.Outcomes[session.Paired]
			unanswered += l.Outcomes[session.Evicted] + l.Outcomes[session.NoResponseStopped] + l.Outcomes[session.Paired]
		}
		if want := int64(len(c.Want)); evictions == 0 || unanswered != want || unrequested != want*3/4 {
			t.Errorf("%d evictions, %d requests and %d responses, want %d and %d", evictions, unanswered, unrequested, want, want*3/4)
		}
	}
}

func ExampleCases() {
	c := sessiontest.KeepAlive(2)
	sessions, _ := sessiontest.Run(session.Options{}, c.Segments)
	for _, s := range sessions {
		fmt.Println(s.Method, s.URL(), s.Status, s.Outcome)
	}
	fmt.Printf("differences: %q\n", sessiontest.Compare(c.Want, sessions))
	// Output:
	// GET http://shop.example/item/0?q=a%20b 200 paired
	// GET http://shop.example/item/1?q=a%20b 200 paired
	// differences: ""
}
