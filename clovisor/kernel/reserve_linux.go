package kernel

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// validName is what a capture may be called.
var validName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,32}$`)

// What stands for a name is an abstract socket, since containers have no folder
// in common. Any process of the network namespace could take it, so the kernel
// is asked whose it is: another user's than root or this one is no capture's,
// and is not let keep one from starting.

// reserve takes the name for this process. The kernel gives it back when the
// process ends, however it ends.
func reserve(name string, logger *slog.Logger) (release func() error, err error) {
	if !validName.MatchString(name) {
		return nil, fmt.Errorf("name %q: want 1 to 32 letters, digits, \"-\", \"_\" or \".\"", name)
	}
	addr := &net.UnixAddr{Net: "unix", Name: "@clovisor/" + name}
	holder := &unix.Ucred{Uid: noUser}
	for range 10 {
		l, err := net.ListenUnix("unix", addr)
		if err == nil {
			return answering(l), nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			return nil, err
		}
		if h, err := holderOf(addr); err == nil {
			holder = h
			break
		}
		time.Sleep(10 * time.Millisecond) // it has gone, or does not listen yet
	}
	if holder.Uid == 0 || int(holder.Uid) == os.Geteuid() {
		return nil, fmt.Errorf("name %q, process %d: %w", name, holder.Pid, ErrInUse)
	}
	logger.Warn("a process that is no capture has taken the name; whether another capture has it is not known",
		"name", name, "process", holder.Pid, "user", holder.Uid)
	return func() error { return nil }, nil
}

// noUser is nobody's number: that of whoever holds an address and does not
// listen there, as every capture does.
const noUser = 1<<32 - 1

// answering gives a connection to whoever wants to know whose it is.
func answering(l *net.UnixListener) (release func() error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return func() error {
		err := l.Close()
		<-done
		return err
	}
}

// holderOf says which process has called listen on an address.
func holderOf(addr *net.UnixAddr) (holder *unix.Ucred, err error) {
	c, err := net.DialUnix("unix", nil, addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var optErr error
	err = raw.Control(func(fd uintptr) {
		holder, optErr = unix.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	return holder, errors.Join(err, optErr)
}
