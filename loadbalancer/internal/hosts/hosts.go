// Package hosts says which parts of a configuration matter for a host, in the
// same way for all drivers of programs.
package hosts

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strings"

	"github.com/opnfv/clover/loadbalancer"
)

// Answered reports whether a host, or every name below "*.", is among the
// names that are answered; "" stands for the hosts that have no name in the
// configuration.
func Answered(host string, names []string) bool {
	return len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return covers(strings.ToLower(name), host) })
}

// Routes returns the routes that matter for a host, with hosts in small
// letters. Those of a more specific pattern come first, within one pattern
// they are as compare orders them.
func Routes(host string, all []loadbalancer.Route, compare func(a, b loadbalancer.Route) int) []loadbalancer.Route {
	var list []loadbalancer.Route
	for _, r := range all {
		r.Host = strings.ToLower(r.Host)
		if r.Host == "" || covers(r.Host, host) {
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b loadbalancer.Route) int {
		return cmp.Or(cmp.Compare(rank(a.Host), rank(b.Host)), compare(a, b))
	})
	return list
}

// covers reports whether the hosts that pattern stands for include all that
// host stands for.
func covers(pattern, host string) bool {
	below, wild := strings.CutPrefix(pattern, "*")
	return pattern == host || wild && strings.HasSuffix(host, below)
}

// rank orders patterns of hosts: whole names, longer "*.", shorter, any. Names
// have 253 characters at most.
func rank(host string) int {
	switch {
	case host == "":
		return 1000
	case strings.HasPrefix(host, "*"):
		return 500 - len(host)
	default:
		return 0
	}
}

// IPv6 reports whether this machine has IPv6.
func IPv6(ctx context.Context) bool {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	return l.Close() == nil
}
