package job

import (
	"errors"
	"fmt"
	"os/exec"
)

// runGroup is for Unix: here a driver cannot be ended for certain, so it could
// run twice.
func runGroup(*exec.Cmd, func(pid int)) error {
	return fmt.Errorf("%w on Windows; have a Spark SQL server run the jobs (--spark-addr)", errors.ErrUnsupported)
}
