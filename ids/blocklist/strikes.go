package blocklist

import (
	"net/netip"
	"time"
)

// strikes counts the alerts of sources that are not kept out yet. It holds as
// many sources as there may be entries; beyond, the ones that are over go,
// else all do, which costs their sources' counts and no memory.
type strikes struct {
	limit int
	of    map[netip.Addr]strike
}

type strike struct {
	n     int
	first time.Time
	last  string // identity of the newest alert
}

func newStrikes(limit int) strikes { return strikes{limit: limit, of: map[netip.Addr]strike{}} }

// count counts one more alert of a source, and returns how many there were
// within a time.
func (s *strikes) count(a Alert, now time.Time, within time.Duration) int {
	k, there := s.of[a.Source]
	if there && a.ID != "" && a.ID == k.last {
		return k.n // told again
	}
	if there && now.Sub(k.first) >= within {
		k = strike{}
	}
	if k.n == 0 {
		k.first = now
	}
	k.n++
	k.last = bounded(a.ID)
	if !there && len(s.of) >= s.limit {
		s.makeRoom(now, within)
	}
	s.of[a.Source] = k
	return k.n
}

func (s *strikes) makeRoom(now time.Time, within time.Duration) {
	for a, k := range s.of {
		if now.Sub(k.first) >= within {
			delete(s.of, a)
		}
	}
	if len(s.of) >= s.limit {
		clear(s.of)
	}
}

func (s *strikes) forget(a netip.Addr) { delete(s.of, a) }
