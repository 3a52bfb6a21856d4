package kernel

import (
	"errors"
	"log/slog"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// takeName has a name held by another user, who listens or does not.
func takeName(t *testing.T, name string, listens bool) {
	t.Helper()
	type result struct {
		fd  int
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // its user is another one from here on: it ends with the goroutine
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		const nobody = 65534
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); err == nil && errno != 0 {
			err = errno
		}
		err = errors.Join(err, unix.Bind(fd, &unix.SockaddrUnix{Name: "@clovisor/" + name}))
		if listens {
			err = errors.Join(err, unix.Listen(fd, 0))
		}
		done <- result{fd, err}
	}()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { _ = unix.Close(r.fd) })
}

// TestNameIsTaken holds that a capture keeps its name from others, and that
// nobody without its rights keeps one from starting.
func TestNameIsTaken(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	for _, listens := range []bool{true, false} {
		name := uniqueName()
		takeName(t, name, listens)
		release, err := reserve(name, logger)
		if err != nil {
			t.Errorf("a stranger who listens %t: %v", listens, err)
			continue
		}
		if err := release(); err != nil {
			t.Error(err)
		}
	}
	name := uniqueName()
	release, err := reserve(name, logger)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 { // more than wait in its queue
		if _, err := reserve(name, logger); !errors.Is(err, ErrInUse) {
			t.Fatalf("reserved twice: %v", err)
		}
	}
	if err := release(); err != nil {
		t.Error(err)
	}
	if release, err = reserve(name, logger); err != nil {
		t.Fatalf("released: %v", err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}
