//go:build unix

package recordfile

import (
	"fmt"
	"os"
	"syscall"
)

// Lock takes a file for this process until it is closed, also by a kill.
func Lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another process has it: %w", err)
	}
	return f, nil
}
