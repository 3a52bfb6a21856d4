//go:build !unix && !windows

package recordfile

import "os"

// Lock opens the file: this system does not lock it, so see to it that
// one process has the spool.
func Lock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}
