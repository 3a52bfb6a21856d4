package http2

import (
	"errors"

	"golang.org/x/net/http2/hpack"
)

// decoder decodes header blocks of one direction (RFC 7541). Unlike the one of
// golang.org/x/net it can begin in the middle of a connection and go on after
// a loss: it forgets the dynamic table and takes what refers to forgotten
// entries as unknown, while entries that are added later count from the
// newest and so are right.
type decoder struct {
	entries []entry // oldest first
	first   int     // of those in use
	size    int
	limit   int
	partial bool // there may be entries that were not seen

	name, value []byte // scratch
}

// entry is a field of the dynamic table; its name is the first n bytes.
type entry struct {
	field []byte
	n     int
}

func (e entry) name() []byte  { return e.field[:e.n] }
func (e entry) value() []byte { return e.field[e.n:] }

const (
	defaultTable  = 4096
	maxTable      = 64 << 10 // larger ones are followed as far as this
	entryOverhead = 32
	maxScratch    = 4096      // what is kept of it between blocks
	maxFields     = 256 << 10 // of the fields of a block that are looked at
)

var errHPACK = errors.New("http2: header block cannot be decoded")

func newDecoder(partial bool) decoder { return decoder{limit: defaultTable, partial: partial} }

// forget drops the dynamic table after a loss.
func (d *decoder) forget() {
	d.entries, d.first, d.size, d.partial = nil, 0, 0, true
}

// decode calls each for every field of a block. known says that the field was
// not lost with the table; a field whose name is unknown has none. The bytes
// are good until each returns. A block of a few bytes may stand for megabytes
// of fields: those beyond maxFields count as not known, without their bytes.
func (d *decoder) decode(block []byte, each func(name, value []byte, known bool)) error {
	total := 0
	bounded := func(name, value []byte, known bool) {
		if total += len(name) + len(value) + entryOverhead; total > maxFields {
			name, value, known = nil, nil, false
		}
		each(name, value, known)
	}
	err := d.fields(block, bounded)
	if cap(d.name)+cap(d.value) > maxScratch {
		d.name, d.value = nil, nil
	}
	return err
}

// fields is decode without its bounds.
func (d *decoder) fields(block []byte, each func(name, value []byte, known bool)) error {
	for len(block) > 0 {
		b := block[0]
		var err error
		switch {
		case b&0x80 != 0: // indexed
			var i int
			if i, block, err = integer(block, 7); err != nil {
				return err
			}
			e, ok := d.lookup(i)
			if !ok && !d.partial || i == 0 {
				return errHPACK
			}
			each(e.name(), e.value(), ok)
		case b&0xE0 == 0x20: // size update
			var n int
			if n, block, err = integer(block, 5); err != nil {
				return err
			}
			d.limit = min(n, maxTable)
			d.partial = d.partial || n > maxTable
			d.evict(0)
		default:
			if block, err = d.literal(block, each); err != nil {
				return err
			}
		}
	}
	return nil
}

// literal reads a field whose value is spelt out.
func (d *decoder) literal(block []byte, each func(name, value []byte, known bool)) ([]byte, error) {
	bits, add := uint8(4), false
	if block[0]&0xC0 == 0x40 {
		bits, add = 6, true
	}
	i, block, err := integer(block, bits)
	if err != nil {
		return nil, err
	}
	known := true
	name := d.name[:0]
	if i == 0 {
		if name, block, err = text(name, block); err != nil {
			return nil, err
		}
	} else {
		var e entry
		if e, known = d.lookup(i); !known && !d.partial {
			return nil, errHPACK
		}
		name = append(name, e.name()...)
	}
	d.name = name
	if d.value, block, err = text(d.value[:0], block); err != nil {
		return nil, err
	}
	each(d.name, d.value, known)
	if add {
		d.add(d.name, d.value)
	}
	return block, nil
}

// lookup returns the field of an index, counted as RFC 7541 does.
func (d *decoder) lookup(i int) (entry, bool) {
	if i <= len(static) {
		if i == 0 {
			return entry{}, false
		}
		return static[i-1], true
	}
	if i -= len(static); i > len(d.entries)-d.first {
		return entry{}, false
	}
	return d.entries[len(d.entries)-i], true
}

func (d *decoder) add(name, value []byte) {
	size := len(name) + len(value) + entryOverhead
	d.evict(size)
	if size > d.limit {
		return
	}
	field := make([]byte, 0, len(name)+len(value))
	d.entries = append(d.entries, entry{append(append(field, name...), value...), len(name)})
	d.size += size
}

// evict makes room for an entry of this size.
func (d *decoder) evict(size int) {
	for d.first < len(d.entries) && d.size+size > d.limit {
		d.size -= len(d.entries[d.first].field) + entryOverhead
		d.entries[d.first] = entry{}
		d.first++
	}
	if d.first > 32 && d.first > len(d.entries)/2 {
		n := copy(d.entries, d.entries[d.first:])
		clear(d.entries[n:])
		d.entries, d.first = d.entries[:n], 0
	}
}

// integer reads an integer with a prefix of that many bits.
func integer(b []byte, bits uint8) (int, []byte, error) {
	mask := 1<<bits - 1
	v := int(b[0]) & mask
	b = b[1:]
	if v < mask {
		return v, b, nil
	}
	for shift := 0; len(b) > 0 && shift <= 21; shift += 7 {
		c := b[0]
		b = b[1:]
		v += int(c&0x7F) << shift
		if c&0x80 == 0 {
			return v, b, nil
		}
	}
	return 0, nil, errHPACK
}

// text appends a string of a block to to.
func text(to, b []byte) (value, rest []byte, err error) {
	if len(b) == 0 {
		return to, nil, errHPACK
	}
	coded := b[0]&0x80 != 0
	n, b, err := integer(b, 7)
	if err != nil || n > len(b) {
		return to, nil, errHPACK
	}
	if !coded {
		return append(to, b[:n]...), b[n:], nil
	}
	w := buffer(to)
	if _, err := hpack.HuffmanDecode(&w, b[:n]); err != nil {
		return to, nil, errHPACK
	}
	return w, b[n:], nil
}

// buffer is a slice that can be written to.
type buffer []byte

func (w *buffer) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}
