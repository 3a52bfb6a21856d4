// Package clovisor traces the sessions of workloads from the kernel: requests
// and responses as they pass a network interface, without a sidecar, a change
// to the application or a restart.
//
// A [Tracer] assembles the packages below: target says which interfaces to
// capture and what their ports speak, kernel captures, session finds the
// requests in what was captured and pairs them with their responses, export
// makes spans and lines of them, config says what is wanted and plugin adds
// protocols. [Replay] does the same for a capture file, on any system and
// without privileges.
//
// Nothing is lost in silence: [Tracer.Ledger] accounts for every session that
// was seen, per workload and protocol.
package clovisor

import (
	"context"
	"log/slog"

	"github.com/opnfv/clover/clovisor/config"
	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/kernel"
	"github.com/opnfv/clover/clovisor/plugin"
	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
	"github.com/opnfv/clover/clovisor/target"
)

// A Source says what to trace. [Static] is one, the Watcher of
// target/kubernetes another.
// One that has a method Select(target.Selection) is told what the
// configuration selects, one that has Encrypted(id string) where TLS was seen
// unexpectedly, and one that has Wake() when a target is not where it was.
type Source interface {
	// Run calls update with all that there is to trace, at once and whenever
	// it changes, from one goroutine, until ctx ends; then it returns nil.
	Run(ctx context.Context, update func(target.Set)) error
}

// Static is a Source of targets that stay.
type Static []target.Target

// Run implements [Source].
func (s Static) Run(ctx context.Context, update func(target.Set)) error {
	update(target.Set{Targets: s})
	<-ctx.Done()
	return nil
}

// A Sink takes sessions. It is called by one goroutine, which captures
// nothing meanwhile, and may keep neither the session nor what it points to.
// An error ends the Tracer.
type Sink interface {
	Session(s *session.Session, p export.Place) error
}

// LinesSink is a Sink that writes lines.
type LinesSink struct{ *export.Lines }

// Session implements [Sink].
func (l LinesSink) Session(s *session.Session, p export.Place) error { return l.Write(s, p) }

// Options are those of a [Tracer]. Source is needed.
type Options struct {
	Source Source
	// Config is followed while the Tracer runs; nil: nothing but Source says
	// what is traced.
	Config *config.Source
	// OTLP sends spans to where the configuration says; nil: no spans are
	// sent. The Tracer runs it.
	OTLP *OTLP
	// Sinks take each session too.
	Sinks []Sink
	// Kernel are the options of the capture.
	Kernel kernel.Options
	// Session are those of the engine; its callbacks are set by the Tracer,
	// and limits of the configuration count before its own.
	Session session.Options
	// Protocols are known beside the built-in ones.
	Protocols []protocol.Protocol
	// Plugins runs those that the configuration names; nil: none are loaded.
	// It stays the caller's.
	Plugins *plugin.Host
	// Node is what spans say where the target does not know it.
	Node   string
	Logger *slog.Logger // nil: silence
}
