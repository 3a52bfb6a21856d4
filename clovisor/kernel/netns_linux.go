package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// netNS is a network namespace by its identity. It is not held open, which
// would keep the interfaces of a pod alive that has ended.
type netNS struct {
	path     string // "": the process's own
	dev, ino uint64 // ino 0: whichever the path leads to
}

// inNetNS calls f on a thread that is in a network namespace, or at once if
// that has no path. A path may lead elsewhere by now, so that what was opened
// is looked at.
func inNetNS(want netNS, f func() error) error {
	if want.path == "" {
		return f()
	}
	return onThread(func() error {
		file, err := os.Open(want.path)
		if err != nil {
			return fmt.Errorf("network namespace: %w", err)
		}
		defer file.Close()
		var st unix.Stat_t
		if err := unix.Fstat(int(file.Fd()), &st); err != nil {
			return &os.PathError{Op: "fstat", Path: want.path, Err: err}
		}
		if want.ino != 0 && !want.is(netNS{dev: st.Dev, ino: st.Ino}) {
			return fmt.Errorf("%s: %w", want.path, ErrOtherNetNS)
		}
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", want.path, err)
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
	err := inNetNS(n, f)
	if !leadsElsewhere(err) {
		return err
	}
	for _, other := range netNamespaces() {
		if !other.is(n) {
			continue
		}
		if err := inNetNS(other, f); !leadsElsewhere(err) {
			return err
		}
	}
	return nil
}

// leadsElsewhere reports whether a path has led to no namespace, or to another
// one.
func leadsElsewhere(err error) bool {
	return errors.Is(err, ErrOtherNetNS) || errors.Is(err, fs.ErrNotExist)
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
