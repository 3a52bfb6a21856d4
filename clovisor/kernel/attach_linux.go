package kernel

import (
	"errors"
	"fmt"
	"io"
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
	programs []io.Closer
	hooks    []io.Closer // links or filters
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
		return errors.Join(err, c.release(a))
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
	a.programs = append(a.programs, p)
	// First in the row, because others may take packets away.
	l, err := link.AttachTCX(link.TCXOptions{Interface: ifindex, Program: p, Attach: where, Anchor: link.Head()})
	if err != nil {
		return err
	}
	a.hooks = append(a.hooks, l)
	return nil
}

// release undoes what there is of an attachment.
func (c *Capture) release(a *attachment) error {
	var errs []error
	for _, h := range a.hooks {
		if err := h.Close(); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, err)
		}
	}
	for _, p := range a.programs {
		errs = append(errs, p.Close())
	}
	return errors.Join(append(errs, c.clearRules(a))...)
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
	err := c.release(a)
	last, countErr := c.counters(a.slot)
	c.detached.add(last)
	delete(c.targets, id)
	// To the end of the row: a program that still runs must not find another
	// target in its slot.
	c.free = append(c.free, a.slot)
	return errors.Join(err, countErr)
}
