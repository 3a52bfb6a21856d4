package packet_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/opnfv/clover/clovisor/packet"
)

func FuzzDecode(f *testing.F) {
	for _, s := range samples() {
		b, err := packet.AppendFrame(nil, s, 5)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint32(packet.Ethernet), b, len(b))
		f.Add(uint32(packet.Raw), b[18:], 0)
	}
	f.Fuzz(func(t *testing.T, link uint32, frame []byte, wire int) {
		s, err := packet.Decode(packet.LinkType(link), frame, wire&0xFFFFF)
		if err == nil && (len(s.Payload) > s.Length || s.Length < 0 || !s.Source.IsValid() || !s.Destination.IsValid()) {
			t.Errorf("%+v", s)
		}
	})
}

func FuzzReader(f *testing.F) {
	var b bytes.Buffer
	w, err := packet.NewWriter(&b, packet.Ethernet)
	if err != nil {
		f.Fatal(err)
	}
	for i, s := range samples() {
		frame, err := packet.AppendFrame(nil, s)
		if err != nil {
			f.Fatal(err)
		}
		if err := w.Write(time.Unix(int64(i), 5), frame, 0); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(b.Bytes())
	f.Add(pcapng())
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := packet.NewReader(bytes.NewReader(file))
		if err != nil {
			return
		}
		for n := 0; ; n++ {
			if _, err := r.Next(); err != nil {
				return
			}
			if n > len(file) {
				t.Fatal("more segments than bytes")
			}
		}
	})
}

// samples are segments of every kind that AppendFrame writes.
func samples() []packet.Segment {
	four := packet.Flow{Source: netip.MustParseAddrPort("10.0.0.1:1000"), Destination: netip.MustParseAddrPort("10.0.0.2:80"), Transport: packet.TCP}
	six := packet.Flow{Source: netip.MustParseAddrPort("[fd00::1]:1000"), Destination: netip.MustParseAddrPort("[fd00::2]:53"), Transport: packet.UDP}
	return []packet.Segment{
		{Flow: four, Seq: 7, Ack: 8, Window: 9, Flags: packet.ACK | packet.PSH, Length: 5, Payload: []byte("hello")},
		{Flow: four, Seq: 1, Flags: packet.SYN},
		{Flow: six, Length: 3, Payload: []byte("dns")},
		{Flow: packet.Flow{Source: six.Source, Destination: six.Destination, Transport: packet.TCP}, Seq: 1 << 31, Flags: packet.FIN, Length: 70000, Payload: bytes.Repeat([]byte("x"), 70000)},
		{Flow: packet.Flow{Source: four.Source, Destination: four.Destination, Transport: packet.UDP}, Length: 1, Payload: []byte("y")},
	}
}
