package embedded

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/tracing"
)

// Every key starts with a byte that says what it holds. All integers are big
// endian, so that keys sort by them.
//
//	spaceMeta     name                                → value
//	spaceSpan     hour(4) trace(16) span(8) kind(1) service hash(4) → record
//	spaceIndex    hour(4) service(4) second(2) trace(16) → nothing
//	spaceRollup   level(1) bucket second(4) row(4)    → aggregate (merged)
//	spaceOpen     hour(4) trace(16) span(8) kind(1) service hash(4) → open hop
//	spaceString   id(4)                               → day(2) text
//	spaceRow      id(4)                               → day(2) role, string ids
//	spaceBlob     id(4)                               → day(2) attributes
//	spaceLedger   source 0 service                    → counters (merged)
//	spaceMark     source 0 service                    → watermark
//	spaceMetric   name id(4) unix milliseconds(8)     → float64
//	spaceCount    hour(4)                             → counters (merged)
//
// Spans lie in partitions of an hour, by the span's start: data that ages is
// never rewritten by the compaction of newer data, and retention drops whole
// partitions.
const (
	spaceMeta byte = iota + 1
	spaceSpan
	spaceIndex
	spaceRollup
	spaceOpen
	spaceString
	spaceRow
	spaceBlob
	spaceLedger
	spaceMark
	spaceMetric
	spaceCount
	spaceEnd
)

const (
	tracePrefixLen = 1 + 4 + 16
	spanKeyLen     = tracePrefixLen + 8 + 1 + 4
	indexKeyLen    = 1 + 4 + 4 + 2 + 16
	rollupKeyLen   = 1 + 1 + 4 + 4
)

// comparer is the default one, with the trace as the prefix of span keys so
// that Bloom filters answer "is anything of this trace here?".
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "clover.visibility.v1"
	c.Split = func(key []byte) int {
		if len(key) >= tracePrefixLen && key[0] == spaceSpan {
			return tracePrefixLen
		}
		return len(key)
	}
	c.Compare = bytes.Compare
	// Suffixes are parts of plain byte strings.
	c.ComparePointSuffixes = bytes.Compare
	c.CompareRangeSuffixes = bytes.Compare
	return &c
}()

func hourOf(t time.Time) uint32 { return uint32(t.Unix() / 3600) }

func hourStart(hour uint32) time.Time { return time.Unix(int64(hour)*3600, 0).UTC() }

// serviceHash tells apart the spans of different services that share one id.
func serviceHash(service string) uint32 { return uint32(xxhash.Sum64String(service)) }

func appendTracePrefix(b []byte, space byte, hour uint32, trace tracing.TraceID) []byte {
	b = append(b, space)
	b = binary.BigEndian.AppendUint32(b, hour)
	return append(b, trace[:]...)
}

func appendSpanKey(b []byte, space byte, s *tracing.Span) []byte {
	b = appendTracePrefix(b, space, hourOf(s.Start), s.TraceID)
	b = append(b, s.SpanID[:]...)
	b = append(b, byte(s.Kind))
	return binary.BigEndian.AppendUint32(b, serviceHash(s.Service))
}

func appendIndexKey(b []byte, hour, service uint32, second uint16, trace tracing.TraceID) []byte {
	b = append(b, spaceIndex)
	b = binary.BigEndian.AppendUint32(b, hour)
	b = binary.BigEndian.AppendUint32(b, service)
	b = binary.BigEndian.AppendUint16(b, second)
	return append(b, trace[:]...)
}

func appendRollupKey(b []byte, level byte, bucket, row uint32) []byte {
	b = append(b, spaceRollup, level)
	b = binary.BigEndian.AppendUint32(b, bucket)
	return binary.BigEndian.AppendUint32(b, row)
}

func idKey(space byte, id uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{space}, id)
}

func pairKey(space byte, source, service string) []byte {
	b := make([]byte, 0, 2+len(source)+len(service))
	b = append(b, space)
	b = append(b, source...)
	b = append(b, 0)
	return append(b, service...)
}

// splitPair undoes pairKey.
func splitPair(key []byte) (source, service string) {
	a, b, _ := bytes.Cut(key[1:], []byte{0})
	return string(a), string(b)
}
