package cassandra

import (
	"context"
	"fmt"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// dict knows what the rows of rollups stand for. A row's id is the hash of its
// content, so that all writers give the same row the same id without asking
// each other. Only the committer adds to it.
//
// Each row remembers the last day on which it was used, so that retention can
// drop what no stored span can refer to any more.
type dict struct {
	limits Limits

	mu       sync.RWMutex
	rows     map[uint64]*row
	distinct [visibility.NumDimensions]map[string]int // value → rows that have it
	dirty    map[uint64]*row                          // not known to be in Cassandra yet
}

// row is what a row id stands for. All but day is immutable.
type row struct {
	id       uint64
	role     visibility.Role
	key      visibility.Key
	day      int  // last day of use
	overflow bool // some value was replaced by Other
}

func newDict(limits Limits) *dict {
	d := &dict{limits: limits}
	d.reset()
	return d
}

func (d *dict) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows, d.dirty = map[uint64]*row{}, map[uint64]*row{}
	for i := range d.distinct {
		d.distinct[i] = map[string]int{}
	}
}

// idOf hashes a row's content.
func idOf(role visibility.Role, key *visibility.Key) uint64 {
	b := make([]byte, 0, 512)
	b = append(b, byte(role))
	for _, v := range key {
		b = storekit.AppendString(b, v)
	}
	return xxhash.Sum64(b)
}

// rowOf returns the row of a key. Values beyond the limit of a dimension, and
// rows beyond the limit of rows, are folded into Other.
func (d *dict) rowOf(role visibility.Role, key *visibility.Key, day int) *row {
	d.mu.Lock()
	defer d.mu.Unlock()
	folded, overflow := *key, false
	for dim := range folded {
		if !d.admits(visibility.Dimension(dim), folded[dim]) {
			folded[dim], overflow = visibility.Other, true
		}
	}
	id := idOf(role, &folded)
	r := d.rows[id]
	if r == nil && len(d.rows) >= d.limits.Rows {
		var least visibility.Key
		for dim := range least {
			least[dim] = visibility.Other
		}
		for _, dim := range storekit.Identifying {
			least[dim] = folded[dim]
		}
		folded, overflow = least, true
		id = idOf(role, &folded)
		r = d.rows[id]
	}
	if r == nil {
		r = &row{id: id, role: role, key: folded, day: day, overflow: overflow}
		d.add(r)
		d.dirty[id] = r
	}
	if r.day < day {
		r.day = day
		d.dirty[id] = r
	}
	return r
}

func (d *dict) add(r *row) {
	d.rows[r.id] = r
	for dim, v := range r.key {
		d.distinct[dim][v]++
	}
}

// admits reports whether a value of a dimension has, or may get, rows. Other
// as a span's own value has none, so that each row with it is an overflow row.
func (d *dict) admits(dim visibility.Dimension, value string) bool {
	switch {
	case value == "":
		return true
	case value == visibility.Other:
		return false
	case d.distinct[dim][value] > 0:
		return true
	}
	return len(value) <= storekit.MaxValueLen && len(d.distinct[dim]) < d.limits.Values
}

// find returns the row of an id, or nil.
func (d *dict) find(id uint64) *row {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.rows[id]
}

// services lists the names of the known services.
func (d *dict) services() (names []string) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for name := range d.distinct[visibility.Service] {
		names = append(names, name)
	}
	return names
}

// expire forgets the rows that were last used before a day.
func (d *dict) expire(day int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, r := range d.rows {
		if r.day >= day {
			continue
		}
		delete(d.rows, id)
		delete(d.dirty, id)
		for dim, v := range r.key {
			if d.distinct[dim][v]--; d.distinct[dim][v] <= 0 {
				delete(d.distinct[dim], v)
			}
		}
	}
}

func (d *dict) size() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.rows)
}

// rowParts is the number of partitions that the rows lie in.
const rowParts = 16

const insertRow = `INSERT INTO rollup_rows (part, id, role, day, overflow, service, operation, url, url_template, status, method,
	user_agent, upstream_cluster, node, kind, source, destination, service_version, error, key)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ?`

// statements returns what makes the dirty rows known, by partition.
func (d *dict) statements(ttl int) [][]statement {
	d.mu.RLock()
	defer d.mu.RUnlock()
	lists := make([][]statement, rowParts)
	for id, r := range d.dirty {
		part := id % rowParts
		args := []any{int16(part), int64(id), int8(r.role), r.day, r.overflow}
		var key []byte
		for _, v := range r.key {
			args = append(args, text(v))
			key = storekit.AppendString(key, v)
		}
		lists[part] = append(lists[part], statement{cql: insertRow, args: append(args, key, ttl), size: 2*len(key) + 100})
	}
	return lists
}

func (d *dict) persisted() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.dirty)
}

const selectRow = "SELECT id, role, day, overflow, key FROM rollup_rows WHERE part = ?"

// loadDict reads all rows.
func (s *Store) loadDict(ctx context.Context) error {
	return each(ctx, rowParts, rowParts, func(ctx context.Context, part int) error { return s.loadRows(ctx, selectRow, int16(part)) })
}

// loadRow reads a row that another writer has made.
func (s *Store) loadRow(ctx context.Context, id uint64) (*row, error) {
	if err := s.loadRows(ctx, selectRow+" AND id = ?", int16(id%rowParts), int64(id)); err != nil {
		return nil, err
	}
	if r := s.dict.find(id); r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("row %x is not known: %w", id, storekit.ErrCorrupt)
}

func (s *Store) loadRows(ctx context.Context, cql string, args ...any) error {
	iter := s.session.Query(cql, args...).IterContext(ctx)
	for {
		var id int64
		var role int8
		var key []byte
		r := &row{}
		if !iter.Scan(&id, &role, &r.day, &r.overflow, &key) {
			break
		}
		r.id, r.role = uint64(id), visibility.Role(role)
		k := storekit.Reader{B: key}
		for dim := range r.key {
			r.key[dim] = k.String()
		}
		s.dict.mu.Lock()
		if s.dict.rows[r.id] == nil && k.Err == nil {
			s.dict.add(r)
		}
		s.dict.mu.Unlock()
	}
	return failure(ctx, iter.Close())
}
