package kernel

import (
	"errors"
	"fmt"
	"net"
	"regexp"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// validName is what a capture may be called.
var validName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,32}$`)

// reserve takes the name for this process. The kernel gives it back when the
// process ends, however it ends.
func reserve(name string) (release func() error, err error) {
	if !validName.MatchString(name) {
		return nil, fmt.Errorf("name %q: want 1 to 32 letters, digits, \"-\", \"_\" or \".\"", name)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: "@clovisor/" + name})
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("name %q: %w", name, ErrInUse)
	}
	if err != nil {
		return nil, err
	}
	return l.Close, nil
}

// CleanUp removes what a capture of that name has left that was killed: its
// filters, and the queueing disciplines it made unless others use them, in
// every network namespace of this machine. It returns how many filters it
// removed. [New] does the same by itself. "" stands for the name that New
// takes by default. If the capture is alive, the error is [ErrInUse].
func CleanUp(name string) (removed int, err error) {
	orDefault(&name, defaultName)
	release, err := reserve(name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = release() }()
	n, errHere := cleanUpHere(name)
	others, err := cleanUpOthers(name)
	return n + others, errors.Join(errHere, err)
}

// cleanUpOthers cleans up in every network namespace but the caller's.
func cleanUpOthers(name string) (removed int, err error) {
	own, err := statNetNS(ownNetNS)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, ns := range netNamespaces() {
		if ns.is(own) {
			continue
		}
		err := ns.visit(func() error {
			n, err := cleanUpHere(name)
			removed += n
			return err
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("clean up in %s: %w", ns.path, err))
		}
	}
	return removed, errors.Join(errs...)
}

// cleanUpHere cleans up in the namespace of the calling thread.
func cleanUpHere(name string) (int, error) {
	qdiscs, err := netlink.QdiscList(nil)
	if err != nil {
		return 0, fmt.Errorf("list queueing disciplines: %w", err)
	}
	removed := 0
	var errs []error
	for _, q := range qdiscs {
		if q.Attrs().Parent != netlink.HANDLE_CLSACT {
			continue
		}
		n, err := removeFilters(name, q.Attrs().LinkIndex)
		removed += n
		errs = append(errs, ignoreGone(err))
	}
	return removed, errors.Join(errs...)
}
