package alert

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Record types of unified2: those of Snort 2, and 104, 105, 110 and 114 of
// Snort 3.
const (
	u2Packet     = 2
	u2Buffer     = 3
	u2Event      = 7
	u2EventIPv6  = 72
	u2EventMPLS  = 99
	u2Event6MPLS = 100
	u2EventVLAN  = 104
	u2Event6VLAN = 105
	u2Extra      = 110
	u2EventApp   = 111
	u2Event6App  = 112
	u2Event3     = 114
)

// Types of extra data that have a field of their own.
const (
	extraXFF4 = 1
	extraXFF6 = 2
	extraURI  = 9
	extraHost = 10
)

// Bounds of what one alert collects.
const (
	maxPackets = 64
	maxExtra   = 64
)

// unified2 puts events together with the packets and the extra data that
// follow them.
type unified2 struct {
	open *Alert // waits for its packets
	held int    // bytes of its records
}

// Unified2 is the format of the binary log of Snort 2 and Snort 3. An event
// and the packets and extra data that come after it are one alert, which is
// complete when another event comes, or nothing for a while.
func Unified2() Format { return &unified2{} }

// Held implements Format.
func (u *unified2) Held() int { return u.held }

// Flush implements Format.
func (u *unified2) Flush() *Alert {
	a := u.open
	u.open, u.held = nil, 0
	return a
}

// u2Header is type and length of a record.
const u2Header = 8

// Next implements Format.
func (u *unified2) Next(data []byte) (int, *Alert, error) {
	if len(data) < u2Header {
		return 0, nil, nil
	}
	kind, length := binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:])
	if length > MaxRecordBytes-u2Header {
		return 0, nil, fmt.Errorf("unified2: type %d, %d bytes: %w", kind, length, ErrTooLong)
	}
	n := u2Header + int(length)
	if len(data) < n {
		return 0, nil, nil
	}
	done, err := u.record(kind, data[u2Header:n], data[:n])
	if u.open != nil {
		u.held += n
	}
	return n, done, err
}

// record takes one record and returns the alert that it completes.
func (u *unified2) record(kind uint32, body, whole []byte) (*Alert, error) {
	switch kind {
	case u2Packet, u2Buffer:
		return nil, u.packet(kind, body)
	case u2Extra:
		return nil, u.extra(body)
	case u2Event, u2EventIPv6, u2EventMPLS, u2Event6MPLS, u2EventVLAN, u2Event6VLAN, u2EventApp, u2Event6App, u2Event3:
		a, err := u2ReadEvent(kind, body)
		if err != nil {
			return nil, err
		}
		a.Raw = bytes.Clone(whole)
		done := u.Flush()
		u.open = a
		return done, nil
	default:
		return nil, nil // such as the statistics of Snort 2
	}
}

// u2Reader takes numbers in network order from the front.
type u2Reader struct {
	data []byte
	bad  bool // there was less than was asked for
}

