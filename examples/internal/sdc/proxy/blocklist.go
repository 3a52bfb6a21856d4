package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/opnfv/clover/examples/internal/sdc/control"
)

// maxBlocked bounds the addresses kept out at once. Beyond it the one whose
// time is over first makes room.
const maxBlocked = 10_000

// forever is the end of a block that somebody asked for.
var forever = time.Unix(1<<40, 0)

// blocklist holds the addresses that are kept out.
type blocklist struct {
	never []netip.Prefix

	mu    sync.RWMutex
	until map[netip.Addr]time.Time
}

func newBlocklist(never []netip.Prefix) *blocklist {
	return &blocklist{never: never, until: map[netip.Addr]time.Time{}}
}

func (b *blocklist) has(a netip.Addr) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	until, ok := b.until[a]
	return ok && time.Now().Before(until)
}

// exempt reports whether alerts cannot keep an address out.
func (b *blocklist) exempt(a netip.Addr) bool {
	return slices.ContainsFunc(b.never, func(p netip.Prefix) bool { return p.Contains(a) })
}

// add reports whether the address was not blocked before.
func (b *blocklist) add(a netip.Addr, until time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, ok := b.until[a]
	if !ok && len(b.until) >= maxBlocked {
		b.makeRoom()
	}
	if before.Before(until) {
		b.until[a] = until
	}
	return before.Before(time.Now())
}

// makeRoom removes what is over, or else the one that is over first.
func (b *blocklist) makeRoom() {
	var first netip.Addr
	now := time.Now()
	for a, until := range b.until {
		if until.Before(now) {
			delete(b.until, a)
		} else if !first.IsValid() || until.Before(b.until[first]) {
			first = a
		}
	}
	if len(b.until) >= maxBlocked {
		delete(b.until, first)
	}
}

func (b *blocklist) remove(a netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.until, a)
}

func (b *blocklist) list() []netip.Addr {
	b.mu.RLock()
	defer b.mu.RUnlock()
	now := time.Now()
	list := slices.SortedFunc(maps.Keys(b.until), netip.Addr.Compare)
	return slices.DeleteFunc(list, func(a netip.Addr) bool { return !now.Before(b.until[a]) })
}

// Blocked implements control.Proxy.
func (p *Proxy) Blocked() []netip.Addr { return p.blocked.list() }

// Alerted implements control.Proxy: the client that caused the alert is kept
// out for a while.
func (p *Proxy) Alerted(ctx context.Context, a control.Alert) (control.Verdict, error) {
	source := a.Source
	if !source.IsValid() {
		if p.opts.Events == nil || a.RedisKey == "" {
			return control.Verdict{}, fmt.Errorf("%w: alert %q tells no source_ip, and there is no event in Redis to read it from", control.ErrInvalid, a.EventID)
		}
		var err error
		if source, err = p.opts.Events.Source(ctx, a.RedisKey); err != nil {
			return control.Verdict{}, fmt.Errorf("alert %q: %w", a.EventID, err)
		}
	}
	v := control.Verdict{Source: source.Unmap()}
	level := slog.LevelInfo // of what changes nothing
	switch {
	case p.opts.BlockFor == 0:
		v.Reason = "alerts do not block here"
	case p.blocked.exempt(v.Source):
		v.Reason = v.Source.String() + " is never blocked"
	default:
		if p.blocked.add(v.Source, time.Now().Add(p.opts.BlockFor)) {
			level = slog.LevelWarn
		}
		v.Blocked, v.Reason = true, "blocked "+v.Source.String()+" for "+p.opts.BlockFor.String()
	}
	p.opts.Logger.Log(ctx, level, "proxy: alert", "event", a.EventID, "signature", a.SignatureID, "message", a.Signature,
		"source", v.Source.String(), "verdict", v.Reason)
	return v, nil
}

// Configure implements control.Proxy.
func (p *Proxy) Configure(_ context.Context, c control.ProxyConfig) error {
	if c.Port != "" && p.opts.Port != "" && c.Port != p.opts.Port {
		return fmt.Errorf("%w: server_port: this proxy listens on %s, not %s", control.ErrInvalid, p.opts.Port, c.Port)
	}
	if i := slices.IndexFunc(c.Block, p.blocked.exempt); i >= 0 {
		return fmt.Errorf("%w: block: %s is never blocked", control.ErrInvalid, c.Block[i])
	}
	if len(c.Block)+len(p.blocked.list()) > maxBlocked {
		return errors.New("block: too many addresses are blocked; unblock some")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	next := *p.route.Load()
	if c.LocationPath != "" {
		next.path = c.LocationPath
	}
	if c.Upstream != "" {
		next.upstream = c.Upstream
	}
	if c.Mirror != "" {
		next.mirror = c.Mirror
	}
	if next.mirror == control.NoMirror {
		next.mirror = ""
	}
	p.route.Store(&next)
	for _, a := range c.Block {
		p.blocked.add(a, forever)
	}
	for _, a := range c.Unblock {
		p.blocked.remove(a)
	}
	return nil
}
