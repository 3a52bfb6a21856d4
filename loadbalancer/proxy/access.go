package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/opnfv/clover/loadbalancer"
)

// access is compiled loadbalancer.Access.
type access struct {
	allow, deny, trusted prefixes
	hops                 int
}

func newAccess(a loadbalancer.Access) access {
	return access{
		allow: newPrefixes(a.Allow), deny: newPrefixes(a.Deny), trusted: newPrefixes(a.TrustedProxies), hops: a.TrustedHops,
	}
}

// named reports whether the client may be somebody else than who connects.
func (a *access) named() bool { return a.hops > 0 || len(a.trusted.of) > 0 }

// admits reports whether a client is let in. One whose address is not known
// is let in only if nobody is named.
func (a *access) admits(client netip.Addr) bool {
	if !client.IsValid() {
		return len(a.allow.of) == 0 && len(a.deny.of) == 0
	}
	return !a.deny.contain(client) && (len(a.allow.of) == 0 || a.allow.contain(client))
}

// client tells who sent a request. The address is invalid if nothing usable is
// there.
func (a *access) client(r *http.Request) netip.Addr {
	peer := peerOf(r.RemoteAddr)
	switch {
	case a.hops > 0:
		hops := forwardedFor(r.Header)
		if len(hops) < a.hops {
			return peer
		}
		if addr, ok := forwardedAddr(hops[len(hops)-a.hops]); ok {
			return addr
		}
		return netip.Addr{}
	case len(a.trusted.of) > 0 && a.trusted.contain(peer):
		return a.untrusted(peer, forwardedFor(r.Header))
	}
	return peer
}

// untrusted returns the last address of the way here that is no trusted proxy,
// or the first of all if all are.
func (a *access) untrusted(peer netip.Addr, hops []string) netip.Addr {
	client := peer
	for _, hop := range slices.Backward(hops) {
		addr, ok := forwardedAddr(hop)
		if !ok {
			return netip.Addr{}
		}
		client = addr
		if !a.trusted.contain(addr) {
			break
		}
	}
	return client
}

// peerOf reads HOST:PORT as a server has it.
func peerOf(remote string) netip.Addr {
	if ap, err := netip.ParseAddrPort(remote); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

func forwardedFor(h http.Header) []string {
	values := h["X-Forwarded-For"]
	if len(values) == 0 {
		return nil
	}
	return strings.Split(strings.Join(values, ","), ",")
}

// forwardedAddr reads an entry of X-Forwarded-For, which some proxies write
// with a port.
func forwardedAddr(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return addr.Unmap().WithZone(""), err == nil
}

// prefixes is a set of networks in which looking up costs one step for each
// length of prefix there is, however many networks.
type prefixes struct {
	lengths4, lengths6 []int
	of                 map[netip.Prefix]struct{}
}

func newPrefixes(list []netip.Prefix) prefixes {
	p := prefixes{of: make(map[netip.Prefix]struct{}, len(list))}
	for _, n := range list {
		p.of[n] = struct{}{}
		lengths := &p.lengths6
		if n.Addr().Is4() {
			lengths = &p.lengths4
		}
		if !slices.Contains(*lengths, n.Bits()) {
			*lengths = append(*lengths, n.Bits())
		}
	}
	return p
}

func (p *prefixes) contain(a netip.Addr) bool {
	lengths := p.lengths6
	if a.Is4() {
		lengths = p.lengths4
	}
	for _, bits := range lengths {
		n, err := a.Prefix(bits)
		if err != nil {
			return false
		}
		if _, ok := p.of[n]; ok {
			return true
		}
	}
	return false
}
