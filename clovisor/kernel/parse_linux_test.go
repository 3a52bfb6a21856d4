package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/internal/testutil"
)

var (
	client4, server4 = netip.MustParseAddrPort("198.51.100.7:40000"), netip.MustParseAddrPort("203.0.113.9:8080")
	client6, server6 = netip.MustParseAddrPort("[2001:db8::7]:40000"), netip.MustParseAddrPort("[2001:db8::9]:8080")
)

// padded is the rest of an extension header of units times 8 bytes.
func padded(units byte) []byte { return append([]byte{units - 1}, make([]byte, int(units)*8-2)...) }

func fragmentHeader(offset uint16) []byte {
	return append([]byte{0}, byte(offset>>8), byte(offset), 0, 0, 0, 1)
}

// parseCases are packets and what the kernel's half makes of them.
var parseCases = []struct {
	name  string
	frame frame
	want  func(*Counters) *uint64 // the counter that goes up instead, nil: it is handed on
	loose bool                    // it is of no interest
}{
	{name: "IPv4", frame: frame{from: server4, to: client4, flags: 0x18, payload: []byte("hello")}},
	{name: "IPv4 options", frame: frame{from: server4, to: client4, options: make([]byte, 40), flags: 0x10, payload: []byte("hello")}},
	{name: "TCP options", frame: frame{from: server4, to: client4, tcpOpts: make([]byte, 40), flags: 0x10, payload: []byte("hello")}},
	{name: "padding is no payload", frame: frame{from: server4, to: client4, flags: 0x10, padding: 6}},
	{name: "SYN", frame: frame{from: server4, to: client4, flags: 0x02, seq: 1<<32 - 1}},
	{name: "FIN with data", frame: frame{from: server4, to: client4, flags: 0x11, payload: []byte("bye")}},
	{name: "UDP", frame: frame{from: server4, to: client4, udp: true, payload: []byte("datagram")}},
	{name: "empty UDP", frame: frame{from: server4, to: client4, udp: true}},
	{name: "VLAN", frame: frame{tags: []uint16{unix.ETH_P_8021Q}, from: server4, to: client4, payload: []byte("hello")}},
	{name: "QinQ", frame: frame{tags: []uint16{unix.ETH_P_8021AD, unix.ETH_P_8021Q}, from: server6, to: client6, payload: []byte("hello")}},
	{name: "IPv6", frame: frame{from: server6, to: client6, flags: 0x18, payload: []byte("hello")}},
	{name: "IPv6 UDP", frame: frame{from: server6, to: client6, udp: true, payload: []byte("datagram")}},
	{name: "IPv6 extension headers", frame: frame{from: server6, to: client6, payload: []byte("hello"), headers: []extensionHeader{
		{unix.IPPROTO_HOPOPTS, padded(1)}, {unix.IPPROTO_ROUTING, padded(3)}, {unix.IPPROTO_DSTOPTS, padded(2)},
		{unix.IPPROTO_AH, append([]byte{4}, make([]byte, 22)...)},
	}}},
	{name: "IPv6 atomic fragment", frame: frame{from: server6, to: client6, payload: []byte("hello"), headers: []extensionHeader{
		{unix.IPPROTO_FRAGMENT, fragmentHeader(0)},
	}}},
	{
		name: "IPv4 first fragment", frame: frame{from: server4, to: client4, fragment: 0x2000, payload: []byte("hello")},
		want: func(c *Counters) *uint64 { return &c.Fragments },
	},
	{
		name: "IPv4 last fragment", frame: frame{from: server4, to: client4, fragment: 64, payload: []byte("hello")},
		want: func(c *Counters) *uint64 { return &c.Fragments },
	},
	{
		name: "IPv6 fragment", frame: frame{from: server6, to: client6, payload: []byte("hello"), headers: []extensionHeader{
			{unix.IPPROTO_HOPOPTS, padded(1)}, {unix.IPPROTO_FRAGMENT, fragmentHeader(8)},
		}},
		want: func(c *Counters) *uint64 { return &c.Fragments },
	},
	{
		name: "too many extension headers", frame: frame{
			from: server6, to: client6, headers: slices.Repeat([]extensionHeader{{unix.IPPROTO_DSTOPTS, padded(1)}}, 8),
		},
		want: func(c *Counters) *uint64 { return &c.DeepHeaders },
	},
	{
		name: "length beyond the packet", frame: frame{from: server4, to: client4, payload: []byte("hello"), cut: 1},
		want: func(c *Counters) *uint64 { return &c.Malformed },
	},
	{
		name: "IPv6 length beyond the packet", frame: frame{from: server6, to: client6, payload: []byte("hello"), cut: 1},
		want: func(c *Counters) *uint64 { return &c.Malformed },
	},
	{
		name: "short TCP header", frame: frame{from: server4, to: client4, edit: func(b []byte) { b[32] = 4 << 4 }},
		want: func(c *Counters) *uint64 { return &c.Malformed },
	},
	{
		name: "TCP header beyond the packet", frame: frame{from: server4, to: client4, edit: func(b []byte) { b[32] = 15 << 4 }},
		want: func(c *Counters) *uint64 { return &c.Malformed },
	},
	{
		name: "short IPv4 header", frame: frame{from: server4, to: client4, edit: func(b []byte) { b[0] = 0x44 }},
		want: func(c *Counters) *uint64 { return &c.Malformed },
	},
	{
		name: "UDP length beyond the packet", frame: frame{from: server4, to: client4, udp: true, edit: func(b []byte) { b[25] = 9 }},
		want: func(c *Counters) *uint64 { return &c.Malformed },
	},
	{
		name: "ICMP", frame: frame{from: server4, to: client4, edit: func(b []byte) { b[9] = unix.IPPROTO_ICMP }},
		want: func(c *Counters) *uint64 { return &c.Other },
	},
	{
		name: "IPv6 without next header", frame: frame{from: server6, to: client6, edit: func(b []byte) { b[6] = unix.IPPROTO_NONE }},
		want: func(c *Counters) *uint64 { return &c.Other },
	},
	{
		name:  "another port",
		frame: frame{from: netip.MustParseAddrPort("203.0.113.9:8081"), to: client4, payload: []byte("hello")}, loose: true,
	},
	{
		name:  "the port at the other end",
		frame: frame{from: netip.MustParseAddrPort("203.0.113.9:40000"), to: netip.MustParseAddrPort("198.51.100.7:8080")}, loose: true,
	},
}

