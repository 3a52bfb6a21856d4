package embedded

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// A span's record is one byte of flags, the row id (which holds all
// dimensions), the id of its attribute set, then what differs from span to
// span. Attribute sets are interned: the attributes of a sidecar's spans
// repeat but for a few keys, which the store finds out and keeps inline.
const (
	flagParent   = 1 << iota // parent id follows
	flagInline               // the attribute set is not interned but follows
	flagOverflow             // the row was folded: the dimensions follow
	flagUUID                 // the request id is a UUID in 16 bytes
	flagIPv4                 // the peer is an IPv4 address and a port
	flagExtras               // status message, events or links follow
	flagObserved             // tracing.Span.Observed, for pairing
)

// head is the part of a record that pairing needs.
type head struct {
	parent   tracing.SpanID
	row      uint32
	start    time.Time
	duration time.Duration
}

// encoder holds the scratch space of one committer.
type encoder struct {
	dict *dict
	vary variety
	set  []byte
}

// append appends the record of a span whose row is known.
func (e *encoder) append(b []byte, s *tracing.Span, row uint32, overflow bool, day uint16) []byte {
	e.set = e.appendSet(e.set[:0], s)
	set, interned := e.dict.blobID(e.set, day)

	at := len(b)
	b = append(b, 0)
	var flags byte
	b = binary.AppendUvarint(b, uint64(row))
	if !s.ParentID.IsZero() {
		flags |= flagParent
		b = append(b, s.ParentID[:]...)
	}
	b = binary.AppendUvarint(b, uint64(s.Start.UnixNano()-hourStart(hourOf(s.Start)).UnixNano()))
	b = binary.AppendUvarint(b, uint64(s.Duration))
	b = binary.AppendUvarint(b, uint64(s.RequestSize+1))
	b = binary.AppendUvarint(b, uint64(s.ResponseSize+1))
	b = binary.AppendVarint(b, int64(s.GRPCStatus))
	b, flags = appendRequestID(b, flags, s.RequestID)
	b, flags = appendPeer(b, flags, s.Peer)
	if interned {
		b = binary.AppendUvarint(b, uint64(set))
	} else {
		flags |= flagInline
		b = appendBytes(b, e.set)
	}
	b = e.appendVarying(b, s)
	if overflow {
		flags |= flagOverflow
		key := visibility.KeyOf(s)
		for _, v := range key {
			b = storekit.AppendString(b, v)
		}
	}
	if s.StatusMessage != "" || len(s.Events) > 0 || len(s.Links) > 0 {
		flags |= flagExtras
		b = appendExtras(b, s)
	}
	if s.Observed() {
		flags |= flagObserved
	}
	b[at] = flags
	return b
}

// appendSet encodes the fields and attributes that repeat between spans.
func (e *encoder) appendSet(b []byte, s *tracing.Span) []byte {
	for _, v := range [...]string{s.Protocol, s.ResponseFlags, s.Namespace, s.Workload, s.Scope} {
		b = storekit.AppendString(b, v)
	}
	b = e.appendAttributes(b, s.Resource, false)
	return e.appendAttributes(b, s.Attributes, false)
}

// appendVarying encodes the attributes whose values differ between spans.
func (e *encoder) appendVarying(b []byte, s *tracing.Span) []byte {
	b = e.appendAttributes(b, s.Resource, true)
	return e.appendAttributes(b, s.Attributes, true)
}

func (e *encoder) appendAttributes(b []byte, list []tracing.Attribute, varying bool) []byte {
	n := 0
	for i := range list {
		if e.vary.varies(&list[i]) == varying {
			n++
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for i := range list {
		if e.vary.varies(&list[i]) == varying {
			b = storekit.AppendAttribute(b, &list[i])
		}
	}
	return b
}

func appendBytes(b, s []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendRequestID(b []byte, flags byte, id string) ([]byte, byte) {
	if u, ok := parseUUID(id); ok {
		return append(b, u[:]...), flags | flagUUID
	}
	return storekit.AppendString(b, id), flags
}

// appendPeer writes an IPv4 address with an optional port in six bytes.
func appendPeer(b []byte, flags byte, peer string) ([]byte, byte) {
	addr, port := peer, uint16(0)
	if ap, err := netip.ParseAddrPort(peer); err == nil && ap.Port() != 0 {
		addr, port = ap.Addr().String(), ap.Port()
	}
	if a, err := netip.ParseAddr(addr); err == nil && a.Is4() && joinPeer(a, port) == peer {
		v4 := a.As4()
		return binary.BigEndian.AppendUint16(append(b, v4[:]...), port), flags | flagIPv4
	}
	return storekit.AppendString(b, peer), flags
}

func joinPeer(a netip.Addr, port uint16) string {
	if port == 0 {
		return a.String()
	}
	return netip.AddrPortFrom(a, port).String()
}

func appendExtras(b []byte, s *tracing.Span) []byte {
	b = storekit.AppendString(b, s.StatusMessage)
	b = binary.AppendUvarint(b, uint64(len(s.Events)))
	for i := range s.Events {
		ev := &s.Events[i]
		b = binary.AppendVarint(b, ev.Time.UnixNano()-s.Start.UnixNano())
		b = storekit.AppendString(b, ev.Name)
		b = storekit.AppendAttributes(b, ev.Attributes)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Links)))
	for i := range s.Links {
		l := &s.Links[i]
		b = append(append(b, l.TraceID[:]...), l.SpanID[:]...)
		b = storekit.AppendAttributes(b, l.Attributes)
	}
	return b
}

// variety learns which attributes have a different value on every span.
type variety map[string]*valuesSeen

type valuesSeen struct {
	values map[string]struct{}
	many   bool
}

// Limits of variety: keys watched, and values of a key that still repeat.
const (
	maxWatchedKeys  = 512
	maxRepeatValues = 256
)

// varies reports whether the attribute is better kept inline.
func (v variety) varies(a *tracing.Attribute) bool {
	seen := v[a.Key]
	if seen == nil {
		if len(v) >= maxWatchedKeys {
			return true
		}
		seen = &valuesSeen{values: map[string]struct{}{}}
		v[a.Key] = seen
	}
	if seen.many {
		return true
	}
	if _, ok := seen.values[a.Value]; ok {
		return false
	}
	if len(seen.values) >= maxRepeatValues {
		seen.many, seen.values = true, nil
		return true
	}
	seen.values[a.Value] = struct{}{}
	return false
}

const hexDigits = "0123456789abcdef"

// parseUUID reads the canonical lower-case form only, so that it can be
// written again exactly.
func parseUUID(s string) (u [16]byte, ok bool) {
	if len(s) != 36 {
		return u, false
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return u, false
			}
			continue
		}
		var d byte
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			d = c - '0'
		case c >= 'a' && c <= 'f':
			d = c - 'a' + 10
		default:
			return u, false
		}
		u[n/2] = u[n/2]<<4 | d
		n++
	}
	return u, true
}

func formatUUID(u []byte) string {
	b := make([]byte, 0, 36)
	for i, v := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, hexDigits[v>>4], hexDigits[v&15])
	}
	return string(b)
}

func statusCode(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
