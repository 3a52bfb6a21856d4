package clovisor

import (
	"cmp"
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

// attachments keeps what is attached in step with what there is to trace. All
// of it may be called concurrently.
type attachments struct {
	capture capture
	logger  *slog.Logger
	node    string
	lookFor func() // has targets looked for again whose namespace is elsewhere

	// acting is held while targets are attached and detached, which takes the
	// kernel seconds for hundreds of them. It is taken before mu, which is held
	// for no longer than a look-up: whatever is captured meanwhile needs it.
	acting sync.Mutex

	mu     sync.RWMutex // guards what follows
	byID   map[uint32]*attachment
	byKey  map[string]*attachment // those that are attached
	ports  map[uint16]string      // what the configuration says of ports, before anything else
	set    target.Set
	failed map[string]error // why wanted targets are not attached
	nextID uint32
}

// attachment is a target that is captured from. What describe computes is
// guarded by the mutex of attachments, and replaced, never changed.
type attachment struct {
	id     uint32
	target *target.Target
	places map[uint16]export.Place // by port of the workload, 0 for any other
	ports  map[packet.Transport]map[uint16]string
	remote map[uint16]string
	last   *kernel.Counters // what was counted when it was detached; nil: not known
}

func newAttachments(c capture, o *Options) *attachments {
	lookFor := func() {}
	if s, ok := o.Source.(interface{ Wake() }); ok {
		lookFor = s.Wake
	}
	return &attachments{
		capture: c, logger: o.Logger, node: o.Node, lookFor: lookFor,
		byID: map[uint32]*attachment{}, byKey: map[string]*attachment{}, failed: map[string]error{},
	}
}

func keyOf(t *target.Target) string { return t.ID + "\x00" + t.Interface }

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

// describe computes what is asked for each session.
func (at *attachment) describe(t *target.Target, override map[uint16]string, node string) {
	w := t.Workload
	place := export.Place{Node: cmp.Or(w.Node, node), Namespace: w.Namespace, Pod: w.Pod, Sidecar: t.Sidecar}
	if w.Pod != "" {
		place.PodUID, place.Kind, place.Workload = t.ID, w.Kind, w.Name
	}
	places, remote := map[uint16]export.Place{0: place}, map[uint16]string{}
	ports := map[packet.Transport]map[uint16]string{packet.TCP: {}, packet.UDP: {}}
	for _, p := range t.Ports {
		of := place
		of.Service = p.Service
		places[p.Number] = of
		ports[p.Transport][p.Number] = cmp.Or(override[p.Number], p.Protocol)
	}
	for _, e := range t.Egress {
		remote[e.Port] = cmp.Or(override[e.Port], e.Protocol)
	}
	at.target, at.places, at.ports, at.remote = t, places, ports, remote
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
	return p, at.target
}

// targetOf is what is attached.
func (a *attachments) targetOf(at *attachment) *target.Target {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return at.target
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
			t.past.add(newEntry(t.targets.targetOf(at), line))
		}
		delete(t.dropped, at.id)
		gone = append(gone, at)
	}
	t.mu.Unlock()
	t.targets.forget(gone)
}
