package cassandra

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/opnfv/clover/tracing"
)

// recordFormat is the first byte of a span's record.
const recordFormat = 1

// appendRecord appends a whole span but for its trace id. The table compresses
// it, so that it is written plainly.
func appendRecord(b []byte, s *tracing.Span) []byte {
	b = append(b, recordFormat)
	b = append(b, s.SpanID[:]...)
	b = append(b, s.ParentID[:]...)
	b = append(b, byte(s.Kind), boolByte(s.Error))
	b = binary.AppendVarint(b, s.Start.UnixNano())
	for _, n := range [...]int64{int64(s.Duration), int64(s.StatusCode), int64(s.GRPCStatus), s.RequestSize, s.ResponseSize} {
		b = binary.AppendVarint(b, n)
	}
	for _, p := range textFields(s) {
		b = appendString(b, *p)
	}
	b = appendAttributes(b, s.Attributes)
	b = appendAttributes(b, s.Resource)
	b = binary.AppendUvarint(b, uint64(len(s.Events)))
	for i := range s.Events {
		e := &s.Events[i]
		b = binary.AppendVarint(b, e.Time.UnixNano())
		b = appendString(b, e.Name)
		b = appendAttributes(b, e.Attributes)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Links)))
	for i := range s.Links {
		l := &s.Links[i]
		b = append(append(b, l.TraceID[:]...), l.SpanID[:]...)
		b = appendAttributes(b, l.Attributes)
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

func appendAttributes(b []byte, list []tracing.Attribute) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for i := range list {
		a := &list[i]
		b = append(b, byte(a.Type))
		b = appendString(b, a.Key)
		b = appendString(b, a.Value)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// decodeRecord undoes appendRecord.
func decodeRecord(trace tracing.TraceID, record []byte) (tracing.Span, error) {
	r := reader{b: record}
	s := tracing.Span{TraceID: trace}
	if f := r.byte(); f != recordFormat {
		return s, fmt.Errorf("span of trace %s has format %d: %w", trace, f, errCorrupt)
	}
	copy(s.SpanID[:], r.take(8))
	copy(s.ParentID[:], r.take(8))
	s.Kind, s.Error = tracing.Kind(r.byte()), r.byte() != 0
	s.Start = time.Unix(0, r.varint()).UTC()
	s.Duration = time.Duration(r.varint())
	s.StatusCode, s.GRPCStatus = int(r.varint()), int(r.varint())
	s.RequestSize, s.ResponseSize = r.varint(), r.varint()
	for _, p := range textFields(&s) {
		*p = r.string()
	}
	s.Attributes, s.Resource = r.attributes(), r.attributes()
	for range r.count() {
		s.Events = append(s.Events, tracing.Event{Time: time.Unix(0, r.varint()).UTC(), Name: r.string(), Attributes: r.attributes()})
	}
	for range r.count() {
		var l tracing.Link
		copy(l.TraceID[:], r.take(16))
		copy(l.SpanID[:], r.take(8))
		l.Attributes = r.attributes()
		s.Links = append(s.Links, l)
	}
	if r.err != nil {
		return s, fmt.Errorf("span of trace %s: %w", trace, r.err)
	}
	return s, nil
}

// reader takes an encoding apart. After the first fault it returns zeros; err
// tells.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() { r.b, r.err = nil, errCorrupt }

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) take(n uint64) []byte {
	if uint64(len(r.b)) < n {
		r.fail()
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) byte() byte {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if v := r.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (r *reader) string() string { return string(r.take(r.uvarint())) }

// count reads the length of a list whose elements take a byte at least.
func (r *reader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) attributes() (list []tracing.Attribute) {
	n := r.count()
	if n > 0 {
		list = make([]tracing.Attribute, 0, min(n, 64))
	}
	for range n {
		list = append(list, tracing.Attribute{Type: tracing.ValueType(r.byte()), Key: r.string(), Value: r.string()})
	}
	return list
}
