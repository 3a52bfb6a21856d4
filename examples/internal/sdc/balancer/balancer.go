// Package balancer is the sample's http-lb: it forwards requests round robin.
package balancer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/examples/internal/sdc/control"
)

// Options of a Balancer. Servers is needed; of the rest the zero value works.
type Options struct {
	// Servers are where requests go, HOST:PORT.
	Servers []string
	// Port is the one that the balancer listens on, to refuse configuration
	// that is meant for another. "": any.
	Port string
	// Transport sends requests. nil: http.DefaultTransport.
	Transport http.RoundTripper
	// FailFor is how long a server that could not be reached is asked last.
	// 0: 5 s.
	FailFor time.Duration
	// Logger hears of servers that cannot be reached. nil: silence.
	Logger *slog.Logger
}

// Balancer is an http.Handler and a [control.Balancer].
type Balancer struct {
	opts    Options
	forward *httputil.ReverseProxy

	mu    sync.Mutex // one change at a time
	group atomic.Pointer[group]
}

// group is the servers of one configuration. It is replaced as a whole, so
// that a request that has begun keeps the servers it began with.
type group struct {
	path    string
	servers []*server
	turn    atomic.Uint64
}

type server struct {
	target    string
	failUntil atomic.Int64 // Unix time in nanoseconds
}

var _ control.Balancer = (*Balancer)(nil)

// New returns a Balancer.
func New(opts Options) (*Balancer, error) {
	if opts.Transport == nil {
		opts.Transport = http.DefaultTransport
	}
	if opts.FailFor == 0 {
		opts.FailFor = 5 * time.Second
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if len(opts.Servers) == 0 {
		return nil, errors.New("balancer: no servers are given")
	}
	servers := make([]string, 0, len(opts.Servers))
	for _, s := range opts.Servers {
		target, err := control.Target(s)
		if err != nil {
			return nil, fmt.Errorf("balancer: %w", err)
		}
		servers = append(servers, target)
	}
	b := &Balancer{opts: opts}
	b.group.Store(newGroup("/", servers))
	b.forward = &httputil.ReverseProxy{
		Rewrite: rewrite, Transport: failover{b}, ErrorHandler: b.failed,
		ErrorLog: slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug),
	}
	return b, nil
}

func newGroup(path string, targets []string) *group {
	g := &group{path: path}
	for _, t := range targets {
		g.servers = append(g.servers, &server{target: t})
	}
	return g
}

func (g *group) targets() []string {
	list := make([]string, len(g.servers))
	for i, s := range g.servers {
		list[i] = s.target
	}
	return list
}

// Configure implements control.Balancer.
func (b *Balancer) Configure(_ context.Context, c control.BalancerConfig) ([]string, error) {
	if c.Port != "" && b.opts.Port != "" && c.Port != b.opts.Port {
		return nil, fmt.Errorf("%w: server_port: this balancer listens on %s, not %s", control.ErrInvalid, b.opts.Port, c.Port)
	}
	if len(c.Servers) == 0 {
		return nil, fmt.Errorf("%w: no servers are given", control.ErrInvalid)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.group.Load()
	path := c.Path
	if path == "" {
		path = before.path
	}
	b.group.Store(newGroup(path, c.Servers))
	b.opts.Logger.Info("balancer: new servers", "servers", c.Servers, "path", path)
	return before.targets(), nil
}

type groupKey struct{}

// ServeHTTP forwards a request to the server whose turn it is.
func (b *Balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g := b.group.Load()
	prefix := strings.TrimSuffix(g.path, "/")
	if r.URL.Path != prefix && !strings.HasPrefix(r.URL.Path, prefix+"/") {
		http.NotFound(w, r)
		return
	}
	b.forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), groupKey{}, g)))
}

func rewrite(r *httputil.ProxyRequest) {
	r.SetURL(&url.URL{Scheme: "http", Host: r.In.Host})
	r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
}

func (b *Balancer) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		b.opts.Logger.Warn("balancer: no server", "error", err)
	}
	http.Error(w, "503 no server is reachable", http.StatusServiceUnavailable)
}

// failover asks the servers in turn until one can be reached. A request of
// which a server may have seen anything is not repeated.
type failover struct{ b *Balancer }

// RoundTrip implements http.RoundTripper.
func (f failover) RoundTrip(r *http.Request) (*http.Response, error) {
	g, _ := r.Context().Value(groupKey{}).(*group)
	body := &keptBody{ReadCloser: r.Body}
	var failed error
	for _, s := range g.order(time.Now()) {
		try := r.Clone(r.Context())
		try.URL.Host, try.Host = s.target, s.target
		if r.Body != nil && r.Body != http.NoBody {
			try.Body = body
		}
		res, err := f.b.opts.Transport.RoundTrip(try)
		if err == nil {
			return res, nil
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", s.target, err))
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" || body.read.Load() || r.Context().Err() != nil {
			break
		}
		s.failUntil.Store(time.Now().Add(f.b.opts.FailFor).UnixNano())
	}
	return nil, errors.Join(failed, body.end())
}

// order lists the servers from the one whose turn it is; those that failed
// lately come last.
func (g *group) order(now time.Time) []*server {
	first := g.turn.Add(1) - 1
	n := uint64(len(g.servers))
	list, failing := make([]*server, 0, n), []*server(nil)
	for i := range n {
		if s := g.servers[(first+i)%n]; s.failUntil.Load() > now.UnixNano() {
			failing = append(failing, s)
		} else {
			list = append(list, s)
		}
	}
	return append(list, failing...)
}

// keptBody is a body that stays open between tries.
type keptBody struct {
	io.ReadCloser
	read atomic.Bool
}

func (b *keptBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.ReadCloser.Read(p)
}

// Close does nothing: the server closes a request's body itself.
func (b *keptBody) Close() error { return nil }

func (b *keptBody) end() error {
	if b.ReadCloser == nil {
		return nil
	}
	return b.ReadCloser.Close()
}
