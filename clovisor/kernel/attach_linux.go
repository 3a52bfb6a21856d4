package kernel

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// attachment is a target that is attached, or about to be.
type attachment struct {
	slot  uint32
	flags uint32  // of the link, without those of the rules
	rules ruleSet // guarded by the capture's mutex

	mu       sync.Mutex // guards what follows; taken before the capture's
	gone     bool
	links    []link.Link
	filtered int   // index of the interface that has filters of ours, 0: none
	netns    netNS // where that is
}

// Attach captures from a target from now on. It may be called before and
// while Run runs. The kernel takes some ten milliseconds for it, and does not
// take them for several targets at a time. An error is an [*Error].
func (c *Capture) Attach(t Target) error {
	a := new(attachment)
	err := inNetNS(netNS{path: t.NetNS, dev: t.NetNSDevice, ino: t.NetNSInode}, func() error {
		l, err := netlink.LinkByName(t.Interface)
		if _, ok := errors.AsType[netlink.LinkNotFoundError](err); ok {
			return fmt.Errorf("interface %s: %w", t.Interface, ErrNoInterface)
		}
		if err != nil {
			return fmt.Errorf("interface %s: %w", t.Interface, err)
		}
		if a.netns, err = currentNetNS(t.NetNS); err != nil {
			return err
		}
		switch l.Attrs().EncapType {
		case "ether", "loopback":
		default:
			a.flags = targetNoEthernet
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if err := c.enlist(a, &t); err != nil {
			return err
		}
		if err := c.hook(a, &t, l.Attrs()); err != nil {
			_, undoErr := c.discard(t.ID, a, &c.detached)
			return errors.Join(err, undoErr)
		}
		return nil
	})
	if err != nil {
		return &Error{Op: "attach", Target: t.ID, Err: err}
	}
	return nil
}

// enlist gives an attachment its slot and fills the maps for it.
func (c *Capture) enlist(a *attachment, t *Target) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if _, ok := c.targets[t.ID]; ok {
		return ErrAttached
	}
	if len(c.free) == 0 {
		return fmt.Errorf("%d targets: %w", c.opts.MaxTargets, ErrTooMany)
	}
	a.slot = c.free[0]
	if err := c.obj.counters.Put(a.slot, make([]counterValues, c.cpus)); err != nil {
		return err
	}
	if err := c.setRules(t.ID, a, t.Rules); err != nil {
		return err
	}
	c.free = c.free[1:]
	c.targets[t.ID] = a
	return nil
}

// hook attaches the programs. A packet on the loopback interface leaves it
// and enters it again at once, so that one way is enough there.
func (c *Capture) hook(a *attachment, t *Target, l *netlink.LinkAttrs) error {
	in, out := int32(wayIngress), int32(wayEgress)
	if t.HostSide {
		in, out = out, in
	}
	if l.Flags&net.FlagLoopback != 0 {
		return c.hookOne(a, l.Index, ebpf.AttachTCXIngress, wayEither)
	}
	if err := c.hookOne(a, l.Index, ebpf.AttachTCXIngress, in); err != nil {
		return err
	}
	return c.hookOne(a, l.Index, ebpf.AttachTCXEgress, out)
}

func (c *Capture) hookOne(a *attachment, ifindex int, where ebpf.AttachType, way int32) error {
	p, err := c.obj.entry(a.slot, way)
	if err != nil {
		return fmt.Errorf("load the target's program: %w", err)
	}
	defer func() { _ = p.Close() }() // the link or the filter keeps it
	if c.opts.Hook == Clsact {
		h := filterHook{name: c.opts.Name, ifindex: ifindex, parent: netlink.HANDLE_MIN_INGRESS, program: p}
		if where == ebpf.AttachTCXEgress {
			h.parent = netlink.HANDLE_MIN_EGRESS
		}
		a.filtered = ifindex
		return h.add()
	}
	// First in the row, because others may take packets away.
	l, err := link.AttachTCX(link.TCXOptions{Interface: ifindex, Program: p, Attach: where, Anchor: link.Head()})
	if err != nil {
		return err
	}
	a.links = append(a.links, l)
	return nil
}

// unhook takes the programs off.
func (c *Capture) unhook(a *attachment) error {
	var errs []error
	for _, l := range a.links {
		errs = append(errs, l.Close())
	}
	if a.filtered != 0 {
		errs = append(errs, a.netns.visit(func() error {
			_, err := removeFilters(c.opts.Name, a.filtered)
			return ignoreGone(err)
		}))
	}
	return errors.Join(errs...)
}

// ignoreGone drops the errors that say that there is no such interface.
func ignoreGone(err error) error {
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// discard undoes an attachment, whose mutex the caller holds, and returns what
// was counted on it, which it adds to sum unless that is nil.
func (c *Capture) discard(id uint32, a *attachment, sum *Counters) (Counters, error) {
	a.gone = true
	err := c.unhook(a)
	c.mu.Lock()
	defer c.mu.Unlock()
	last, countErr := c.counters(a.slot)
	err = errors.Join(err, countErr, c.clearRules(a))
	if sum != nil {
		sum.add(last)
	}
	delete(c.targets, id)
	// To the end of the row: a program that still runs must not find another
	// target in its slot.
	c.free = append(c.free, a.slot)
	return last, err
}

// Detach ends the capture from a target and returns what was counted on it
// until then. That its interface is gone already is no error. An error is an
// [*Error].
func (c *Capture) Detach(id uint32) (Counters, error) {
	c.mu.Lock()
	a, ok := c.targets[id]
	closed := c.closed
	c.mu.Unlock()
	var last Counters
	err := ErrUnknownTarget
	if closed {
		err = ErrClosed
	} else if ok {
		last, err = c.detach(id, a, &c.detached)
	}
	if err != nil {
		return last, &Error{Op: "detach", Target: id, Err: err}
	}
	return last, nil
}

func (c *Capture) detach(id uint32, a *attachment, sum *Counters) (Counters, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return Counters{}, ErrUnknownTarget
	}
	return c.discard(id, a, sum)
}

// detachAll ends the capture: it detaches every target and returns what was
// counted on each. Later calls return nothing.
func (c *Capture) detachAll() (map[uint32]Counters, error) {
	c.mu.Lock()
	c.closed = true
	targets := maps.Clone(c.targets)
	c.mu.Unlock()
	var errs []error
	counted := make(map[uint32]Counters, len(targets))
	for id, a := range targets {
		last, err := c.detach(id, a, nil)
		if errors.Is(err, ErrUnknownTarget) {
			continue // Detach was at it
		}
		counted[id] = last
		if err != nil {
			errs = append(errs, &Error{Op: "detach", Target: id, Err: err})
		}
	}
	return counted, errors.Join(errs...)
}
