package embedded

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
)

// openID names an open hop: the part of the span's key behind the space.
type openID [spanKeyLen - 1]byte

// openHop is a span that is counted for now as if its other side did not
// exist. It is kept apart from the rollups, on disk and in memory, until the
// other side comes or the hop settles.
type openHop struct {
	row     uint32 // as it counts now
	start   time.Time
	arrived time.Time
	sum     measured
}

// measured is what a span adds to an aggregate.
type measured struct {
	duration                    time.Duration
	requestBytes, responseBytes int64
	isError                     bool
}

func measuredOf(s *tracing.Span) measured {
	return measured{duration: s.Duration, requestBytes: s.RequestSize, responseBytes: s.ResponseSize, isError: s.Error}
}

// addTo counts the span in an aggregate.
func (m measured) addTo(a *visibility.Aggregate) {
	a.Observe(&tracing.Span{Duration: m.duration, RequestSize: m.requestBytes, ResponseSize: m.responseBytes, Error: m.isError})
}

// takeFrom takes the span out of an aggregate.
func (m measured) takeFrom(a *visibility.Aggregate) {
	var one visibility.Aggregate
	m.addTo(&one)
	n := one.Negate()
	a.Merge(&n)
}

func (id *openID) key() []byte { return append([]byte{spaceOpen}, id[:]...) }

func (h *openHop) encode() []byte {
	b := binary.AppendUvarint(nil, uint64(h.row))
	b = binary.AppendVarint(b, h.start.UnixNano())
	b = binary.AppendVarint(b, h.arrived.UnixNano())
	b = binary.AppendUvarint(b, uint64(h.sum.duration))
	b = binary.AppendVarint(b, h.sum.requestBytes)
	b = binary.AppendVarint(b, h.sum.responseBytes)
	return append(b, boolByte(h.sum.isError))
}

func decodeOpen(b []byte) (openHop, error) {
	r := &reader{b: b}
	h := openHop{row: uint32(r.uvarint())}
	h.start = time.Unix(0, r.varint())
	h.arrived = time.Unix(0, r.varint())
	h.sum.duration = time.Duration(r.uvarint())
	h.sum.requestBytes = r.varint()
	h.sum.responseBytes = r.varint()
	h.sum.isError = r.byte() != 0
	return h, r.err
}

// loadOpen reads the open hops of an opened store.
func (s *Store) loadOpen() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceOpen}, UpperBound: []byte{spaceOpen + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		h, err := decodeOpen(it.Value())
		if err != nil || len(it.Key()) != spanKeyLen {
			return fmt.Errorf("open hop %x: %w", it.Key(), errCorrupt)
		}
		s.open[openID(it.Key()[1:])] = h
	}
	return it.Error()
}
