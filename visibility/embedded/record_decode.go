package embedded

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// recordReader reads a span's record.
type recordReader struct{ storekit.Reader }

// decodeHead reads what pairing needs of a record in the given hour.
func decodeHead(hour uint32, value []byte) (head, *recordReader, byte) {
	r := &recordReader{storekit.Reader{B: value}}
	flags := r.Byte()
	h := head{row: uint32(r.Uvarint())}
	if flags&flagParent != 0 {
		copy(h.parent[:], r.Take(8))
	}
	h.start = hourStart(hour).Add(time.Duration(r.Uvarint()))
	h.duration = time.Duration(r.Uvarint())
	return h, r, flags
}

// decodeSpan reads a whole span from its key and record.
func decodeSpan(key, value []byte, v view) (tracing.Span, error) {
	var s tracing.Span
	if len(key) != spanKeyLen {
		return s, fmt.Errorf("span key %x: %w", key, storekit.ErrCorrupt)
	}
	hour := binary.BigEndian.Uint32(key[1:])
	copy(s.TraceID[:], key[5:])
	copy(s.SpanID[:], key[tracePrefixLen:])
	s.Kind = tracing.Kind(key[tracePrefixLen+8])

	h, r, flags := decodeHead(hour, value)
	s.ParentID, s.Start, s.Duration = h.parent, h.start, h.duration
	s.RequestSize = int64(r.Uvarint()) - 1
	s.ResponseSize = int64(r.Uvarint()) - 1
	s.GRPCStatus = int(r.Varint())
	if flags&flagUUID != 0 {
		s.RequestID = formatUUID(r.Take(16))
	} else {
		s.RequestID = r.String()
	}
	if flags&flagIPv4 != 0 {
		if raw := r.Take(6); raw != nil {
			s.Peer = joinPeer(netip.AddrFrom4([4]byte(raw[:4])), binary.BigEndian.Uint16(raw[4:]))
		}
	} else {
		s.Peer = r.String()
	}
	r.set(&s, flags, v)
	r.dimensions(&s, h.row, flags, v)
	if flags&flagExtras != 0 {
		r.extras(&s)
	}
	if r.Err != nil {
		return s, fmt.Errorf("span record %x: %w", key, r.Err)
	}
	return s, nil
}

// set reads the attribute set and the varying attributes.
func (r *recordReader) set(s *tracing.Span, flags byte, v view) {
	var set storekit.Reader
	if flags&flagInline != 0 {
		set.B = r.Take(r.Uvarint())
	} else if id := r.Uvarint(); id < uint64(len(v.blobs)) {
		set.B = []byte(v.blobs[id])
	} else {
		r.Fail()
		return
	}
	for _, field := range [...]*string{&s.Protocol, &s.ResponseFlags, &s.Namespace, &s.Workload, &s.Scope} {
		*field = set.String()
	}
	s.Resource = r.Attributes(set.Attributes(nil))
	s.Attributes = set.Attributes(nil)
	s.Attributes = r.Attributes(s.Attributes)
	byKey := func(a, b tracing.Attribute) int { return strings.Compare(a.Key, b.Key) }
	slices.SortStableFunc(s.Resource, byKey)
	slices.SortStableFunc(s.Attributes, byKey)
	if set.Err != nil {
		r.Fail()
	}
}

// dimensions reads the fields that the row holds, or the record itself where
// the row was folded.
func (r *recordReader) dimensions(s *tracing.Span, id uint32, flags byte, v view) {
	var key visibility.Key
	switch {
	case flags&flagOverflow != 0:
		for dim := range key {
			key[dim] = r.String()
		}
	case int(id) < len(v.rows) && v.rows[id] != nil:
		key = v.rows[id].key
	default:
		r.Fail()
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

func (r *recordReader) extras(s *tracing.Span) {
	s.StatusMessage = r.String()
	n := r.Uvarint()
	for i := uint64(0); i < n && r.Err == nil; i++ {
		s.Events = append(s.Events, tracing.Event{
			Time: s.Start.Add(time.Duration(r.Varint())), Name: r.String(), Attributes: r.Attributes(nil),
		})
	}
	n = r.Uvarint()
	for i := uint64(0); i < n && r.Err == nil; i++ {
		var l tracing.Link
		copy(l.TraceID[:], r.Take(16))
		copy(l.SpanID[:], r.Take(8))
		l.Attributes = r.Attributes(nil)
		s.Links = append(s.Links, l)
	}
}