// TestParse puts packets onto a wire that the kernel's half has to take apart.
// At the host's end the kernel has taken an outer VLAN tag off before, at the
// pod's end it has not.
func TestParse(t *testing.T) {
	for _, test := range []struct {
		name    string
		options Options
		target  func(*testutil.NetNamespace) Target
	}{
		{"host ring tcx", Options{Buffer: Ring}, func(ns *testutil.NetNamespace) Target {
			return Target{Interface: ns.HostInterface, HostSide: true}
		}},
		{"pod perf clsact", Options{Buffer: Perf, Hook: Clsact}, func(ns *testutil.NetNamespace) Target {
			return Target{Interface: ns.Interface, NetNS: "/run/netns/" + ns.Name}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ns := testutil.Namespace(t)
			c := start(t, test.options)
			target := test.target(ns)
			target.ID, target.Ports = 1, []Port{{Number: 8080}, {Transport: packet.UDP, Number: 8080}}
			c.attach(target)
			w := newWire(t, ns)
			for _, test := range parseCases {
				t.Run(test.name, func(t *testing.T) { parseOne(t, c, w, test.frame, test.want, test.loose) })
			}
		})
	}
}

func parseOne(t *testing.T, c *running, w *wire, f frame, want func(*Counters) *uint64, loose bool) {
	before, from := c.count(1), len(c.seen())
	w.send(f)
	// What follows it shows that it has been looked at.
	end := frame{from: server4, to: client4, flags: 0x10, seq: 77, payload: []byte("end of " + t.Name())}
	w.send(end)
	var got []packet.Segment
	testutil.Eventually(t, 10*time.Second, func() (bool, string) {
		got = c.seen()[from:]
		n := len(got)
		return n > 0 && bytes.Equal(got[n-1].Payload, end.payload), fmt.Sprintf("%d segments", n)
	})
	got = got[:len(got)-1]
	after := c.count(1)
	if want != nil {
		more := *want(&after) - *want(&before)
		// The kernels at both ends send something else now and then.
		others := want(&after) == &after.Other && more > 1
		if more != 1 && !others || len(got) != 0 {
			t.Errorf("%d segments, counters %+v, before %+v", len(got), after, before)
		}
		return
	}
	if loose {
		if len(got) != 0 || after.Malformed+after.Matched != before.Malformed+before.Matched+1 {
			t.Errorf("%d segments, counters %+v, before %+v", len(got), after, before)
		}
		return
	}
	if len(got) != 1 {
		t.Fatalf("%d segments, want 1; counters %+v, before %+v", len(got), after, before)
	}
	s := got[0]
	s.Time = time.Time{}
	if !bytes.Equal(s.Payload, f.payload) {
		t.Errorf("payload is %q, want %q", s.Payload, f.payload)
	}
	s.Payload = nil
	expected := packet.Segment{
		Interface: 1, Direction: packet.Egress, Length: len(f.payload),
		Flow: packet.Flow{Source: f.from, Destination: f.to, Transport: packet.UDP},
	}
	if !f.udp {
		expected.Transport, expected.Flags = packet.TCP, packet.Flags(f.flags)
		expected.Seq, expected.Ack, expected.Window = f.seq, 99, 0x0102
	}
	if fmt.Sprint(s) != fmt.Sprint(expected) {
		t.Errorf("got  %+v\nwant %+v", s, expected)
	}
}

