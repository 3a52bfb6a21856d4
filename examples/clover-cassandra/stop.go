package main

import (
	"os/exec"
	"syscall"
	"time"
)

// drainTime is what a node has to write what is in memory to disk; the pod's
// own limit is longer.
const drainTime = 100 * time.Second

// stopGently ends a program by SIGTERM, at which Cassandra drains, and kills
// it only after drainTime. Windows has no such signal: it is killed.
func stopGently(cmd *exec.Cmd) {
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err == nil {
			return nil
		}
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = drainTime
}
