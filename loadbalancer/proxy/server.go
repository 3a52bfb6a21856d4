package proxy

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/loadbalancer"
)

// server is what is known of a server of a group. It lives on over changes
// that keep the server's address in the group.
type server struct {
	address string
	hash    uint64
	stats   serverStats
	wire    atomic.Pointer[wire]

	// Under the lock of the group's pool:

	inFlight   int
	current    float64   // of the smooth round robin
	failures   int       // since windowFrom
	windowFrom time.Time // when the first of failures was
	outUntil   time.Time // the end of the time for which failures took it out
	since      time.Time // when its slow start began
	unhealthy  bool      // what health checks say
	good, bad  int       // results of checks in a row
}

// member is a server as one configuration wants it.
type member struct {
	*server
	weight float64
	max    int
	slow   time.Duration
	state  loadbalancer.State
}

// share is the member's weight, less in a slow start.
func (m *member) share(now time.Time) float64 {
	if m.slow <= 0 {
		return m.weight
	}
	age := now.Sub(m.since)
	if age >= m.slow {
		return m.weight
	}
	return m.weight * max(float64(age)/float64(m.slow), 0.01)
}

// load is what the member's load would be with one more request.
func (m *member) load(now time.Time) float64 { return float64(m.inFlight+1) / m.share(now) }

// pool is what is known of a group. It lives on over changes that keep the
// group's name.
type pool struct {
	stats groupStats
	piece time.Duration // see pieceTimeout

	mu         sync.Mutex
	servers    map[string]*server
	turn       int             // of ties
	waiting    []chan struct{} // requests for which no server had room, oldest first
	candidates []*member       // space for pick
}

func newPool(piece time.Duration) *pool { return &pool{piece: piece, servers: map[string]*server{}} }

// group makes a group of this pool as a configuration wants it, and servers
// for the addresses that are new.
func (p *pool) group(c loadbalancer.Group, now time.Time) *group {
	g := &group{conf: c, pool: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sc := range c.Servers {
		s := p.servers[sc.Address]
		if s == nil {
			s = &server{address: sc.Address, hash: hashText(sc.Address), since: now}
			p.servers[sc.Address] = s
		}
		if c.Health.Path == "" {
			s.unhealthy, s.good, s.bad = false, 0, 0
		}
		s.setWire(wireOptions{protocol: c.Protocol, connect: c.ConnectTimeout, response: c.ResponseTimeout, piece: p.piece})
		m := &member{server: s, weight: float64(sc.Weight), max: sc.MaxConnections, slow: sc.SlowStart, state: sc.State}
		if sc.Backup {
			g.backup = append(g.backup, m)
		} else {
			g.primary = append(g.primary, m)
		}
	}
	return g
}

// retain forgets the servers that g, which may be nil, does not have. Requests
// that they have end as they began.
func (p *pool) retain(g *group) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for address, s := range p.servers {
		is := func(m *member) bool { return m.server == s }
		if g == nil || !slices.ContainsFunc(g.primary, is) && !slices.ContainsFunc(g.backup, is) {
			delete(p.servers, address)
			s.wire.Load().retire()
		}
	}
	p.wakeAll()
}

// wakeAll lets every waiting request look again, for servers that are new.
func (p *pool) wakeAll() {
	for _, w := range p.waiting {
		close(w)
	}
	p.waiting = nil
}

// release gives a server back after a request.
func (p *pool) release(s *server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.inFlight--
	if len(p.waiting) > 0 {
		close(p.waiting[0])
		p.waiting = slices.Delete(p.waiting, 0, 1)
	}
}

// failed notes that a connection to a server failed.
func (p *pool) failed(s *server, limit loadbalancer.FailureLimit, now time.Time) {
	s.stats.failures.Add(1)
	if limit.Max < 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(s.windowFrom) > limit.Window {
		s.failures, s.windowFrom = 0, now
	}
	s.failures++
	if s.failures >= limit.Max {
		s.failures, s.outUntil = 0, now.Add(limit.Window)
	}
}

// checked notes the result of a health check.
func (p *pool) checked(s *server, ok bool, h loadbalancer.HealthCheck, now time.Time) (changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ok {
		s.good, s.bad = s.good+1, 0
	} else {
		s.good, s.bad = 0, s.bad+1
	}
	switch {
	case s.unhealthy && s.good >= h.Rise:
		s.unhealthy, s.since = false, now
		p.wakeAll()
		return true
	case !s.unhealthy && s.bad >= h.Fall:
		s.unhealthy = true
		return true
	}
	return false
}

// renewWires closes the connections that are idle.
func (p *pool) renewWires() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.servers {
		s.renewWire()
	}
}
