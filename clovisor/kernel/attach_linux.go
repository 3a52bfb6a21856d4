package kernel

import (
	"errors"
	"fmt"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// attachment is a target that is attached.
type attachment struct {
	slot     uint32
	flags    uint32 // of the link, without those of the rules
	rules    ruleSet
	links    []link.Link
	filtered int   // index of the interface that has filters of ours, 0: none
	netns    netNS // where that is
}

// Attach captures from a target from now on. It may be called before and
// while Run runs. An error is an [*Error].
func (c *Capture) Attach(t Target) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.attach(t); err != nil {
		return &Error{Op: "attach", Target: t.ID, Err: err}
	}
	return nil
}

func (c *Capture) attach(t Target) error {
	if c.closed {
		return ErrClosed
	}
	if _, ok := c.targets[t.ID]; ok {
		return errors.New("this ID is attached already")
	}
	if len(c.free) == 0 {
		return fmt.Errorf("%d targets: %w", c.opts.MaxTargets, ErrTooMany)
	}
	a := &attachment{slot: c.free[0]}
	err := inNetNS(t.NetNS, func() error {
		var err error
		if a.netns, err = currentNetNS(t.NetNS); err != nil {
			return err
		}
		l, err := netlink.LinkByName(t.Interface)
		if err != nil {
			return fmt.Errorf("interface %s: %w", t.Interface, err)
		}
		switch l.Attrs().EncapType {
		case "ether", "loopback":
		default:
			a.flags = targetNoEthernet
		}
		if err := c.prepare(a, &t); err != nil {
			return err
		}
		return c.hook(a, &t, l.Attrs())
	})
	if err != nil {
		return errors.Join(err, c.undo(a))
	}
	c.free = c.free[1:]
	c.targets[t.ID] = a
	return nil
}

// prepare fills the maps for a target before its programs run.
func (c *Capture) prepare(a *attachment, t *Target) error {
	if err := c.obj.counters.Put(a.slot, make([]counterValues, c.cpus)); err != nil {
		return err
	}
	return c.setRules(t.ID, a, t.Rules)
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

// undo undoes what there is of an attachment.
func (c *Capture) undo(a *attachment) error {
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
	return errors.Join(append(errs, c.clearRules(a))...)
}

// ignoreGone drops the errors that say that there is no such interface.
func ignoreGone(err error) error {
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// Detach ends the capture from a target. That its interface is gone already
// is no error. An error is an [*Error].
func (c *Capture) Detach(id uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.detach(id); err != nil {
		return &Error{Op: "detach", Target: id, Err: err}
	}
	return nil
}

func (c *Capture) detach(id uint32) error {
	if c.closed {
		return ErrClosed
	}
	a, ok := c.targets[id]
	if !ok {
		return ErrUnknownTarget
	}
	err := c.undo(a)
	last, countErr := c.counters(a.slot)
	c.detached.add(last)
	delete(c.targets, id)
	// To the end of the row: a program that still runs must not find another
	// target in its slot.
	c.free = append(c.free, a.slot)
	return errors.Join(err, countErr)
}
