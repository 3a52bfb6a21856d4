package packet

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// LinkType is how the frames of a capture begin
// (https://www.tcpdump.org/linktypes.html).
type LinkType uint32

// The link types that [Decode] reads.
const (
	Null        LinkType = 0   // BSD loopback: address family in the byte order of the host
	Ethernet    LinkType = 1   // with or without VLAN tags
	Raw         LinkType = 101 // an IP packet and nothing before it
	Loop        LinkType = 108 // OpenBSD loopback: address family, big endian
	LinuxCooked LinkType = 113 // "any" device of tcpdump
	IPv4        LinkType = 228
	IPv6        LinkType = 229
	LinuxSLL2   LinkType = 276 // "any" device, newer form
)

// What a frame may be other than a segment. Match with errors.Is.
var (
	ErrOther    = errors.New("packet: neither TCP nor UDP over IP")
	ErrFragment = errors.New("packet: IP fragment, which is not put together")
	ErrShort    = errors.New("packet: headers are cut off or say a length that cannot be")
	ErrLink     = errors.New("packet: link type is not read: capture with Ethernet, raw IP or Linux cooked frames")
)

const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86DD
)

// Decode reads a frame as far as it was captured. wire is the length that it
// had on the wire, 0 where that is len(frame). The segment's payload shares
// the frame's memory; its Time, and its Direction except for Linux cooked
// frames, are the caller's to set.
func Decode(link LinkType, frame []byte, wire int) (Segment, error) {
	if wire < len(frame) {
		wire = len(frame)
	}
	cut := wire - len(frame)
	var s Segment
	var ether uint16
	var at int
	switch link {
	case Ethernet:
		ether, at = ethernet(frame)
	case LinuxCooked:
		if len(frame) >= 16 {
			s.Direction = cooked(binary.BigEndian.Uint16(frame))
			ether, at = vlan(frame, binary.BigEndian.Uint16(frame[14:]), 16)
		}
	case LinuxSLL2:
		if len(frame) >= 20 {
			s.Direction = cooked(uint16(frame[10]))
			ether, at = vlan(frame, binary.BigEndian.Uint16(frame), 20)
		}
	case Null, Loop:
		at = 4
	case Raw, IPv4, IPv6:
	default:
		return s, ErrLink
	}
	if at < 0 || at >= len(frame) || (at == 0 && ether == 0 && link != Raw && link != IPv4 && link != IPv6) {
		return s, ErrShort
	}
	if ether == 0 { // no EtherType: the version says which IP it is
		ether = etherIPv4
		if frame[at]>>4 == 6 {
			ether = etherIPv6
		}
	}
	return s, s.network(ether, frame[at:], cut)
}

// ethernet returns the EtherType and where its payload begins.
func ethernet(frame []byte) (uint16, int) {
	if len(frame) < 14 {
		return 0, -1
	}
	return vlan(frame, binary.BigEndian.Uint16(frame[12:]), 14)
}

// vlan goes past tags of 802.1Q and 802.1ad, any number of them.
func vlan(frame []byte, ether uint16, at int) (uint16, int) {
	for ether == 0x8100 || ether == 0x88A8 || ether == 0x9100 {
		if len(frame) < at+4 {
			return 0, -1
		}
		ether = binary.BigEndian.Uint16(frame[at+2:])
		at += 4
	}
	return ether, at
}

// cooked reads the packet type of a Linux cooked header.
func cooked(kind uint16) Direction {
	switch kind {
	case 0:
		return Ingress
	case 4:
		return Egress
	}
	return 0
}

func (s *Segment) network(ether uint16, p []byte, cut int) error {
	switch ether {
	case etherIPv4:
		return s.ipv4(p, cut)
	case etherIPv6:
		return s.ipv6(p, cut)
	}
	return ErrOther
}

