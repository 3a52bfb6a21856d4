package kernel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/internal/testutil"
)

// numbered is a text of that size in which each place looks different.
func numbered(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "%d,", i)
	}
	return b.String()[:size]
}

// TestSuperPackets holds that packets which the kernel has not cut yet (TSO)
// come whole.
func TestSuperPackets(t *testing.T) {
	for _, buffer := range []Buffer{Ring, Perf} {
		t.Run(string(buffer), func(t *testing.T) {
			ns := testutil.Namespace(t)
			body := numbered(4 << 20)
			url := serve(t, ns, 8080, body)
			c := start(t, Options{Buffer: buffer, BufferBytes: 64 << 20})
			c.attach(Target{ID: 1, Interface: ns.HostInterface, HostSide: true, Rules: Rules{Ports: []Port{{Number: 8080}}}})
			if get(t, url) != body {
				t.Fatal("the response is damaged")
			}
			testutil.Eventually(t, 20*time.Second, func() (bool, string) {
				_, got, _ := strings.Cut(stream(c.seen(), packet.Egress), "\r\n\r\n")
				return chunks(got) == body, fmt.Sprintf("%d bytes of body", len(got))
			})
			n := c.count(1)
			if n.Records <= n.Matched || n.Lost+n.TruncatedBytes+n.Unreadable != 0 {
				t.Errorf("no packet was larger than a record, or bytes are missing: %+v", n)
			}
		})
	}
}

// TestBigTCP holds that a packet of more than 64 KiB comes whole.
func TestBigTCP(t *testing.T) {
	ns := testutil.Namespace(t)
	big := func(name, addr string) error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		a, err := netlink.ParseAddr(addr)
		if err != nil {
			return err
		}
		a.Flags = unix.IFA_F_NODAD
		return errors.Join(netlink.LinkSetGSOMaxSize(l, 200_000), netlink.LinkSetGROMaxSize(l, 200_000), netlink.AddrAdd(l, a))
	}
	path := "/run/netns/" + ns.Name
	own := ns.HostAddr.As4() // as no other test has
	prefix := fmt.Sprintf("fd00:c10e:%x:%x", int(own[1])<<8|int(own[2]), own[3])
	var listener net.Listener
	err := errors.Join(big(ns.HostInterface, prefix+"::1/64"), inNetNS(netNS{path: path}, func() error {
		if err := big(ns.Interface, prefix+"::2/64"); err != nil {
			return err
		}
		var err error
		listener, err = new(net.ListenConfig).Listen(t.Context(), "tcp", "["+prefix+"::2]:8080")
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	body := numbered(8 << 20)
	c := start(t, Options{BufferBytes: 64 << 20})
	c.attach(Target{ID: 1, Interface: ns.HostInterface, HostSide: true, Rules: Rules{Ports: []Port{{Number: 8080}}}})
	// How large packets get is up to TCP, which may be careful at first.
	largest := 0
	for n := 1; n <= 5 && largest <= 65535; n++ {
		download(t, listener, body)
		testutil.Eventually(t, 20*time.Second, func() (bool, string) {
			got := stream(c.seen(), packet.Egress)
			return got == strings.Repeat(body, n), fmt.Sprintf("%d bytes of %d", len(got), n*len(body))
		})
		sizes := map[time.Time]int{}
		for _, s := range c.seen() {
			sizes[s.Time] += s.Length
			largest = max(largest, sizes[s.Time])
		}
	}
	if n := c.count(1); largest <= 65535 || n.TruncatedBytes != 0 {
		t.Errorf("the largest packet had %d bytes, want more than fit into the length of one; %+v", largest, n)
	}
}

// download makes one connection that the listener sends body on.
func download(t *testing.T, listener net.Listener, body string) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = io.WriteString(conn, body)
			err = errors.Join(err, conn.Close())
		}
		done <- err
	}()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// chunks takes the framing of a chunked body away.
