package sdc

import (
	"fmt"
	"net/http"
	"sync/atomic"
)

// mesh finds the listeners of services by their names and asks those of one
// name in turn, as a mesh's sidecars do. Add is for before the first request.
type mesh struct {
	*http.Transport
	endpoints map[string]*endpoints // HOST:PORT → listeners
}

type endpoints struct {
	addrs []string
	turn  atomic.Uint64
}

func newMesh() *mesh {
	return &mesh{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, endpoints: map[string]*endpoints{}}
}

func (m *mesh) add(name, addr string) {
	if m.endpoints[name] == nil {
		m.endpoints[name] = &endpoints{}
	}
	m.endpoints[name].addrs = append(m.endpoints[name].addrs, addr)
}

// RoundTrip implements http.RoundTripper.
func (m *mesh) RoundTrip(r *http.Request) (*http.Response, error) {
	e := m.endpoints[r.URL.Host]
	if e == nil {
		return nil, fmt.Errorf("there is no service %s", r.URL.Host)
	}
	out := r.Clone(r.Context())
	if out.Host == "" {
		out.Host = r.URL.Host
	}
	out.URL.Host = e.addrs[e.turn.Add(1)%uint64(len(e.addrs))]
	return m.Transport.RoundTrip(out)
}
