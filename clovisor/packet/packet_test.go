package packet_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/packet"
)

func TestFrames(t *testing.T) {
	for _, want := range samples() {
		for _, tags := range [][]uint16{nil, {1}, {1, 2}} {
			frame, err := packet.AppendFrame(nil, want, tags...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := packet.Decode(packet.Ethernet, append(frame, 0, 0, 0), 0) // padding
			if want.Length > 60000 {
				got, err = packet.Decode(packet.Ethernet, frame, 0) // a super-packet's length is the frame's
			}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%v: got %+v, want %+v", err, got, want)
			}
		}
	}
	if _, err := packet.AppendFrame(nil, packet.Segment{}); err == nil {
		t.Error("a frame without addresses")
	}
}

// ip4 is a TCP segment to port 80 in IPv4 with options and fragment field.
func ip4(fragment uint16, options ...byte) []byte {
	b := []byte{byte(0x45 + len(options)/4), 0, 0, byte(20 + len(options) + 20 + 2), 0, 0, byte(fragment >> 8), byte(fragment), 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	b = append(append(b, options...), 0x10, 0, 0, 80)
	return append(b, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0, 3, 0, 0, 0, 0, 'h', 'i')
}

// ip6 is the same in IPv6 with extension headers, of which the first has this
// number.
func ip6(next byte, extensions ...byte) []byte {
	b := make([]byte, 40)
	b[0], b[6], b[5] = 0x60, next, byte(len(extensions)+22)
	b[23], b[39] = 1, 2
	return append(append(b, extensions...), ip4(0)[20:]...)
}

func TestDecode(t *testing.T) {
	ether := append([]byte{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 8, 0}, ip4(0)...)
	sll := append([]byte{0, 4, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0}, ip4(0)...)
	sll2 := append(append([]byte{8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0}, make([]byte, 9)...), ip4(0)...)
	for name, c := range map[string]struct {
		link  packet.LinkType
		frame []byte
		err   error
		dir   packet.Direction
	}{
		"Ethernet":         {link: packet.Ethernet, frame: ether},
		"cooked":           {link: packet.LinuxCooked, frame: sll, dir: packet.Egress},
		"cooked 2":         {link: packet.LinuxSLL2, frame: sll2, dir: packet.Ingress},
		"loopback":         {link: packet.Null, frame: append([]byte{2, 0, 0, 0}, ip4(0)...)},
		"raw":              {link: packet.Raw, frame: ip4(0)},
		"options":          {link: packet.IPv4, frame: ip4(0, 1, 1, 1, 1, 1, 1, 1, 0)},
		"do not fragment":  {link: packet.Raw, frame: ip4(0x4000)},
		"more fragments":   {link: packet.Raw, frame: ip4(0x2000), err: packet.ErrFragment},
		"last fragment":    {link: packet.Raw, frame: ip4(0x0010), err: packet.ErrFragment},
		"IPv6":             {link: packet.Raw, frame: ip6(6)},
		"hop by hop":       {link: packet.IPv6, frame: ip6(0, 60, 0, 0, 0, 0, 0, 0, 0, 6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)},
		"authentication":   {link: packet.IPv6, frame: ip6(51, 6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)},
		"atomic fragment":  {link: packet.IPv6, frame: ip6(44, 6, 0, 0, 0, 0, 0, 0, 0)},
		"IPv6 fragment":    {link: packet.IPv6, frame: ip6(44, 6, 0, 0, 1, 0, 0, 0, 0), err: packet.ErrFragment},
		"ICMP":             {link: packet.IPv6, frame: ip6(58), err: packet.ErrOther},
		"ARP":              {link: packet.Ethernet, frame: append([]byte{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 8, 6}, make([]byte, 30)...), err: packet.ErrOther},
		"cut off":          {link: packet.Raw, frame: ip4(0)[:30], err: packet.ErrShort},
		"nothing":          {link: packet.Raw, err: packet.ErrShort},
		"unknown link":     {link: 147, frame: ip4(0), err: packet.ErrLink},
		"extension beyond": {link: packet.IPv6, frame: ip6(0, 6, 200, 0, 0, 0, 0, 0, 0), err: packet.ErrShort},
	} {
		s, err := packet.Decode(c.link, c.frame, 0)
		if !errors.Is(err, c.err) || err != nil && c.err == nil {
			t.Errorf("%s: error %v, want %v", name, err, c.err)
			continue
		}
		if err == nil && (string(s.Payload) != "hi" || s.Length != 2 || s.Destination.Port() != 80 || s.Seq != 1 || s.Direction != c.dir) {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// pcapng is a file with a section of each byte order.
func pcapng() []byte {
	var b []byte
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		block := func(kind uint32, body []byte) {
			for len(body)%4 != 0 {
				body = append(body, 0)
			}
			b = order.AppendUint32(order.AppendUint32(b, kind), uint32(len(body)+12))
			b = order.AppendUint32(append(b, body...), uint32(len(body)+12))
		}
		block(0x0A0D0D0A, append(order.AppendUint32(nil, 0x1A2B3C4D), 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255))
		option := order.AppendUint16(order.AppendUint16(nil, 9), 1)
		head := append(order.AppendUint16(nil, 101), 0, 0, 0, 0, 0, 0)
		block(1, append(append(head, option...), 9, 0, 0, 0)) // nanoseconds
		block(99, []byte("unknown"))
		packetBlock := make([]byte, 0, 100)
		stamp := uint64(1767323045_000000007)
		for _, v := range []uint32{0, uint32(stamp >> 32), uint32(stamp), uint32(len(ip4(0))), uint32(len(ip4(0)))} {
			packetBlock = order.AppendUint32(packetBlock, v)
		}
		packetBlock = append(append(packetBlock, ip4(0)...), 0, 0)
		packetBlock = order.AppendUint32(order.AppendUint16(order.AppendUint16(packetBlock, 2), 4), 2)
		block(6, packetBlock)
		block(3, append(order.AppendUint32(nil, uint32(len(ip4(0)))), ip4(0)...))
	}
	return b
}

func TestPCAPNG(t *testing.T) {
	r, err := packet.NewReader(bytes.NewReader(pcapng()))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		s, err := r.Next()
		if err != nil || string(s.Payload) != "hi" {
			t.Fatalf("%d: %v %+v", i, err, s)
		}
		if i%2 == 0 && (!s.Time.Equal(time.Unix(1767323045, 7)) || s.Direction != packet.Egress) {
			t.Errorf("%d: %v %v", i, s.Time, s.Direction)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestDamagedCaptures(t *testing.T) {
	whole := pcapng()
	for n := range whole {
		r, err := packet.NewReader(bytes.NewReader(whole[:n]))
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, packet.ErrFormat) && !errors.Is(err, io.EOF) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	if _, err := packet.NewReader(bytes.NewReader(make([]byte, 100))); !errors.Is(err, packet.ErrFormat) {
		t.Error(err)
	}
}

// TestWindowScale reads the option of a SYN, however the options are written.
func TestWindowScale(t *testing.T) {
	for _, c := range []struct {
		flags   byte
		options []byte
		want    uint8
	}{
		{2, []byte{2, 4, 5, 180, 1, 3, 3, 7}, 8},
		{18, []byte{3, 3, 0, 0}, 1},
		{2, []byte{1, 3, 3, 200}, 15}, // at most 14 (RFC 7323, 2.3)
		{16, []byte{1, 3, 3, 7}, 0},   // no SYN
		{2, []byte{0, 3, 3, 7}, 0},    // after the end
		{2, []byte{8, 0, 3, 3}, 0},    // a length that is none
		{2, []byte{1, 1, 3, 3}, 0},    // cut off
		{2, nil, 0},
	} {
		b := ip4(0)[:40]
		b[33], b[32] = c.flags, byte(5+len(c.options)/4)<<4
		b = append(b, c.options...)
		b[3] = byte(len(b))
		s, err := packet.Decode(packet.Raw, b, 0)
		if err != nil || s.WindowScale != c.want {
			t.Errorf("%v: %d %v, want %d", c.options, s.WindowScale, err, c.want)
		}
	}
}
