package cassandra

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// The kinds of cells.
const (
	kindCount  = "count"  // name: slot; counters of the spans that start in it
	kindLedger = "ledger" // name: hash of source and service; names and counters
	kindOpen   = "open"   // name: time of arrival and shard; waiting requests
)

// cellKey names a value that this writer keeps.
type cellKey struct{ kind, name string }

// cell is a committed value and its version.
type cell struct {
	version version
	value   []byte
}

// choose returns which of a row's two values counts in a snapshot. Neither
// does if the writer has committed twice since, which is errTorn.
func choose(w *writerState, now, before cell) (cell, error) {
	switch {
	case w == nil:
		return cell{}, nil
	case w.visible(now.version):
		return now, nil
	case w.visible(before.version):
		return before, nil
	case before.version == 0 || before.version.epoch() < w.epoch:
		return cell{}, nil
	}
	if _, ok := w.epochs[w.epoch]; !ok && before.version.epoch() == w.epoch {
		return cell{}, nil // it was cleared
	}
	return cell{}, errTorn
}

// errTorn: a writer has committed more than once while it was read.
var errTorn = errors.New("the writer went on while it was read")

const insertCell = "INSERT INTO cells (writer, kind, name, version, value, prev_version, prev) VALUES (?, ?, ?, ?, ?, ?, ?)"

// orUnset leaves a column as it is where there is no value: null would be
// stored, as a tombstone.
func orUnset(value []byte) any {
	if value == nil {
		return gocql.UnsetValue
	}
	return value
}

// readCells calls fn for the cells of a writer of one kind, from a name on.
func (s *Store) readCells(ctx context.Context, snap snapshot, writer, kind, from string, fn func(name string, c cell) error) error {
	iter := s.session.Query("SELECT name, version, value, prev_version, prev FROM cells WHERE writer = ? AND kind = ? AND name >= ?",
		writer, kind, from).IterContext(ctx)
	var name string
	var now, before cell
	for iter.Scan(&name, &now.version, &now.value, &before.version, &before.value) {
		c, err := choose(snap[writer], now, before)
		if err == nil && len(c.value) > 0 {
			err = fn(name, c)
		}
		if err != nil {
			return errors.Join(err, iter.Close())
		}
		now.value, before.value = nil, nil
	}
	return failure(ctx, iter.Close())
}

// view is what a reader of sums sees: one moment of each writer.
type view struct {
	snap  snapshot
	floor time.Time
	// inMemory is the writer of this process, of which the rest is known
	// without asking; "" if another process has ended its epoch.
	inMemory string
	cells    []namedCell
	open     map[openID]openHop // those that started in the range asked for
}

type namedCell struct {
	cellKey
	cell
}

// view takes a view. Cells of the kinds given, and open hops of r, are copied
// from memory together with the commit that they belong to.
func (s *Store) view(ctx context.Context, r visibility.Range, kinds ...string) (*view, error) {
	snap, err := s.writers(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &view{snap: snap, floor: s.floor, open: map[openID]openHop{}}
	if row := snap[s.opts.Writer]; row != nil {
		if _, ok := row.epochs[s.own.epoch]; !ok {
			return v, nil
		}
	}
	own := s.own
	own.epochs = maps.Clone(own.epochs)
	v.inMemory, snap[s.opts.Writer] = s.opts.Writer, &own
	for k, c := range s.cells {
		if slices.Contains(kinds, k.kind) {
			v.cells = append(v.cells, namedCell{k, c})
		}
	}
	for id, h := range s.open {
		if !h.start.Before(r.From) && h.start.Before(r.To) {
			v.open[id] = h
		}
	}
	return v, nil
}

// eachCell calls fn for the cells of all writers of one kind that v was taken
// with.
func (s *Store) eachCell(ctx context.Context, v *view, kind string, fn func(writer, name string, c cell) error) error {
	for _, c := range v.cells {
		if c.kind != kind {
			continue
		}
		if err := fn(v.inMemory, c.name, c.cell); err != nil {
			return err
		}
	}
	for writer := range v.snap {
		if writer == v.inMemory {
			continue
		}
		err := s.readCells(ctx, v.snap, writer, kind, "", func(name string, c cell) error { return fn(writer, name, c) })
		if err != nil {
			return err
		}
	}
	return nil
}

// readOpen adds the open hops of all writers but one.
func (s *Store) readOpen(ctx context.Context, snap snapshot, but string, into map[openID]openHop) error {
	for writer, w := range snap {
		if writer == but {
			continue
		}
		err := s.readCells(ctx, snap, writer, kindOpen, w.openFrom, func(_ string, c cell) error { return decodeOpen(c.value, into) })
		if err != nil {
			return err
		}
	}
	return nil
}

// openID is a span's identity.
type openID struct {
	trace   tracing.TraceID
	span    tracing.SpanID
	kind    tracing.Kind
	service int64 // hash
}

func openIDOf(s *tracing.Span) openID {
	return openID{s.TraceID, s.SpanID, s.Kind, hash64(s.Service)}
}

// openHop is a request of which one side has arrived, and is waited for the
// other. It is counted in answers, but in no rollup yet.
type openHop struct {
	row     uint64
	start   time.Time
	arrived time.Time
	sum     storekit.Measured
}

// openSeconds is the width of the cells of open hops, by arrival.
const openSeconds = 10

// openCell names the cell that an open hop lies in, so that names sort by
// arrival.
func openCell(id openID, h openHop) string {
	return fmt.Sprintf("%012d/%d", h.arrived.Unix()/openSeconds, id.trace[15]%8)
}

func (id openID) append(b []byte) []byte {
	b = append(append(append(b, id.trace[:]...), id.span[:]...), byte(id.kind))
	return binary.BigEndian.AppendUint64(b, uint64(id.service))
}

func (h openHop) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, h.row)
	b = binary.AppendVarint(b, h.start.UnixNano())
	b = binary.AppendVarint(b, h.arrived.UnixNano())
	b = binary.AppendVarint(b, int64(h.sum.Duration))
	b = binary.AppendVarint(b, h.sum.RequestBytes)
	b = binary.AppendVarint(b, h.sum.ResponseBytes)
	return append(b, storekit.Bool(h.sum.Error))
}

// decodeOpen adds the open hops of a cell.
func decodeOpen(value []byte, into map[openID]openHop) error {
	r := storekit.Reader{B: value}
	for len(r.B) > 0 && r.Err == nil {
		var id openID
		copy(id.trace[:], r.Take(16))
		copy(id.span[:], r.Take(8))
		id.kind, id.service = tracing.Kind(r.Byte()), int64(r.Uint64())
		h := openHop{row: r.Uint64(), start: time.Unix(0, r.Varint()), arrived: time.Unix(0, r.Varint())}
		h.sum = storekit.Measured{Duration: time.Duration(r.Varint()), RequestBytes: r.Varint(), ResponseBytes: r.Varint(), Error: r.Byte() != 0}
		if r.Err == nil {
			into[id] = h
		}
	}
	return r.Err
}

// slotNumber reads the name of a count's cell.
func slotNumber(name string) int {
	n, err := strconv.Atoi(name)
	if err != nil {
		return 0
	}
	return n
}
