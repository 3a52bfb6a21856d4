package storekit

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/opnfv/clover/visibility"
)

// Counters are named signed numbers. They add up, except that names beginning
// with '^' keep the largest.
type Counters map[string]int64

// Add counts v more, or takes v if it is larger.
func (c Counters) Add(name string, v int64) {
	if name[0] != '^' {
		c[name] += v
	} else if was, ok := c[name]; !ok || v > was {
		c[name] = v
	}
}

// Append encodes the counters as pairs of a text and a varint, in no order.
func (c Counters) Append(b []byte) []byte {
	for name, n := range c {
		b = AppendString(b, name)
		b = binary.AppendVarint(b, n)
	}
	return b
}

// Merge adds what Append has encoded. Its error is [ErrCorrupt].
func (c Counters) Merge(b []byte) error {
	r := Reader{B: b}
	for len(r.B) > 0 && r.Err == nil {
		name := r.String()
		n := r.Varint()
		if name == "" || r.Err != nil {
			return ErrCorrupt
		}
		c.Add(name, n)
	}
	return r.Err
}

// In returns the counters of a key, made if they are missing.
func In[K comparable](m map[K]Counters, key K) Counters {
	n := m[key]
	if n == nil {
		n = Counters{}
		m[key] = n
	}
	return n
}

// Account is an entry of the ledger.
type Account struct{ Source, Service string }

// AddLosses counts what the sources have lost, into the counters of each
// service.
func AddLosses(b *visibility.Batch, of func(Account) Counters) {
	for _, loss := range b.Ledger {
		n := of(Account{b.Source, loss.Service})
		n.Add("seen", loss.Count)
		name := loss.Fate.String()
		if loss.Fate == visibility.FateRejected || loss.Fate == visibility.FateDropped {
			name += ":" + loss.Reason
		}
		n.Add(name, loss.Count)
	}
}

// Ledger is visibility's ledger in the making.
type Ledger map[Account]*visibility.LedgerEntry

// Entry returns that of an account, made if it is missing.
func (l Ledger) Entry(at Account) *visibility.LedgerEntry {
	e := l[at]
	if e == nil {
		e = &visibility.LedgerEntry{Source: at.Source, Service: at.Service, Rejected: map[string]int64{}, Dropped: map[string]int64{}}
		l[at] = e
	}
	return e
}

// Set sets the counts of an account.
func (l Ledger) Set(at Account, c Counters) {
	e := l.Entry(at)
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

// List returns the entries by source and service.
func (l Ledger) List() []visibility.LedgerEntry {
	list := make([]visibility.LedgerEntry, 0, len(l))
	for _, e := range l {
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b visibility.LedgerEntry) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Service, b.Service))
	})
	return list
}
