package embedded

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility/internal/storekit"
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
	sum     storekit.Measured
}

func (id *openID) key() []byte { return append([]byte{spaceOpen}, id[:]...) }

func (h *openHop) encode() []byte {
	b := binary.AppendUvarint(nil, uint64(h.row))
	b = binary.AppendVarint(b, h.start.UnixNano())
	b = binary.AppendVarint(b, h.arrived.UnixNano())
	b = binary.AppendUvarint(b, uint64(h.sum.Duration))
	b = binary.AppendVarint(b, h.sum.RequestBytes)
	b = binary.AppendVarint(b, h.sum.ResponseBytes)
	return append(b, storekit.Bool(h.sum.Error))
}

func decodeOpen(b []byte) (openHop, error) {
	r := &storekit.Reader{B: b}
	h := openHop{row: uint32(r.Uvarint())}
	h.start = time.Unix(0, r.Varint())
	h.arrived = time.Unix(0, r.Varint())
	h.sum.Duration = time.Duration(r.Uvarint())
	h.sum.RequestBytes = r.Varint()
	h.sum.ResponseBytes = r.Varint()
	h.sum.Error = r.Byte() != 0
	return h, r.Err
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
			return fmt.Errorf("open hop %x: %w", it.Key(), storekit.ErrCorrupt)
		}
		s.open[openID(it.Key()[1:])] = h
	}
	return it.Error()
}
