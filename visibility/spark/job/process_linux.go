package job

import (
	"os/exec"
	"runtime"
	"syscall"
)

// runGroup runs a program to its end, or to that of its context, and ends what
// it has left behind. The kernel ends it when this process is killed; it does
// so when the thread ends that started it, which is why that is kept.
func runGroup(cmd *exec.Cmd, started func(pid int)) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- runOwn(cmd, &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}, started)
	}()
	return <-done
}
