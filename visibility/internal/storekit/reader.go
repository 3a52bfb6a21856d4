package storekit

import (
	"encoding/binary"
	"errors"

	"github.com/opnfv/clover/tracing"
)

// ErrCorrupt says that a record is not as it was written.
var ErrCorrupt = errors.New("corrupt record")

// Reader takes a record apart. After the first fault it returns zeros; Err
// tells.
type Reader struct {
	B   []byte // what is left
	Err error
}

// Fail ends the reading with [ErrCorrupt].
func (r *Reader) Fail() { r.B, r.Err = nil, ErrCorrupt }

// Uvarint reads what binary.AppendUvarint has written.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.B)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.B = r.B[n:]
	return v
}

// Varint reads what binary.AppendVarint has written.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.B)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.B = r.B[n:]
	return v
}

// Take reads n bytes, which are part of the record. After a fault it returns
// nil.
func (r *Reader) Take(n uint64) []byte {
	if uint64(len(r.B)) < n {
		r.Fail()
		return nil
	}
	v := r.B[:n]
	r.B = r.B[n:]
	return v
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if v := r.Take(1); v != nil {
		return v[0]
	}
	return 0
}

// Uint64 reads eight bytes, the largest first.
func (r *Reader) Uint64() uint64 {
	if v := r.Take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// String reads what [AppendString] has written.
func (r *Reader) String() string { return string(r.Take(r.Uvarint())) }

// Count reads the length of a list whose elements take a byte at least.
func (r *Reader) Count() int {
	n := r.Uvarint()
	if n > uint64(len(r.B)) {
		r.Fail()
		return 0
	}
	return int(n)
}

// Attributes reads what [AppendAttributes] has written, and appends it.
func (r *Reader) Attributes(list []tracing.Attribute) []tracing.Attribute {
	for range r.Count() {
		list = append(list, tracing.Attribute{Type: tracing.ValueType(r.Byte()), Key: r.String(), Value: r.String()})
	}
	return list
}

// AppendString writes a text with its length.
func AppendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// AppendAttributes writes a list with its length.
func AppendAttributes(b []byte, list []tracing.Attribute) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for i := range list {
		b = AppendAttribute(b, &list[i])
	}
	return b
}

// AppendAttribute writes one attribute.
func AppendAttribute(b []byte, a *tracing.Attribute) []byte {
	b = append(b, byte(a.Type))
	return AppendString(AppendString(b, a.Key), a.Value)
}

// Bool is a truth as a byte.
func Bool(v bool) byte {
	if v {
		return 1
	}
	return 0
}
