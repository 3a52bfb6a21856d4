package target

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// NetnsPath returns the path of a network namespace that is given as such or
// by its name for "ip netns".
func NetnsPath(nameOrPath string) (string, error) {
	const named = "/var/run/netns"
	path := nameOrPath
	if !strings.ContainsRune(nameOrPath, '/') {
		path = filepath.Join(named, nameOrPath)
	}
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		entries, _ := os.ReadDir(named) // an empty list says as much
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return "", fmt.Errorf("there is no network namespace %s; %s", nameOrPath, listing(names, "there are", "'ip netns list' lists none"))
	}
	if err != nil {
		return "", fmt.Errorf("network namespace %s: %w", nameOrPath, err)
	}
	return path, nil
}

func listing(names []string, some, none string) string {
	if len(names) == 0 {
		return none
	}
	slices.Sort(names)
	return some + " " + strings.Join(names, ", ")
}

// Links returns a target for each interface of a network namespace, "" for
// this one, that is named; without names for all that are up but loopback,
// and for loopback if there is nothing else. The ports are for all of them.
//
// A named interface is taken to be the workload's own end, unless it is a
// veth: that is looked at as the host's end, from which the workload is on
// the other side.
func Links(netns string, names []string, ports []Port, egress []Egress) ([]Target, error) {
	var out []Target
	var namespace unix.Stat_t
	err := within(netns, func() error {
		if netns != "" { // the path may lead elsewhere later
			if err := unix.Stat("/proc/thread-self/ns/net", &namespace); err != nil {
				return fmt.Errorf("network namespace %s: %w", netns, err)
			}
		}
		all, err := net.Interfaces()
		if err != nil {
			return err
		}
		out, err = choose(netns, all, names)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		t := &out[i]
		t.ID = t.Interface
		if netns != "" {
			t.ID = filepath.Base(netns) + "/" + t.Interface
		}
		t.Netns, t.NetnsDevice, t.NetnsInode = netns, namespace.Dev, namespace.Ino
		t.Ports, t.Egress = ports, egress
		t.Workload = Workload{Kind: "Interface", Name: t.ID}
	}
	return out, nil
}

// choose picks among the interfaces of the namespace it runs in.
func choose(netns string, all []net.Interface, names []string) ([]Target, error) {
	var out []Target
	if len(names) == 0 {
		for _, i := range all {
			if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagLoopback == 0 {
				out = append(out, Target{Interface: i.Name, Index: i.Index, Inside: true, Why: "every interface that is up"})
			}
		}
		if len(out) == 0 {
			names = []string{"lo"}
		}
	}
	for _, name := range names {
		at := slices.IndexFunc(all, func(i net.Interface) bool { return i.Name == name })
		if at < 0 {
			return nil, noInterface(netns, name, all)
		}
		i := all[at]
		loopback := i.Flags&net.FlagLoopback != 0
		out = append(out, Target{
			Interface: i.Name, Index: i.Index, Loopback: loopback, Why: "named",
			Inside: loopback || netns != "" || !isVeth(i.Name),
		})
	}
	return out, nil
}

func noInterface(netns, name string, all []net.Interface) error {
	var there []string
	for _, i := range all {
		there = append(there, i.Name)
	}
	where := ""
	if netns != "" {
		where = " in network namespace " + netns
	}
	return fmt.Errorf("there is no interface %s%s; %s", name, where, listing(there, "there are", "there are none"))
}

func isVeth(name string) bool {
	l, err := netlink.LinkByName(name)
	return err == nil && l.Type() == "veth"
}

// within runs f in a network namespace, "" for this one.
func within(netns string, f func() error) error {
	if netns == "" {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		// The thread is in another namespace from here on, so nothing else may
		// run on it: it ends with the goroutine.
		runtime.LockOSThread()
		done <- func() error {
			file, err := os.Open(netns)
			if err != nil {
				return err
			}
			defer file.Close()
			if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter network namespace %s: %w (CAP_SYS_ADMIN is needed: try sudo)", netns, err)
			}
			return f()
		}()
	}()
	return <-done
}
