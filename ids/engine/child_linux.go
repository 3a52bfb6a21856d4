package engine

import (
	"os/exec"
	"runtime"
	"syscall"
)

// startChild starts the process and the goroutine that waits for it. The
// kernel ends the engine when this process is killed, so that none is left
// behind that nobody owns. It does so when the thread ends that started the
// process, which is why the goroutine keeps its thread.
func startChild(c *child) error {
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
			killGroup(c.cmd) // what it has left behind
			close(c.done)
		}
	}()
	return <-started
}

// killGroup ends a process and all that it has started.
func killGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // they may have ended
}

// runGroup runs a process to its end, or to that of its context, and ends what
// it has left behind.
func runGroup(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = waitDelay
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return err
	}
	defer killGroup(cmd)
	return ended(cmd.Wait())
}
