package clovisor

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/opnfv/clover/clovisor/config"
	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/kernel"
	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/plugin"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/target"
)

// Tracer traces sessions until it is told to end. Its methods may be called
// concurrently.
type Tracer struct {
	o       Options
	capture *kernel.Capture
	targets *attachments
	since   time.Time
	state   atomic.Int32

	mu      sync.Mutex // engine and what is counted beside it
	engine  *session.Engine
	limits  config.Limits
	dropped map[uint32]map[string]int64 // what the engine knows of
	leaving []leaving
	past    past
	failure error // of a sink
	stop    context.CancelFunc
}

// The states of a Tracer.
const (
	starting int32 = iota
	running
	ended
)

// New loads the programs into the kernel, which is what privileges are needed
// for; nothing is captured before Run. Where New has not failed, Run must be
// called, which frees what is in the kernel.
func New(o Options) (*Tracer, error) {
	if o.Source == nil {
		return nil, errors.New("clovisor: Options.Source is needed")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Kernel.Logger == nil {
		o.Kernel.Logger = o.Logger
	}
	c, err := kernel.New(o.Kernel)
	if err != nil {
		return nil, err
	}
	t := &Tracer{o: o, capture: c, since: time.Now(), dropped: map[uint32]map[string]int64{}}
	t.targets = newAttachments(c, &t.o)
	return t, nil
}

// newEngine makes the engine, by the limits that the configuration has then.
func (t *Tracer) newEngine(l config.Limits) *session.Engine {
	o := t.o.Session
	o.Session, o.Port, o.Hint = t.emit, t.targets.protocol, t.hint
	o.Protocols = append(o.Protocols, t.o.Protocols...)
	if t.o.Plugins != nil {
		o.Protocol = t.o.Plugins.Protocol
	}
	if l.Connections > 0 {
		o.MaxConnections = l.Connections
	}
	if l.MemoryBytes > 0 {
		o.MaxMemoryBytes = l.MemoryBytes
	}
	if l.ConnectionBytes > 0 {
		o.MaxHeldBytes = int(l.ConnectionBytes)
	}
	return session.New(o)
}

// tick is how often the engine is told what time it is, and retry how often
// what could not be attached is tried again.
const tick, retry = 100 * time.Millisecond, time.Second

// Run traces until ctx ends; then it hands on what it has seen, sends the
// spans that wait, leaves nothing in the kernel and returns nil. It is called
// once.
func (t *Tracer) Run(ctx context.Context) error {
	defer func() { _ = t.capture.Close() }()
	defer t.state.Store(ended)
	sending, sent := t.send()
	defer sent()
	defer sending()
	group, ctx := errgroup.WithContext(ctx)
	ctx, t.stop = context.WithCancel(ctx)
	defer t.stop()
	configured := make(chan struct{})
	first := sync.OnceFunc(func() { close(configured) })
	if t.o.Config == nil {
		t.apply(config.Config{})
		first()
	} else {
		group.Go(func() error {
			return t.o.Config.Run(ctx, func(c config.Config) { t.apply(c); first() })
		})
	}
	select {
	case <-configured:
		group.Go(func() error { return t.capture.Run(ctx, t.segment) })
		group.Go(func() error { return t.o.Source.Run(ctx, t.update) })
		group.Go(func() error { t.ticks(ctx); return nil })
		group.Go(func() error { t.retries(ctx); return nil })
	case <-ctx.Done():
	}
	err := group.Wait()
	t.finish()
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(err, t.failure)
}

// send runs the sender of spans, which outlives the rest: stop has it send
// what waits, and wait waits for that.
func (t *Tracer) send() (stop context.CancelFunc, wait func()) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if t.o.OTLP != nil {
			_ = t.o.OTLP.Run(ctx) // it ends without an error
		}
	}()
	return stop, func() { <-done }
}

// apply takes a configuration.
func (t *Tracer) apply(c config.Config) {
	t.mu.Lock()
	if t.engine == nil {
		t.engine, t.limits = t.newEngine(c.Limits), c.Limits
	} else if c.Limits != t.limits {
		t.o.Logger.Warn("new limits count from the next start on")
	}
	t.mu.Unlock()
	t.targets.override(c.Ports)
	t.load(c)
	if s, ok := t.o.Source.(interface{ Select(target.Selection) }); ok {
		s.Select(t.selection(c))
	}
	if t.o.OTLP == nil {
		return
	}
	endpoint, notice := c.Endpoint()
	if endpoint == t.o.OTLP.Endpoint() {
		return
	}
	if err := t.o.OTLP.SetEndpoint(endpoint); err != nil {
		t.o.Logger.Error("spans go where they went", "error", err)
		return
	}
	t.o.Logger.Info("spans are sent by OTLP", "to", endpoint)
	if notice != "" {
		t.o.Logger.Warn(notice)
	}
}

// load has the plug-ins loaded that are configured. One that cannot be leaves
// the others as they are.
func (t *Tracer) load(c config.Config) {
	if t.o.Plugins == nil {
		if len(c.Plugins) > 0 {
			t.o.Logger.Warn("plug-ins are configured, and this program loads none")
		}
		return
	}
	if err := t.o.Plugins.Apply(specs(c)); err != nil {
		t.o.Logger.Error("a plug-in is not loaded", "error", err)
	}
}

// specs says in the words of package plugin what is to be loaded.
func specs(c config.Config) []plugin.Spec {
	l := plugin.Limits{MemoryBytes: c.Limits.PluginMemoryBytes, Timeout: c.Limits.PluginTimeout}
	out := make([]plugin.Spec, len(c.Plugins))
	for i, p := range c.Plugins {
		out[i] = plugin.Spec{Protocol: p.Protocol, Path: p.Path, Generation: p.Generation, Limits: l}
	}
	return out
}

