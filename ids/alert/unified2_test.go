package alert

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"
)

// u2 writes a record of unified2: numbers in network order, and bytes.
func u2(kind uint32, parts ...any) []byte {
	var body []byte
	for _, p := range parts {
		switch p := p.(type) {
		case uint32:
			body = binary.BigEndian.AppendUint32(body, p)
		case uint16:
			body = binary.BigEndian.AppendUint16(body, p)
		case uint8:
			body = append(body, p)
		case string:
			body = append(body, p...)
		case netip.Addr:
			body = append(body, p.AsSlice()...)
		}
	}
	record := binary.BigEndian.AppendUint32(nil, kind)
	return append(binary.BigEndian.AppendUint32(record, uint32(len(body))), body...)
}

var (
	addr4 = [2]netip.Addr{netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("10.244.0.183")}
	addr6 = [2]netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")}
)

// u2Of writes an event of a type, with the number id.
func u2Of(kind, id uint32) []byte {
	head := []any{uint32(3), id, uint32(1524609217), uint32(726997)}
	ports := []any{uint16(8), uint16(0), uint8(1), uint8(32), uint8(2), uint8(1)}
	if kind == u2Event3 {
		parts := append(head, uint32(1), uint32(10000001), uint32(4), uint32(29), uint32(3), uint32(0), uint32(0), uint32(5),
			"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff", addr4[0], addr6[1], uint32(77), uint16(8), uint16(0), uint16(12), uint16(0),
			uint8(0x46), uint8(1), uint8(2), uint8(1), "http"+string(make([]byte, 60)))
		return u2(kind, parts...)
	}
	parts := append(head, uint32(10000001), uint32(1), uint32(4), uint32(29), uint32(3))
	switch kind {
	case u2EventIPv6, u2Event6MPLS, u2Event6VLAN, u2Event6App:
		parts = append(parts, addr6[0], addr6[1])
	default:
		parts = append(parts, addr4[0], addr4[1])
	}
	parts = append(parts, ports...)
	switch kind {
	case u2EventMPLS, u2Event6MPLS:
		parts = append(parts, uint32(77))
	case u2EventVLAN, u2Event6VLAN:
		parts = append(parts, uint32(77), uint16(12), uint16(5))
	case u2EventApp, u2Event6App:
		parts = append(parts, uint32(77), uint16(12), uint16(5), "http"+string(make([]byte, 60)))
	}
	return u2(kind, parts...)
}

func u2PacketOf(id uint32, data string) []byte {
	return u2(u2Packet, uint32(3), id, uint32(1524609217), uint32(1524609218), uint32(11), uint32(1), uint32(len(data)), data)
}

func u2ExtraOf(id, kind uint32, data string) []byte {
	return u2(u2Extra, uint32(4), uint32(24+len(data)), uint32(3), id, uint32(1524609217), kind, uint32(1), uint32(8+len(data)), data)
}

func TestUnified2Events(t *testing.T) {
	for _, kind := range []uint32{7, 72, 99, 100, 104, 105, 111, 112, 114} {
		record := u2Of(kind, 41)
		u := Unified2()
		n, a, err := u.Next(record)
		if n != len(record) || a != nil || err != nil || u.Held() != n {
			t.Fatalf("type %d: %d, %v, %v, held %d", kind, n, a, err, u.Held())
		}
		a = u.Flush()
		want := addr4
		switch kind {
		case 72, 100, 105, 112:
			want = addr6
		case 114:
			want = [2]netip.Addr{addr4[0], addr6[1]}
		}
		if a.SensorID != 3 || a.EventID != 41 || a.SignatureID != 10000001 || a.GeneratorID != 1 || a.Revision != 4 || a.ClassificationID != 29 ||
			a.Priority != 3 || a.SourceIP != want[0] || a.DestinationIP != want[1] || a.SourcePort != 8 || a.Protocol != 1 ||
			!a.Time.Equal(time.Unix(1524609217, 726997000)) || !bytes.Equal(a.Raw, record) {
			t.Errorf("type %d: %+v", kind, a)
		}
		if kind != 114 && (a.ImpactFlag != 32 || a.Impact != 2 || a.Blocked != 1) || kind == 114 && a.Blocked != 2 {
			t.Errorf("type %d: impact %d %d, blocked %d", kind, a.ImpactFlag, a.Impact, a.Blocked)
		}
		if kind != 7 && kind != 72 && a.MPLS != 77 || kind >= 104 && (a.VLAN != 12 || a.PolicyID != 5) || kind >= 111 && a.AppProtocol != "http" {
			t.Errorf("type %d: labels %d %d %d %q", kind, a.MPLS, a.VLAN, a.PolicyID, a.AppProtocol)
		}
		for cut := range record {
			if n, a, err := Unified2().Next(record[:cut]); n != 0 || a != nil || err != nil {
				t.Fatalf("type %d cut at %d: %d, %v, %v", kind, cut, n, a, err)
			}
		}
	}
}

