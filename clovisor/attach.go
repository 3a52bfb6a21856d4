package clovisor

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/kernel"
	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/target"
)

// capture is what attaching needs of a [kernel.Capture].
type capture interface {
	Attach(t kernel.Target) error
	Detach(id uint32) (kernel.Counters, error)
	SetRules(id uint32, r kernel.Rules) error
}

// attachments keeps what is attached in step with what there is to trace.
// What only reads may be called concurrently.
type attachments struct {
	capture capture
	logger  *slog.Logger
	node    string

	mu     sync.RWMutex
	byID   map[uint32]*attachment
	byKey  map[string]*attachment
	ports  map[uint16]string // what the configuration says of ports, before anything else
	set    target.Set
	failed map[string]error // why wanted targets are not attached
	nextID uint32
}

// attachment is a target that is captured from.
type attachment struct {
	id     uint32
	target target.Target
	places map[uint16]export.Place // by port of the workload, 0 for any other
	ports  map[packet.Transport]map[uint16]string
	remote map[uint16]string
	last   *kernel.Counters // what was counted when it was detached; nil: not known
}

func newAttachments(c capture, o *Options) *attachments {
	return &attachments{
		capture: c, logger: o.Logger, node: o.Node,
		byID: map[uint32]*attachment{}, byKey: map[string]*attachment{}, failed: map[string]error{},
	}
}

func keyOf(t *target.Target) string { return t.ID + "\x00" + t.Interface }

// want changes what there is to trace. It returns what was detached: what it
// captured may still be on its way, and is theirs until forget ends them.
func (a *attachments) want(set target.Set) (detached []*attachment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set = set
	return a.reconcile()
}

// forget lets go of what was detached.
func (a *attachments) forget(detached []*attachment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, at := range detached {
		delete(a.byID, at.id)
	}
}

// override sets what ports speak, whatever services say.
func (a *attachments) override(ports map[uint16]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if maps.Equal(ports, a.ports) {
		return
	}
	a.ports = ports
	for _, at := range a.byID {
		at.describe(at.target, a.ports, a.node)
	}
}

// retry attaches what could not be attached before.
func (a *attachments) retry() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.failed) > 0 {
		a.reconcile()
	}
}

func (a *attachments) reconcile() (detached []*attachment) {
	wanted := map[string]*target.Target{}
	for i := range a.set.Targets {
		wanted[keyOf(&a.set.Targets[i])] = &a.set.Targets[i]
	}
	for key, at := range a.byKey {
		if t := wanted[key]; t == nil || !t.SamePlace(&at.target) {
			a.detach(key, at)
			detached = append(detached, at)
		}
	}
	maps.DeleteFunc(a.failed, func(key string, _ error) bool { return wanted[key] == nil })
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		err := a.follow(key, wanted[key])
		if err == nil {
			delete(a.failed, key)
			continue
		}
		if old := a.failed[key]; old == nil || old.Error() != err.Error() {
			a.logger.Warn("not traced", "target", describe(wanted[key]), "error", err)
		}
		a.failed[key] = err
	}
	return detached
}

// follow attaches a target, or changes what is captured from it.
func (a *attachments) follow(key string, t *target.Target) error {
	at := a.byKey[key]
	if at == nil {
		a.nextID++
		at = &attachment{id: a.nextID}
		at.describe(*t, a.ports, a.node)
		// What it captures at once has to find out whose it is.
		a.byID[at.id], a.byKey[key] = at, at
		err := a.capture.Attach(kernel.Target{
			ID: at.id, Interface: t.Interface, NetNS: t.Netns, HostSide: !t.Inside, Rules: rules(t),
		})
		if err != nil {
			delete(a.byID, at.id)
			delete(a.byKey, key)
			return err
		}
		a.logger.Info("traced", "target", describe(t), "why", t.Why, "ports", len(t.Ports), "egress", len(t.Egress))
		return nil
	}
	if !slices.Equal(t.Ports, at.target.Ports) || !slices.Equal(t.Egress, at.target.Egress) {
		if err := a.capture.SetRules(at.id, rules(t)); err != nil {
			return err
		}
	}
	if !t.Same(&at.target) {
		at.describe(*t, a.ports, a.node)
	}
	return nil
}

