package engine

import (
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
			close(c.done)
		}
	}()
	return <-started
}
