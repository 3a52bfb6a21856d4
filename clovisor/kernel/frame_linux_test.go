package kernel

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/internal/testutil"
)

// frame describes a packet that a test puts onto the wire.
type frame struct {
	tags     []uint16 // EtherTypes of VLAN tags, outermost first
	from, to netip.AddrPort
	udp      bool
	options  []byte // of IPv4, a multiple of 4
	fragment uint16 // flags and offset of IPv4
	headers  []extensionHeader
	flags    byte
	seq      uint32
	tcpOpts  []byte
	payload  []byte
	padding  int // bytes after the packet
	cut      int // bytes cut off its end
	edit     func(network []byte)
}

// extensionHeader is one of IPv6, with what comes after its first byte.
type extensionHeader struct {
	number byte
	rest   []byte
}

func (f frame) bytes() []byte {
	b := make([]byte, 12) // addresses that no one has, so that no stack answers
	b[0], b[6] = 0x02, 0x02
	ethertype := uint16(unix.ETH_P_IP)
	if f.from.Addr().Is6() {
		ethertype = unix.ETH_P_IPV6
	}
	for _, tag := range f.tags {
		b = binary.BigEndian.AppendUint16(b, tag)
		b = append(b, 0, 7)
	}
	b = binary.BigEndian.AppendUint16(b, ethertype)
	network := f.network()
	if f.edit != nil {
		f.edit(network)
	}
	b = append(append(b, network...), make([]byte, f.padding)...)
	return b[:len(b)-f.cut]
}

func (f frame) network() []byte {
	transport, protocol := f.transport()
	if f.from.Addr().Is4() {
		header := 20 + len(f.options)
		b := make([]byte, 20, header)
		b[0] = 0x40 | byte(header/4)
		binary.BigEndian.PutUint16(b[2:], uint16(header+len(transport)))
		binary.BigEndian.PutUint16(b[6:], f.fragment)
		b[8], b[9] = 64, protocol
		copy(b[12:], f.from.Addr().AsSlice())
		copy(b[16:], f.to.Addr().AsSlice())
		return slices.Concat(b, f.options, transport)
	}
	body := transport
	for _, h := range slices.Backward(f.headers) {
		body = slices.Concat([]byte{protocol}, h.rest, body)
		protocol = h.number
	}
	b := make([]byte, 40)
	b[0], b[6], b[7] = 0x60, protocol, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(body)))
	copy(b[8:], f.from.Addr().AsSlice())
	copy(b[24:], f.to.Addr().AsSlice())
	return append(b, body...)
}

func (f frame) transport() (b []byte, protocol byte) {
	b = binary.BigEndian.AppendUint16(b, f.from.Port())
	b = binary.BigEndian.AppendUint16(b, f.to.Port())
	if f.udp {
		b = binary.BigEndian.AppendUint16(b, uint16(8+len(f.payload)))
		return append(append(b, 0, 0), f.payload...), unix.IPPROTO_UDP
	}
	b = binary.BigEndian.AppendUint32(b, f.seq)
	b = binary.BigEndian.AppendUint32(b, 99)
	b = append(b, byte(5+len(f.tcpOpts)/4)<<4, f.flags, 1, 2, 0, 0, 0, 0)
	return slices.Concat(b, f.tcpOpts, f.payload), unix.IPPROTO_TCP
}

// wire sends frames from a namespace, as a workload does.
type wire struct {
	t       testing.TB
	socket  int
	ifindex int
}

// newWire opens a socket in the namespace.
func newWire(t testing.TB, ns *testutil.NetNamespace) *wire {
	t.Helper()
	w := &wire{t: t}
	err := inNetNS(netNS{path: "/run/netns/" + ns.Name}, func() error {
		l, err := netlink.LinkByName(ns.Interface)
		if err != nil {
			return err
		}
		w.ifindex = l.Attrs().Index
		w.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(w.socket) })
	return w
}

func (w *wire) send(frames ...frame) {
	w.t.Helper()
	for _, f := range frames {
		b := f.bytes()
		if err := unix.Sendto(w.socket, b, 0, &unix.SockaddrLinklayer{Ifindex: w.ifindex, Halen: 6, Protocol: htons(unix.ETH_P_ALL)}); err != nil {
			w.t.Fatalf("send %d bytes: %v", len(b), err)
		}
	}
}

func withPort(a netip.AddrPort, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), port)
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }
