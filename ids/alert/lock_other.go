//go:build !unix

package alert

import "os"

// lockFile opens the file: this system does not lock it, so see to it that
// one process has the spool.
func lockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}
