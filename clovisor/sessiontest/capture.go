package sessiontest

import (
	"errors"
	"io"

	"github.com/opnfv/clover/clovisor/packet"
)

// Segments are segments in the order in which they are seen.
type Segments = []packet.Segment

// WriteCapture writes segments as a pcap file of Ethernet frames, under the
// VLAN tags given.
func WriteCapture(out io.Writer, segments Segments, tags ...uint16) error {
	w, err := packet.NewWriter(out, packet.Ethernet)
	if err != nil {
		return err
	}
	for _, s := range segments {
		wire, payload := max(s.Length, len(s.Payload)), len(s.Payload)
		b, err := packet.AppendFrame(nil, s, tags...)
		if err != nil {
			return err
		}
		if err := w.Write(s.Time, b[:len(b)-(wire-payload)], len(b)); err != nil {
			return err
		}
	}
	return nil
}

// ReadCapture reads all segments of a capture.
func ReadCapture(in io.Reader) (Segments, error) {
	r, err := packet.NewReader(in)
	if err != nil {
		return nil, err
	}
	var all Segments
	for {
		s, err := r.Next()
		if errors.Is(err, io.EOF) && !errors.Is(err, packet.ErrFormat) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		s.Payload = append([]byte(nil), s.Payload...)
		all = append(all, s)
	}
}
