package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/cilium/ebpf"

	"github.com/opnfv/clover/clovisor/packet"
)

// ruleSet is what a target's rules put into the maps.
type ruleSet struct {
	flags  uint32
	ports  map[portKey]uint32
	egress map[egressKey]uint32
}

func newRuleSet(slot uint32, r Rules) ruleSet {
	s := ruleSet{ports: map[portKey]uint32{}, egress: map[egressKey]uint32{}}
	for _, p := range r.Ports {
		s.ports[portKey{Slot: slot, Port: p.Number, Transport: orTCP(p.Transport)}] |= roleLocal
	}
	for _, e := range r.Egress {
		s.flags |= targetEgress
		if e.Port == 0 {
			s.flags |= targetEgressAnyPort
		} else {
			s.ports[portKey{Slot: slot, Port: e.Port, Transport: orTCP(e.Transport)}] |= roleRemote
		}
		for _, p := range prefixes(e.Prefix) {
			key := egressKey{
				Prefix: egressFixedBits + uint32(p.Bits()), Slot: slot, Port: e.Port, Transport: orTCP(e.Transport),
			}
			key.Family, key.Address = addressBytes(p.Addr())
			s.egress[key] = 1
		}
	}
	return s
}

func orTCP(t packet.Transport) packet.Transport {
	if t == 0 {
		return packet.TCP
	}
	return t
}

func prefixes(p netip.Prefix) []netip.Prefix {
	if !p.IsValid() {
		return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	}
	return []netip.Prefix{p.Masked()}
}

// SetRules replaces the rules of a target. What the old and the new rules
// both name is captured without a gap. An error is an [*Error].
func (c *Capture) SetRules(id uint32, r Rules) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.targets[id]
	err := ErrUnknownTarget
	if c.closed {
		err = ErrClosed
	} else if ok {
		err = c.setRules(id, a, r)
	}
	if err != nil {
		return &Error{Op: "set rules", Target: id, Err: err}
	}
	return nil
}

// setRules puts new rules into the maps before it takes old ones out; if that
// fails the old ones stay.
func (c *Capture) setRules(id uint32, a *attachment, r Rules) error {
	next, old := newRuleSet(a.slot, r), a.rules
	value := targetValue{ID: id, Flags: a.flags | next.flags, Wake: uint32(c.opts.BufferBytes / 4)}
	err := errors.Join(put(c.obj.ports, next.ports), put(c.obj.egress, next.egress))
	if err == nil {
		err = c.obj.targets.Put(a.slot, value)
	}
	if err != nil {
		return errors.Join(err, c.replaceRules(next, old), put(c.obj.ports, old.ports))
	}
	a.rules = next
	return c.replaceRules(old, next)
}

// replaceRules removes from the maps what is in old and not in next.
func (c *Capture) replaceRules(old, next ruleSet) error {
	return errors.Join(remove(c.obj.ports, old.ports, next.ports), remove(c.obj.egress, old.egress, next.egress))
}

func (c *Capture) clearRules(a *attachment) error {
	return c.replaceRules(a.rules, ruleSet{})
}

func put[K comparable](m *ebpf.Map, entries map[K]uint32) error {
	for k, v := range entries {
		if err := m.Put(k, v); errors.Is(err, syscall.E2BIG) || errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("%d rules of all targets: %w", m.MaxEntries(), ErrTooMany)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func remove[K comparable](m *ebpf.Map, entries, except map[K]uint32) error {
	for k := range entries {
		if _, stays := except[k]; stays {
			continue
		}
		if err := m.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

// Skip says that nothing is needed of the bytes of a TCP flow before the
// sequence number until: segments of them come without payload and with
// [packet.Segment.Elided] set. A new connection of the same flow is not
// skipped, unless it has begun before the call; Unskip helps if that is so, and
// segments seen later than the call may still come whole. It may be called from
// the function that Run calls.
func (c *Capture) Skip(id uint32, flow packet.Flow, until uint32) error {
	return c.skip(id, flow, func(k *flowKey) error { return c.obj.flows.Put(k, flowValue{Until: until}) })
}

// SkipAll says that only lengths are needed of the flow from now on.
func (c *Capture) SkipAll(id uint32, flow packet.Flow) error {
	return c.skip(id, flow, func(k *flowKey) error { return c.obj.flows.Put(k, flowValue{All: 1}) })
}

// Unskip takes back what Skip and SkipAll said of the flow.
func (c *Capture) Unskip(id uint32, flow packet.Flow) error {
	return c.skip(id, flow, func(k *flowKey) error {
		if err := c.obj.flows.Delete(k); !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		return nil
	})
}

func (c *Capture) skip(id uint32, flow packet.Flow, do func(*flowKey) error) error {
	key := flowKey{
		SourcePort: flow.Source.Port(), DestinationPort: flow.Destination.Port(), Transport: flow.Transport,
	}
	key.Family, key.Source = addressBytes(flow.Source.Addr())
	_, key.Destination = addressBytes(flow.Destination.Addr())
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.targets[id]
	err := ErrUnknownTarget
	if c.closed {
		err = ErrClosed
	} else if ok {
		key.Slot = a.slot
		err = do(&key)
	}
	if err != nil {
		return &Error{Op: "skip", Target: id, Err: err}
	}
	return nil
}
