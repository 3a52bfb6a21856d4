package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
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

type counterMerger struct{ sum storekit.Counters }

func (m *counterMerger) add(value []byte) error {
	if m.sum == nil {
		m.sum = storekit.Counters{}
	}
	return m.sum.Merge(value)
}
func (m *counterMerger) MergeNewer(value []byte) error { return m.add(value) }
func (m *counterMerger) MergeOlder(value []byte) error { return m.add(value) }
func (m *counterMerger) Finish(bool) ([]byte, io.Closer, error) {
	return m.sum.Append(nil), nil, nil
}
