package proxy

import (
	"context"
	"errors"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/opnfv/clover/loadbalancer"
)

// group is a group as one configuration wants it.
type group struct {
	conf    loadbalancer.Group
	pool    *pool
	primary []*member
	backup  []*member
}

// Why a request gets no server.
var (
	errNoServer = errors.New("no server can be used")
	errFull     = errors.New("every server has its maximum of connections")
)

// acquire takes a server for a request and counts the request as under way
// there, until release. tried are servers that are not wanted again. While
// all are full it waits in the queue.
func (g *group) acquire(ctx context.Context, key uint64, tried []*server) (*server, error) {
	s, full, wait := g.tryAcquire(key, tried)
	if s != nil || !full {
		return s, orNoServer(s)
	}
	if wait == nil {
		return nil, errFull
	}
	t := time.NewTimer(g.conf.Queue.Timeout)
	defer t.Stop()
	for {
		var cause error
		select {
		case <-wait:
		case <-t.C:
			cause = errFull
		case <-ctx.Done():
			cause = ctx.Err()
		}
		if cause != nil {
			g.pool.leave(wait)
			return nil, cause
		}
		s, full, wait = g.tryAcquire(key, tried)
		if s != nil || !full {
			return s, orNoServer(s)
		}
		if wait == nil {
			return nil, errFull
		}
	}
}

func orNoServer(s *server) error {
	if s == nil {
		return errNoServer
	}
	return nil
}

// tryAcquire is acquire without waiting. If all are full it returns a place in
// the queue, or nil if that is full too.
func (g *group) tryAcquire(key uint64, tried []*server) (s *server, full bool, wait chan struct{}) {
	now := time.Now()
	p := g.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	m, full := g.pick(key, tried, now)
	if m != nil {
		m.inFlight++
		return m.server, false, nil
	}
	if full && len(p.waiting) < g.conf.Queue.Length {
		wait = make(chan struct{})
		p.waiting = append(p.waiting, wait)
	}
	return nil, full, wait
}

// leave gives a place in the queue back. A turn that came meanwhile goes to
// the next.
func (p *pool) leave(wait chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, wait); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	} else if len(p.waiting) > 0 {
		close(p.waiting[0])
		p.waiting = slices.Delete(p.waiting, 0, 1)
	}
}

// pick chooses the server for a request. full says that there is none only
// because those that could be are full. The pool's lock is held.
func (g *group) pick(key uint64, tried []*server, now time.Time) (m *member, full bool) {
	m, primaryFull := g.pickOf(g.primary, key, tried, now, false)
	if m != nil {
		return m, false
	}
	m, backupFull := g.pickOf(g.backup, key, tried, now, false)
	if m != nil || primaryFull || backupFull {
		return m, m == nil
	}
	// All are out by failures. One of them may work again, and the
	// alternative is to refuse the request.
	return g.pickOf(g.primary, key, tried, now, true)
}

func (g *group) pickOf(from []*member, key uint64, tried []*server, now time.Time, evenOut bool) (*member, bool) {
	list, full := g.pool.candidates[:0], false
	for _, m := range from {
		ok, isFull := m.usable(tried, now, evenOut)
		if ok {
			list = append(list, m)
		}
		full = full || isFull
	}
	g.pool.candidates = list
	switch len(list) {
	case 0:
		return nil, full
	case 1:
		return list[0], false
	}
	switch g.conf.Method {
	case loadbalancer.LeastConnections:
		g.pool.turn++
		return leastLoad(list, g.pool.turn, now), false
	case loadbalancer.RandomTwoChoices:
		return twoChoices(list, now), false
	case loadbalancer.Hash:
		return highestRandomWeight(list, key), false
	default:
		return smoothRoundRobin(list, now), false
	}
}

// usable reports whether a member may get a request, and if not, whether only
// because it is full.
func (m *member) usable(tried []*server, now time.Time, evenOut bool) (ok, full bool) {
	if m.state != loadbalancer.Up || m.unhealthy || slices.Contains(tried, m.server) {
		return false, false
	}
	if !m.outUntil.IsZero() && !evenOut {
		if now.Before(m.outUntil) {
			return false, false
		}
		m.since, m.outUntil = m.outUntil, time.Time{}
	}
	if m.max > 0 && m.inFlight >= m.max {
		return false, true
	}
	return true, false
}

// smoothRoundRobin lets each member gain its share, and takes the one that
// has the most, which pays what all have gained.
func smoothRoundRobin(list []*member, now time.Time) *member {
	var best *member
	total := 0.0
	for _, m := range list {
		share := m.share(now)
		m.current += share
		total += share
		if best == nil || m.current > best.current {
			best = m
		}
	}
	best.current -= total
	return best
}

// leastLoad takes the member with the least load. It begins elsewhere each
// time, so that equal members take turns.
func leastLoad(list []*member, turn int, now time.Time) *member {
	var best *member
	least := math.Inf(1)
	for i := range list {
		m := list[(turn+i)%len(list)]
		if load := m.load(now); load < least {
			best, least = m, load
		}
	}
	return best
}

// twoChoices draws two members by weight, without putting the first back, and
// takes the one with less load. To draw from a list in one pass, each gets the
// random key log(u)/weight, and the two greatest are drawn.
func twoChoices(list []*member, now time.Time) *member {
	var first, second *member
	firstKey, secondKey := math.Inf(-1), math.Inf(-1)
	for _, m := range list {
		key := math.Log(1-rand.Float64()) / m.share(now)
		switch {
		case key > firstKey:
			second, secondKey = first, firstKey
			first, firstKey = m, key
		case key > secondKey:
			second, secondKey = m, key
		}
	}
	if second != nil && second.load(now) < first.load(now) {
		return second
	}
	return first
}

// highestRandomWeight takes the member whose hash with the key is the highest
// for its weight, so that one that goes moves only its own keys.
func highestRandomWeight(list []*member, key uint64) *member {
	var best *member
	highest := math.Inf(-1)
	for _, m := range list {
		u := (float64(mix(key^m.hash)>>11) + 0.5) / (1 << 53)
		if score := -m.weight / math.Log(u); score > highest {
			best, highest = m, score
		}
	}
	return best
}

// hashText is FNV-1a with its bits spread. It is the same in every process,
// so that several proxies choose alike.
func hashText(text string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return mix(h)
}

// mix spreads the bits of h over all of the result.
func mix(h uint64) uint64 {
	hi, lo := bits.Mul64(h^0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9)
	hi, lo = bits.Mul64(hi^lo, 0x94d049bb133111eb)
	return hi ^ lo
}
