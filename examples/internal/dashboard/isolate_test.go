package dashboard

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/opnfv/clover/internal/testutil"
)

// isolate lets the browser run in a network namespace of its own, where root
// can make one: a browser gives up its requests when the machine's interfaces
// change, as they do while other tests run. In the namespace Clover is at the
// same address as outside.
func (b *browser) isolate(t *testing.T, c *clover) {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return
	}
	addr, err := netip.ParseAddrPort(c.addrs.REST)
	check(t, err)
	n := testutil.Namespace(t)
	// Its link would get an IPv6 address seconds later, which is a change too.
	unlink := append(n.Exec(), "ip", "link", "del", n.Interface)
	if out, err := exec.CommandContext(t.Context(), unlink[0], unlink[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	relay(t, n.ListenLoopback(int(addr.Port())), c.addrs.REST)
	script := filepath.Join(t.TempDir(), "chromium")
	text := fmt.Sprintf("#!/bin/sh\nexec %s %s \"$@\"\n", strings.Join(n.Exec(), " "), b.chromium)
	check(t, os.WriteFile(script, []byte(text), 0o700))
	b.chromium = script
}

// relay passes connections on until the test ends.
func relay(t *testing.T, l net.Listener, addr string) {
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
	out, err := net.Dial("tcp", addr)
	if err != nil {
		return // Clover is away
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
