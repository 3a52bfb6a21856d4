package lease

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// table is the state in the store: for each member a number that grows each
// time that it renews its lease. There is no time in it, so that the clocks of
// the members need not agree.
type table struct {
	Members map[string]uint64 `json:"members"`
}

func parse(text []byte) (t table, err error) {
	if text != nil {
		if err := json.Unmarshal(text, &t); err != nil {
			return t, fmt.Errorf("leases in the store: %w", err)
		}
	}
	if t.Members == nil {
		t.Members = map[string]uint64{}
	}
	return t, nil
}

func (t table) encode() ([]byte, error) { return json.Marshal(t) }

// sight is what a member has seen of another: its number, and for how long it
// has been looking at the same number.
type sight struct {
	number uint64
	age    time.Duration
}

// watch follows the numbers of the other members.
type watch struct {
	self  string
	seen  map[string]sight
	since time.Time // of the last look
}

// look takes in a table that was read at a time. At most longest passes
// between two looks: a member that was itself not running, or could not read,
// has not seen the others rest meanwhile.
func (w *watch) look(t table, now time.Time, longest time.Duration) {
	passed := time.Duration(0)
	if !w.since.IsZero() {
		passed = min(now.Sub(w.since), longest)
	}
	w.since = now
	seen := make(map[string]sight, len(t.Members))
	for id, number := range t.Members {
		if id == w.self {
			continue
		}
		s := sight{number: number}
		if before, ok := w.seen[id]; ok && before.number == number {
			s.age = before.age + passed
		}
		seen[id] = s
	}
	w.seen = seen
}

// renew returns the table with the own lease renewed and without those that
// have lapsed.
func (w *watch) renew(t table, expire time.Duration) (next table, lapsed []string) {
	next = table{Members: map[string]uint64{w.self: t.Members[w.self] + 1}}
	for id, s := range w.seen {
		if s.age >= expire {
			lapsed = append(lapsed, id)
			continue
		}
		next.Members[id] = s.number
	}
	slices.Sort(lapsed)
	return next, lapsed
}

// owner returns the member that a key belongs to; "" if there are none.
func owner(members []string, key string) (best string) {
	var highest uint64
	for _, id := range members {
		if w := weight(id, key); best == "" || w > highest || w == highest && id > best {
			best, highest = id, w
		}
	}
	return best
}

// weight is a number that depends on both evenly: FNV-1a, finished as
// SplitMix64 does, because names often differ in their last letter only.
func weight(id, key string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(key))
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
