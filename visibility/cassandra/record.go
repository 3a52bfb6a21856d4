package cassandra

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// recordFormat is the first byte of a span's record.
const recordFormat = 1

// appendRecord appends a whole span but for its trace id. The table compresses
// it, so that it is written plainly.
func appendRecord(b []byte, s *tracing.Span) []byte {
	b = append(b, recordFormat)
	b = append(b, s.SpanID[:]...)
	b = append(b, s.ParentID[:]...)
	b = append(b, byte(s.Kind), storekit.Bool(s.Error))
	b = binary.AppendVarint(b, s.Start.UnixNano())
	for _, n := range [...]int64{int64(s.Duration), int64(s.StatusCode), int64(s.GRPCStatus), s.RequestSize, s.ResponseSize} {
		b = binary.AppendVarint(b, n)
	}
	for _, p := range textFields(s) {
		b = storekit.AppendString(b, *p)
	}
	b = storekit.AppendAttributes(b, s.Attributes)
	b = storekit.AppendAttributes(b, s.Resource)
	b = binary.AppendUvarint(b, uint64(len(s.Events)))
	for i := range s.Events {
		e := &s.Events[i]
		b = binary.AppendVarint(b, e.Time.UnixNano())
		b = storekit.AppendString(b, e.Name)
		b = storekit.AppendAttributes(b, e.Attributes)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Links)))
	for i := range s.Links {
		l := &s.Links[i]
		b = append(append(b, l.TraceID[:]...), l.SpanID[:]...)
		b = storekit.AppendAttributes(b, l.Attributes)
	}
	return b
}

// textFields are the texts of a span in the order of the record.
func textFields(s *tracing.Span) [17]*string {
	return [...]*string{
		&s.Service, &s.Operation, &s.Method, &s.URL, &s.URLTemplate, &s.UserAgent, &s.Protocol, &s.UpstreamCluster, &s.Node,
		&s.Peer, &s.RequestID, &s.ResponseFlags, &s.Namespace, &s.Workload, &s.Version, &s.StatusMessage, &s.Scope,
	}
}

// decodeRecord undoes appendRecord.
func decodeRecord(trace tracing.TraceID, record []byte) (tracing.Span, error) {
	r := storekit.Reader{B: record}
	s := tracing.Span{TraceID: trace}
	if f := r.Byte(); f != recordFormat {
		return s, fmt.Errorf("span of trace %s has format %d: %w", trace, f, storekit.ErrCorrupt)
	}
	copy(s.SpanID[:], r.Take(8))
	copy(s.ParentID[:], r.Take(8))
	s.Kind, s.Error = tracing.Kind(r.Byte()), r.Byte() != 0
	s.Start = time.Unix(0, r.Varint()).UTC()
	s.Duration = time.Duration(r.Varint())
	s.StatusCode, s.GRPCStatus = int(r.Varint()), int(r.Varint())
	s.RequestSize, s.ResponseSize = r.Varint(), r.Varint()
	for _, p := range textFields(&s) {
		*p = r.String()
	}
	s.Attributes, s.Resource = r.Attributes(nil), r.Attributes(nil)
	for range r.Count() {
		s.Events = append(s.Events, tracing.Event{Time: time.Unix(0, r.Varint()).UTC(), Name: r.String(), Attributes: r.Attributes(nil)})
	}
	for range r.Count() {
		var l tracing.Link
		copy(l.TraceID[:], r.Take(16))
		copy(l.SpanID[:], r.Take(8))
		l.Attributes = r.Attributes(nil)
		s.Links = append(s.Links, l)
	}
	if r.Err != nil {
		return s, fmt.Errorf("span of trace %s: %w", trace, r.Err)
	}
	return s, nil
}