func chunks(s string) string {
	var b strings.Builder
	for {
		line, rest, ok := strings.Cut(s, "\r\n")
		var n int
		if _, err := fmt.Sscanf(line, "%x", &n); !ok || err != nil || n == 0 || n+2 > len(rest) {
			return b.String()
		}
		b.WriteString(rest[:n])
		s = rest[n+2:]
	}
}

// TestFlood holds that what does not fit into the buffer is counted.
func TestFlood(t *testing.T) {
	for _, buffer := range []Buffer{Ring, Perf} {
		t.Run(string(buffer), func(t *testing.T) {
			ns := testutil.Namespace(t)
			c, err := New(Options{Name: uniqueName(), Buffer: buffer, BufferBytes: 64 << 10})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Attach(Target{ID: 1, Interface: ns.HostInterface, HostSide: true, Rules: Rules{Ports: []Port{{Number: 8080}}}}); err != nil {
				t.Fatal(err)
			}
			w := newWire(t, ns)
			const frames = 1000
			for i := range uint32(frames) { // nobody reads yet
				w.send(frame{from: server4, to: client4, seq: i * 1000, flags: 0x10, payload: make([]byte, 1000)})
			}
			testutil.Eventually(t, 10*time.Second, func() (bool, string) {
				s, err := c.Stats()
				n := s.Targets[1].Matched
				return err == nil && n == frames, fmt.Sprintf("%d of %d frames came, %v", n, frames, err)
			})
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			var segments, length uint64
			if err := c.Run(ctx, func(s *packet.Segment) {
				segments++
				length += uint64(s.Length)
			}); err != nil {
				t.Fatal(err)
			}
			s, err := c.Stats()
			if n := s.Targets[1]; err != nil || n.Lost == 0 || n.Matched != frames || n.Records != segments ||
				n.Records+n.Lost != frames || length+n.LostBytes != n.MatchedBytes {
				t.Errorf("%d segments of %d bytes, stats %+v, %v", segments, length, n, err)
			}
		})
	}
}

// TestLoopback holds that each packet on the loopback interface comes once,
// and as the workload sees it.
func TestLoopback(t *testing.T) {
	for _, hook := range []Hook{TCX, Clsact} {
		t.Run(string(hook), func(t *testing.T) {
			ns := testutil.Namespace(t)
			url := serve(t, ns, 8080, "the answer")
			c := start(t, Options{Hook: hook})
			path := "/run/netns/" + ns.Name
			c.attach(Target{ID: 1, Interface: "lo", NetNS: path, Rules: Rules{Ports: []Port{{Number: 8080}}}})
			transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
				err = inNetNS(netNS{path: path}, func() error {
					conn, err = new(net.Dialer).DialContext(ctx, network, addr)
					return err
				})
				return conn, err
			}}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/there", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			res, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			testutil.Eventually(t, 10*time.Second, func() (bool, string) {
				in, out := stream(c.seen(), packet.Ingress), stream(c.seen(), packet.Egress)
				return strings.Count(in, "GET /there") == 1 && strings.Count(out, "the answer") == 1, in + out
			})
		})
	}
}

