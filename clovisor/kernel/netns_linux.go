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
	return onThread(func() error {
		ns, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("network namespace: %w", err)
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", path, err)
		}
		return f()
	})
}

// inNewNetNS calls f in a network namespace of its own, which ends with it.
func inNewNetNS(f func() error) error {
	return onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		return f()
	})
}

// onThread calls f on a thread whose network namespace f may change. It goes
// back afterwards: one that stays, as the first thread of a process does, would
// keep a pod's interfaces alive. A thread that cannot go back is given up.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(ownNetNS)
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("network namespace: %w", err)
			return
		}
		defer home.Close()
		err = f()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// ownNetNS is the namespace of the calling thread.
const ownNetNS = "/proc/thread-self/ns/net"

// currentNetNS is the namespace of the calling thread, which entered it by
// that path.
func currentNetNS(path string) (netNS, error) {
	ns, err := statNetNS(ownNetNS)
	ns.path = path
	return ns, err
}

func statNetNS(path string) (netNS, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return netNS{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return netNS{}, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	if fs.Type != unix.NSFS_MAGIC { // a name in /run/netns that is being made
		return netNS{}, &os.PathError{Op: "stat", Path: path, Err: os.ErrNotExist}
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

// netNamespaces lists the network namespaces that a process or a name keeps.
func netNamespaces() []netNS {
	var found []netNS
	seen := map[[2]uint64]bool{}
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
