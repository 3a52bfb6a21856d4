package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility"
)

// merger adds up rollups, ledger counters and totals where they lie, so that
// an increment is a blind write: in the batch that also holds the span, or
// not at all.
var merger = &pebble.Merger{
	Name: "clover.visibility.v1",
	Merge: func(key, value []byte) (pebble.ValueMerger, error) {
		if len(key) == 0 {
			return nil, errors.New("merge of an empty key")
		}
		var m pebble.ValueMerger
		switch key[0] {
		case spaceRollup:
			m = &rollupMerger{}
		case spaceLedger, spaceCount:
			m = &counterMerger{}
		default:
			return nil, fmt.Errorf("merge of key space %d", key[0])
		}
		return m, m.MergeNewer(value)
	},
}

// rollupMerger merges encoded aggregates. Merging is commutative, so the age
// of an operand does not matter. One operand alone, as most keys have that are
// read, stays as it is.
type rollupMerger struct {
	only   []byte // the first operand while there is no other
	merged bool
	sum    visibility.Aggregate
}

func (m *rollupMerger) add(value []byte) error {
	if m.only == nil && !m.merged {
		m.only = bytes.Clone(value)
		return nil
	}
	if !m.merged {
		if err := m.sum.MergeBinary(m.only); err != nil {
			return err
		}
		m.only, m.merged = nil, true
	}
	return m.sum.MergeBinary(value)
}

func (m *rollupMerger) MergeNewer(value []byte) error { return m.add(value) }
func (m *rollupMerger) MergeOlder(value []byte) error { return m.add(value) }
func (m *rollupMerger) Finish(bool) ([]byte, io.Closer, error) {
	if !m.merged {
		return m.only, nil, nil
	}
	b, err := m.sum.AppendBinary(nil)
	return b, nil, err
}

// counters are named signed numbers, encoded as (name length, name, varint)
// triples. They add up, except that names beginning with '^' keep the largest.
type counters map[string]int64

func (c counters) add(name string, v int64) {
	if name[0] == '^' {
		c[name] = max(c[name], v)
	} else {
		c[name] += v
	}
}

func (c counters) append(b []byte) []byte {
	for name, n := range c {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
		b = binary.AppendVarint(b, n)
	}
	return b
}

func (c counters) merge(b []byte) error {
	for len(b) > 0 {
		length, n := binary.Uvarint(b)
		if n <= 0 || length == 0 || uint64(len(b)-n) < length {
			return errCorrupt
		}
		name := b[n : n+int(length)]
		b = b[n+int(length):]
		v, n := binary.Varint(b)
		if n <= 0 {
			return errCorrupt
		}
		b = b[n:]
		c.add(string(name), v)
	}
	return nil
}

var errCorrupt = errors.New("corrupt record")

type counterMerger struct{ sum counters }

func (m *counterMerger) add(value []byte) error {
	if m.sum == nil {
		m.sum = counters{}
	}
	return m.sum.merge(value)
}
func (m *counterMerger) MergeNewer(value []byte) error { return m.add(value) }
func (m *counterMerger) MergeOlder(value []byte) error { return m.add(value) }
func (m *counterMerger) Finish(bool) ([]byte, io.Closer, error) {
	return m.sum.append(nil), nil, nil
}
