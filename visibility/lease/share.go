package lease

import (
	"cmp"
	"hash/fnv"
	"maps"
	"math"
	"slices"
)

// Loads are told in the state with hysteresis, so that what moves work is a
// change, not that measuring is not exact.
const (
	hotFrom    = 1. / 4 // of an even share: a key with as much is hot,
	hotUntil   = 1. / 8 // until it has less than that
	hotChange  = 1.5    // the factor from which on a hot key's load is told anew
	sumChange  = 1.25   // and that of all loads
	leastShare = 1. / 50
	maxHot     = 1000 // bounds the state
)

// even is the load of a member if all have the same.
func (t table) even() float64 { return t.Sum / float64(max(len(t.Members), 1)) }

// tell adds to a table what a member measured of its keys, when before is the
// table as it was. Until the members have settled, that moves nothing.
func (t *table) tell(before table, self string, measured map[string]float64, settled bool) {
	t.Loads = maps.Clone(before.Loads)
	maps.DeleteFunc(t.Loads, func(id string, _ float64) bool { _, member := t.Members[id]; return !member })
	own := 0.0
	for _, load := range measured {
		own += load
	}
	if own > 0 {
		if t.Loads == nil {
			t.Loads = map[string]float64{}
		}
		t.Loads[self] = digits(own)
	}
	sum := 0.0
	for _, load := range t.Loads {
		sum += load
	}
	t.Sum, t.Hot = before.Sum, before.Hot
	if !settled {
		return
	}
	if far(t.Sum, sum, sumChange) && sum > 0 {
		t.Sum = digits(sum)
	}
	t.tellHot(before, measured)
}

// tellHot takes over the hot keys, but for what was measured otherwise.
func (t *table) tellHot(before table, measured map[string]float64) {
	t.Hot = maps.Clone(before.Hot)
	even := t.even()
	for key, load := range measured {
		told, hot := t.Hot[key]
		switch {
		case hot && load < even*hotUntil:
			delete(t.Hot, key)
		case hot && far(told, load, hotChange), !hot && even > 0 && load >= even*hotFrom && len(t.Hot) < maxHot:
			if t.Hot == nil {
				t.Hot = map[string]float64{}
			}
			t.Hot[key] = digits(load)
		}
	}
}

// far reports whether two loads differ by a factor.
func far(a, b, factor float64) bool { return a > b*factor || b > a*factor }

// digits rounds to three digits.
func digits(x float64) float64 {
	if x <= 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(x))-2)
	return math.Round(x/unit) * unit
}

// shares says which member owns which key. It follows from the members, the
// hot keys and the sum of a table alone, so that all members agree.
type shares struct {
	members []string           // sorted
	room    map[string]float64 // by member: for keys that are not hot
	owners  map[string]string  // by key: of the hot ones, and of those asked for so far
	sum     float64
	hot     map[string]float64
}

// divide divides the keys. Hot ones come first, in the order of their loads:
// each goes to the first member of its own order that has room for it, or else
// to the one that has least. The others fill what is left.
func divide(t table) *shares {
	s := &shares{
		members: slices.Sorted(maps.Keys(t.Members)), room: map[string]float64{}, owners: map[string]string{},
		sum: t.Sum, hot: t.Hot,
	}
	even := t.even()
	for _, id := range s.members {
		s.room[id] = max(even, 1)
	}
	keys := slices.SortedFunc(maps.Keys(t.Hot), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.Hot[b], t.Hot[a]), cmp.Compare(a, b))
	})
	for _, key := range keys {
		order := slices.Clone(s.members)
		slices.SortFunc(order, func(a, b string) int {
			return cmp.Or(cmp.Compare(weight(b, key), weight(a, key)), cmp.Compare(b, a))
		})
		i := slices.IndexFunc(order, func(id string) bool { return s.room[id] >= t.Hot[key] })
		if i < 0 {
			i = 0
			for j := range order {
				if s.room[order[j]] > s.room[order[i]] {
					i = j
				}
			}
		}
		if len(order) > 0 {
			s.owners[key] = order[i]
			s.room[order[i]] -= t.Hot[key]
		}
	}
	for id, room := range s.room {
		s.room[id] = max(room, even*leastShare)
	}
	return s
}

// same reports whether a table divides the keys as s does.
func (s *shares) same(t table) bool {
	return s.sum == t.Sum && maps.Equal(s.hot, t.Hot) && s.hasMembers(t)
}

// hasMembers reports whether a table has the same members.
func (s *shares) hasMembers(t table) bool {
	return len(s.members) == len(t.Members) &&
		!slices.ContainsFunc(s.members, func(id string) bool { _, member := t.Members[id]; return !member })
}

// owner returns the member that a key belongs to; "" if there are none.
func (s *shares) owner(key string) string {
	if id, ok := s.owners[key]; ok {
		return id
	}
	best, highest := "", 0.0
	for _, id := range s.members {
		// Weighted rendezvous: in proportion to the room, and if one member's
		// room changes, keys move to it or from it only.
		score := s.room[id] / -math.Log((float64(weight(id, key))+1)/(1<<64+2))
		if best == "" || score >= highest {
			best, highest = id, score
		}
	}
	s.owners[key] = best
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
