package proxy

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/opnfv/clover/loadbalancer"
)

// Stats are counts since the Proxy was made, but for those of servers, which
// are since the server came into its group.
type Stats struct {
	// Requests that came, of which Refused were not let in (403) and
	// Unrouted had no route (404).
	Requests, Refused, Unrouted uint64
	Groups                      []GroupStats // in the order of names
	Mirror                      MirrorStats
}

// GroupStats are the counts of a group.
type GroupStats struct {
	Name string
	// Unserved requests found no server (503), Retries were sent to another.
	Unserved, Retries uint64
	// Waiting requests are in the queue now.
	Waiting int
	Servers []ServerStats // in the order of addresses
}

// ServerStats are the counts of a server.
type ServerStats struct {
	Address string
	State   loadbalancer.State
	// Healthy is false while health checks or failures keep it out.
	Healthy bool
	// InFlight requests are under way now.
	InFlight int
	// Requests were sent, of which Failures had no response.
	Requests, Failures uint64
	// Statuses counts responses by their class: Statuses[2] are 2xx.
	Statuses [6]uint64
}

type groupStats struct{ unserved, retries atomic.Uint64 }

type serverStats struct {
	requests, failures atomic.Uint64
	statuses           [6]atomic.Uint64
}

func (s *serverStats) count(status int) {
	if class := status / 100; class > 0 && class < len(s.statuses) {
		s.statuses[class].Add(1)
	}
}

// Stats returns the counts. They are read one after another, not as of one
// instant.
func (p *Proxy) Stats() Stats {
	s := Stats{
		Requests: p.stats.requests.Load(), Refused: p.stats.refused.Load(), Unrouted: p.stats.unrouted.Load(),
		Mirror: p.mirror.read(),
	}
	for _, g := range p.current.Load().groups {
		s.Groups = append(s.Groups, g.read())
	}
	slices.SortFunc(s.Groups, func(a, b GroupStats) int { return strings.Compare(a.Name, b.Name) })
	return s
}

func (g *group) read() GroupStats {
	p := g.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	s := GroupStats{
		Name: g.conf.Name, Unserved: p.stats.unserved.Load(), Retries: p.stats.retries.Load(), Waiting: len(p.waiting),
	}
	for _, m := range slices.Concat(g.primary, g.backup) {
		one := ServerStats{
			Address: m.address, State: m.state, Healthy: !m.unhealthy && m.outUntil.IsZero(), InFlight: m.inFlight,
			Requests: m.stats.requests.Load(), Failures: m.stats.failures.Load(),
		}
		for i := range m.stats.statuses {
			one.Statuses[i] = m.stats.statuses[i].Load()
		}
		s.Servers = append(s.Servers, one)
	}
	slices.SortFunc(s.Servers, func(a, b ServerStats) int { return strings.Compare(a.Address, b.Address) })
	return s
}
