package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// accountOf returns an account of the ledger, as it is a key.
func accountOf(source, service string) storekit.Account {
	return storekit.Account{Source: clean(source), Service: clean(service)}
}

// clean keeps the separator of pairKey out of names.
func clean(name string) string { return strings.ReplaceAll(name, "\x00", "�") }

// addDelivery adds what a batch holds besides spans.
func (c *committer) addDelivery(b *pebble.Batch, batch *visibility.Batch, ledgers map[storekit.Account]storekit.Counters) error {
	storekit.AddLosses(batch, func(at storekit.Account) storekit.Counters {
		return storekit.In(ledgers, accountOf(at.Source, at.Service))
	})
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
	ledger := storekit.Ledger{}
	account := func(key []byte) storekit.Account {
		source, service := splitPair(key)
		return storekit.Account{Source: source, Service: service}
	}
	err := s.read(ctx, visibility.Range{}, func(snap *snapshot) error {
		err := snap.scan([]byte{spaceLedger}, []byte{spaceLedger + 1}, func(key, value []byte) error {
			n := storekit.Counters{}
			if err := n.Merge(value); err != nil {
				return err
			}
			ledger.Set(account(key), n)
			return nil
		})
		if err != nil {
			return err
		}
		return snap.scan([]byte{spaceMark}, []byte{spaceMark + 1}, func(key, value []byte) error {
			at, n := binary.Varint(value)
			if n <= 0 {
				return storekit.ErrCorrupt
			}
			ledger.Entry(account(key)).Watermark = time.Unix(0, at).UTC()
			return nil
		})
	})
	return ledger.List(), err
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
