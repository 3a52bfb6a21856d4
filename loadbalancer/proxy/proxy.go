package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opnfv/clover/loadbalancer"
)

// Options of a Proxy. The zero value works.
type Options struct {
	// Refuse says of each client whether it is kept out with 403, beside the
	// access list of the configuration: for lists that change more often. It
	// is called for every request, concurrently. nil: nobody is.
	Refuse func(client netip.Addr) bool
	// Fallback answers what no route and no file of a site is found for. nil:
	// 404.
	Fallback http.Handler
	// Transport sends requests and copies, with HOST:PORT of the server in
	// their URL and the context of the request that came, e.g. to trace them.
	// What a group says of connections does not count then. nil: the proxy's
	// own connections, which are faster.
	Transport http.RoundTripper
	// ShutdownTimeout bounds how long Run lets requests end after its context
	// has. 0: 10 s.
	ShutdownTimeout time.Duration
	// Logger hears of failures. nil: silence.
	Logger *slog.Logger
}

// Proxy is a reverse proxy. Its methods may be called concurrently.
type Proxy struct {
	opts    Options
	forward *httputil.ReverseProxy
	mirror  *mirror
	checks  *checker
	front   *front
	stats   struct{ requests, refused, unrouted atomic.Uint64 }
	current atomic.Pointer[snapshot]
	piece   time.Duration // pieceTimeout, but for tests

	mu     sync.Mutex // one change at a time
	config loadbalancer.Config
	pools  map[string]*pool
}

// snapshot is a configuration, ready to use. It never changes.
type snapshot struct {
	router *router
	access access
	groups map[string]*group
	sites  map[string]*site
	mirror loadbalancer.Mirror
}

var (
	_ loadbalancer.Driver = (*Proxy)(nil)
	_ http.Handler        = (*Proxy)(nil)
)

// New returns a Proxy that answers 404 to everything until Apply.
func New(opts Options) *Proxy {
	if opts.ShutdownTimeout == 0 {
		opts.ShutdownTimeout = 10 * time.Second
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Fallback == nil {
		opts.Fallback = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusNotFound) })
	}
	p := &Proxy{
		opts: opts, mirror: newMirror(opts.Transport),
		checks: &checker{logger: opts.Logger, running: map[checkKey]context.CancelFunc{}},
		pools:  map[string]*pool{},
		piece:  pieceTimeout,
	}
	p.forward = p.newForwarder()
	p.front = newFront(p, opts)
	p.current.Store(&snapshot{router: newRouter(nil, nil, nil)})
	return p
}

// Run serves the listeners, sends copies to the mirror and checks the health
// of servers until ctx ends. Then it takes no more connections, lets requests
// end within ShutdownTimeout, and sends the copies that wait within another.
// It may run again after that.
func (p *Proxy) Run(ctx context.Context) error {
	// The mirror and the checks go on while the last requests end.
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var parts sync.WaitGroup
	parts.Go(func() { p.mirror.run(inner, p.opts.ShutdownTimeout) })
	parts.Go(func() { p.checks.run(inner) })
	err := p.front.run(ctx)
	cancel()
	parts.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.config.Listeners = nil // they are closed; Apply of the same opens them again
	for _, pool := range p.pools {
		pool.renewWires()
	}
	return err
}

// Describe implements loadbalancer.Driver.
func (p *Proxy) Describe() loadbalancer.Description {
	return loadbalancer.Description{Name: "built-in proxy", Promise: losesNone}
}

var losesNone = loadbalancer.Promise{
	LosesNone: true,
	Reason:    "a change replaces the configuration in memory; connections stay open and requests end as they began",
}

