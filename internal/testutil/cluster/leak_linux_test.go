package cluster

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/components"
)

// endLimit is how long it may take until the kernel has ended a cluster.
const endLimit = time.Minute

// helperEnv makes this test binary a process that makes a cluster of that
// name and waits.
const helperEnv = "CLOVER_CLUSTER_TEST_HELPER"

// TestHelper is not a test but the process that [TestKilled] kills.
func TestHelper(t *testing.T) {
	name := os.Getenv(helperEnv)
	if name == "" {
		t.Skip("run by TestKilled only")
	}
	if _, _, err := create(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	fmt.Println("cluster is up")
	select {}
}

// requireOwn ends the test where clusters are not Clover's own.
func requireOwn(t *testing.T) {
	t.Helper()
	Start(t)
	if os.Getenv("KUBECONFIG") != "" {
		t.Skip("the cluster is that of KUBECONFIG")
	}
}

// traces is what can be seen, on this machine, of a cluster.
type traces struct {
	processes, mounts, interfaces, rules, cgroups, files []string
}

// machine lists the machine's traces of the cluster of that name, whose
// processes are in that namespace.
func machine(t *testing.T, name, pidNamespace string) traces {
	t.Helper()
	var found traces
	processes, err := filepath.Glob("/proc/[0-9]*/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		if ns, err := os.Readlink(p); err == nil && ns == pidNamespace {
			found.processes = append(found.processes, p)
		}
	}
	found.mounts = lines(t, "/proc/self/mountinfo", func(line string) bool { return strings.Contains(line, name) })
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		found.interfaces = append(found.interfaces, i.Name)
	}
	found.rules = rules(t)
	for _, pattern := range []string{
		"/sys/fs/cgroup/*" + name + "*", "/sys/fs/cgroup/*/*" + name + "*",
	} {
		found.cgroups = append(found.cgroups, glob(t, pattern)...)
	}
	dir, err := clustersDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{dir, os.TempDir(), "/run", "/var/lib", "/var/run/netns"} {
		found.files = append(found.files, glob(t, filepath.Join(folder, "*"+name+"*"))...)
	}
	found.files = append(found.files, glob(t, "/run/docker*")...)
	found.files = append(found.files, glob(t, "/var/lib/docker*")...)
	return found
}

// rules lists the machine's packet filter rules.
func rules(t *testing.T) []string {
	t.Helper()
	root := strings.TrimSuffix(testutil.Require(t, components.NodeRoot()), "/usr/sbin/dockerd")
	out, err := exec.CommandContext(t.Context(), "chroot", root, "nft", "--stateless", "list", "ruleset").Output()
	if err != nil {
		t.Fatalf("list the packet filter's rules: %v", err)
	}
	return strings.Split(string(out), "\n")
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func lines(t *testing.T, path string, want func(string) bool) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(string(data), "\n"), func(line string) bool { return !want(line) })
}

// look finds the process namespace and the interface of a cluster that is
// up, and fails if the cluster is not where the check for leaks will look.
func look(t *testing.T, s *State, before traces) (pidNamespace, outer string) {
	t.Helper()
	pidNamespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", s.PID))
	if err != nil {
		t.Fatal(err)
	}
	now := machine(t, s.Name, pidNamespace)
	if len(now.processes) < 10 || len(now.cgroups) == 0 || len(now.files) <= len(before.files) {
		t.Fatalf("the cluster is up, but all that is seen of it is %+v", now)
	}
	route, err := net.Dial("udp", net.JoinHostPort(s.NodeAddress, "9"))
	if err != nil {
		t.Fatal(err)
	}
	defer route.Close()
	local := route.LocalAddr().(*net.UDPAddr).IP
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			continue // it has just gone
		}
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && n.IP.Equal(local) {
				return pidNamespace, i.Name
			}
		}
	}
	t.Fatalf("no interface leads to the node %s", s.NodeAddress)
	return "", ""
}

// nothingLeft fails unless all traces of a cluster are gone.
func nothingLeft(t *testing.T, name, pidNamespace, outer string, before traces) {
	t.Helper()
	testutil.Eventually(t, endLimit, func() (bool, string) {
		now := machine(t, name, pidNamespace)
		ok := len(now.processes) == 0 && len(now.mounts) == 0 && len(now.cgroups) == 0 &&
			!slices.Contains(now.interfaces, outer) &&
			slices.Equal(now.files, before.files) && slices.Equal(now.rules, before.rules)
		return ok, fmt.Sprintf("left of the cluster: %+v, before it was made: %+v; its interface is %s", now, before, outer)
	})
}

// TestNothingIsLeft makes a second cluster beside the test process's own,
// removes it, and looks for what could be left of it.
func TestNothingIsLeft(t *testing.T) {
	requireOwn(t)
	name := fmt.Sprintf("leak-%d", os.Getpid())
	before := machine(t, name, "none")
	c, err := up(t.Context(), Options{Name: name, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if c.External {
		t.Skip("in a Docker that was there before, its bridge stays")
	}
	namespace, outer := look(t, c.State, before)
	if err := c.down(); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, name, namespace, outer, before)
	other, err := net.Dial("tcp", net.JoinHostPort(Start(t).NodeAddress(), "6443"))
	if err != nil {
		t.Fatalf("the other cluster is gone too: %v", err)
	}
	other.Close()
}

// TestKilled kills a process that has a cluster: what runs ends at once, and
// the next start or removal removes the rest.
func TestKilled(t *testing.T) {
	requireOwn(t)
	name := fmt.Sprintf("killed-%d", os.Getpid())
	before := machine(t, name, "none")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	helper := exec.CommandContext(context.WithoutCancel(t.Context()), program, "-test.run=^TestHelper$", "-test.v")
	helper.Env = append(os.Environ(), helperEnv+"="+name)
	helper.Stderr = t.Output()
	out, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = helper.Process.Kill() })
	up := false
	for scan := bufio.NewScanner(out); !up && scan.Scan(); {
		up = scan.Text() == "cluster is up"
	}
	if !up {
		t.Fatalf("the other process made no cluster: %v", helper.Wait())
	}
	s, err := loadState(name)
	if err != nil {
		t.Fatal(err)
	}
	if s.External {
		t.Skip("in a Docker that was there before, the cluster runs on until the next start")
	}
	namespace, outer := look(t, s, before)
	if err := helper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = helper.Wait() // it was killed
	testutil.Eventually(t, endLimit, func() (bool, string) {
		now := machine(t, name, namespace)
		return len(now.processes) == 0, fmt.Sprint("still there: ", now.processes)
	})
	if err := Down("no-such-cluster"); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, name, namespace, outer, before)
}
