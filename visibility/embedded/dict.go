package embedded

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// dict gives small numbers to what repeats: strings, rows (a role with one
// string for each dimension) and blobs (encoded attribute lists). Only the
// committer adds to it; readers take views.
//
// Each entry remembers the last day on which it was used, on disk too, so
// that retention can drop what no stored span can refer to any more.
type dict struct {
	limits Limits

	mu      sync.Mutex // guards the three slices and viewed
	strings []string   // by id; id 0 is ""
	rows    []*row     // by id; nil: dropped
	blobs   []string

	stringIDs map[string]uint32
	rowIDs    map[rowIDs]uint32
	blobIDs   map[string]uint32
	distinct  [visibility.NumDimensions]map[uint32]int // value id → rows that have it

	stringDay, blobDay []uint16
	freeRows           []uint32
	freeStrings        []uint32
	freeBlobs          []uint32
	viewed             bool // readers may hold the present slices

	// dirty entries are not known to be on disk yet.
	dirty map[[5]byte]struct{}
}

// rowIDs is a row by the ids of its strings.
type rowIDs struct {
	role visibility.Role
	ids  [visibility.NumDimensions]uint32
}

// row is what a row id stands for. All but day is immutable.
type row struct {
	ids      rowIDs
	key      visibility.Key
	day      uint16 // last day of use
	overflow bool   // some value was replaced by Other
}

func newDict(limits Limits) *dict {
	d := &dict{limits: limits}
	d.reset()
	return d
}

func (d *dict) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.strings, d.rows, d.blobs = []string{""}, []*row{nil}, []string{""}
	d.stringDay, d.blobDay = []uint16{0}, []uint16{0}
	d.freeRows, d.freeStrings, d.freeBlobs = nil, nil, nil
	d.stringIDs = map[string]uint32{"": 0}
	d.rowIDs = map[rowIDs]uint32{}
	d.blobIDs = map[string]uint32{"": 0}
	d.dirty = map[[5]byte]struct{}{}
	for i := range d.distinct {
		d.distinct[i] = map[uint32]int{}
	}
}

func (d *dict) markDirty(space byte, id uint32) {
	var k [5]byte
	k[0] = space
	binary.BigEndian.PutUint32(k[1:], id)
	d.dirty[k] = struct{}{}
}

// stringID interns s.
func (d *dict) stringID(s string, day uint16) uint32 {
	id, ok := d.stringIDs[s]
	if !ok {
		id = add(d, &d.strings, &d.freeStrings, s)
		growTo(&d.stringDay, id)
		d.stringIDs[s] = id
		d.stringDay[id] = day
		d.markDirty(spaceString, id)
	}
	if id != 0 && d.stringDay[id] < day {
		d.stringDay[id] = day
		d.markDirty(spaceString, id)
	}
	return id
}

// set replaces an entry that readers may still look at: in a copy, if any
// view was taken since the last copy. Appending needs no copy.
func set[T any](d *dict, list *[]T, i uint32, v T) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.viewed {
		d.strings, d.rows, d.blobs = slices.Clone(d.strings), slices.Clone(d.rows), slices.Clone(d.blobs)
		d.viewed = false
	}
	(*list)[i] = v
}

