package session

import (
	"time"

	"github.com/opnfv/clover/clovisor/protocol"
)

// stream is one direction of a TCP connection.
type stream struct {
	known  bool   // next is
	next   uint32 // sequence number of the next byte for the parser
	offset int64  // of that byte, counted from the first one seen
	skip   int64  // bytes from there on that the parser does not need
	hinted int64  // offset until which hints were given

	held      []held // segments after next, in order, without overlap
	heldBytes int64
	holeSince time.Time

	heard   bool      // something with an acknowledgement came from this side
	scale   uint8     // of this side's window, as in the segment of its SYN
	edge    uint32    // the furthest that the other side allowed
	limited bool      // edge is known
	asked   time.Time // when the other side last acknowledged nothing after next

	lastAck uint32 // what this side acknowledged
	ack     uint32 // what the other side acknowledged
	acked   bool
	finAt   uint32
	fin     bool
	closed  bool // its window is zero

	sampleEnd uint32 // round trip: a segment that waits for its acknowledgement
	sampleAt  time.Time
	rtt       time.Duration
}

// seqOf is the sequence number of a message's first byte, 0 if none was seen.
func (s *stream) seqOf(m *protocol.Message) uint32 {
	if !m.Seen() {
		return 0
	}
	return s.next - uint32(s.offset-m.Offset)
}

// held is a segment that waits, or a chunk that came before the protocol was
// known.
type held struct {
	from   protocol.Side
	seq    uint32
	acked  uint32 // as in the segment's header
	length int64
	data   []byte
	elided bool
	time   time.Time
}

// heldOverhead is what a held segment takes beside its data.
const heldOverhead = 96

// maxHeld is how many segments of a direction are held.
const maxHeld = 1024

// cut removes the first n bytes.
func (h *held) cut(n int64) {
	h.seq += uint32(n)
	h.length -= n
	h.data = h.data[min(n, int64(len(h.data))):]
}

// clip keeps the first n bytes.
func (h *held) clip(n int64) {
	h.length = n
	h.data = h.data[:min(n, int64(len(h.data)))]
}

// behind is how far seq is after next; negative: before it.
func behind(seq, next uint32) int64 { return int64(int32(seq - next)) }

// hold keeps a segment until the bytes before it are there. Where it overlaps
// what is held already, the first that came wins.
func (s *stream) hold(h held) {
	at := len(s.held)
	for at > 0 && behind(s.held[at-1].seq, h.seq) > 0 {
		at--
	}
	if at > 0 {
		before := &s.held[at-1]
		if over := before.length - behind(h.seq, before.seq); over >= h.length {
			return
		} else if over > 0 {
			h.cut(over)
		}
	}
	for {
		rest := held{}
		if at < len(s.held) {
			after := s.held[at]
			if room := behind(after.seq, h.seq); room < h.length {
				rest = h
				if beyond := room + after.length; beyond < h.length {
					rest.cut(beyond)
				} else {
					rest.length = 0
				}
				h.clip(room)
			}
		}
		if h.length > 0 {
			h.data = append([]byte(nil), h.data...)
			s.held = append(s.held, held{})
			copy(s.held[at+1:], s.held[at:])
			s.held[at] = h
			s.heldBytes += int64(len(h.data)) + heldOverhead
			at++
		}
		if rest.length <= 0 {
			return
		}
		h = rest
		at++
	}
}

// take removes the first of what is held.
func (s *stream) take() held {
	h := s.held[0]
	s.held[0] = held{}
	s.held = s.held[1:]
	if len(s.held) == 0 {
		s.held = nil
	}
	s.heldBytes -= int64(len(h.data)) + heldOverhead
	return h
}

// drop removes the last of what is held.
func (s *stream) drop() {
	n := len(s.held) - 1
	s.heldBytes -= int64(len(s.held[n].data)) + heldOverhead
	s.held[n] = held{}
	s.held = s.held[:n]
}

// hole reports whether bytes are missing before those that are held.
func (s *stream) hole() bool { return len(s.held) > 0 && behind(s.held[0].seq, s.next) > 0 }

// received reports whether the receiver has the bytes of the hole.
func (s *stream) received() bool { return s.acked && behind(s.ack, s.held[0].seq) >= 0 }
