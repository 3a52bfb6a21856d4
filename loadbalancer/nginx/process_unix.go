//go:build unix

package nginx

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const supported = true

// The signals that nginx's master takes.
const (
	reloadSignal = syscall.SIGHUP
	reopenSignal = syscall.SIGUSR1
	quitSignal   = syscall.SIGQUIT
	endSignal    = syscall.SIGTERM
)

// own keeps the signals of a terminal, such as Ctrl-C, from nginx, which the
// driver ends itself.
func own(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// adopt watches a master that this process has not started.
func adopt(pid int) (*master, error) {
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil, err
	}
	m := &master{process: process, done: make(chan struct{}), unwatch: make(chan struct{})}
	if alive := process.Signal(syscall.Signal(0)) == nil; !alive {
		m.err = errGone
		close(m.done)
		return m, nil
	}
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for process.Signal(syscall.Signal(0)) == nil {
			select {
			case <-tick.C:
			case <-m.unwatch:
				return
			}
		}
		m.err = errGone
		close(m.done)
	}()
	return m, nil
}

var errGone = errors.New("it is gone")
