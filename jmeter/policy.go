package jmeter

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Policy says which targets a test may have. The zero value allows none.
type Policy struct {
	// Allow are patterns of host names (*.default.svc.cluster.local), addresses
	// and networks (10.0.0.0/8). "*" allows everything but the addresses that
	// only this machine and its cloud have: loopback and link-local ones, and
	// those of metadata. These have to be allowed as addresses, or as localhost.
	Allow []string
	// Deny are patterns that are never allowed.
	Deny []string
}

// Check looks at a plan as it was read, before Resolve. It denies hosts that
// are not allowed, and what cannot be known before the run: hosts that come
// from a variable, functions and elements that only JMeter has, which may be
// programs, and files that are not in the plan's own folder.
func (p Policy) Check(plan *Plan) error {
	denied := func(what, why string) error { return fmt.Errorf("%w: %s: %s", ErrDenied, what, why) }
	if plan.Functions {
		return denied("functions", "JMeter's functions can reach anything; want functions: false")
	}
	for _, o := range plan.Others {
		if !o.Disabled {
			return denied(o.label(), onlyJMeter)
		}
	}
	var err error
	plan.Walk(func(_ *Group, s Step) {
		switch s := s.(type) {
		case *Opaque:
			if !s.Disabled {
				err = cmp.Or(err, denied(s.label(), onlyJMeter))
			}
		case *Request:
			err = cmp.Or(err, p.request(s, denied))
		}
	})
	for _, name := range plan.Files() {
		if strings.Contains(name, "${") || !filepath.IsLocal(filepath.FromSlash(name)) {
			err = cmp.Or(err, denied(name, "want a file in the folder of the plan"))
		}
	}
	return err
}

const onlyJMeter = "an element that only JMeter has, which may do anything"

func (p Policy) request(q *Request, denied func(what, why string) error) error {
	if unknown := q.Unknown(); len(unknown) > 0 {
		return denied(q.Name, strings.Join(unknown, ", ")+": "+onlyJMeter)
	}
	host := strings.Trim(q.URL.Host, "[]")
	switch {
	case strings.Contains(host, "${"):
		return denied(q.Name, fmt.Sprintf("the host %q comes from a variable", host))
	case !p.allowsName(host):
		return denied(q.Name, fmt.Sprintf("%q; the operator of the controller can allow it", host))
	}
	return nil
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

// metadata are addresses of clouds' metadata that are not link-local: AWS,
// Azure, Alibaba, Oracle.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("168.63.129.16"),
	netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("192.0.0.192"),
}

// nat64 are the addresses by which an IPv6 network reaches those of IPv4,
// which are their last four bytes.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// special reports whether an address means this machine, its link or its cloud.
func special(a netip.Addr) bool {
	if nat64.Contains(a) {
		b := a.As16()
		return special(netip.AddrFrom4([4]byte(b[12:])))
	}
	return a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast() || slices.Contains(metadata, a)
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
