package kubernetes

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"

	"github.com/opnfv/clover/clovisor/target"
)

// NodeFinder finds the interfaces of pods on this node, whatever network plug-in
// has made them. It has to see the processes of the node, and to run in the
// node's network namespace.
//
// A pod's process is known by its cgroup, else by the pod's address. The
// kernel says by which number the node knows that process's network namespace
// and which links lead there, so that the host's end is found without a right
// to look into the pod.
type NodeFinder struct {
	// Proc is where the processes are; "" is /proc.
	Proc string
}

// notYet is what is missing of a pod that is just being made.
var errNotYet = errors.New("its network namespace is not found among the processes of this node: does Clovisor see them (hostPID)?")

// Find implements [Finder].
func (f NodeFinder) Find(pods []Pod, encrypted map[string]bool) (target.Set, error) {
	links, err := linkList(netlink.LinkList)
	if err != nil {
		return target.Set{}, fmt.Errorf("target: list the interfaces of the node: %w", err)
	}
	pids, err := f.processes(pods)
	if err != nil {
		return target.Set{}, fmt.Errorf("target: list the processes of the node: %w", err)
	}
	var set target.Set
	for i := range pods {
		p := &pods[i]
		found, err := f.interfaces(p, pids[i], links, encrypted[string(p.UID)])
		if err != nil {
			set.Problems = append(set.Problems, target.Problem{Workload: p.Workload, Reason: err.Error()})
			continue
		}
		for _, t := range found {
			t.ID, t.Ports, t.Egress, t.Workload, t.Sidecar = string(p.UID), p.Ports, p.Egress, p.Workload, p.Sidecar
			set.Targets = append(set.Targets, t)
		}
	}
	set.Sort()
	return set, nil
}

// maxLists bounds how often the links are listed in a row.
const maxLists = 100

// linkList lists the links of the node. The kernel says where one has come or
// gone meanwhile, as they do with each pod: then it is asked again. If that
// never ends, what was listed last is taken, for a change wakes who asks.
func linkList(list func() ([]netlink.Link, error)) ([]netlink.Link, error) {
	for n := 1; ; n++ {
		links, err := list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return links, err
		}
		if n == maxLists {
			return links, nil
		}
	}
}

// interfaces are those of a pod of which one process is known.
func (f NodeFinder) interfaces(p *Pod, pid int, links []netlink.Link, encrypted bool) ([]target.Target, error) {
	switch {
	case p.HostNetwork:
		return nil, errors.New("it uses the node's network and has no interface of its own: trace it by --interface")
	case pid == 0:
		return nil, errNotYet
	}
	var out []target.Target
	var err error
	if p.Sidecar != "" {
		out, err = f.inside(pid, "lo", "the sidecar "+p.Sidecar+" encrypts what leaves the pod: sidecar and application are seen on loopback")
	} else if out, err = f.outside(pid, links); err == nil && encrypted {
		// Where Clovisor may not look, it has what it sees outside.
		lo, _ := f.inside(pid, "lo", "TLS was seen on its veth: what is in the clear inside of the pod is seen on loopback")
		out = append(out, lo...)
	}
	if err == nil && !f.owns(p, pid) {
		return nil, errNotYet // it has ended, and the number may be another pod's
	}
	return out, err
}

// owns reports whether a process is one of a pod, by its cgroup or by the
// pod's address.
func (f NodeFinder) owns(p *Pod, pid int) bool {
	text, err := os.ReadFile(f.path(pid, "cgroup"))
	if err != nil {
		return false
	}
	for _, name := range cgroupNames(string(text)) {
		if name == string(p.UID) || slices.Contains(p.Containers, name) {
			return true
		}
	}
	return len(p.Workload.Addresses) > 0 && slices.Contains(f.addresses(pid), p.Workload.Addresses[0])
}

// addresses are those of the network namespace of a process. Whichever cannot
// be read has none.
func (f NodeFinder) addresses(pid int) []netip.Addr {
	fib, _ := os.ReadFile(f.path(pid, "net/fib_trie"))
	inet6, _ := os.ReadFile(f.path(pid, "net/if_inet6"))
	return localAddresses(string(fib), string(inet6))
}

