package kernel

import (
	_ "embed"
	"encoding/binary"
	"net/netip"
	"structs"

	"github.com/opnfv/clover/clovisor/packet"
)

//go:generate bpf/build.sh

// object is compiled from bpf/tracer.c and is for little-endian machines.
//
//go:embed bpf/tracer.o
var object []byte

// What follows is bpf/tracer.h once more.

const (
	chunkBytes      = 16384
	egressFixedBits = 64

	wayIngress = 1
	wayEgress  = 2
	wayEither  = 3

	targetEgress        = 1
	targetEgressAnyPort = 2
	targetNoEthernet    = 4

	roleLocal  = 1
	roleRemote = 2

	recordElided = 1

	recordBytes = 72
)

type targetValue struct {
	_               structs.HostLayout
	ID, Flags, Wake uint32
	Pad             uint32
}

type portKey struct {
	_         structs.HostLayout
	Slot      uint32
	Port      uint16
	Transport packet.Transport
	Pad       uint8
}

type egressKey struct {
	_            structs.HostLayout
	Prefix, Slot uint32
	Port         uint16
	Transport    packet.Transport
	Family       uint8
	Address      [16]byte
}

type flowKey struct {
	_                           structs.HostLayout
	Slot                        uint32
	SourcePort, DestinationPort uint16
	Transport                   packet.Transport
	Family                      uint8
	Pad                         uint16
	Source, Destination         [16]byte
}

type flowValue struct {
	_          structs.HostLayout
	Until, All uint32
}

// counterValues are indexed by the enumeration of the C side.
type counterValues [16]uint64

func (v *counterValues) counters() Counters {
	return Counters{
		Packets: v[0], Bytes: v[1], Other: v[2], Fragments: v[3], Malformed: v[4], DeepHeaders: v[5],
		Matched: v[6], MatchedBytes: v[7], ElidedBytes: v[8], TruncatedBytes: v[9],
		Records: v[10], Lost: v[11], LostBytes: v[12], Unreadable: v[13],
	}
}

// addressBytes are an address as the kernel's half has it.
func addressBytes(a netip.Addr) (family uint8, b [16]byte) {
	if a.Is4() {
		four := a.As4()
		copy(b[:], four[:])
		return 4, b
	}
	return 6, a.As16()
}

// decode reads a record into s, whose payload stays a part of the record, and
// returns the kernel's time of it in nanoseconds.
func decode(record []byte, s *packet.Segment) (int64, bool) {
	if len(record) < recordBytes {
		return 0, false
	}
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	captured := int(u32(record[24:]))
	if captured > len(record)-recordBytes { // perf pads records
		return 0, false
	}
	*s = packet.Segment{
		Interface: u32(record[8:]),
		Seq:       u32(record[12:]), Ack: u32(record[16:]),
		Length: int(u32(record[20:])), Payload: record[recordBytes : recordBytes+captured : recordBytes+captured],
		Window: u16(record[28:]), Flags: packet.Flags(record[34]),
		Direction: packet.Direction(record[37]), Elided: record[38]&recordElided != 0,
	}
	s.Transport = packet.Transport(record[35])
	s.Source = netip.AddrPortFrom(address(record[36], record[40:56]), u16(record[30:]))
	s.Destination = netip.AddrPortFrom(address(record[36], record[56:72]), u16(record[32:]))
	return recordTime(record), true
}

func address(family uint8, b []byte) netip.Addr {
	if family == 4 {
		return netip.AddrFrom4([4]byte(b))
	}
	return netip.AddrFrom16([16]byte(b))
}

// recordTime is the kernel's time of a record, 0 if there is none in it.
func recordTime(record []byte) int64 {
	if len(record) < recordBytes {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(record))
}
