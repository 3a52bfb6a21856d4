package kernel

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

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
