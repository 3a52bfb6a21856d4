package kernel

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/internal/testutil"
)

// object is something in the kernel by its kind and number.
type kernelObject struct {
	Kind string
	ID   uint32
}

// objectsOf lists what a capture has in the kernel.
func objectsOf(c *Capture) ([]kernelObject, error) {
	var all []kernelObject
	o := c.obj
	for _, m := range []*ebpf.Map{o.targets, o.counters, o.scratch, o.ports, o.egress, o.flows, o.buffer, o.idle, o.programs} {
		if m == nil {
			continue
		}
		info, err := m.Info()
		if err != nil {
			return nil, err
		}
		id, _ := info.ID()
		all = append(all, kernelObject{"map", uint32(id)})
	}
	info, err := o.tracer.Info()
	if err != nil {
		return nil, err
	}
	id, _ := info.ID()
	all = append(all, kernelObject{"program", uint32(id)})
	for _, a := range c.targets {
		for _, l := range a.links {
			info, err := l.Info()
			if err != nil {
				return nil, err
			}
			all = append(all, kernelObject{"link", uint32(info.ID)}, kernelObject{"program", uint32(info.Program)})
		}
	}
	return all, nil
}

// exists reports whether the object is still in the kernel. It opens no map: the
// kernel empties an array of programs when the last user closes it, some time
// later, and one that is opened and closed before that is never freed.
func (o kernelObject) exists() (there bool, err error) {
	switch o.Kind {
	case "map":
		var next ebpf.MapID
		next, err = ebpf.MapGetNextID(ebpf.MapID(o.ID - 1))
		there = next == ebpf.MapID(o.ID)
	case "program":
		var next ebpf.ProgramID
		next, err = ebpf.ProgramGetNextID(ebpf.ProgramID(o.ID - 1))
		there = next == ebpf.ProgramID(o.ID)
	default:
		var l link.Link
		if l, err = link.NewFromID(link.ID(o.ID)); err == nil {
			return true, l.Close()
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return there, err
}

// childConfig is what the child is told on its standard input.
type childConfig struct {
	Options Options
	Targets []Target
}

// child captures, says what it has in the kernel, and ends.
func child(ending string) int {
	if err := runChild(ending); err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		return 1
	}
	return 0
}

func runChild(ending string) error {
	var cfg childConfig
	if err := json.NewDecoder(os.Stdin).Decode(&cfg); err != nil {
		return err
	}
	// Before it says that it is there: the signal may come at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := New(cfg.Options)
	if err != nil {
		return err
	}
	for _, t := range cfg.Targets {
		if err := c.Attach(t); err != nil {
			return err
		}
	}
	ids, err := objectsOf(c)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(ids); err != nil {
		return err
	}
	return c.Run(ctx, func(*packet.Segment) {
		switch ending {
		case "panic":
			panic("a fault in the receiver")
		case "exit":
			stop()
		}
	})
}

// startChild starts a child that ends in that way, and returns what it has in
// the kernel.
func startChild(t *testing.T, ending string, cfg childConfig, prepare func(*exec.Cmd)) (*exec.Cmd, []kernelObject) {
	t.Helper()
	input, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	if prepare != nil {
		prepare(cmd)
	}
	cmd.Env = append(os.Environ(), childEnv+"="+ending)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &said
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the child said: %s", said.String())
		}
	})
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ids []kernelObject
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&ids); err != nil {
		_ = cmd.Wait()
		t.Fatalf("the child did not start: %v", err)
	}
	return cmd, ids
}

// onInterface lists the queueing disciplines and filters of an interface.
func onInterface(t *testing.T, name string) []string {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	qdiscs, err := netlink.QdiscList(l)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, q := range qdiscs {
		found = append(found, "qdisc "+q.Type())
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		filters, err := netlink.FilterList(l, parent)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range filters {
			text := fmt.Sprintf("filter %x %s priority %d", parent, f.Type(), f.Attrs().Priority)
			if b, ok := f.(*netlink.BpfFilter); ok {
				text += " " + b.Name
			}
			found = append(found, text)
		}
	}
	slices.Sort(found)
	return found
}

// foreign puts a clsact of somebody else onto an interface, as CNI plug-ins
// do, with filters that let every packet pass and end the row.
func foreign(t *testing.T, name string) {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.QdiscAdd(clsact(l.Attrs().Index)); err != nil {
		t.Fatal(err)
	}
	foreignFilter(t, l.Attrs().Index, netlink.HANDLE_MIN_INGRESS, 1)
	foreignFilter(t, l.Attrs().Index, netlink.HANDLE_MIN_EGRESS, 7)
}

func foreignFilter(t *testing.T, ifindex int, parent uint32, priority uint16) {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	err = netlink.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: ifindex, Parent: parent, Handle: 1, Priority: priority, Protocol: unix.ETH_P_ALL},
		Fd:          p.FD(), Name: "of_others", DirectAction: true,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsLeft(t *testing.T) {
	for _, hook := range []Hook{TCX, Clsact} {
		for _, ending := range []string{"exit", "SIGTERM", "panic", "SIGKILL"} {
			for _, others := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s others=%t", hook, ending, others), func(t *testing.T) {
					testNothingIsLeft(t, hook, ending, others)
				})
			}
		}
	}
}

