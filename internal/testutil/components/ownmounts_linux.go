package components

import (
	"os/exec"
	"syscall"
)

// ownMounts lets a command mount in a namespace of its own, so that nothing
// stays mounted when it is killed.
func ownMounts(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
}