// count returns the counters of a target.
func (r *running) count(id uint32) Counters {
	r.t.Helper()
	s, err := r.Stats()
	if err != nil {
		r.t.Fatal(err)
	}
	return s.Targets[id]
}

func TestEgress(t *testing.T) {
	in := netip.MustParsePrefix
	to := netip.MustParseAddrPort
	for name, test := range map[string]struct {
		rules  []Egress
		remote string
		want   bool
	}{
		"any address":           {[]Egress{{Port: 443}}, "192.0.2.1:443", true},
		"any address, IPv6":     {[]Egress{{Port: 443}}, "[2001:db8::1]:443", true},
		"another port":          {[]Egress{{Port: 443}}, "192.0.2.1:80", false},
		"in the network":        {[]Egress{{Prefix: in("192.0.2.0/24"), Port: 443}}, "192.0.2.200:443", true},
		"outside the network":   {[]Egress{{Prefix: in("192.0.2.0/24"), Port: 443}}, "192.0.3.1:443", false},
		"one address":           {[]Egress{{Prefix: in("2001:db8::1/128"), Port: 443}}, "[2001:db8::1]:443", true},
		"its neighbour":         {[]Egress{{Prefix: in("2001:db8::1/128"), Port: 443}}, "[2001:db8::2]:443", false},
		"any port":              {[]Egress{{Prefix: in("192.0.2.0/24")}}, "192.0.2.1:9999", true},
		"any port, not address": {[]Egress{{Prefix: in("192.0.2.0/24")}, {Port: 443}}, "192.0.9.1:9999", false},
		"port of another rule":  {[]Egress{{Prefix: in("192.0.2.0/24"), Port: 80}, {Prefix: in("192.0.3.0/24"), Port: 443}}, "192.0.2.1:443", false},
		"host bits are ignored": {[]Egress{{Prefix: in("192.0.2.77/24"), Port: 443}}, "192.0.2.1:443", true},
	} {
		t.Run(name, func(t *testing.T) {
			ns := testutil.Namespace(t)
			c := start(t, Options{})
			c.attach(Target{ID: 1, Interface: ns.HostInterface, HostSide: true, Rules: Rules{
				Egress: test.rules, Ports: []Port{{Number: 1}},
			}})
			w := newWire(t, ns)
			from := client4
			if to(test.remote).Addr().Is6() {
				from = client6
			}
			w.send(frame{from: from, to: to(test.remote), payload: []byte("request")})
			w.send(frame{from: to("192.0.2.1:1"), to: client4, payload: []byte("end")})
			var got []packet.Segment
			testutil.Eventually(t, 10*time.Second, func() (bool, string) {
				got = c.seen()
				return len(got) > 0 && string(got[len(got)-1].Payload) == "end", "no segment"
			})
			if want := test.want; (len(got) == 2) != want || got[0].Direction != packet.Egress {
				t.Errorf("got %+v, want a request: %t", got, want)
			}
		})
	}
}

