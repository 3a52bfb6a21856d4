package packet

import (
	"encoding/binary"
	"fmt"
)

// AppendFrame appends the segment to b as an Ethernet frame with an IPv4 or
// IPv6 packet in it and right checksums, under the VLAN tags given. Where
// Length is more than Payload holds the rest is zero bytes. A packet that is
// too long for IP's length field has 0 there, as super-packets have it.
func AppendFrame(b []byte, s Segment, tags ...uint16) ([]byte, error) {
	source, destination := s.Source.Addr(), s.Destination.Addr()
	if source.Is4() != destination.Is4() || !source.IsValid() {
		return b, fmt.Errorf("packet: addresses %v and %v: want two of one family", source, destination)
	}
	b = append(b, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1) // locally administered
	for _, tag := range tags {
		b = binary.BigEndian.AppendUint16(append(b, 0x81, 0), tag)
	}
	header := 20
	if s.Transport == UDP {
		header = 8
	}
	size := header + max(s.Length, len(s.Payload))
	if source.Is4() {
		total := size + 20
		if total > 0xFFFF {
			total = 0
		}
		b = append(b, 8, 0)
		start := len(b)
		b = binary.BigEndian.AppendUint16(append(b, 0x45, 0), uint16(total))
		b = append(b, 0, 0, 0x40, 0, 64, byte(s.Transport), 0, 0)
		b = append(append(b, source.AsSlice()...), destination.AsSlice()...)
		binary.BigEndian.PutUint16(b[start+10:], ^sum(0, b[start:]))
	} else {
		length := size
		if length > 0xFFFF {
			length = 0
		}
		b = append(b, 0x86, 0xDD, 0x60, 0, 0, 0)
		b = append(binary.BigEndian.AppendUint16(b, uint16(length)), byte(s.Transport), 64)
		b = append(append(b, source.AsSlice()...), destination.AsSlice()...)
	}
	return appendTransport(b, s, size), nil
}

// appendTransport appends header, payload and filling, size bytes in all.
func appendTransport(b []byte, s Segment, size int) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, s.Source.Port())
	b = binary.BigEndian.AppendUint16(b, s.Destination.Port())
	check := start + 6
	if s.Transport == UDP {
		b = append(binary.BigEndian.AppendUint16(b, uint16(size)), 0, 0)
	} else {
		check = start + 16
		b = binary.BigEndian.AppendUint32(b, s.Seq)
		b = binary.BigEndian.AppendUint32(b, s.Ack)
		b = binary.BigEndian.AppendUint16(append(b, 5<<4, byte(s.Flags)), s.Window)
		b = append(b, 0, 0, 0, 0)
	}
	b = append(b, s.Payload...)
	b = append(b, make([]byte, size-(len(b)-start))...)
	pseudo := uint32(s.Transport) + uint32(size&0xFFFF) + uint32(size>>16)
	pseudo = uint32(sum(pseudo, s.Source.Addr().AsSlice()))
	pseudo = uint32(sum(pseudo, s.Destination.Addr().AsSlice()))
	value := ^sum(pseudo, b[start:])
	if value == 0 && s.Transport == UDP {
		value = 0xFFFF // 0 says that there is none
	}
	binary.BigEndian.PutUint16(b[check:], value)
	return b
}

// sum is the one's complement sum of RFC 1071.
func sum(total uint32, b []byte) uint16 {
	wide := uint64(total)
	for ; len(b) >= 2; b = b[2:] {
		wide += uint64(b[0])<<8 | uint64(b[1])
	}
	if len(b) == 1 {
		wide += uint64(b[0]) << 8
	}
	for wide > 0xFFFF {
		wide = wide>>16 + wide&0xFFFF
	}
	return uint16(wide)
}
