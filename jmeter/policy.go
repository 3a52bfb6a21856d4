package jmeter

import (
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// Policy says which targets a test may have. The zero value allows none.
type Policy struct {
	// Allow are patterns of host names (*.default.svc.cluster.local), addresses
	// and networks (10.0.0.0/8). "*" allows everything but the addresses that
	// only this machine and its cloud have: loopback and link-local ones, where
	// metadata is. These have to be allowed as addresses, or as localhost.
	Allow []string
	// Deny are patterns that are never allowed.
	Deny []string
}

// Check looks at the hosts of a plan. One that comes from a variable cannot be
// known before the run and is not allowed.
func (p Policy) Check(plan *Plan) error {
	var err error
	plan.Walk(func(_ *Group, s Step) {
		q, ok := s.(*Request)
		if !ok || err != nil {
			return
		}
		host := strings.Trim(q.URL.Host, "[]")
		switch {
		case strings.Contains(host, "${"):
			err = fmt.Errorf("%w: %s: the host %q comes from a variable", ErrDenied, q.Name, host)
		case !p.allowsName(host):
			err = fmt.Errorf("%w: %s: %q; the operator of the controller can allow it", ErrDenied, q.Name, host)
		}
	})
	return err
}

// AllowAddress decides on an address that a name was resolved to. It returns
// an error that matches ErrDenied, or nil. It is what a runner asks before
// each connection.
func (p Policy) AllowAddress(host string, ip net.IP) error {
	addr, ok := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	denied := fmt.Errorf("%w: %s (%s)", ErrDenied, host, ip)
	switch {
	case !ok || matchesAny(p.Deny, host, addr):
		return denied
	case special(addr):
		named := host == "localhost" && slices.Contains(p.Allow, host)
		if !named && !matchesAny(withoutStar(p.Allow), addr.String(), addr) {
			return denied // a name may resolve to anything
		}
	case !matchesAny(p.Allow, host, addr):
		return denied
	}
	return nil
}

func (p Policy) allowsName(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err == nil {
		return p.AllowAddress(host, addr.AsSlice()) == nil
	}
	return !matchesAny(p.Deny, host, netip.Addr{}) && matchesAny(p.Allow, host, netip.Addr{})
}

// special reports whether an address means this machine or its link.
func special(a netip.Addr) bool {
	return a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast()
}

func withoutStar(patterns []string) []string {
	var out []string
	for _, p := range patterns {
		if p != "*" {
			out = append(out, p)
		}
	}
	return out
}

func matchesAny(patterns []string, host string, addr netip.Addr) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, p := range patterns {
		if network, err := netip.ParsePrefix(p); err == nil {
			if addr.IsValid() && network.Contains(addr) {
				return true
			}
			continue
		}
		if ok, err := path.Match(strings.ToLower(p), host); err == nil && ok {
			return true
		}
		if a, err := netip.ParseAddr(p); err == nil && addr.IsValid() && a.Unmap() == addr {
			return true
		}
	}
	return false
}
