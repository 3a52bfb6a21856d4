package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility"
)

// ledgerOf returns the counters of a source and service within a commit.
func ledgerOf(ledgers map[string]counters, source, service string) counters {
	pair := string(pairKey(0, clean(source), clean(service))[1:])
	n := ledgers[pair]
	if n == nil {
		n = counters{}
		ledgers[pair] = n
	}
	return n
}

// clean keeps the separator of pairKey out of names.
func clean(name string) string { return strings.ReplaceAll(name, "\x00", "�") }

// addDelivery adds what a batch holds besides spans.
func (c *committer) addDelivery(b *pebble.Batch, batch *visibility.Batch, ledgers map[string]counters) error {
	for _, loss := range batch.Ledger {
		n := ledgerOf(ledgers, batch.Source, loss.Service)
		n.add("seen", loss.Count)
		name := loss.Fate.String()
		if loss.Fate == visibility.FateRejected || loss.Fate == visibility.FateDropped {
			name += ":" + loss.Reason
		}
		n.add(name, loss.Count)
	}
	for service, at := range batch.Watermarks {
		key := pairKey(spaceMark, clean(batch.Source), clean(service))
		if err := b.Set(key, binary.AppendVarint(nil, at.UnixNano()), nil); err != nil {
			return err
		}
	}
	return c.addMetrics(b, batch.Metrics)
}

// addMetrics adds metric points. A point that is there already is replaced.
func (c *committer) addMetrics(b *pebble.Batch, points []visibility.MetricPoint) error {
	now := c.opts.Clock()
	for i := range points {
		p := &points[i]
		id := c.dict.stringID(clean(p.Name)+"\x00"+p.Service, dayOf(p.Time, now))
		key := binary.BigEndian.AppendUint64(idKey(spaceMetric, id), uint64(p.Time.UnixMilli()))
		value := binary.BigEndian.AppendUint64(nil, math.Float64bits(p.Value))
		if err := b.Set(key, value, nil); err != nil {
			return err
		}
	}
	return nil
}

// Ledger implements visibility.LedgerReader.
func (s *Store) Ledger(ctx context.Context) ([]visibility.LedgerEntry, error) {
	entries := map[string]*visibility.LedgerEntry{}
	entryOf := func(key []byte) *visibility.LedgerEntry {
		pair := string(key[1:])
		e := entries[pair]
		if e == nil {
			source, service := splitPair(key)
			e = &visibility.LedgerEntry{
				Source: source, Service: service,
				Rejected: map[string]int64{}, Dropped: map[string]int64{},
			}
			entries[pair] = e
		}
		return e
	}
	err := s.read(ctx, visibility.Range{}, func(snap *snapshot) error {
		err := snap.scan([]byte{spaceLedger}, []byte{spaceLedger + 1}, func(key, value []byte) error {
			n := counters{}
			if err := n.merge(value); err != nil {
				return err
			}
			n.into(entryOf(key))
			return nil
		})
		if err != nil {
			return err
		}
		return snap.scan([]byte{spaceMark}, []byte{spaceMark + 1}, func(key, value []byte) error {
			at, n := binary.Varint(value)
			if n <= 0 {
				return errCorrupt
			}
			entryOf(key).Watermark = time.Unix(0, at).UTC()
			return nil
		})
	})
	list := make([]visibility.LedgerEntry, 0, len(entries))
	for _, e := range entries {
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b visibility.LedgerEntry) int {
		if c := strings.Compare(a.Source, b.Source); c != 0 {
			return c
		}
		return strings.Compare(a.Service, b.Service)
	})
	return list, err
}

// into sets the counts of a ledger entry.
func (c counters) into(e *visibility.LedgerEntry) {
	for name, n := range c {
		fate, reason, _ := strings.Cut(name, ":")
		switch fate {
		case "seen":
			e.Seen = n
		case "kept":
			e.Kept = n
		case "duplicate":
			e.Duplicate = n
		case "truncated":
			e.Truncated = n
		case "rejected":
			e.Rejected[reason] = n
		case "dropped":
			e.Dropped[reason] = n
		case "^last":
			e.LastSpan = time.Unix(0, n).UTC()
		case "^arrived":
			e.LastArrival = time.Unix(0, n).UTC()
		}
	}
}

// scan calls fn for each pair from ≤ key < to.
func (snap *snapshot) scan(from, to []byte, fn func(key, value []byte) error) error {
	it, err := snap.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err == nil {
			err = fn(it.Key(), value)
		}
		if err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return it.Close()
}
