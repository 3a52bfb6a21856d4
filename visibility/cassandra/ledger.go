package cassandra

import (
	"context"
	"errors"
	"time"

	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/internal/storekit"
)

// ledgerParts is the number of partitions of the watermarks.
const ledgerParts = 4

func ledgerPart(at storekit.Account) int8 {
	return int8(uint64(hash64(at.Source+"\x00"+at.Service)) % ledgerParts)
}

// writeWatermarks says up to when the sources were read. It is done when the
// spans before that time are committed: whoever reads them again because it
// was not is told that they are duplicates.
func (c *committer) writeWatermarks(ctx context.Context) error {
	lists := make([][]statement, ledgerParts)
	for at, mark := range c.g.marks {
		part := ledgerPart(at)
		names := storekit.AppendString(storekit.AppendString(nil, at.Source), at.Service)
		lists[part] = append(lists[part], statement{
			cql:  "INSERT INTO watermarks (part, source, service, names, at) VALUES (?, ?, ?, ?, ?)",
			args: []any{part, keyName(at.Source), keyName(at.Service), names, mark.UnixNano()}, size: len(names) + 100,
		})
	}
	return failure(ctx, c.writeBatches(ctx, lists))
}

// Ledger implements visibility.LedgerReader.
func (s *Store) Ledger(ctx context.Context) ([]visibility.LedgerEntry, error) {
	ctx, end, err := s.use(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	for {
		list, err := s.ledger(ctx)
		if !errors.Is(err, errTorn) || ctx.Err() != nil {
			return list, failure(ctx, err)
		}
	}
}

func (s *Store) ledger(ctx context.Context) ([]visibility.LedgerEntry, error) {
	v, err := s.view(ctx, visibility.Range{}, kindLedger)
	if err != nil {
		return nil, err
	}
	sums := map[storekit.Account]storekit.Counters{}
	err = s.eachCell(ctx, v, kindLedger, func(_, _ string, c cell) error {
		r := storekit.Reader{B: c.value}
		at := storekit.Account{Source: r.String(), Service: r.String()}
		if r.Err != nil {
			return r.Err
		}
		return storekit.In(sums, at).Merge(r.B)
	})
	if err != nil {
		return nil, err
	}
	ledger := storekit.Ledger{}
	for at, n := range sums {
		ledger.Set(at, n)
	}
	err = s.watermarks(ctx, func(at storekit.Account, mark time.Time) { ledger.Entry(at).Watermark = mark })
	return ledger.List(), err
}

func (s *Store) watermarks(ctx context.Context, fn func(storekit.Account, time.Time)) error {
	for part := range int8(ledgerParts) {
		iter := s.session.Query("SELECT names, at FROM watermarks WHERE part = ?", part).IterContext(ctx)
		var names []byte
		var at int64
		for iter.Scan(&names, &at) {
			r := storekit.Reader{B: names}
			fn(storekit.Account{Source: r.String(), Service: r.String()}, time.Unix(0, at).UTC())
			names = nil
		}
		if err := iter.Close(); err != nil {
			return err
		}
	}
	return nil
}