func (a *attachments) detach(key string, at *attachment) {
	last, err := a.capture.Detach(at.id)
	if err == nil {
		at.last = &last
	} else if !errors.Is(err, kernel.ErrClosed) {
		a.logger.Warn("not detached", "target", describe(&at.target), "error", err)
	}
	a.logger.Info("no longer traced", "target", describe(&at.target))
	delete(a.byKey, key)
}

// describe computes what is asked for each session.
func (at *attachment) describe(t target.Target, override map[uint16]string, node string) {
	w := t.Workload
	place := export.Place{Node: cmp.Or(w.Node, node), Namespace: w.Namespace, Pod: w.Pod, Sidecar: t.Sidecar}
	if w.Pod != "" {
		place.PodUID, place.Kind, place.Workload = t.ID, w.Kind, w.Name
	}
	next := attachment{
		id: at.id, target: t, places: map[uint16]export.Place{0: place},
		ports: map[packet.Transport]map[uint16]string{packet.TCP: {}, packet.UDP: {}}, remote: map[uint16]string{},
	}
	for _, p := range t.Ports {
		at := place
		at.Service = p.Service
		next.places[p.Number] = at
		next.ports[p.Transport][p.Number] = cmp.Or(override[p.Number], p.Protocol)
	}
	for _, e := range t.Egress {
		next.remote[e.Port] = cmp.Or(override[e.Port], e.Protocol)
	}
	*at = next
}

func rules(t *target.Target) kernel.Rules {
	var r kernel.Rules
	for _, p := range t.Ports {
		r.Ports = append(r.Ports, kernel.Port{Transport: p.Transport, Number: p.Number})
	}
	for _, e := range t.Egress {
		r.Egress = append(r.Egress, kernel.Egress{Transport: e.Transport, Prefix: e.Prefix, Port: e.Port})
	}
	return r
}

// describe names a target for people.
func describe(t *target.Target) string {
	if t.Workload.Pod == "" {
		return t.ID
	}
	return fmt.Sprintf("%s/%s (%s)", t.Workload.Namespace, t.Workload.Pod, t.Interface)
}

// protocol is what a server's port speaks, for the engine.
func (a *attachments) protocol(iface uint32, server netip.AddrPort) string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	at := a.byID[iface]
	if at == nil {
		return ""
	}
	for _, transport := range []packet.Transport{packet.TCP, packet.UDP} {
		if p, ok := at.ports[transport][server.Port()]; ok {
			return p
		}
	}
	return at.remote[server.Port()]
}

// place says where a session was seen, and whether something else than TLS is
// spoken there by what is known of the port.
func (a *attachments) place(s *session.Session) (p export.Place, t *target.Target) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	at := a.byID[s.Interface]
	if at == nil {
		return export.Place{Node: a.node}, nil
	}
	p, ok := at.places[s.Server.Port()]
	if !ok || s.Direction == packet.Egress {
		p = at.places[0]
	}
	return p, &at.target
}

// problems lists what is not traced, and why.
func (a *attachments) problems() []target.Problem {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := slices.Clone(a.set.Problems)
	for i := range a.set.Targets {
		if err := a.failed[keyOf(&a.set.Targets[i])]; err != nil {
			out = append(out, target.Problem{Workload: a.set.Targets[i].Workload, Reason: err.Error()})
		}
	}
	return out
}

// attached is the number of interfaces that are captured from.
func (a *attachments) attached() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.byKey)
}

// linger is how long what was captured may be on its way: the reader of the
// buffer sleeps for a second at most. Only tests change it.
var linger = 3 * time.Second

// leaving is what was detached at that time.
type leaving struct {
	*attachment
	since time.Time
}

// release forgets what was detached once all that it captured is here.
func (t *Tracer) release(now time.Time) {
	var gone []*attachment
	t.mu.Lock()
	for len(t.leaving) > 0 && now.Sub(t.leaving[0].since) >= linger {
		at := t.leaving[0].attachment
		t.leaving = t.leaving[1:]
		for _, line := range t.engine.Forget(at.id) { // hands on the sessions that were open
			t.past.add(newEntry(&at.target, line))
		}
		delete(t.dropped, at.id)
		gone = append(gone, at)
	}
	t.mu.Unlock()
	t.targets.forget(gone)
}
