package kernel

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/internal/testutil"
)

// TestSleepsWhenIdle holds that the reader does not look again and again where
// nothing happens, and that the kernel wakes it then.
func TestSleepsWhenIdle(t *testing.T) {
	ns := testutil.Namespace(t)
	c := start(t, Options{Buffer: Ring, Latency: time.Millisecond})
	c.attach(Target{ID: 1, Interface: ns.HostInterface, HostSide: true, Rules: Rules{Ports: []Port{{Number: 8080}}}})
	idle := func(want uint32) {
		t.Helper()
		testutil.Eventually(t, 10*time.Second, func() (bool, string) {
			var got uint32
			err := c.obj.idle.Lookup(uint32(0), &got)
			return err == nil && got == want, fmt.Sprintf("idle is %d, want %d (%v)", got, want, err)
		})
	}
	w := newWire(t, ns)
	for n := range 3 {
		idle(1)
		w.send(frame{from: server4, to: client4, seq: uint32(n), payload: []byte("wake up")})
		testutil.Eventually(t, 10*time.Second, func() (bool, string) { return len(c.seen()) == n+1, "not delivered" })
	}
}

// TestSetRules holds that rules change while the target stays attached.
func TestSetRules(t *testing.T) {
	ns := testutil.Namespace(t)
	c := start(t, Options{})
	const end = 9 // comes last and is always captured: what was sent before has been looked at
	port := func(n uint16) Rules { return Rules{Ports: []Port{{Number: n}, {Number: end}}} }
	c.attach(Target{ID: 1, Interface: ns.HostInterface, HostSide: true, Rules: port(1)})
	w := newWire(t, ns)
	var want []uint16
	for n := uint16(1); n <= 3; n++ {
		if err := c.SetRules(1, port(n)); err != nil {
			t.Fatal(err)
		}
		for _, from := range []uint16{1, 2, 3, end} {
			w.send(frame{from: withPort(server4, from), to: client4, payload: []byte("x")})
		}
		want = append(want, n, end)
		c.delivered(len(want))
	}
	var got []uint16
	for _, s := range c.seen() {
		got = append(got, s.Source.Port())
	}
	if !slices.Equal(got, want) {
		t.Errorf("from ports %d, want %d", got, want)
	}
}

// recordAt is an empty record of that time.
func recordAt(ns int64) []byte {
	b := make([]byte, recordBytes)
	binary.LittleEndian.PutUint64(b, uint64(ns))
	return b
}

func TestSorter(t *testing.T) {
	var s sorter
	var got []int64
	hand := func(b []byte) { got = append(got, recordTime(b)) }
	for _, at := range []int64{30, 10, 50, 20} {
		s.add(recordAt(at))
	}
	s.release(40, hand)
	if want := []int64{10, 20, 30}; !slices.Equal(got, want) {
		t.Fatalf("released %d, want %d", got, want)
	}
	s.add(recordAt(45))
	s.add([]byte("short"))
	s.release(forEver, hand)
	if want := []int64{10, 20, 30, 0, 45, 50}; !slices.Equal(got, want) || s.bytes() != 0 {
		t.Errorf("released %d, want %d; %d bytes are kept", got, want, s.bytes())
	}
}

func TestClock(t *testing.T) {
	c := clock{id: unix.CLOCK_BOOTTIME}
	c.adjust()
	if d := time.Since(c.wall(readClock(c.id))).Abs(); d > 30*time.Second {
		t.Errorf("the wall clock is %s away", d)
	}
	// A step of the wall clock is followed, noise is not.
	right := c.offset
	c.offset = right - int64(time.Hour)
	c.adjust()
	if d := time.Duration(c.offset - right).Abs(); d > 30*time.Second {
		t.Errorf("after a step the offset is %s away", d)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(recordAt(5))
	f.Add([]byte{})
	whole := append(recordAt(1), "payload"...)
	whole[24], whole[20], whole[36] = 7, 9, 6
	f.Add(whole)
	f.Fuzz(func(t *testing.T, b []byte) {
		var s packet.Segment
		if _, ok := decode(b, &s); ok && len(s.Payload) > len(b)-recordBytes {
			t.Errorf("%d bytes of payload in a record of %d", len(s.Payload), len(b))
		}
	})
}
