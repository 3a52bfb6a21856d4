package lease

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// table is the state in the store: for each member a number that grows each
// time that it renews its lease. There is no time in it, so that the clocks of
// the members need not agree. The rest is what members have measured: see
// tell. Loads are spans a second.
type table struct {
	Members map[string]uint64  `json:"members"`
	Loads   map[string]float64 `json:"loads,omitempty"` // by member, all in all
	Sum     float64            `json:"sum,omitempty"`   // of Loads, about
	Hot     map[string]float64 `json:"hot,omitempty"`   // by key, of those with much
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
