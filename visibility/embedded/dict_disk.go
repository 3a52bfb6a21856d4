package embedded

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility/internal/storekit"
)

// load reads the dictionary of an opened store.
func (d *dict) load(db *pebble.DB) error {
	d.reset()
	err := scanIDs(db, spaceString, func(id uint32, v []byte) error {
		growTo(&d.strings, id)
		growTo(&d.stringDay, id)
		d.strings[id], d.stringDay[id] = string(v[2:]), binary.BigEndian.Uint16(v)
		d.stringIDs[d.strings[id]] = id
		return nil
	})
	if err != nil {
		return err
	}
	err = scanIDs(db, spaceBlob, func(id uint32, v []byte) error {
		growTo(&d.blobs, id)
		growTo(&d.blobDay, id)
		d.blobs[id], d.blobDay[id] = string(v[2:]), binary.BigEndian.Uint16(v)
		d.blobIDs[d.blobs[id]] = id
		return nil
	})
	if err != nil {
		return err
	}
	err = scanIDs(db, spaceRow, func(id uint32, v []byte) error {
		r, err := decodeRow(v, d.strings)
		if err != nil {
			return err
		}
		growTo(&d.rows, id)
		d.rows[id] = r
		d.rowIDs[r.ids] = id
		for dim, sid := range r.ids.ids {
			d.distinct[dim][sid]++
		}
		return nil
	})
	if err != nil {
		return err
	}
	for id := uint32(1); int(id) < len(d.strings); id++ {
		if d.strings[id] == "" {
			d.freeStrings = append(d.freeStrings, id)
		}
	}
	for id := uint32(1); int(id) < len(d.blobs); id++ {
		if d.blobs[id] == "" {
			d.freeBlobs = append(d.freeBlobs, id)
		}
	}
	for id := uint32(1); int(id) < len(d.rows); id++ {
		if d.rows[id] == nil {
			d.freeRows = append(d.freeRows, id)
		}
	}
	return nil
}

func growTo[T any](s *[]T, id uint32) {
	for uint32(len(*s)) <= id {
		var zero T
		*s = append(*s, zero)
	}
}

// scanIDs calls fn for each entry of a dictionary's key space.
func scanIDs(db *pebble.DB, space byte, fn func(id uint32, value []byte) error) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{space}, UpperBound: []byte{space + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		key := it.Key()
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if len(key) != 5 || len(value) < 2 {
			return fmt.Errorf("dictionary key %x: %w", key, storekit.ErrCorrupt)
		}
		if err := fn(binary.BigEndian.Uint32(key[1:]), value); err != nil {
			return fmt.Errorf("dictionary key %x: %w", key, err)
		}
	}
	return it.Error()
}

// expire drops what was last used before day, which must be older than any
// stored span or rollup. Ids are given out again only afterwards.
func (d *dict) expire(b *pebble.Batch, day uint16) error {
	inUse := map[uint32]bool{}
	for id, r := range d.rows {
		if r == nil {
			continue
		}
		if r.day < day {
			if err := d.dropRow(b, uint32(id)); err != nil {
				return err
			}
			continue
		}
		for _, sid := range r.ids.ids {
			inUse[sid] = true
		}
	}
	for id := uint32(1); int(id) < len(d.strings); id++ {
		if s := d.strings[id]; s != "" && d.stringDay[id] < day && !inUse[id] {
			delete(d.stringIDs, s)
			set(d, &d.strings, id, "")
			d.freeStrings = append(d.freeStrings, id)
			if err := d.remove(b, spaceString, id); err != nil {
				return err
			}
		}
	}
	for id := uint32(1); int(id) < len(d.blobs); id++ {
		if s := d.blobs[id]; s != "" && d.blobDay[id] < day {
			delete(d.blobIDs, s)
			set(d, &d.blobs, id, "")
			d.freeBlobs = append(d.freeBlobs, id)
			if err := d.remove(b, spaceBlob, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *dict) dropRow(b *pebble.Batch, id uint32) error {
	r := d.rows[id]
	delete(d.rowIDs, r.ids)
	for dim, sid := range r.ids.ids {
		if d.distinct[dim][sid]--; d.distinct[dim][sid] <= 0 {
			delete(d.distinct[dim], sid)
		}
	}
	set(d, &d.rows, id, nil)
	d.freeRows = append(d.freeRows, id)
	return d.remove(b, spaceRow, id)
}

func (d *dict) remove(b *pebble.Batch, space byte, id uint32) error {
	var k [5]byte
	k[0] = space
	binary.BigEndian.PutUint32(k[1:], id)
	delete(d.dirty, k)
	return b.Delete(k[:], nil)
}
