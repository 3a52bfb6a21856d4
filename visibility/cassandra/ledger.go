package cassandra

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/opnfv/clover/visibility"
)

// ledgerParts is the number of partitions of the watermarks.
const ledgerParts = 4

func ledgerPart(at account) int8 {
	return int8(uint64(hash64(at.source+"\x00"+at.service)) % ledgerParts)
}

// writeWatermarks says up to when the sources were read. It is done when the
// spans before that time are committed: whoever reads them again because it
// was not is told that they are duplicates.
func (c *committer) writeWatermarks(ctx context.Context) error {
	lists := make([][]statement, ledgerParts)
	for at, mark := range c.g.marks {
		part := ledgerPart(at)
		names := appendString(appendString(nil, at.source), at.service)
		lists[part] = append(lists[part], statement{
			cql:  "INSERT INTO watermarks (part, source, service, names, at) VALUES (?, ?, ?, ?, ?)",
			args: []any{part, keyName(at.source), keyName(at.service), names, mark.UnixNano()}, size: len(names) + 100,
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
	sums := map[account]counters{}
	err = s.eachCell(ctx, v, kindLedger, func(_, _ string, c cell) error {
		r := reader{b: c.value}
		at := account{r.string(), r.string()}
		if r.err != nil {
			return r.err
		}
		if sums[at] == nil {
			sums[at] = counters{}
		}
		return sums[at].merge(r.b)
	})
	if err != nil {
		return nil, err
	}
	entries := map[account]*visibility.LedgerEntry{}
	entry := func(at account) *visibility.LedgerEntry {
		if entries[at] == nil {
			entries[at] = &visibility.LedgerEntry{
				Source: at.source, Service: at.service, Rejected: map[string]int64{}, Dropped: map[string]int64{},
			}
		}
		return entries[at]
	}
	for at, n := range sums {
		n.into(entry(at))
	}
	err = s.watermarks(ctx, func(at account, mark time.Time) { entry(at).Watermark = mark })
	list := make([]visibility.LedgerEntry, 0, len(entries))
	for _, e := range entries {
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b visibility.LedgerEntry) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Service, b.Service))
	})
	return list, err
}

func (s *Store) watermarks(ctx context.Context, fn func(account, time.Time)) error {
	for part := range int8(ledgerParts) {
		iter := s.session.Query("SELECT names, at FROM watermarks WHERE part = ?", part).IterContext(ctx)
		var names []byte
		var at int64
		for iter.Scan(&names, &at) {
			r := reader{b: names}
			fn(account{r.string(), r.string()}, time.Unix(0, at).UTC())
			names = nil
		}
		if err := iter.Close(); err != nil {
			return err
		}
	}
	return nil
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
