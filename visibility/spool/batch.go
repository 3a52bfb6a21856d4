package spool

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"time"

	"github.com/opnfv/clover/visibility"
)

// header stands before each batch.
type header struct {
	first uint64    // spans ever added before it
	spans uint64    // in it
	added time.Time // when
}

// errForm says that a record is not one of this package.
var errForm = errors.New("not a record of a spool")

// encodeBatch writes a batch by gob, which later versions with more fields
// read, too.
func encodeBatch(b *visibility.Batch) ([]byte, error) {
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(b); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	if out.Len() > maxRecord/2 {
		return nil, fmt.Errorf("spool: a batch of %d bytes: %w", out.Len(), visibility.ErrLimit)
	}
	return out.Bytes(), nil
}

// joinRecord puts the header before a batch.
func joinRecord(h header, batch []byte) []byte {
	b := binary.AppendUvarint(make([]byte, 0, len(batch)+3*binary.MaxVarintLen64), h.first)
	b = binary.AppendUvarint(b, h.spans)
	b = binary.AppendVarint(b, h.added.UnixNano())
	return append(b, batch...)
}

// splitRecord undoes joinRecord.
func splitRecord(b []byte) (h header, batch []byte, err error) {
	first, n := binary.Uvarint(b)
	if n <= 0 {
		return h, nil, errForm
	}
	spans, m := binary.Uvarint(b[n:])
	if m <= 0 {
		return h, nil, errForm
	}
	n += m
	added, m := binary.Varint(b[n:])
	if m <= 0 {
		return h, nil, errForm
	}
	return header{first: first, spans: spans, added: time.Unix(0, added)}, b[n+m:], nil
}

func decodeRecord(b []byte) (header, *visibility.Batch, error) {
	h, rest, err := splitRecord(b)
	if err != nil {
		return h, nil, err
	}
	batch := &visibility.Batch{}
	if err := gob.NewDecoder(bytes.NewReader(rest)).Decode(batch); err != nil {
		return h, nil, fmt.Errorf("%w: %w", errForm, err)
	}
	if uint64(len(batch.Spans)) != h.spans {
		return h, nil, errForm
	}
	return h, batch, nil
}
