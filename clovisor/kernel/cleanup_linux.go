package kernel

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/vishvananda/netlink"
)

// CleanUp removes what a capture of that name has left that was killed: its
// filters, and the queueing disciplines it made unless others use them, in
// every network namespace of this machine. It returns how many filters it
// removed. [New] does the same by itself. "" stands for the name that New
// takes by default. If the capture is alive, the error is [ErrInUse].
func CleanUp(name string) (removed int, err error) {
	orDefault(&name, defaultName)
	release, err := reserve(name, slog.New(slog.DiscardHandler))
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
