//go:build unix && !linux

package job

import (
	"os/exec"
	"syscall"
)

// runGroup runs a program to its end, or to that of its context, and ends what
// it has left behind.
func runGroup(cmd *exec.Cmd, started func(pid int)) error {
	return runOwn(cmd, &syscall.SysProcAttr{Setpgid: true}, started)
}
