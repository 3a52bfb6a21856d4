//go:build !unix

package nginx

import (
	"errors"
	"os"
	"os/exec"
)

const supported = false

var (
	reloadSignal = os.Interrupt
	quitSignal   = os.Interrupt
	endSignal    = os.Interrupt
	reopenSignal = os.Interrupt
)

func own(*exec.Cmd) {}

func adopt(int) (*master, error) { return nil, errors.ErrUnsupported }
