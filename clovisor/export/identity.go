package export

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/tracing"
)

// identify sets the ids of a span.
func identify(out *tracing.Span, s *session.Session) {
	own := digest(s)
	copy(out.SpanID[:], own[:8])
	trace, parent, ok := parent(s.Trace)
	if ok {
		out.TraceID, out.ParentID = trace, parent
		return
	}
	copy(out.TraceID[:], own[8:24])
}

// digest is a number of what is the same wherever a session is seen. A
// cryptographic one, so that no client can make ids that are in use.
func digest(s *session.Session) [sha256.Size]byte {
	buf := make([]byte, 0, 64)
	buf = append(buf, byte(s.Transport))
	client := s.Client.Addr().As16()
	buf = append(buf, client[:]...)
	buf = binary.BigEndian.AppendUint16(buf, s.Client.Port())
	buf = binary.BigEndian.AppendUint32(buf, s.Stream)
	buf = binary.BigEndian.AppendUint32(buf, s.RequestSeq)
	buf = binary.BigEndian.AppendUint32(buf, s.ResponseSeq)
	if s.RequestSeq == 0 && s.ResponseSeq == 0 {
		server := s.Server.Addr().As16()
		start, _ := times(s)
		buf = append(buf, server[:]...)
		buf = binary.BigEndian.AppendUint16(buf, s.Server.Port())
		buf = binary.BigEndian.AppendUint64(buf, uint64(start.UnixNano()))
	}
	return sha256.Sum256(buf)
}

// parent reads the trace context of a request: 128-bit trace ids, and 64-bit
// ones of B3, which take the low half. What is no context counts as none.
func parent(c session.TraceContext) (tracing.TraceID, tracing.SpanID, bool) {
	if n := len(c.TraceID); n != 32 && n != 16 || len(c.SpanID) != 16 {
		return tracing.TraceID{}, tracing.SpanID{}, false
	}
	trace, err := tracing.ParseTraceID(c.TraceID)
	if err != nil || trace.IsZero() {
		return tracing.TraceID{}, tracing.SpanID{}, false
	}
	span, err := tracing.ParseSpanID(c.SpanID)
	if err != nil || span.IsZero() {
		return tracing.TraceID{}, tracing.SpanID{}, false
	}
	return trace, span, true
}