func testNothingIsLeft(t *testing.T, hook Hook, ending string, others bool) {
	ns := testutil.Namespace(t)
	url := serve(t, ns, 8080, "the answer")
	if others {
		foreign(t, ns.HostInterface)
	}
	before := onInterface(t, ns.HostInterface)
	name := uniqueName()
	rules := Rules{Ports: []Port{{Number: 8080}}}
	cmd, ids := startChild(t, ending, childConfig{Options{Name: name, Hook: hook}, []Target{
		{ID: 1, Interface: ns.HostInterface, HostSide: true, Rules: rules},
		{ID: 2, Interface: ns.Interface, NetNS: "/run/netns/" + ns.Name, Rules: rules},
	}}, nil)
	attached := onInterface(t, ns.HostInterface)
	if hook == Clsact && slices.Equal(before, attached) {
		t.Error("nothing is on the interface while the child captures")
	}
	if _, err := New(Options{Name: name}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second capture of the same name: %v, want ErrInUse", err)
	}
	get(t, url) // wakes the child
	switch ending {
	case "SIGTERM":
		_ = cmd.Process.Signal(syscall.SIGTERM)
	case "SIGKILL":
		_ = cmd.Process.Kill()
	}
	if err := cmd.Wait(); (err == nil) != (ending == "exit" || ending == "SIGTERM") {
		t.Fatalf("the child ended with %v", err)
	}
	if ending == "SIGKILL" && hook == Clsact {
		if left := onInterface(t, ns.HostInterface); !slices.Equal(left, attached) {
			t.Errorf("left are %q, want all of %q: the test is wrong", left, attached)
		}
		get(t, url) // what is left disturbs nobody
		if n, err := CleanUp(name); n != 4 || err != nil {
			t.Errorf("CleanUp: %d filters, %v, want 4", n, err)
		}
	}
	if after := onInterface(t, ns.HostInterface); !slices.Equal(before, after) {
		t.Errorf("left are %q, before were %q", after, before)
	}
	testutil.Eventually(t, time.Minute, func() (bool, string) {
		for _, o := range ids {
			if there, err := o.exists(); there || err != nil {
				return false, fmt.Sprintf("%s %d is still there (%v)", o.Kind, o.ID, err)
			}
		}
		return true, ""
	})
}

// TestDisciplineStays holds that a discipline of our making stays as long as
// somebody else uses it.
func TestDisciplineStays(t *testing.T) {
	ns := testutil.Namespace(t)
	c := start(t, Options{Hook: Clsact})
	c.attach(Target{ID: 1, Interface: ns.HostInterface})
	l, err := netlink.LinkByName(ns.HostInterface)
	if err != nil {
		t.Fatal(err)
	}
	foreignFilter(t, l.Attrs().Index, netlink.HANDLE_MIN_EGRESS, 9)
	if _, err := c.Detach(1); err != nil {
		t.Fatal(err)
	}
	left := onInterface(t, ns.HostInterface)
	if !slices.Contains(left, "qdisc clsact") || slices.ContainsFunc(left, func(s string) bool { return strings.Contains(s, c.opts.Name) }) {
		t.Errorf("left are %q, want clsact and the other's filter", left)
	}
}

// TestInterfaceGoes holds that a pod may end before its target is detached.
func TestInterfaceGoes(t *testing.T) {
	for _, hook := range []Hook{TCX, Clsact} {
		t.Run(string(hook), func(t *testing.T) {
			ns := testutil.Namespace(t)
			c := start(t, Options{Hook: hook})
			c.attach(Target{ID: 1, Interface: ns.HostInterface})
			c.attach(Target{ID: 2, Interface: ns.Interface, NetNS: "/run/netns/" + ns.Name})
			if out, err := exec.CommandContext(t.Context(), "ip", "link", "del", ns.HostInterface).CombinedOutput(); err != nil {
				t.Fatalf("ip link del: %v: %s", err, out)
			}
			for id := range uint32(2) {
				if _, err := c.Detach(id + 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestFewRights captures as nobody, with the three capabilities that the
// documentation names.
func TestFewRights(t *testing.T) {
	for _, o := range []Options{{Hook: TCX, Buffer: Ring}, {Hook: Clsact, Buffer: Perf}} {
		t.Run(fmt.Sprintf("%s %s", o.Hook, o.Buffer), func(t *testing.T) {
			ns := testutil.Namespace(t)
			url := serve(t, ns, 8080, "the answer")
			o.Name = uniqueName()
			cmd, _ := startChild(t, "exit", childConfig{o, []Target{
				{ID: 1, Interface: ns.HostInterface, HostSide: true, Rules: Rules{Ports: []Port{{Number: 8080}}}},
			}}, func(cmd *exec.Cmd) {
				cmd.Path = forEveryone(t, os.Args[0])
				cmd.SysProcAttr = &syscall.SysProcAttr{
					Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
					AmbientCaps: []uintptr{unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_NET_ADMIN},
				}
			})
			get(t, url)
			if err := cmd.Wait(); err != nil {
				t.Errorf("the child ended with %v", err)
			}
		})
	}
}

// forEveryone copies a program to where everyone may run it.
func forEveryone(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "clovisor-") // not t.TempDir, whose parent is closed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program := filepath.Join(dir, "child")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(program, data, 0o600), os.Chmod(program, 0o755)); err != nil {
		t.Fatal(err)
	}
	return program
}
