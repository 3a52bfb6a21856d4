//go:build !linux

package engine

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
