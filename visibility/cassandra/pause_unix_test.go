//go:build unix

package cassandra

import (
	"syscall"
	"testing"
)

// pause stops a process, resume lets it go on.
func pause(t *testing.T, pid int)  { signal(t, pid, syscall.SIGSTOP) }
func resume(t *testing.T, pid int) { signal(t, pid, syscall.SIGCONT) }

func signal(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}
