// Package recordfile frames records in a file that a kill may leave half
// written, and keeps a folder of such files for one process.
package recordfile

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// Header is what a record takes beside its data: the length and a checksum
// over the data, four bytes each, big endian.
const Header = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrTorn says that a record is not whole.
var ErrTorn = errors.New("half a record")

// Append appends data, which is not empty, as a record.
func Append(b, data []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(data, castagnoli))
	return append(b, data...)
}

// ErrLocked says that another process has the file.
var ErrLocked = errors.New("another process has it")

// Read takes a record from the front of r, which has left bytes, and returns
// its data and how many bytes it took with its header. A record that is not
// whole, or has no data, as what a crash has left zero, or more than limit
// bytes, is [ErrTorn]; n is 0 then, or
// where the next record may begin if the checksum alone is wrong.
func Read(r io.Reader, left, limit int64) (data []byte, n int64, err error) {
	var header [Header]byte
	if left < Header {
		return nil, 0, ErrTorn
	}
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, 0, err
	}
	length := int64(binary.BigEndian.Uint32(header[:]))
	if length == 0 || length > limit || length > left-Header {
		return nil, 0, ErrTorn
	}
	data = make([]byte, length)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, 0, err
	}
	if crc32.Checksum(data, castagnoli) != binary.BigEndian.Uint32(header[4:]) {
		return nil, Header + length, ErrTorn
	}
	return data, Header + length, nil
}