func (s *Segment) ipv4(p []byte, cut int) error {
	if len(p) < 20 || p[0]>>4 != 4 {
		return ErrShort
	}
	header, total := int(p[0]&15)*4, int(binary.BigEndian.Uint16(p[2:]))
	if total == 0 { // segmentation offload: the kernel had not filled it in
		total = len(p) + cut
	}
	if header < 20 || total < header || len(p) < header {
		return ErrShort
	}
	if binary.BigEndian.Uint16(p[6:])&0x3FFF != 0 { // more fragments, or an offset
		return ErrFragment
	}
	source, _ := netip.AddrFromSlice(p[12:16])
	destination, _ := netip.AddrFromSlice(p[16:20])
	return s.transport(p[9], source, destination, clip(p[header:], total-header), total-header)
}

func (s *Segment) ipv6(p []byte, cut int) error {
	if len(p) < 40 || p[0]>>4 != 6 {
		return ErrShort
	}
	length := int(binary.BigEndian.Uint16(p[4:]))
	if length == 0 { // a jumbogram (RFC 2675), as big GRO packets are
		length = len(p) + cut - 40
	}
	source, _ := netip.AddrFromSlice(p[8:24])
	destination, _ := netip.AddrFromSlice(p[24:40])
	next, body := p[6], clip(p[40:], length)
	for {
		var size int
		switch next {
		case 0, 43, 60, 135, 139, 140: // hop by hop, routing, destination options, mobility, HIP, shim6
			if len(body) < 8 {
				return ErrShort
			}
			size = int(body[1])*8 + 8
		case 51: // authentication header
			if len(body) < 8 {
				return ErrShort
			}
			size = int(body[1])*4 + 8
		case 44:
			if len(body) < 8 {
				return ErrShort
			}
			if binary.BigEndian.Uint16(body[2:])&0xFFF9 != 0 {
				return ErrFragment
			}
			size = 8 // an atomic fragment is whole (RFC 6946)
		default:
			return s.transport(next, source, destination, body, length)
		}
		if size > len(body) || size > length {
			return ErrShort
		}
		next, body, length = body[0], body[size:], length-size
	}
}

// transport reads a TCP or UDP header. p is what was captured of the length
// bytes that the IP packet carries.
func (s *Segment) transport(proto byte, source, destination netip.Addr, p []byte, length int) error {
	s.Transport = Transport(proto)
	header := 8
	switch s.Transport {
	case TCP:
		if len(p) < 20 {
			return ErrShort
		}
		header = int(p[12]>>4) * 4
		if header < 20 || header > length {
			return ErrShort
		}
		s.Seq, s.Ack = binary.BigEndian.Uint32(p[4:]), binary.BigEndian.Uint32(p[8:])
		s.Flags, s.Window = Flags(p[13]), binary.BigEndian.Uint16(p[14:])
		if s.Flags&SYN != 0 {
			s.WindowScale = windowScale(p[20:min(header, len(p))])
		}
	case UDP:
		if len(p) < 8 {
			return ErrShort
		}
		if n := int(binary.BigEndian.Uint16(p[4:])); n >= 8 && n <= length {
			length, p = n, clip(p, n)
		}
	default:
		return ErrOther
	}
	s.Source = netip.AddrPortFrom(source, binary.BigEndian.Uint16(p))
	s.Destination = netip.AddrPortFrom(destination, binary.BigEndian.Uint16(p[2:]))
	s.Length = length - header
	if len(p) > header {
		s.Payload = p[header:]
	}
	return nil
}

// windowScale looks for the option in a SYN's options (RFC 9293, 3.1).
func windowScale(options []byte) uint8 {
	const end, noop, scale = 0, 1, 3
	for len(options) > 0 && options[0] != end {
		if options[0] == noop {
			options = options[1:]
			continue
		}
		if len(options) < 2 || int(options[1]) < 2 || int(options[1]) > len(options) {
			return 0
		}
		if options[0] == scale && options[1] == 3 {
			return min(options[2], 14) + 1
		}
		options = options[options[1]:]
	}
	return 0
}

func clip(p []byte, n int) []byte {
	if len(p) > n {
		return p[:n]
	}
	return p
}
