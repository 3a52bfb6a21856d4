package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// netNS is a network namespace by its identity. It is not held open, which
// would keep the interfaces of a pod alive that has ended.
type netNS struct {
	path     string // "": the process's own
	dev, ino uint64
}

// inNetNS calls f on a thread that is in the network namespace of that path,
// or at once if there is none.
func inNetNS(path string, f func() error) error {
	if path == "" {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		// Never unlocked, so that the thread ends with the goroutine and
		// nothing else runs in that namespace.
		runtime.LockOSThread()
		done <- enter(path, f)
	}()
	return <-done
}

func enter(path string, f func() error) error {
	ns, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", path, err)
	}
	return f()
}

// currentNetNS is the namespace of the calling thread, which entered it by
// that path.
func currentNetNS(path string) (netNS, error) {
	ns, err := statNetNS("/proc/thread-self/ns/net")
	ns.path = path
	return ns, err
}

func statNetNS(path string) (netNS, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return netNS{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return netNS{path: path, dev: st.Dev, ino: st.Ino}, nil
}

func (n netNS) is(o netNS) bool { return n.dev == o.dev && n.ino == o.ino }

// visit calls f in the namespace, by whatever path it can be reached now. That
// it is gone, and its interfaces with it, is no error.
func (n netNS) visit(f func() error) error {
	if n.path == "" {
		return f()
	}
	if now, err := statNetNS(n.path); err == nil && now.is(n) {
		return inNetNS(n.path, f)
	}
	for _, other := range netNamespaces() {
		if other.is(n) {
			return inNetNS(other.path, f)
		}
	}
	return nil
}

// netNamespaces lists the network namespaces that a process or a name keeps,
// this process's own first: to be in it no right is needed.
func netNamespaces() []netNS {
	var found []netNS
	seen := map[[2]uint64]bool{}
	if own, err := statNetNS("/proc/self/ns/net"); err == nil {
		seen[[2]uint64{own.dev, own.ino}] = true
		own.path = ""
		found = append(found, own)
	}
	for _, pattern := range []string{"/proc/[0-9]*/ns/net", "/run/netns/*", "/run/docker/netns/*"} {
		paths, _ := filepath.Glob(pattern) // the patterns are sound
		for _, path := range paths {
			ns, err := statNetNS(path)
			if err != nil || seen[[2]uint64{ns.dev, ns.ino}] {
				continue // a process that has ended
			}
			seen[[2]uint64{ns.dev, ns.ino}] = true
			found = append(found, ns)
		}
	}
	return found
}