// Apply implements loadbalancer.Driver. A configuration with listeners takes
// effect while Run runs; until then Apply waits for it.
func (p *Proxy) Apply(ctx context.Context, c loadbalancer.Config) (loadbalancer.Result, error) {
	start := time.Now()
	if err := p.Describe().Check(c); err != nil {
		return loadbalancer.Result{}, err
	}
	c = c.WithDefaults()
	p.mu.Lock()
	defer p.mu.Unlock()
	if reflect.DeepEqual(c, p.config) {
		return loadbalancer.Result{Promise: losesNone, Took: time.Since(start)}, nil
	}
	sites, err := openSites(c.Sites, p.opts)
	if err != nil {
		return loadbalancer.Result{}, &loadbalancer.ApplyError{Driver: p.Describe().Name, Step: "open sites", Err: err}
	}
	commit, err := p.front.prepare(ctx, c.Listeners)
	if err != nil {
		return loadbalancer.Result{}, &loadbalancer.ApplyError{Driver: p.Describe().Name, Step: "listen", Err: err}
	}
	s := p.compile(c, sites)
	p.current.Store(s)
	promise := losesNone
	if closed := commit(); closed > 0 {
		promise = loadbalancer.Promise{Reason: "listeners were closed; connections to them end after the request under way"}
	}
	p.config = c
	p.forget(s)
	return loadbalancer.Result{Changed: true, Promise: promise, Took: time.Since(start)}, nil
}

// compile makes a configuration ready to use.
func (p *Proxy) compile(c loadbalancer.Config, sites map[string]*site) *snapshot {
	s := &snapshot{access: newAccess(c.Access), groups: map[string]*group{}, sites: sites, mirror: c.Mirror}
	now := time.Now()
	for _, g := range c.Groups {
		if p.pools[g.Name] == nil {
			p.pools[g.Name] = newPool(p.piece)
		}
		s.groups[g.Name] = p.pools[g.Name].group(g, now)
	}
	s.router = newRouter(c.ServerNames, c.Routes, func(r loadbalancer.Route) *target {
		return &target{group: s.groups[r.Group], site: sites[r.Site]}
	})
	return s
}

// forget ends what only configurations before s had.
func (p *Proxy) forget(s *snapshot) {
	checks := map[checkKey]bool{}
	for name, pool := range p.pools {
		g := s.groups[name]
		pool.retain(g)
		if g == nil {
			delete(p.pools, name)
			continue
		}
		if g.conf.Health.Path == "" {
			continue
		}
		for _, list := range [][]*member{g.primary, g.backup} {
			for _, m := range list {
				if m.state != loadbalancer.Down {
					checks[checkKey{pool: pool, server: m.server, check: g.conf.Health}] = true
				}
			}
		}
	}
	p.checks.want(checks)
}

// ServeHTTP answers a request by the configuration that is there when it
// comes.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.stats.requests.Add(1)
	s := p.current.Load()
	client := s.access.client(r)
	if !s.access.admits(client) || p.opts.Refuse != nil && p.opts.Refuse(client) {
		p.stats.refused.Add(1)
		http.Error(w, "403 Forbidden", http.StatusForbidden)
		return
	}
	t := s.router.find(r.Host, r.URL.Path)
	switch {
	case r.Method == http.MethodConnect:
		// This is no proxy that clients choose.
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE")
		answer(w, http.StatusMethodNotAllowed)
	case t == nil:
		p.stats.unrouted.Add(1)
		p.opts.Fallback.ServeHTTP(w, r)
	case t.site != nil:
		t.site.ServeHTTP(w, r)
	default:
		p.send(w, r, s, t.group, client)
	}
}

func (p *Proxy) send(w http.ResponseWriter, r *http.Request, s *snapshot, g *group, client netip.Addr) {
	if s.mirror.Address != "" {
		p.mirror.tee(r, s.mirror, client)
	}
	if r.ProtoMajor == 2 {
		w = &pacedWriter{ResponseWriter: w, timeout: p.piece}
	}
	x := &exchange{group: g, client: client}
	if g.conf.Method == loadbalancer.Hash {
		x.key = hashKey(g.conf.Hash, r, client)
	}
	if p.opts.Transport == nil && quick(r, g) {
		p.sendQuick(w, r, x)
		return
	}
	p.forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
}

// errNotRunning is a configuration with listeners that waited for Run in vain.
var errNotRunning = errors.New("the proxy does not run; call Run first")
