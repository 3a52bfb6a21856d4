package testutil

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// NetNamespace is a network namespace of its own with one Ethernet link to
// this machine, as a pod has it.
type NetNamespace struct {
	// Name is its name for "ip netns exec".
	Name string
	// Interface is the link's end in the namespace, HostInterface the other.
	Interface, HostInterface string
	// Addr and HostAddr are the addresses of the two ends.
	Addr, HostAddr netip.Addr

	t testing.TB
}

// Namespace makes a network namespace, which ends with the test. It needs
// root.
func Namespace(t testing.TB) *NetNamespace {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "network namespaces", "only root makes them")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		Missing(t, "network namespaces", err.Error())
	}
	// Each test has ports of its own, and so a number, which gives it one of
	// the small networks in the range that is meant for measuring.
	number := FreePort(t) - firstPort
	first := 198<<24 | 18<<16 | uint32(number)*4
	addr := func(n uint32) netip.Addr {
		a := first + n
		return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
	}
	n := &NetNamespace{
		Name: fmt.Sprintf("clovertest%d", number), Interface: fmt.Sprintf("cvp%d", number),
		HostAddr: addr(1), Addr: addr(2), t: t,
	}
	n.HostInterface = fmt.Sprintf("cvh%d", number)
	// What a killed run has left is in the way.
	_, _ = n.remove()
	n.ip("netns", "add", n.Name)
	t.Cleanup(func() {
		if out, err := n.remove(); err != nil {
			t.Errorf("ip netns del: %v: %s", err, out)
		}
	})
	n.ip("link", "add", n.HostInterface, "type", "veth", "peer", "name", n.Interface, "netns", n.Name)
	n.ip("addr", "add", n.HostAddr.String()+"/30", "dev", n.HostInterface)
	n.ip("link", "set", n.HostInterface, "up")
	n.ip("-n", n.Name, "addr", "add", n.Addr.String()+"/30", "dev", n.Interface)
	n.ip("-n", n.Name, "link", "set", n.Interface, "up")
	n.ip("-n", n.Name, "link", "set", "lo", "up")
	return n
}

// remove ends the namespace and its link. The kernel takes a namespace apart
// when it has time for it, and the link with it, which another test must not
// meet: so that goes before. It may be gone already.
func (n *NetNamespace) remove() (out []byte, err error) {
	ctx := context.WithoutCancel(n.t.Context())
	_ = exec.CommandContext(ctx, "ip", "link", "del", n.HostInterface).Run()
	return exec.CommandContext(ctx, "ip", "netns", "del", n.Name).CombinedOutput()
}

func (n *NetNamespace) ip(args ...string) {
	n.t.Helper()
	if out, err := exec.CommandContext(n.t.Context(), "ip", args...).CombinedOutput(); err != nil {
		text := strings.TrimSpace(string(out))
		if strings.Contains(text, "Operation not permitted") {
			Missing(n.t, "network namespaces", text)
		}
		n.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, text)
	}
}

// Exec is what to put before a command to run it in the namespace.
func (n *NetNamespace) Exec() []string { return []string{"ip", "netns", "exec", n.Name} }

// Listen listens in the namespace, on TCP at Addr.
func (n *NetNamespace) Listen(port int) net.Listener {
	n.t.Helper()
	return n.listen(netip.AddrPortFrom(n.Addr, uint16(port)))
}

// ListenLoopback listens on the namespace's own 127.0.0.1.
func (n *NetNamespace) ListenLoopback(port int) net.Listener {
	n.t.Helper()
	return n.listen(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)))
}

func (n *NetNamespace) listen(addr netip.AddrPort) net.Listener {
	n.t.Helper()
	type result struct {
		l   net.Listener
		err error
	}
	done := make(chan result, 1)
	go func() {
		// The thread is in another namespace from here on, so nothing else may
		// run on it: it ends with the goroutine.
		runtime.LockOSThread()
		ns, err := os.Open("/var/run/netns/" + n.Name)
		if err != nil {
			done <- result{err: err}
			return
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- result{err: err}
			return
		}
		l, err := new(net.ListenConfig).Listen(n.t.Context(), "tcp", addr.String())
		done <- result{l, err}
	}()
	r := <-done
	if r.err != nil {
		n.t.Fatalf("listen in %s: %v", n.Name, r.err)
	}
	n.t.Cleanup(func() { r.l.Close() })
	return r.l
}

// Ping sends one ICMP echo request to Addr and does not wait for the answer.
func (n *NetNamespace) Ping() {
	n.t.Helper()
	conn, err := new(net.Dialer).DialContext(n.t.Context(), "ip4:icmp", n.Addr.String())
	if err != nil {
		n.t.Fatalf("ping: %v", err)
	}
	defer func() { _ = conn.Close() }()
	request := []byte{8, 0, 0, 0, 0, 1, 0, 1}
	var sum uint32
	for i := 0; i < len(request); i += 2 {
		sum += uint32(request[i])<<8 | uint32(request[i+1])
	}
	sum = ^(sum&0xffff + sum>>16)
	request[2], request[3] = byte(sum>>8), byte(sum)
	if _, err := conn.Write(request); err != nil {
		n.t.Fatalf("ping: %v", err)
	}
}
