package job

import (
	"errors"
	"os"
	"os/exec"
)

// runGroup is for Unix: a driver that cannot be ended for certain could run
// twice.
func runGroup(*exec.Cmd, func(pid int)) error { return errors.ErrUnsupported }

// lockFile is for Unix.
func lockFile(string) (*os.File, error) { return nil, errors.ErrUnsupported }
