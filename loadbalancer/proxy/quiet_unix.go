//go:build unix

package proxy

import (
	"errors"
	"syscall"
)

// quiet reports whether a connection is open and nothing has come on it.
func quiet(c syscall.RawConn) bool {
	var seen error
	err := c.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, seen = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true // do not wait
	})
	return err == nil && errors.Is(seen, syscall.EAGAIN)
}
