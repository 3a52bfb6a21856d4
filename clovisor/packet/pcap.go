package packet

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrFormat is the error of a file that is no capture, or a damaged one.
var ErrFormat = errors.New("packet: no pcap or pcapng file, or a damaged one")

// maxFrame bounds what a record may say its length is: more than the largest
// super-packet of the kernel (512 KiB).
const maxFrame = 1 << 20

// Skipped counts frames of a capture that became no segment.
type Skipped struct {
	Other, Fragments, Short int64
}

// Reader reads the segments of a capture file, pcap (micro- or nanoseconds,
// both byte orders) or pcapng. It is not safe for concurrent use.
type Reader struct {
	Skipped Skipped // what was no segment so far

	in      *bufio.Reader
	order   binary.ByteOrder
	buffer  []byte
	next    func() (frame, error)
	link    LinkType      // pcap
	tick    time.Duration // pcap: unit of the fraction
	devices []device      // pcapng
}

// frame is a record before it is decoded.
type frame struct {
	data      []byte
	wire      int
	time      time.Time
	link      LinkType
	device    uint32
	direction Direction
}

// NewReader reads the head of a capture.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 1<<16)}
	magic, err := r.in.Peek(4)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if binary.BigEndian.Uint32(magic) == blockSection {
		r.next = r.nextBlock
		return r, nil
	}
	head, err := r.take(24)
	if err != nil {
		return nil, err
	}
	r.next = r.nextRecord
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		r.order = order
		switch order.Uint32(head) {
		case 0xA1B2C3D4:
			r.tick = time.Microsecond
		case 0xA1B23C4D:
			r.tick = time.Nanosecond
		default:
			continue
		}
		r.link = LinkType(order.Uint32(head[20:]) & 0x0FFFFFFF)
		return r, nil
	}
	return nil, ErrFormat
}

// Next returns the next segment. Its payload is good until the next call.
// The error is io.EOF at the end, and wraps [ErrFormat] where the file is cut
// off or damaged; what was returned before stays right.
func (r *Reader) Next() (Segment, error) {
	for {
		f, err := r.next()
		if err != nil {
			return Segment{}, err
		}
		s, err := Decode(f.link, f.data, f.wire)
		switch {
		case err == nil:
			s.Time, s.Interface = f.time, f.device
			if f.direction != 0 {
				s.Direction = f.direction
			}
			return s, nil
		case errors.Is(err, ErrFragment):
			r.Skipped.Fragments++
		case errors.Is(err, ErrShort):
			r.Skipped.Short++
		case errors.Is(err, ErrLink):
			return Segment{}, fmt.Errorf("%w: %d", err, f.link)
		default:
			r.Skipped.Other++
		}
	}
}

func (r *Reader) nextRecord() (frame, error) {
	if _, err := r.in.Peek(1); err != nil {
		return frame{}, err
	}
	head, err := r.take(16)
	if err != nil {
		return frame{}, err
	}
	f := frame{link: r.link, wire: int(r.order.Uint32(head[12:]))}
	f.time = time.Unix(int64(r.order.Uint32(head)), int64(r.order.Uint32(head[4:]))*int64(r.tick))
	f.data, err = r.take(r.order.Uint32(head[8:]))
	return f, err
}

// take reads n bytes, which are good until the next call.
func (r *Reader) take(n uint32) ([]byte, error) {
	if n > maxFrame {
		return nil, fmt.Errorf("%w: a record of %d bytes", ErrFormat, n)
	}
	if cap(r.buffer) < int(n) {
		r.buffer = make([]byte, max(n, 4096))
	}
	b := r.buffer[:n]
	if _, err := io.ReadFull(r.in, b); err != nil {
		return nil, fmt.Errorf("%w: cut off: %w", ErrFormat, err)
	}
	return b, nil
}

// Writer writes frames as a pcap file with nanoseconds.
type Writer struct{ out io.Writer }

// NewWriter writes the head of a capture of frames of this type.
func NewWriter(out io.Writer, link LinkType) (*Writer, error) {
	var head [24]byte
	binary.LittleEndian.PutUint32(head[0:], 0xA1B23C4D)
	binary.LittleEndian.PutUint16(head[4:], 2)
	binary.LittleEndian.PutUint16(head[6:], 4)
	binary.LittleEndian.PutUint32(head[16:], maxFrame)
	binary.LittleEndian.PutUint32(head[20:], uint32(link))
	if _, err := out.Write(head[:]); err != nil {
		return nil, fmt.Errorf("packet: write: %w", err)
	}
	return &Writer{out}, nil
}

// Write writes one frame of which wire bytes were on the wire.
func (w *Writer) Write(at time.Time, frame []byte, wire int) error {
	head := make([]byte, 16, 16+len(frame))
	binary.LittleEndian.PutUint32(head[0:], uint32(at.Unix()))
	binary.LittleEndian.PutUint32(head[4:], uint32(at.Nanosecond()))
	binary.LittleEndian.PutUint32(head[8:], uint32(len(frame)))
	binary.LittleEndian.PutUint32(head[12:], uint32(max(wire, len(frame))))
	if _, err := w.out.Write(append(head, frame...)); err != nil {
		return fmt.Errorf("packet: write: %w", err)
	}
	return nil
}
