package clovisor

import (
	"errors"
	"io/fs"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/opnfv/clover/clovisor/kernel"
	"github.com/opnfv/clover/clovisor/target"
)

// atATime is how many targets are attached or detached at a time. The kernel
// takes them one after another; more than one keeps going where one hangs.
const atATime = 8

// want changes what there is to trace. It returns what was detached: what it
// captured may still be on its way, and is theirs until forget ends them.
func (a *attachments) want(set target.Set) (detached []*attachment) {
	a.acting.Lock()
	defer a.acting.Unlock()
	a.mu.Lock()
	a.set = set
	a.mu.Unlock()
	return a.reconcile()
}

// retry attaches what could not be attached before.
func (a *attachments) retry() {
	a.acting.Lock()
	defer a.acting.Unlock()
	a.mu.RLock()
	n := len(a.failed)
	a.mu.RUnlock()
	if n > 0 {
		a.reconcile()
	}
}

// reconcile attaches and detaches. The caller holds acting, so that set stays.
func (a *attachments) reconcile() (detached []*attachment) {
	wanted := map[string]*target.Target{}
	for i := range a.set.Targets {
		wanted[keyOf(&a.set.Targets[i])] = &a.set.Targets[i]
	}
	a.mu.Lock()
	for key, at := range a.byKey {
		if t := wanted[key]; t == nil || !t.SamePlace(at.target) {
			detached = append(detached, at)
		}
	}
	maps.DeleteFunc(a.failed, func(key string, _ error) bool { return wanted[key] == nil })
	a.mu.Unlock()
	var group errgroup.Group // nothing in it fails
	group.SetLimit(atATime)
	for _, at := range detached {
		group.Go(func() error { a.detach(at); return nil })
	}
	_ = group.Wait() // so that there is room
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		group.Go(func() error { a.note(key, wanted[key], a.follow(key, wanted[key])); return nil })
	}
	_ = group.Wait()
	return detached
}

// note keeps why a target is not attached, nil where it is.
func (a *attachments) note(key string, t *target.Target, err error) {
	a.mu.Lock()
	old := a.failed[key]
	if err == nil {
		delete(a.failed, key)
	} else {
		a.failed[key] = err
	}
	a.mu.Unlock()
	if err == nil || errors.Is(err, kernel.ErrClosed) {
		return
	}
	if old == nil || old.Error() != err.Error() {
		a.logger.Warn("not traced", "target", describe(t), "error", err)
	}
	if errors.Is(err, kernel.ErrOtherNetNS) || errors.Is(err, fs.ErrNotExist) {
		a.lookFor() // its process has ended, and another one may be found
	}
}

// follow attaches a target, or changes what is captured from it.
func (a *attachments) follow(key string, t *target.Target) error {
	a.mu.RLock()
	at := a.byKey[key]
	a.mu.RUnlock()
	if at == nil {
		return a.attach(key, t)
	}
	a.mu.RLock()
	same, sameRules := t.Same(at.target), slices.Equal(t.Ports, at.target.Ports) && slices.Equal(t.Egress, at.target.Egress)
	a.mu.RUnlock()
	if !sameRules {
		if err := a.capture.SetRules(at.id, rules(t)); err != nil {
			return err
		}
	}
	if !same {
		a.mu.Lock()
		at.describe(t, a.ports, a.node)
		a.mu.Unlock()
	}
	return nil
}

func (a *attachments) attach(key string, t *target.Target) error {
	a.mu.Lock()
	a.nextID++
	at := &attachment{id: a.nextID}
	at.describe(t, a.ports, a.node)
	a.byID[at.id] = at // what it captures at once has to find out whose it is
	a.mu.Unlock()
	err := a.capture.Attach(kernel.Target{
		ID: at.id, Interface: t.Interface, NetNS: t.Netns, NetNSDevice: t.NetnsDevice, NetNSInode: t.NetnsInode,
		HostSide: !t.Inside, Rules: rules(t),
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		delete(a.byID, at.id)
		return err
	}
	a.byKey[key] = at
	a.logger.Info("traced", "target", describe(t), "why", t.Why, "ports", len(t.Ports), "egress", len(t.Egress))
	return nil
}

func (a *attachments) detach(at *attachment) {
	last, err := a.capture.Detach(at.id)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		at.last = &last
	} else if !errors.Is(err, kernel.ErrClosed) {
		a.logger.Warn("not detached", "target", describe(at.target), "error", err)
	}
	delete(a.byKey, keyOf(at.target))
	a.logger.Info("no longer traced", "target", describe(at.target))
}
