package kubernetes

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/opnfv/clover/clovisor/target"
	"github.com/opnfv/clover/internal/testutil"
)

// inhabit runs a process in a namespace until the end of the test.
func inhabit(t *testing.T, ns *testutil.NetNamespace) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), ns.Exec()[0], append(ns.Exec()[1:], "cat")...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stdin.Close(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
}

func podAt(addr netip.Addr) Pod {
	return Pod{UID: "uid", Workload: target.Workload{Namespace: "default", Pod: "p", Addresses: []netip.Addr{addr}}, Ports: []target.Port{{Number: 80, Transport: 6}}}
}

// find looks until something is there: a process is another one until it has
// entered its namespace.
func find(t *testing.T, p Pod, encrypted bool) target.Target {
	t.Helper()
	var set target.Set
	testutil.Eventually(t, 20*time.Second, func() (bool, string) {
		var err error
		set, err = NodeFinder{}.Find([]Pod{p}, map[string]bool{"uid": encrypted})
		if err != nil {
			t.Fatal(err)
		}
		if len(set.Problems) > 0 {
			return false, set.Problems[0].Reason
		}
		return true, ""
	})
	if want := map[bool]int{false: 1, true: 2}[encrypted]; len(set.Targets) != want {
		t.Fatalf("%+v, want %d targets", set, want)
	}
	return set.Targets[len(set.Targets)-1]
}

// TestFindInterfaces finds the interfaces of something that is a pod for the
// kernel.
func TestFindInterfaces(t *testing.T) {
	ns := testutil.Namespace(t)
	inhabit(t, ns)
	got := find(t, podAt(ns.Addr), false)
	if got.Interface != ns.HostInterface || got.Netns != "" || got.Inside || got.Index == 0 || got.ID != "uid" || len(got.Ports) != 1 {
		t.Errorf("host's end: %+v", got)
	}

	inside := podAt(ns.Addr)
	inside.Sidecar = "istio-proxy"
	for _, c := range []struct {
		pod       Pod
		encrypted bool
		why       string
	}{{inside, false, "sidecar istio-proxy"}, {podAt(ns.Addr), true, "TLS was seen"}} {
		got := find(t, c.pod, c.encrypted)
		if got.Interface != "lo" || !got.Inside || !got.Loopback || got.NetnsInode == 0 || !strings.Contains(got.Why, c.why) {
			t.Errorf("inside: %+v", got)
		}
		if _, err := os.Stat(got.Netns); err != nil || !strings.HasPrefix(got.Netns, "/proc/") {
			t.Errorf("%s: %v", got.Netns, err)
		}
	}
}

func TestFindNothing(t *testing.T) {
	nobody := podAt(netip.MustParseAddr("192.0.2.1"))
	host := nobody
	host.HostNetwork = true
	for want, p := range map[string]Pod{"hostPID": nobody, "the node's network": host} {
		set, err := NodeFinder{}.Find([]Pod{p}, nil)
		if err != nil || len(set.Targets) != 0 || len(set.Problems) != 1 || !strings.Contains(set.Problems[0].Reason, want) {
			t.Errorf("%s: %+v, %v", want, set, err)
		}
	}
}

// TestLinksChangeMeanwhile holds that a list is asked for again that the kernel
// says was interrupted, and that this has an end.
func TestLinksChangeMeanwhile(t *testing.T) {
	for calls, want := range map[int]int{1: 1, 3: 3, maxLists + 1: maxLists} { // the first that is whole, and how many are made
		made := 0
		links, err := linkList(func() ([]netlink.Link, error) {
			made++
			if made < calls {
				return make([]netlink.Link, 1), netlink.ErrDumpInterrupted
			}
			return make([]netlink.Link, 2), nil
		})
		whole := made == calls
		if err != nil || made != want || (len(links) == 2) != whole {
			t.Errorf("whole at call %d: %d calls, %d links, %v; want %d calls", calls, made, len(links), err, want)
		}
	}
	broken := errors.New("broken")
	if _, err := linkList(func() ([]netlink.Link, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestProcessHasEnded holds that a pod is looked for again if the process that
// it was known by has just ended.
func TestProcessHasEnded(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	ended := cmd.Process.Pid
	for name, find := range map[string]func() ([]target.Target, error){
		"outside":       func() ([]target.Target, error) { return NodeFinder{}.outside(ended, nil) },
		"loopback":      func() ([]target.Target, error) { return NodeFinder{}.inside(ended, "lo", "") },
		"any interface": func() ([]target.Target, error) { return NodeFinder{}.inside(ended, "", "") },
	} {
		if found, err := find(); !errors.Is(err, errNotYet) {
			t.Errorf("%s: %v, %v, want %v", name, found, err, errNotYet)
		}
	}
}

// TestProcessIsAnother holds that a pod is looked for again if the process that
// it was known by is that of another pod by now.
func TestProcessIsAnother(t *testing.T) {
	proc := t.TempDir()
	dir := filepath.Join(proc, "4711")
	cgroup := func(uid string) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup"), []byte("0::/kubepods/pod"+uid+"/0a\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "ns"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/proc/self/ns/net", filepath.Join(dir, "ns/net")); err != nil {
		t.Fatal(err)
	}
	const one, two = "2e5c1a0e-6d47-4b1c-9f0e-0a1b2c3d4e5f", "2e5c1a0e-6d47-4b1c-9f0e-0a1b2c3d4e60"
	f, pods := NodeFinder{Proc: proc}, []Pod{{UID: one, Sidecar: "istio-proxy"}}
	cgroup(one)
	pids, err := f.processes(pods)
	if err != nil || pids[0] != 4711 {
		t.Fatalf("%v, %v", pids, err)
	}
	if found, err := f.interfaces(&pods[0], pids[0], nil, false); err != nil || len(found) != 1 || found[0].NetnsInode == 0 {
		t.Errorf("its own process: %+v, %v", found, err)
	}
	cgroup(two)
	if found, err := f.interfaces(&pods[0], pids[0], nil, false); !errors.Is(err, errNotYet) {
		t.Errorf("another pod's process: %+v, %v, want %v", found, err, errNotYet)
	}
}

// TestEncryptedWakesOnce holds that connection after connection with TLS costs
// no look at the node each.
func TestEncryptedWakesOnce(t *testing.T) {
	k := &Watcher{wake: make(chan struct{}, 1), encrypted: map[string]bool{}}
	for i, want := range []int{1, 0, 0} {
		k.Encrypted("uid")
		if len(k.wake) != want {
			t.Errorf("call %d: woken %d times, want %d", i, len(k.wake), want)
		}
		for len(k.wake) > 0 {
			<-k.wake
		}
	}
}

// TestWatchLinks sees an interface come.
func TestWatchLinks(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	changed, done := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		done <- watchLinks(ctx, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	}()
	testutil.Eventually(t, 20*time.Second, func() (bool, string) { // until it is subscribed
		testutil.Namespace(t)
		select {
		case <-changed:
			return true, ""
		case <-time.After(100 * time.Millisecond):
			return false, "nothing is seen"
		}
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
