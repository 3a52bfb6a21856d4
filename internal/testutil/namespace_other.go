//go:build !linux

package testutil

import (
	"net"
	"net/netip"
	"testing"
)

// NetNamespace is a network namespace; only Linux has them.
type NetNamespace struct {
	Name, Interface, HostInterface string
	Addr, HostAddr                 netip.Addr
}

// Namespace ends the test: only Linux has network namespaces.
func Namespace(t testing.TB) *NetNamespace {
	t.Helper()
	Missing(t, "network namespaces", "only Linux has them")
	return nil
}

// Exec is not there without a namespace.
func (n *NetNamespace) Exec() []string { return nil }

// Listen is not there without a namespace.
func (n *NetNamespace) Listen(int) net.Listener { return nil }

// ListenLoopback is not there without a namespace.
func (n *NetNamespace) ListenLoopback(int) net.Listener { return nil }

// Ping is not there without a namespace.
func (n *NetNamespace) Ping() {}
