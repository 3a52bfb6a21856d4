// Package proxy is the sample's proxy-access-control: it forwards requests,
// sends a copy of each to an IDS, and keeps out clients that the IDS has
// raised an alert about.
package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/examples/internal/sdc/control"
)

// Options of a Proxy. Upstream is needed; of the rest the zero value works.
type Options struct {
	// Upstream is where requests go, HOST:PORT.
	Upstream string
	// Mirror is where copies go, HOST:PORT. "": nowhere.
	Mirror string
	// MirrorTimeout bounds the time for a copy, and at the end that for those
	// that wait. 0: 2 s.
	MirrorTimeout time.Duration
	// Port is the one that the proxy listens on, to refuse configuration
	// that is meant for another. "": any.
	Port string
	// Transport sends requests and copies. nil: http.DefaultTransport.
	Transport http.RoundTripper
	// TrustedHops is the number of proxies before this one that append to
	// X-Forwarded-For. 0: the client is who connects.
	TrustedHops int
	// BlockFor is how long an alert keeps its client out. 0: alerts are
	// noted only.
	BlockFor time.Duration
	// NeverBlock are networks that alerts cannot keep out.
	NeverBlock []netip.Prefix
	// Events finds an alert's source where the alert does not tell it. nil:
	// such alerts are refused.
	Events EventSource
	// Logger hears of alerts and failures. nil: silence.
	Logger *slog.Logger
}

// EventSource reads events of the IDS.
type EventSource interface {
	// Source returns the source address of an event.
	Source(ctx context.Context, key string) (netip.Addr, error)
}

// Proxy is an http.Handler and a [control.Proxy]. Its mirror sends while Run
// runs.
type Proxy struct {
	opts    Options
	forward *httputil.ReverseProxy
	mirror  *mirror
	blocked *blocklist

	mu    sync.Mutex // one change at a time
	route atomic.Pointer[route]
}

// route is where requests go. It is replaced as a whole.
type route struct{ path, upstream, mirror string }

var _ control.Proxy = (*Proxy)(nil)

// New returns a Proxy.
func New(opts Options) (*Proxy, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Transport == nil {
		opts.Transport = http.DefaultTransport
	}
	if opts.MirrorTimeout == 0 {
		opts.MirrorTimeout = 2 * time.Second
	}
	if opts.TrustedHops < 0 || opts.BlockFor < 0 || opts.MirrorTimeout < 0 {
		return nil, fmt.Errorf("proxy: %d trusted hops, blocking for %s and a mirror timeout of %s must not be negative",
			opts.TrustedHops, opts.BlockFor, opts.MirrorTimeout)
	}
	r := route{path: "/"}
	var err error
	if r.upstream, err = control.Target(opts.Upstream); err != nil {
		return nil, fmt.Errorf("proxy: upstream: %w", err)
	}
	if opts.Mirror != "" {
		if r.mirror, err = control.Target(opts.Mirror); err != nil {
			return nil, fmt.Errorf("proxy: mirror: %w", err)
		}
	}
	p := &Proxy{opts: opts, mirror: newMirror(opts.Transport, opts.MirrorTimeout), blocked: newBlocklist(opts.NeverBlock)}
	p.route.Store(&r)
	p.forward = &httputil.ReverseProxy{
		Rewrite: p.rewrite, Transport: opts.Transport, ErrorHandler: p.failed,
		ErrorLog: slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug),
	}
	return p, nil
}

// Run sends copies until ctx ends, and then for MirrorTimeout those that wait.
func (p *Proxy) Run(ctx context.Context) error { return p.mirror.backlog.Run(ctx) }

// MirrorStats returns the mirror's ledger.
func (p *Proxy) MirrorStats() MirrorStats { return p.mirror.read() }

// ServeHTTP forwards a request, unless its client is blocked.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client := ClientAddr(r, p.opts.TrustedHops)
	to := p.route.Load()
	if p.blocked.has(client) {
		http.Error(w, "403 blocked after an alert of the intrusion detection", http.StatusForbidden)
		return
	}
	if !below(r.URL.Path, to.path) {
		http.NotFound(w, r)
		return
	}
	setForwarded(r.Header, client, p.opts.TrustedHops)
	if to.mirror != "" {
		p.mirror.tee(r, to.mirror)
	}
	p.forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), routeKey{}, to)))
}

type routeKey struct{}

// rewrite addresses a request by the route that was there when it came.
func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	to, _ := r.In.Context().Value(routeKey{}).(*route)
	r.SetURL(&url.URL{Scheme: "http", Host: to.upstream})
	r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
}

// failed answers for an upstream that does not.
func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		p.opts.Logger.Warn("proxy: upstream", "error", err)
	}
	http.Error(w, "503 upstream is not reachable", http.StatusServiceUnavailable)
}

// below reports whether a path is prefix or lies below it.
func below(path, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

// ClientAddr tells who sent a request: the peer, or with trusted hops the
// address that the first of them has seen. What comes from farther away in
// X-Forwarded-For is the client's own word and is not read. The address is
// invalid where nothing usable is there.
func ClientAddr(r *http.Request, trustedHops int) netip.Addr {
	if trustedHops > 0 {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if len(hops) >= trustedHops {
			if a, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-trustedHops])); err == nil {
				return a.Unmap()
			}
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// setForwarded makes the client's address the last of X-Forwarded-For, for
// those behind.
func setForwarded(h http.Header, client netip.Addr, trustedHops int) {
	if !client.IsValid() {
		return
	}
	if trustedHops == 0 {
		h.Add("X-Forwarded-For", client.String())
		return
	}
	h.Set("X-Forwarded-For", client.String())
}
