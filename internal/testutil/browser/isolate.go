package browser

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
)

// Isolate lets the browser run in a network namespace of its own, where root
// can make one: a browser gives up its requests when the machine's interfaces
// change, as they do while other tests run. It returns the address at which the
// browser reaches what is at addr outside: the same port of 127.0.0.1, or addr
// itself without a namespace.
func (b *Browser) Isolate(t testing.TB, addr string) string {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return addr
	}
	outside, err := netip.ParseAddrPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n := testutil.Namespace(t)
	// Its link would get an IPv6 address seconds later, which is a change too.
	unlink := append(n.Exec(), "ip", "link", "del", n.Interface)
	if out, err := exec.CommandContext(t.Context(), unlink[0], unlink[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l := n.ListenLoopback(int(outside.Port()))
	relay(t, l, addr)
	b.runIn(t, n.Exec())
	return l.Addr().String()
}

// relay passes connections on until the test ends.
func relay(t testing.TB, l net.Listener, addr string) {
	var running sync.WaitGroup
	running.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { pass(in, addr) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
}

// pass connects a connection with an address until one of the sides ends.
func pass(in net.Conn, addr string) {
	defer in.Close()
	out, err := new(net.Dialer).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return // the server is away
	}
	defer out.Close()
	ended := make(chan struct{}, 2)
	for _, c := range [][2]net.Conn{{in, out}, {out, in}} {
		go func() {
			_, _ = io.Copy(c[0], c[1]) // either side may end at any time
			ended <- struct{}{}
		}()
	}
	<-ended
	in.Close()
	out.Close()
	<-ended
}
