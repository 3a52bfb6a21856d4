package sessiontest

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/opnfv/clover/clovisor/packet"
)

func byTime(a, b packet.Segment) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) }

// shift moves segments in time and in sequence numbers.
func shift(segments Segments, d time.Duration, seq uint32) {
	for i := range segments {
		s := &segments[i]
		s.Time = s.Time.Add(d)
		s.Seq += seq
		if s.Flags&packet.ACK != 0 {
			s.Ack += seq
		}
	}
}

// Retransmit repeats segments with payload: at once, later, with the segment
// before in front, or as a part. The sessions must be the same.
func Retransmit(segments Segments, seed uint64) Segments {
	r := rand.New(rand.NewPCG(seed, 1))
	var out Segments
	var payload []packet.Segment // seen so far
	for _, s := range segments {
		out = append(out, s)
		if len(s.Payload) == 0 || s.Transport != packet.TCP {
			continue
		}
		payload = append(payload, s)
		again := payload[r.IntN(len(payload))]
		again.Time, again.Ack = s.Time.Add(Step/10), s.Ack
		if again.Source != s.Source {
			again.Ack = payload[slices.IndexFunc(payload, func(p packet.Segment) bool { return p.Source == again.Source })].Ack
		}
		switch r.IntN(3) {
		case 0: // as it was
		case 1: // its end only
			n := r.IntN(len(again.Payload))
			again.Seq += uint32(n)
			again.Payload = again.Payload[n:]
			again.Length = len(again.Payload)
		case 2: // other bytes: the first that came win
			again.Payload = slices.Repeat([]byte{'!'}, len(again.Payload))
		}
		out = append(out, again)
	}
	return out
}

// Reorder swaps neighbours of one direction, as paths of different length do.
// Times stay in order. The sessions must be the same.
func Reorder(segments Segments, seed uint64) Segments {
	r := rand.New(rand.NewPCG(seed, 2))
	out := append(Segments(nil), segments...)
	for i := 0; i+1 < len(out); i++ {
		a, b := out[i], out[i+1]
		if a.Transport != packet.TCP || a.Flow != b.Flow || len(a.Payload) == 0 || len(b.Payload) == 0 || r.IntN(2) == 0 {
			continue
		}
		a.Time, b.Time = b.Time, a.Time
		out[i], out[i+1] = b, a
	}
	return out
}

// Cut cuts every segment's payload into pieces of at most n bytes, which come
// at the same time.
func Cut(segments Segments, n int) Segments {
	var out Segments
	for _, s := range segments {
		for s.Transport == packet.TCP && len(s.Payload) > n && s.Length == len(s.Payload) {
			part := s
			part.Payload, part.Length, part.Flags = s.Payload[:n], n, s.Flags&^packet.FIN
			out = append(out, part)
			s.Payload, s.Length, s.Seq = s.Payload[n:], s.Length-n, s.Seq+uint32(n)
		}
		out = append(out, s)
	}
	return out
}

// Merge puts segments of one direction that follow each other together, as
// GRO does, up to n bytes.
func Merge(segments Segments, n int) Segments {
	var out Segments
	for _, s := range segments {
		if k := len(out) - 1; k >= 0 && len(s.Payload) > 0 && len(out[k].Payload) > 0 && out[k].Flow == s.Flow &&
			out[k].Seq+uint32(out[k].Length) == s.Seq && out[k].Length+s.Length <= n &&
			out[k].Length == len(out[k].Payload) && s.Length == len(s.Payload) {
			last := &out[k]
			last.Payload = slices.Concat(last.Payload, s.Payload)
			last.Length, last.Ack, last.Flags = len(last.Payload), s.Ack, last.Flags|s.Flags
			continue
		}
		out = append(out, s)
	}
	return out
}
