package packet

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"time"
)

// Blocks of pcapng (draft-ietf-opsawg-pcapng).
const (
	blockSection   = 0x0A0D0D0A
	blockInterface = 1
	blockSimple    = 3
	blockEnhanced  = 6

	maxDevices = 1 << 16
)

// device is an interface of a pcapng section.
type device struct {
	link    LinkType
	ticks   uint64 // a second
	offset  int64  // seconds
	snaplen uint32
}

// nextBlock returns the next packet of a pcapng file.
func (r *Reader) nextBlock() (frame, error) {
	for {
		kind, body, err := r.block()
		if err != nil {
			return frame{}, err
		}
		switch kind {
		case blockInterface:
			err = r.addDevice(body)
		case blockEnhanced:
			return r.enhanced(body)
		case blockSimple:
			return r.simple(body)
		}
		if err != nil {
			return frame{}, err
		}
	}
}

// block reads one block and begins a section where it is one.
func (r *Reader) block() (uint32, []byte, error) {
	if _, err := r.in.Peek(1); err != nil {
		return 0, nil, err
	}
	head, err := r.in.Peek(12)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: cut off: %w", ErrFormat, err)
	}
	if binary.BigEndian.Uint32(head) == blockSection {
		switch uint32(0x1A2B3C4D) {
		case binary.LittleEndian.Uint32(head[8:]):
			r.order = binary.LittleEndian
		case binary.BigEndian.Uint32(head[8:]):
			r.order = binary.BigEndian
		default:
			return 0, nil, ErrFormat
		}
		r.devices = r.devices[:0]
	}
	if r.order == nil {
		return 0, nil, ErrFormat
	}
	kind, size := r.order.Uint32(head), r.order.Uint32(head[4:])
	if size < 12 || size%4 != 0 {
		return 0, nil, fmt.Errorf("%w: a block of %d bytes", ErrFormat, size)
	}
	if size > maxFrame { // not one of ours: statistics, secrets, names
		if kind == blockEnhanced || kind == blockSimple {
			return 0, nil, fmt.Errorf("%w: a block of %d bytes", ErrFormat, size)
		}
		if _, err := io.CopyN(io.Discard, r.in, int64(size)); err != nil {
			return 0, nil, fmt.Errorf("%w: cut off: %w", ErrFormat, err)
		}
		return 0, nil, nil
	}
	all, err := r.take(size)
	if err != nil {
		return 0, nil, err
	}
	return kind, all[8 : size-4], nil
}

func (r *Reader) addDevice(body []byte) error {
	if len(body) < 8 || len(r.devices) >= maxDevices {
		return fmt.Errorf("%w: interface", ErrFormat)
	}
	d := device{link: LinkType(r.order.Uint16(body)), ticks: 1e6, snaplen: r.order.Uint32(body[4:])}
	r.options(body[8:], func(code uint16, value []byte) {
		switch {
		case code == 9 && len(value) == 1: // if_tsresol
			d.ticks = resolution(value[0])
		case code == 14 && len(value) == 8: // if_tsoffset
			d.offset = int64(r.order.Uint64(value))
		}
	})
	r.devices = append(r.devices, d)
	return nil
}

// resolution is the ticks a second that a value of if_tsresol says.
func resolution(v byte) uint64 {
	if v&0x80 != 0 {
		return 1 << min(v&0x7F, 63)
	}
	ticks := uint64(1)
	for range min(v, 18) {
		ticks *= 10
	}
	return ticks
}

func (r *Reader) enhanced(body []byte) (frame, error) {
	if len(body) < 20 {
		return frame{}, fmt.Errorf("%w: packet", ErrFormat)
	}
	id, size := r.order.Uint32(body), r.order.Uint32(body[12:])
	if int(id) >= len(r.devices) || uint64(size) > uint64(len(body)-20) {
		return frame{}, fmt.Errorf("%w: packet", ErrFormat)
	}
	d := r.devices[id]
	stamp := uint64(r.order.Uint32(body[4:]))<<32 | uint64(r.order.Uint32(body[8:]))
	f := frame{
		data: body[20 : 20+size], wire: int(r.order.Uint32(body[16:])), link: d.link, device: id,
		time: time.Unix(int64(stamp/d.ticks)+d.offset, nanoseconds(stamp%d.ticks, d.ticks)),
	}
	r.options(body[min(len(body), 20+(int(size)+3)&^3):], func(code uint16, value []byte) {
		if code == 2 && len(value) == 4 { // epb_flags
			f.direction = [4]Direction{0, Ingress, Egress, 0}[r.order.Uint32(value)&3]
		}
	})
	return f, nil
}

// nanoseconds is a part of a second, which may not fit when multiplied.
func nanoseconds(part, ticks uint64) int64 {
	high, low := bits.Mul64(part, 1e9)
	quotient, _ := bits.Div64(high%ticks, low, ticks)
	return int64(quotient)
}

// simple reads a packet without a time; it is the first interface's.
func (r *Reader) simple(body []byte) (frame, error) {
	if len(body) < 4 || len(r.devices) == 0 {
		return frame{}, fmt.Errorf("%w: packet", ErrFormat)
	}
	d, wire := r.devices[0], r.order.Uint32(body)
	size := min(wire, uint32(len(body)-4))
	if d.snaplen > 0 {
		size = min(size, d.snaplen)
	}
	return frame{data: body[4 : 4+size], wire: int(wire), link: d.link}, nil
}

// options calls each for every option of a block.
func (r *Reader) options(b []byte, each func(code uint16, value []byte)) {
	for len(b) >= 4 {
		code, size := r.order.Uint16(b), int(r.order.Uint16(b[2:]))
		if code == 0 || len(b) < 4+size {
			return
		}
		each(code, b[4:4+size])
		b = b[min(len(b), 4+(size+3)&^3):]
	}
}
