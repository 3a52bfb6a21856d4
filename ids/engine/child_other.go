//go:build !linux

package engine

import "os/exec"

// startChild starts the process and the goroutine that waits for it.
func startChild(c *child) error {
	if err := c.cmd.Start(); err != nil {
		return err
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	return nil
}

// killGroup ends a process.
func killGroup(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // it may have ended
}

// runGroup runs a process to its end, or to that of its context.
func runGroup(cmd *exec.Cmd) error {
	cmd.WaitDelay = waitDelay
	return ended(cmd.Run())
}