func (r *u2Reader) take(n int) []byte {
	if len(r.data) < n {
		r.bad = true
		return make([]byte, n)
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

func (r *u2Reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *u2Reader) u16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *u2Reader) u8() uint8   { return r.take(1)[0] }

func (r *u2Reader) ip(size int) netip.Addr {
	a, _ := netip.AddrFromSlice(r.take(size))
	return a.Unmap()
}

func (r *u2Reader) time() time.Time {
	second, micro := r.u32(), r.u32()
	return time.Unix(int64(second), int64(micro%1e6)*1000).UTC()
}

// u2ReadEvent reads an event of any type.
func u2ReadEvent(kind uint32, body []byte) (*Alert, error) {
	r := &u2Reader{data: body}
	a := &Alert{Engine: "snort", SensorID: r.u32(), EventID: r.u32(), Time: r.time()}
	if kind == u2Event3 {
		a.GeneratorID, a.SignatureID = r.u32(), r.u32()
	} else {
		a.SignatureID, a.GeneratorID = r.u32(), r.u32()
	}
	a.Revision, a.ClassificationID, a.Priority = r.u32(), r.u32(), r.u32()
	if kind == u2Event3 {
		u2ReadEvent3(r, a)
	} else {
		u2ReadAddresses(kind, r, a)
	}
	if r.bad {
		return nil, fmt.Errorf("unified2: event of type %d: %w: only %d bytes", kind, ErrRecord, len(body))
	}
	return a, nil
}

// u2ReadAddresses reads what follows in the events of Snort 2.
func u2ReadAddresses(kind uint32, r *u2Reader, a *Alert) {
	size := 4
	switch kind {
	case u2EventIPv6, u2Event6MPLS, u2Event6VLAN, u2Event6App:
		size = 16
	}
	a.SourceIP, a.DestinationIP = r.ip(size), r.ip(size)
	a.SourcePort, a.DestinationPort = r.u16(), r.u16()
	a.Protocol, a.ImpactFlag, a.Impact, a.Blocked = r.u8(), r.u8(), r.u8(), r.u8()
	switch kind {
	case u2EventMPLS, u2Event6MPLS:
		a.MPLS = r.u32()
	case u2EventVLAN, u2Event6VLAN, u2EventApp, u2Event6App:
		a.MPLS, a.VLAN, a.PolicyID = r.u32(), r.u16(), r.u16()
	}
	// Snort 3, and Snort 2 with application detection, add the application's
	// name in 64 bytes.
	if len(r.data) == 64 {
		a.AppProtocol = string(bytes.TrimRight(r.take(64), "\x00"))
	}
}

// u2ReadEvent3 reads what follows in the event of Snort 3.
func u2ReadEvent3(r *u2Reader, a *Alert) {
	r.take(8) // policies of context and inspection
	a.PolicyID = uint16(r.u32())
	source, destination := r.take(16), r.take(16)
	a.MPLS = r.u32()
	a.SourcePort, a.DestinationPort, a.VLAN = r.u16(), r.u16(), r.u16()
	r.u16()
	version := r.u8()
	a.SourceIP, a.DestinationIP = ipOfVersion(source, version>>4), ipOfVersion(destination, version&15)
	a.Protocol = r.u8()
	status, action := r.u8(), r.u8()
	if action != 0 {
		a.Blocked = []uint8{1, 3, 2, 1}[status&3] // allowed to, can't, would, forced to
	}
	a.AppProtocol = string(bytes.TrimRight(r.take(64), "\x00"))
}

// ipOfVersion reads an address in 16 bytes, which for IPv4 is mapped into
// IPv6 or stands in the last four.
func ipOfVersion(b []byte, version uint8) netip.Addr {
	if version == 4 {
		return netip.AddrFrom4([4]byte(b[12:16]))
	}
	return netip.AddrFrom16([16]byte(b)).Unmap()
}

// packet adds a packet to the event before it.
func (u *unified2) packet(kind uint32, body []byte) error {
	r := &u2Reader{data: body}
	r.u32() // the sensor
	event, _ := r.u32(), r.u32()
	p := Packet{Time: r.time(), LinkType: r.u32()}
	length := r.u32()
	if r.bad || uint64(length) > uint64(len(r.data)) {
		return fmt.Errorf("unified2: packet: %w: %d bytes", ErrRecord, len(body))
	}
	if u.open == nil || u.open.EventID != event {
		return fmt.Errorf("unified2: packet: %w: it belongs to event %d, which does not stand before it", ErrRecord, event)
	}
	data := bytes.Clone(r.data[:length])
	switch {
	case kind == u2Buffer:
		if len(u.open.Payload) == 0 {
			u.open.Payload = data
		}
	case len(u.open.Packets) < maxPackets:
		p.Data = data
		u.open.Packets = append(u.open.Packets, p)
	}
	return nil
}

// extra adds extra data to the event before it.
func (u *unified2) extra(body []byte) error {
	r := &u2Reader{data: body}
	r.take(8) // type and length once more
	r.u32()   // the sensor
	event, _, kind := r.u32(), r.u32(), r.u32()
	r.u32()         // the data's type: always bytes
	blob := r.u32() // length of the data and of the two numbers before it
	if r.bad || blob < 8 || uint64(blob-8) > uint64(len(r.data)) {
		return fmt.Errorf("unified2: extra data: %w: %d bytes", ErrRecord, len(body))
	}
	if u.open == nil || u.open.EventID != event {
		return fmt.Errorf("unified2: extra data: %w: it belongs to event %d, which does not stand before it", ErrRecord, event)
	}
	data := r.data[:blob-8]
	switch kind {
	case extraXFF4, extraXFF6:
		if a, ok := netip.AddrFromSlice(data); ok {
			u.open.ForwardedFor = []netip.Addr{a.Unmap()}
		}
	case extraURI:
		u.http().URL = string(data)
	case extraHost:
		u.http().Host = string(data)
	default:
		if len(u.open.Extra) < maxExtra {
			u.open.Extra = append(u.open.Extra, Extra{Type: kind, Data: bytes.Clone(data)})
		}
	}
	return nil
}

func (u *unified2) http() *HTTP {
	if u.open.HTTP == nil {
		u.open.HTTP = &HTTP{}
	}
	return u.open.HTTP
}