// outside are the node's interfaces that lead to a pod; where there are none,
// the pod's own one.
func (f NodeFinder) outside(pid int, links []netlink.Link) ([]target.Target, error) {
	id, err := netlink.GetNetNsIdByPid(pid)
	if isGone(err) {
		return nil, errNotYet
	}
	if err != nil {
		return nil, fmt.Errorf("its network namespace: %w", err)
	}
	var out []target.Target
	for _, l := range links {
		a := l.Attrs()
		if id >= 0 && a.NetNsID == id && a.ParentIndex > 0 {
			out = append(out, target.Target{Interface: a.Name, Index: a.Index, Why: "the host's end of its " + l.Type()})
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return f.inside(pid, "", "no interface of the node leads to it")
}

// inside returns an interface of a pod as the pod has it; "" the first one
// that is not loopback.
func (f NodeFinder) inside(pid int, name, why string) ([]target.Target, error) {
	if name == "" {
		text, err := os.ReadFile(f.path(pid, "net/dev"))
		if isGone(err) {
			return nil, errNotYet
		}
		if err != nil {
			return nil, fmt.Errorf("its interfaces: %w", err)
		}
		if name = firstInterface(string(text)); name == "" {
			return nil, errNotYet
		}
	}
	t := target.Target{Netns: f.path(pid, "ns/net"), Interface: name, Inside: true, Loopback: name == "lo", Why: why}
	info, err := os.Stat(t.Netns)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s, but Clovisor may not look into its network namespace: it needs CAP_SYS_PTRACE and CAP_SYS_ADMIN for that", why)
	case isGone(err):
		return nil, errNotYet
	case err != nil:
		return nil, fmt.Errorf("its network namespace: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		t.NetnsDevice, t.NetnsInode = st.Dev, st.Ino
	}
	return []target.Target{t}, nil
}

// isGone reports whether an error is that of a process that has ended since
// the processes were listed: another one of the pod is found next time.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// firstInterface returns the first interface of /proc/net/dev but loopback.
func firstInterface(dev string) string {
	for line := range strings.Lines(dev) {
		if name, _, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && name != "lo" {
			return name
		}
	}
	return ""
}

func (f NodeFinder) path(pid int, file string) string {
	return filepath.Join(cmp.Or(f.Proc, "/proc"), strconv.Itoa(pid), file)
}

// processes returns a process of each pod, 0 where there is none.
func (f NodeFinder) processes(pods []Pod) ([]int, error) {
	found, named := make([]int, len(pods)), map[string]int{}
	for i, p := range pods {
		named[string(p.UID)] = i
		for _, id := range p.Containers {
			named[id] = i
		}
	}
	all, err := f.all()
	if err != nil {
		return nil, err
	}
	for _, pid := range all {
		text, err := os.ReadFile(f.path(pid, "cgroup"))
		if err != nil {
			continue // it has ended
		}
		for _, name := range cgroupNames(string(text)) {
			if i, ok := named[name]; ok && found[i] == 0 {
				found[i] = pid
			}
		}
	}
	for i := range pods {
		if found[i] == 0 && !pods[i].HostNetwork {
			f.byAddress(pods, found, all)
			break
		}
	}
	return found, nil
}

// byAddress looks for the pods that have no process yet among the addresses
// of the network namespaces that links of the node lead to.
func (f NodeFinder) byAddress(pods []Pod, found, all []int) {
	seen := map[int]bool{}
	for _, pid := range all {
		id, err := netlink.GetNetNsIdByPid(pid)
		if err != nil || id < 0 || seen[id] {
			continue
		}
		seen[id] = true
		addrs := f.addresses(pid)
		for i := range pods {
			if found[i] == 0 && len(pods[i].Workload.Addresses) > 0 && slices.Contains(addrs, pods[i].Workload.Addresses[0]) {
				found[i] = pid
			}
		}
	}
}

// all lists the processes of the node, the oldest numbers first.
func (f NodeFinder) all() ([]int, error) {
	dir, err := os.Open(cmp.Or(f.Proc, "/proc"))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			out = append(out, pid)
		}
	}
	slices.Sort(out)
	return out, nil
}