// TestManyTargets attaches to many interfaces: to as many as a large node has
// pods with CLOVER_KERNEL_TARGETS=500.
func TestManyTargets(t *testing.T) {
	pairs := 10
	if n, err := strconv.Atoi(os.Getenv("CLOVER_KERNEL_TARGETS")); err == nil {
		pairs = n / 2
	}
	ns := testutil.Namespace(t)
	path := "/run/netns/" + ns.Name
	err := inNetNS(netNS{path: path}, func() error {
		for i := range pairs {
			err := netlink.LinkAdd(&netlink.Veth{
				LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("a%d", i)}, PeerName: fmt.Sprintf("b%d", i),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, Options{MaxTargets: 2 * pairs})
	began := time.Now()
	for i := range 2 * pairs {
		c.attach(Target{ID: uint32(i), NetNS: path, Interface: fmt.Sprintf("%c%d", 'a'+i%2, i/2), Rules: Rules{Ports: []Port{{Number: 80}}}})
	}
	t.Logf("attached to %d interfaces in %s", 2*pairs, time.Since(began))
	if err := c.Attach(Target{ID: 9999, NetNS: path, Interface: ns.Interface}); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more target: %v, want ErrTooMany", err)
	}
	began = time.Now()
	c.end()
	t.Logf("detached all in %s", time.Since(began))
	if s, err := c.Stats(); err != nil || len(s.Targets) != 2*pairs {
		t.Errorf("%d targets in the last count, %v", len(s.Targets), err)
	}
}

// TestOtherNetNS holds that a path that leads to another network namespace by
// now is not taken for the one that it led to. The path is that of a thread,
// which goes where another process with its number would be.
func TestOtherNetNS(t *testing.T) {
	was, is := testutil.Namespace(t), testutil.Namespace(t)
	c := start(t, Options{})
	target := Target{ID: 1, Interface: "lo", Rules: Rules{Ports: []Port{{Number: 80}}}}
	err := onThread(func() error {
		target.NetNS = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		enter := func(ns *testutil.NetNamespace) error {
			file, err := os.Open("/run/netns/" + ns.Name)
			if err != nil {
				return err
			}
			defer file.Close()
			return unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
		}
		if err := enter(was); err != nil {
			return err
		}
		ns, err := statNetNS(target.NetNS)
		if err != nil {
			return err
		}
		target.NetNSDevice, target.NetNSInode = ns.dev, ns.ino
		if err := enter(is); err != nil {
			return err
		}
		if err := c.Attach(target); !errors.Is(err, ErrOtherNetNS) {
			t.Errorf("attach: %v, want %v", err, ErrOtherNetNS)
		}
		if err := enter(was); err != nil {
			return err
		}
		return c.Attach(target)
	})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.Stats(); err != nil || len(s.Targets) != 1 {
		t.Errorf("%+v, %v, want one target", s, err)
	}
}

// TestAttachErrors holds what callers can tell apart.
func TestAttachErrors(t *testing.T) {
	ns := testutil.Namespace(t)
	c := start(t, Options{MaxPorts: 2})
	_, notAttached := c.Detach(4)
	target := Target{ID: 1, Interface: ns.HostInterface, Rules: Rules{Ports: []Port{{Number: 80}, {Number: 443}}}}
	c.attach(target)
	second := target
	second.ID = 2
	for name, test := range map[string]struct{ err, want error }{
		"the same ID":       {c.Attach(target), ErrAttached},
		"too many ports":    {c.Attach(second), ErrTooMany},
		"too many in rules": {c.SetRules(1, Rules{Ports: []Port{{Number: 1}, {Number: 2}, {Number: 3}}}), ErrTooMany},
		"no interface":      {c.Attach(Target{ID: 3, Interface: "nosuchinterface"}), ErrNoInterface},
		"no namespace":      {c.Attach(Target{ID: 3, Interface: "lo", NetNS: "/run/netns/nosuchnamespace"}), fs.ErrNotExist},
		"not attached":      {notAttached, ErrUnknownTarget},
		"rules of nothing":  {c.SetRules(4, Rules{}), ErrUnknownTarget},
		"skip of nothing":   {c.Skip(4, packet.Flow{Source: client4, Destination: server4}, 1), ErrUnknownTarget},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v, want %v", name, test.err, test.want)
		}
	}
	if err := c.SetRules(1, target.Rules); err != nil {
		t.Errorf("the old rules again: %v", err)
	}
	if _, err := c.Detach(1); err != nil {
		t.Error(err)
	}
	if err := c.Attach(second); err != nil {
		t.Errorf("after the first is gone: %v", err)
	}
	c.end()
	if err := c.Attach(target); !errors.Is(err, ErrClosed) {
		t.Errorf("attach to a capture that has ended: %v, want ErrClosed", err)
	}
	if err := c.Run(t.Context(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("run a capture that has ended: %v, want ErrClosed", err)
	}
}
