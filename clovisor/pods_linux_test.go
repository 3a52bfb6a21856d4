package clovisor

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor/sessiontest"
	"github.com/opnfv/clover/clovisor/target"
	"github.com/opnfv/clover/internal/testutil"
)

// links makes pairs of interfaces a0 and b0, a1 and b1 and so on in a network
// namespace, and sockets that send from each.
func links(t *testing.T, netns string, n int) (a, b []int) {
	t.Helper()
	inNetns(t, netns, func() error {
		for i := range n {
			pair := []string{fmt.Sprint("a", i), fmt.Sprint("b", i)}
			if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: pair[0]}, PeerName: pair[1]}); err != nil {
				return err
			}
			for _, name := range pair {
				link, err := netlink.LinkByName(name)
				if err != nil {
					return err
				}
				if err := netlink.LinkSetUp(link); err != nil {
					return err
				}
				fd, err := openRaw(name)
				if err != nil {
					return err
				}
				t.Cleanup(func() { _ = unix.Close(fd) })
				if name == pair[0] {
					a = append(a, fd)
				} else {
					b = append(b, fd)
				}
			}
		}
		return nil
	})
	return a, b
}

// TestManyPods traces as many pods as a node has, each on a link of its own,
// and holds that each has the sessions that were sent on its link: for as many
// as a large node has with CLOVER_CLOVISOR_PODS=500.
func TestManyPods(t *testing.T) {
	n := 20
	if given, err := strconv.Atoi(os.Getenv("CLOVER_CLOVISOR_PODS")); err == nil {
		n = given
	}
	path := "/var/run/netns/" + testutil.Namespace(t).Name
	in, out := links(t, path, n)
	var set target.Set
	for i := range n {
		p := target.Target{
			ID: fmt.Sprint("uid-", i), Netns: path, Interface: fmt.Sprint("a", i), Ports: []target.Port{httpPort(80)},
			Workload: target.Workload{Namespace: "default", Pod: fmt.Sprint("pod-", i)},
		}
		set.Targets = append(set.Targets, p)
	}
	source, sink := newSettable(set), &seen{}
	start := time.Now()
	tracer, end := run(t, Options{Source: source, Sinks: []Sink{sink}})
	testutil.Eventually(t, 2*time.Minute, func() (bool, string) {
		attached := tracer.targets.attached()
		return attached == n, fmt.Sprintf("%d of %d are attached", attached, n)
	})
	t.Logf("%d pods are attached to after %s", n, time.Since(start))
	sessions := func(i int) int { return 1 + i%3 }
	want := 0
	for i := range n {
		for k := range sessions(i) {
			s := sessiontest.Open(netip.AddrPortFrom(last.Addr(), uint16(1000+k)), sessiontest.Server)
			s.Client(sessiontest.Get(1).Request())
			s.Server(sessiontest.Get(1).Response())
			sendFrames(t, in[i], out[i], s.Segments)
			want++
		}
	}
	testutil.Eventually(t, limit, func() (bool, string) {
		got := len(sink.lines())
		return got >= want, fmt.Sprintf("%d sessions, want %d", got, want)
	})
	start = time.Now()
	source.sets <- target.Set{}
	testutil.Eventually(t, 2*time.Minute, func() (bool, string) {
		attached := tracer.targets.attached()
		return attached == 0, fmt.Sprintf("%d are attached", attached)
	})
	t.Logf("and to none after %s", time.Since(start))
	end()
	seen := map[string]int{}
	for _, p := range sink.places {
		seen[p.Pod]++
	}
	l := tracer.Ledger()
	if len(l.Entries) != n || len(l.Problems) != 0 {
		t.Errorf("%d entries of %d pods, problems %+v", len(l.Entries), n, l.Problems)
	}
	for _, e := range l.Entries {
		i, err := strconv.Atoi(strings.TrimPrefix(e.Pod, "pod-"))
		check(t, err)
		if want := sessions(i); int(e.Sessions) != want || seen[e.Pod] != want || e.Completeness != 100 || len(e.Dropped) != 0 || e.Balance() != 0 {
			t.Errorf("%d sessions were seen, want %d: %+v", seen[e.Pod], want, e)
		}
	}
}