// selection says in the words of package target what is to be traced.
func (t *Tracer) selection(c config.Config) target.Selection {
	var s target.Selection
	for _, w := range c.Workloads {
		s.Selectors = append(s.Selectors, target.Selector(w))
	}
	for _, m := range c.Egress {
		e := target.EgressRule{Egress: target.Egress{Port: m.Port}, PodPrefix: m.PodPrefix}
		if m.Destination.Bits() > 0 {
			e.Prefix = m.Destination
		}
		s.Egress = append(s.Egress, e)
	}
	known := map[string]bool{}
	for _, p := range t.o.Protocols {
		known[p.Name] = true
	}
	for _, p := range c.Plugins {
		known[p.Protocol] = true
	}
	s.Known = func(protocol string) bool { return known[protocol] }
	return s
}

// update takes what there is to trace.
func (t *Tracer) update(set target.Set) {
	for _, p := range set.Problems {
		t.o.Logger.Debug("not traced", "namespace", p.Workload.Namespace, "pod", p.Workload.Pod, "reason", p.Reason)
	}
	detached, now := t.targets.want(set), time.Now()
	t.mu.Lock()
	for _, at := range detached {
		t.leaving = append(t.leaving, leaving{at, now})
		if at.last != nil {
			t.drop(at.id, *at.last)
		}
	}
	t.mu.Unlock()
	t.state.CompareAndSwap(starting, running)
}

// segment takes what the kernel has captured.
func (t *Tracer) segment(s *packet.Segment) {
	t.mu.Lock()
	t.engine.Segment(s)
	t.mu.Unlock()
}

// ticks moves time on where nothing is captured.
func (t *Tracer) ticks(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			t.mu.Lock()
			// What the kernel has seen may still be on its way.
			t.engine.Tick(now.Add(-tick))
			t.mu.Unlock()
			t.release(now)
		}
	}
}

// retries tries again to attach what could not be attached.
func (t *Tracer) retries(ctx context.Context) {
	ticker := time.NewTicker(retry)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			t.targets.retry()
		}
	}
}

// finish ends all sessions when nothing more is captured.
func (t *Tracer) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.engine != nil {
		t.account()
		t.engine.Flush()
	}
}

// emit takes a session from the engine. t.mu is held.
func (t *Tracer) emit(s *session.Session) {
	place, at := t.targets.place(s)
	if s.Outcome == session.Ciphertext && at != nil && !at.Inside {
		t.encrypted(s, at)
	}
	if t.o.OTLP != nil {
		t.deliver(t.o.OTLP, s, place)
	}
	for _, sink := range t.o.Sinks {
		t.deliver(sink, s, place)
	}
}

func (t *Tracer) deliver(sink Sink, s *session.Session, p export.Place) {
	if err := sink.Session(s, p); err != nil && t.failure == nil {
		t.failure = err
		t.stop()
	}
}

// encrypted notes that TLS was seen at a workload whose port is not said to
// speak it: a mesh may have put it there.
func (t *Tracer) encrypted(s *session.Session, at *target.Target) {
	p := t.targets.protocol(s.Interface, s.Server)
	source, ok := t.o.Source.(interface{ Encrypted(id string) })
	if ok && p != target.TLS && s.Direction == packet.Ingress {
		source.Encrypted(at.ID)
	}
}

// hint tells the kernel which bytes are not needed. That it cannot take it
// costs copies and no more.
func (t *Tracer) hint(h session.Hint) {
	var err error
	if h.Forever {
		err = t.capture.SkipAll(h.Interface, h.Flow)
	} else {
		err = t.capture.Skip(h.Interface, h.Flow, h.Until)
	}
	if err != nil {
		t.o.Logger.Debug("not skipped", "error", err)
	}
}

// account tells the engine what the kernel has dropped. t.mu is held.
func (t *Tracer) account() {
	if t.engine == nil {
		return
	}
	stats, err := t.capture.Stats()
	if err != nil {
		t.o.Logger.Error("read what the kernel has counted", "error", err)
		return
	}
	for id, c := range stats.Targets {
		t.drop(id, c)
	}
}

// drop tells the engine what the kernel has dropped at a target.
func (t *Tracer) drop(id uint32, c kernel.Counters) {
	now := drops(c)
	for reason, n := range newDrops(t.dropped[id], now) {
		t.engine.Dropped(id, reason, n)
	}
	t.dropped[id] = now
}

// Ready is nil while sessions are traced, and else says why they are not.
func (t *Tracer) Ready() error {
	switch t.state.Load() {
	case starting:
		return errors.New("what there is to trace is not known yet")
	case ended:
		return errors.New("tracing has ended")
	}
	return nil
}

// Ledger accounts for everything that was seen so far.
func (t *Tracer) Ledger() Ledger {
	l := Ledger{Node: t.o.Node, Since: t.since}
	t.mu.Lock()
	t.account()
	l.Entries = append(l.Entries, t.past.entries...)
	if t.engine != nil {
		for _, line := range t.engine.Ledger() {
			_, at := t.targets.place(&session.Session{Interface: line.Interface})
			l.Entries = append(l.Entries, newEntry(at, line))
		}
	}
	t.mu.Unlock()
	l.Entries = sortEntries(l.Entries)
	for _, p := range t.targets.problems() {
		l.Problems = append(l.Problems, Problem{Namespace: p.Workload.Namespace, Pod: p.Workload.Pod, Reason: p.Reason})
	}
	if t.o.OTLP != nil {
		l.Spans = spansOf(t.o.OTLP.Endpoint(), t.o.OTLP.Stats())
	}
	return l
}