func TestUnified2PutsTogetherWhatBelongsTogether(t *testing.T) {
	var log []byte
	for _, r := range [][]byte{
		u2Of(7, 1), u2PacketOf(1, "ping"), u2ExtraOf(1, extraURI, "/x"), u2ExtraOf(1, extraHost, "h"), u2ExtraOf(1, extraXFF4, "\x01\x02\x03\x04"), u2ExtraOf(1, 8, "mail"),
		u2(66, "statistics"), u2PacketOf(9, "of another event"), u2Of(105, 2), u2PacketOf(2, "a"), u2PacketOf(2, "b"),
	} {
		log = append(log, r...)
	}
	alerts := drain(t, Unified2(), log)
	if len(alerts) != 2 {
		t.Fatalf("%d alerts", len(alerts))
	}
	a := alerts[0]
	if len(a.Packets) != 1 || string(a.Packets[0].Data) != "ping" || a.HTTP.URL != "/x" || a.HTTP.Host != "h" || addrList(a.ForwardedFor) != "1.2.3.4" ||
		len(a.Extra) != 1 || a.Extra[0].Type != 8 {
		t.Errorf("%+v", a)
	}
	if f := a.Fields(9); f["packets"] != "ping" || f["packet-second"] != "1524609218" || f["packet-microsecond"] != "11" || f["protocol"] != "1" ||
		f["signature-id"] != "10000001" || f["source-ip"] != "203.0.113.9" || f["sensor-id"] != "3" {
		t.Errorf("%v", f)
	}
	if len(alerts[1].Packets) != 2 || string(alerts[1].Packets[1].Data) != "b" {
		t.Errorf("%+v", alerts[1])
	}
}

func TestUnified2RefusesWhatIsNone(t *testing.T) {
	for name, record := range map[string][]byte{
		"short event": u2(7, uint32(1)), "packet of nothing": u2PacketOf(1, "x"), "short packet": u2(2, uint32(1)),
		"packet longer than its record": u2(2, uint32(3), uint32(1), uint32(1), uint32(1), uint32(1), uint32(1), uint32(99), "x"),
		"short extra data":              u2(110, uint32(1)), "extra data of nothing": u2ExtraOf(1, 8, "x"),
	} {
		if n, a, err := Unified2().Next(record); n != len(record) || a != nil || !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %d, %v, %v", name, n, a, err)
		}
	}
	if n, _, err := Unified2().Next([]byte("\x00\x00\x00\x07\x7f\xff\xff\xff")); n != 0 || !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %d, %v", n, err)
	}
}

func FuzzUnified2(f *testing.F) {
	for _, kind := range []uint32{7, 72, 99, 100, 104, 105, 111, 112, 114} {
		f.Add(append(append(u2Of(kind, 1), u2PacketOf(1, "ping")...), u2ExtraOf(1, extraXFF4, "abcd")...))
	}
	f.Fuzz(func(t *testing.T, data []byte) { drain(t, Unified2(), data) })
}