// TestSkip holds what is left out of a flow of which not all is needed.
func TestSkip(t *testing.T) {
	ns := testutil.Namespace(t)
	c := start(t, Options{})
	c.attach(Target{ID: 1, Interface: ns.HostInterface, HostSide: true, Rules: Rules{Ports: []Port{{Number: 8080}}}})
	w := newWire(t, ns)
	flow := packet.Flow{Source: server4, Destination: client4, Transport: packet.TCP}
	data := bytes.Repeat([]byte("0123456789"), 10)
	segment := func(seq uint32, flags byte) frame {
		return frame{from: server4, to: client4, seq: seq, flags: flags, payload: data}
	}
	// Sequence numbers that wrap at the third segment.
	first := ^uint32(199)
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	sent := 0
	send := func(segments int, frames ...frame) {
		t.Helper()
		w.send(frames...)
		sent += segments
		c.delivered(sent)
	}
	send(1, segment(first, 0x10))
	do(c.Skip(1, flow, first+250))
	send(4, segment(first+100, 0x10), segment(first+200, 0x19), segment(first+300, 0x10))
	do(c.SkipAll(1, flow))
	send(1, segment(first+400, 0x18))
	do(c.Unskip(1, flow))
	send(1, segment(first+500, 0x10))
	do(c.SkipAll(1, flow))
	send(2, frame{from: server4, to: client4, seq: 5000, flags: 0x02}, segment(5001, 0x10))
	do(c.Skip(1, flow, 6000))
	send(2, segment(7000, 0x10), segment(7000+(1<<31), 0x10))
	var got []string
	for _, s := range c.seen() {
		got = append(got, fmt.Sprintf("%d: %d of %d %02x %t", s.Seq-first, len(s.Payload), s.Length, s.Flags, s.Elided))
	}
	if want := []string{
		"0: 100 of 100 10 false",
		"100: 0 of 100 10 true",
		"200: 0 of 50 10 true", // the rest of this segment ends it
		"250: 50 of 50 19 false",
		"300: 100 of 100 10 false",
		"400: 0 of 100 18 true",
		"500: 100 of 100 10 false",
		"5200: 0 of 0 02 false", // a new connection
		"5201: 100 of 100 10 false",
		"7200: 100 of 100 10 false",
		"2147490848: 100 of 100 10 false", // half the sequence numbers later
	}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if n := c.count(1).ElidedBytes; n != 250 {
		t.Errorf("%d bytes elided, want 250", n)
	}
}

// TestLayout holds that both halves mean the same by a record.
func TestLayout(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  int
	}{
		"target": {targetValue{}, 16}, "port_key": {portKey{}, 8}, "egress_key": {egressKey{}, 28},
		"flow_key": {flowKey{}, 44}, "flow": {flowValue{}, 8}, "counters": {counterValues{}, 128},
	} {
		if got := binary.Size(c.value); got != c.want {
			t.Errorf("%s has %d bytes, want %d", name, got, c.want)
		}
	}
}
