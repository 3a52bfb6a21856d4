package embedded

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// reader takes a record apart. After the first fault it returns zeros; err
// tells.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() {
	r.b, r.err = nil, errCorrupt
}

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

func (r *reader) string() string { return string(r.take(r.uvarint())) }

func (r *reader) attributes(into []tracing.Attribute) []tracing.Attribute {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return into
	}
	for range n {
		into = append(into, tracing.Attribute{Type: tracing.ValueType(r.byte()), Key: r.string(), Value: r.string()})
	}
	return into
}

// decodeHead reads what pairing needs of a record in the given hour.
func decodeHead(hour uint32, value []byte) (head, *reader, byte) {
	r := &reader{b: value}
	flags := r.byte()
	h := head{row: uint32(r.uvarint())}
	if flags&flagParent != 0 {
		copy(h.parent[:], r.take(8))
	}
	h.start = hourStart(hour).Add(time.Duration(r.uvarint()))
	h.duration = time.Duration(r.uvarint())
	return h, r, flags
}

// decodeSpan reads a whole span from its key and record.
func decodeSpan(key, value []byte, v view) (tracing.Span, error) {
	var s tracing.Span
	if len(key) != spanKeyLen {
		return s, fmt.Errorf("span key %x: %w", key, errCorrupt)
	}
	hour := binary.BigEndian.Uint32(key[1:])
	copy(s.TraceID[:], key[5:])
	copy(s.SpanID[:], key[tracePrefixLen:])
	s.Kind = tracing.Kind(key[tracePrefixLen+8])

	h, r, flags := decodeHead(hour, value)
	s.ParentID, s.Start, s.Duration = h.parent, h.start, h.duration
	s.RequestSize = int64(r.uvarint()) - 1
	s.ResponseSize = int64(r.uvarint()) - 1
	s.GRPCStatus = int(r.varint())
	if flags&flagUUID != 0 {
		s.RequestID = formatUUID(r.take(16))
	} else {
		s.RequestID = r.string()
	}
	if flags&flagIPv4 != 0 {
		if raw := r.take(6); raw != nil {
			s.Peer = joinPeer(netip.AddrFrom4([4]byte(raw[:4])), binary.BigEndian.Uint16(raw[4:]))
		}
	} else {
		s.Peer = r.string()
	}
	r.set(&s, flags, v)
	r.dimensions(&s, h.row, flags, v)
	if flags&flagExtras != 0 {
		r.extras(&s)
	}
	if r.err != nil {
		return s, fmt.Errorf("span record %x: %w", key, r.err)
	}
	return s, nil
}

// set reads the attribute set and the varying attributes.
func (r *reader) set(s *tracing.Span, flags byte, v view) {
	var set reader
	if flags&flagInline != 0 {
		set.b = r.take(r.uvarint())
	} else if id := r.uvarint(); id < uint64(len(v.blobs)) {
		set.b = []byte(v.blobs[id])
	} else {
		r.fail()
		return
	}
	for _, field := range [...]*string{&s.Protocol, &s.ResponseFlags, &s.Namespace, &s.Workload, &s.Scope} {
		*field = set.string()
	}
	s.Resource = r.attributes(set.attributes(nil))
	s.Attributes = set.attributes(nil)
	s.Attributes = r.attributes(s.Attributes)
	byKey := func(a, b tracing.Attribute) int {
		if a.Key < b.Key {
			return -1
		}
		if a.Key > b.Key {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(s.Resource, byKey)
	slices.SortStableFunc(s.Attributes, byKey)
	if set.err != nil {
		r.fail()
	}
}

// dimensions reads the fields that the row holds, or the record itself where
// the row was folded.
func (r *reader) dimensions(s *tracing.Span, id uint32, flags byte, v view) {
	var key visibility.Key
	switch {
	case flags&flagOverflow != 0:
		for dim := range key {
			key[dim] = r.string()
		}
	case int(id) < len(v.rows) && v.rows[id] != nil:
		key = v.rows[id].key
	default:
		r.fail()
		return
	}
	s.Service, s.Operation = key[visibility.Service], key[visibility.Operation]
	s.URL, s.URLTemplate = key[visibility.URL], key[visibility.URLTemplate]
	s.Method, s.UserAgent = key[visibility.Method], key[visibility.UserAgent]
	s.UpstreamCluster, s.Node = key[visibility.UpstreamCluster], key[visibility.Node]
	s.Version = key[visibility.Version]
	s.StatusCode = statusCode(key[visibility.Status])
	s.Error = key[visibility.ErrorFlag] == "true"
}

func (r *reader) extras(s *tracing.Span) {
	s.StatusMessage = r.string()
	n := r.uvarint()
	for i := uint64(0); i < n && r.err == nil; i++ {
		s.Events = append(s.Events, tracing.Event{
			Time: s.Start.Add(time.Duration(r.varint())), Name: r.string(), Attributes: r.attributes(nil),
		})
	}
	n = r.uvarint()
	for i := uint64(0); i < n && r.err == nil; i++ {
		var l tracing.Link
		copy(l.TraceID[:], r.take(16))
		copy(l.SpanID[:], r.take(8))
		l.Attributes = r.attributes(nil)
		s.Links = append(s.Links, l)
	}
}