// add appends an entry or takes a free id.
func add[T any](d *dict, list *[]T, free *[]uint32, v T) uint32 {
	if n := len(*free); n > 0 {
		id := (*free)[n-1]
		*free = (*free)[:n-1]
		set(d, list, id, v)
		return id
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	*list = append(*list, v)
	return uint32(len(*list) - 1)
}

// blobID interns an attribute list, or says that there is no room.
func (d *dict) blobID(blob []byte, day uint16) (uint32, bool) {
	id, ok := d.blobIDs[string(blob)]
	if !ok {
		if len(d.blobIDs) > d.limits.AttributeSets {
			return 0, false
		}
		s := string(blob)
		id = add(d, &d.blobs, &d.freeBlobs, s)
		growTo(&d.blobDay, id)
		d.blobIDs[s] = id
		d.blobDay[id] = day
		d.markDirty(spaceBlob, id)
	}
	if id != 0 && d.blobDay[id] < day {
		d.blobDay[id] = day
		d.markDirty(spaceBlob, id)
	}
	return id, true
}

// rowID interns a row. Values beyond the limit of a dimension, and rows
// beyond the limit of rows, are folded into Other.
func (d *dict) rowID(role visibility.Role, key *visibility.Key, day uint16) (uint32, *row) {
	ids := rowIDs{role: role}
	overflow := false
	for dim := range key {
		if !d.admits(visibility.Dimension(dim), key[dim]) {
			ids.ids[dim], overflow = d.otherID(day), true
			continue
		}
		ids.ids[dim] = d.stringID(key[dim], day)
	}
	id, ok := d.rowIDs[ids]
	if !ok && len(d.rowIDs) >= d.limits.Rows {
		folded := rowIDs{role: role}
		for dim := range folded.ids {
			folded.ids[dim] = d.otherID(day)
		}
		for _, dim := range storekit.Identifying {
			folded.ids[dim] = ids.ids[dim]
		}
		ids, overflow = folded, true
		id, ok = d.rowIDs[ids]
	}
	if !ok {
		id = d.addRow(ids, overflow, day)
	}
	r := d.rows[id]
	if r.day < day {
		r.day = day
		d.markDirty(spaceRow, id)
	}
	return id, r
}

// admits reports whether a value of a dimension has, or may get, rows. Other
// as a span's own value has none, so that each row with it is an overflow row
// and no span that was folded into it is taken for one that says so itself.
func (d *dict) admits(dim visibility.Dimension, value string) bool {
	switch value {
	case "":
		return true
	case visibility.Other:
		return false
	}
	if id, ok := d.stringIDs[value]; ok && d.distinct[dim][id] > 0 {
		return true
	}
	return len(value) <= storekit.MaxValueLen && len(d.distinct[dim]) < d.limits.Values
}

func (d *dict) otherID(day uint16) uint32 { return d.stringID(visibility.Other, day) }

func (d *dict) addRow(ids rowIDs, overflow bool, day uint16) uint32 {
	r := &row{ids: ids, day: day, overflow: overflow}
	for dim, sid := range ids.ids {
		r.key[dim] = d.strings[sid]
		d.distinct[dim][sid]++
	}
	id := add(d, &d.rows, &d.freeRows, r)
	d.rowIDs[ids] = id
	d.markDirty(spaceRow, id)
	return id
}

// view is what readers see: ids that were given out up to now.
type view struct {
	rows    []*row
	strings []string
	blobs   []string
}

func (d *dict) view() view {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.viewed = true
	return view{rows: d.rows, strings: d.strings, blobs: d.blobs}
}

// persist writes the dirty entries into a batch. They stay dirty until
// persisted is called, so a failed commit loses nothing.
func (d *dict) persist(b *pebble.Batch) error {
	for k := range d.dirty {
		id := binary.BigEndian.Uint32(k[1:])
		var v []byte
		switch k[0] {
		case spaceString:
			v = append(binary.BigEndian.AppendUint16(nil, d.stringDay[id]), d.strings[id]...)
		case spaceBlob:
			v = append(binary.BigEndian.AppendUint16(nil, d.blobDay[id]), d.blobs[id]...)
		case spaceRow:
			v = d.rows[id].encode()
		}
		if err := b.Set(k[:], v, nil); err != nil {
			return err
		}
	}
	return nil
}

func (d *dict) persisted() { clear(d.dirty) }

func (r *row) encode() []byte {
	b := binary.BigEndian.AppendUint16(nil, r.day)
	b = append(b, byte(r.ids.role), storekit.Bool(r.overflow))
	for _, id := range r.ids.ids {
		b = binary.AppendUvarint(b, uint64(id))
	}
	return b
}

func decodeRow(b []byte, strings []string) (*row, error) {
	if len(b) < 4 {
		return nil, storekit.ErrCorrupt
	}
	r := &row{day: binary.BigEndian.Uint16(b), overflow: b[3] != 0}
	r.ids.role = visibility.Role(b[2])
	b = b[4:]
	for dim := range r.ids.ids {
		id, n := binary.Uvarint(b)
		if n <= 0 || id >= uint64(len(strings)) {
			return nil, storekit.ErrCorrupt
		}
		r.ids.ids[dim], r.key[dim], b = uint32(id), strings[id], b[n:]
	}
	return r, nil
}
