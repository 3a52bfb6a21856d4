package clovisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/packet"
	"github.com/opnfv/clover/clovisor/protocol"
	"github.com/opnfv/clover/clovisor/session"
)

// ReplayOptions are those of [Replay]. The zero value works.
type ReplayOptions struct {
	// Ports says what ports speak; the first bytes of a connection say it for
	// others.
	Ports map[uint16]string
	// OnlyPorts leaves out what is not from or to one of Ports.
	OnlyPorts bool
	// Place is whose capture it is.
	Place export.Place
	// OTLP and Sinks take the sessions. OTLP is run by Replay and has its
	// endpoint already.
	OTLP  *OTLP
	Sinks []Sink
	// Session are the options of the engine, without its callbacks.
	Session   session.Options
	Protocols []protocol.Protocol
}

// Replay makes sessions of a capture file, pcap or pcapng, by the same ways
// as a [Tracer] does of what it captures, and returns what it accounts for.
// Where the file is damaged it says so and what came before counts.
func Replay(ctx context.Context, in io.Reader, o ReplayOptions) (Ledger, error) {
	reader, err := packet.NewReader(in)
	if err != nil {
		return Ledger{}, err
	}
	r := replaying{o: o}
	eo := o.Session
	eo.Session, eo.Port = r.emit, func(_ uint32, server netip.AddrPort) string { return o.Ports[server.Port()] }
	eo.Protocols = append(eo.Protocols, o.Protocols...)
	r.engine = session.New(eo)
	done := make(chan struct{})
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(done)
		if o.OTLP != nil {
			_ = o.OTLP.Run(sending) // it ends without an error
		}
	}()
	err = r.read(ctx, reader)
	r.engine.Flush()
	for reason, n := range map[string]int64{"fragment": reader.Skipped.Fragments, "malformed": reader.Skipped.Short} {
		if n > 0 {
			r.engine.Dropped(0, reason, n)
		}
	}
	stop()
	<-done
	return r.ledger(), errors.Join(err, r.failure)
}

type replaying struct {
	o       ReplayOptions
	engine  *session.Engine
	since   time.Time
	failure error
}

func (r *replaying) read(ctx context.Context, in *packet.Reader) error {
	for ctx.Err() == nil && r.failure == nil {
		s, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %s: %w", r.since.Format(time.RFC3339Nano), err)
		}
		if r.since.IsZero() {
			r.since = s.Time
		}
		if r.o.OnlyPorts && !r.wanted(s.Source.Port()) && !r.wanted(s.Destination.Port()) {
			continue
		}
		r.engine.Segment(&s)
	}
	return nil
}

func (r *replaying) wanted(port uint16) bool {
	_, ok := r.o.Ports[port]
	return ok
}

func (r *replaying) emit(s *session.Session) {
	sinks := r.o.Sinks
	if r.o.OTLP != nil {
		sinks = append(sinks[:len(sinks):len(sinks)], r.o.OTLP)
	}
	for _, sink := range sinks {
		if err := sink.Session(s, r.o.Place); err != nil && r.failure == nil {
			r.failure = err
		}
	}
}

func (r *replaying) ledger() Ledger {
	l := Ledger{Node: r.o.Place.Node, Since: r.since}
	for _, line := range r.engine.Ledger() {
		l.Entries = append(l.Entries, newEntry(nil, line))
	}
	l.Entries = sortEntries(l.Entries)
	if r.o.OTLP != nil {
		l.Spans = spansOf(r.o.OTLP.Endpoint(), r.o.OTLP.Stats())
	}
	return l
}
