// Package packet is what a capture hands on: TCP segments and UDP datagrams
// with the time at which the kernel saw them, whether they come from eBPF, a
// capture file or a test.
package packet

import (
	"net/netip"
	"time"
)

// Transport is an IP protocol number that Clovisor follows.
type Transport uint8

// The transports.
const (
	TCP Transport = 6
	UDP Transport = 17
)

// Flow is one direction of a connection.
type Flow struct {
	Source, Destination netip.AddrPort
	Transport           Transport
}

// Reverse is the other direction.
func (f Flow) Reverse() Flow {
	return Flow{Source: f.Destination, Destination: f.Source, Transport: f.Transport}
}

// Direction says which way a segment went, as the workload sees it.
type Direction uint8

// The directions.
const (
	Ingress Direction = iota + 1 // to the workload
	Egress                       // from the workload
)

// Flags are the control bits of a TCP header (RFC 9293, 3.1).
type Flags uint8

// The control bits.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Segment is one TCP segment or UDP datagram. A super-packet that the kernel
// had put together (GRO) or not yet cut (TSO) is one Segment.
type Segment struct {
	Time      time.Time // when the kernel saw it
	Interface uint32    // the capture point that saw it; 0 where there is only one
	Direction Direction
	Flow

	Seq, Ack uint32 // TCP only
	Window   uint16 // TCP only, as in the header, not scaled
	Flags    Flags  // TCP only
	// WindowScale is 1 more than the shift that a SYN offers for its sender's
	// windows (RFC 7323, 2.2). 0: it offers none, or the capture does not say.
	WindowScale uint8

	Length  int    // bytes of payload in the packet
	Payload []byte // the first of them that were captured; the receiver copies what it keeps
	Elided  bool   // bytes after Payload are left out because nobody needs them, not for a limit
}
