// Package sdc runs the sample of Clover's guide, a service delivery
// controller, within one process: real HTTP and gRPC between real listeners
// on loopback, traced like an Istio mesh.
//
//	load ─▶ proxy-access-control ─▶ http-lb (v1 ─▶ clover-server1, 2, 3
//	          ▲     │                        v2 ─▶ clover-server4, 5)
//	          │     └─mirror─▶ snort-ids
//	          └──────alerts───────┘
//
// The folders below hold the roles. The program examples/sdc runs each of
// them alone, as a pod; this package runs them all.
package sdc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/opnfv/clover/examples/internal/sdc/load"
	"github.com/opnfv/clover/tracing"
)

// Options of a Sample. The zero value works.
type Options struct {
	// Rate is the number of requests a second that the load generator
	// sends. 0: 20.
	Rate float64
	// Requests ends the load after that many requests. 0: never.
	Requests int
	// Seed makes the load repeatable. 0: a random one.
	Seed uint64
	// Clients lets each user agent of the load be a client of its own, an
	// address of 203.0.113.0/24 (RFC 5737), so that the one that the IDS knows
	// is kept out. Else all requests come from this machine, which never is.
	Clients bool
	// StateDir keeps configurations, rules, alerts and blocks over restarts.
	// "": they end with the sample.
	StateDir string
	// BlockFor is how long an alert keeps its client out. 0: one minute.
	BlockFor time.Duration
	// Logger receives what goes wrong; nil: discarded.
	Logger *slog.Logger
}

// trustedHops of the proxy: with Clients the load is one.
func (o *Options) trustedHops() int {
	if o.Clients {
		return 1
	}
	return 0
}

// Sample is a running chain with its load.
type Sample struct {
	opts     Options
	report   func(...tracing.Span) int
	mesh     *mesh
	load     *load.Generator
	loadDone chan struct{}

	mu    sync.Mutex
	chain *chain // nil before Run
	count map[string]int
	// agents are the addresses of agents by NAME:PORT.
	agents map[string]string
}

// New returns a Sample whose spans go to report, e.g. an exporter's Export.
func New(report func(...tracing.Span) int, opts Options) (*Sample, error) {
	if report == nil {
		return nil, errors.New("sdc sample: report is nil")
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sample{opts: opts, report: report, mesh: newMesh(), loadDone: make(chan struct{}), count: map[string]int{}, agents: map[string]string{}}
	s.opts.BlockFor = cmp.Or(opts.BlockFor, time.Minute)
	var err error
	s.load, err = load.New(load.Options{
		URLs: []string{"http://" + proxyName + ":" + port}, Rate: opts.Rate, Requests: opts.Requests,
		Seed: opts.Seed, Timeout: timeout, Transport: s.mesh, Clients: opts.Clients,
	})
	if err != nil {
		return nil, fmt.Errorf("sdc sample: %w", err)
	}
	return s, nil
}

// LoadDone is closed when Options.Requests have been sent and answered, and
// every mirrored copy and every alert too.
func (s *Sample) LoadDone() <-chan struct{} { return s.loadDone }

// Run serves the chain and sends the load until ctx ends. Requests under way
// are answered before it returns, so that no hop is left with one side.
func (s *Sample) Run(ctx context.Context) error {
	c, err := s.newChain(ctx)
	if err != nil {
		return fmt.Errorf("sdc sample: %w", err)
	}
	s.mu.Lock()
	s.chain = c
	s.mu.Unlock()
	var running sync.WaitGroup
	errs := make(chan error, len(c.services)+len(c.control))
	for _, svc := range c.services {
		running.Go(func() {
			if err := svc.server.Serve(svc.listener); !errors.Is(err, http.ErrServerClosed) {
				errs <- fmt.Errorf("sdc sample: %s: %w", svc.id(), err)
			}
		})
	}
	for _, ctl := range c.control {
		running.Go(func() {
			if err := ctl.server.Serve(ctl.listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				errs <- fmt.Errorf("sdc sample: gRPC: %w", err)
			}
		})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	running.Go(func() {
		defer close(s.loadDone)
		s.sendLoad(ctx, c)
	})
	select {
	case <-ctx.Done():
		err = nil
	case err = <-errs:
	}
	cancel()
	<-s.loadDone
	err = errors.Join(err, s.stop(ctx, c))
	running.Wait()
	return err
}

// sendLoad sends the load, and then waits for its copies and alerts.
func (s *Sample) sendLoad(ctx context.Context, c *chain) {
	proxying, stopProxies := context.WithCancel(context.WithoutCancel(ctx))
	alerting, stopAlerts := context.WithCancel(context.WithoutCancel(ctx))
	var proxies sync.WaitGroup
	errs := make(chan error, len(c.proxies)+1)
	for _, p := range c.proxies {
		proxies.Go(func() { errs <- p.Run(proxying) })
	}
	alerted := make(chan error, 1)
	go func() { alerted <- c.alerts.Run(alerting) }()
	errs <- s.load.Run(ctx)
	stopProxies()
	proxies.Wait()
	stopAlerts()
	close(errs)
	err := <-alerted
	for e := range errs {
		err = errors.Join(err, e)
	}
	if err != nil {
		s.opts.Logger.Error("sdc sample: load", "error", err)
	}
}

// stop ends the servers of a chain that has no requests any more.
func (s *Sample) stop(ctx context.Context, c *chain) error {
	// A connection that was opened and not used yet would be waited for.
	s.mesh.CloseIdleConnections()
	err := c.toProxy.Close()
	for _, ctl := range c.control {
		ctl.server.GracefulStop()
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for _, svc := range c.services {
		if svc.server.Shutdown(stop) != nil {
			err = errors.Join(err, svc.server.Close())
		}
	}
	s.mesh.CloseIdleConnections()
	return errors.Join(err, c.blocks.Close(), c.closeState())
}

// setAgent notes where an agent listens.
func (s *Sample) setAgent(name, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agents[name] = address
}

// DialAgent connects to the agent of a service by NAME:PORT, e.g.
// "http-lb-v2:50054", once the sample runs.
func (s *Sample) DialAgent(ctx context.Context, name string) (net.Conn, error) {
	s.mu.Lock()
	address := s.agents[name]
	s.mu.Unlock()
	if address == "" {
		return nil, fmt.Errorf("the sample has no agent %s, or does not run yet", name)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// Tally is what the sample itself counted.
type Tally struct {
	Sent        int            // requests answered by the proxy, or failed
	ByStatus    map[int]int    // of those sent
	ByPath      map[string]int // of those sent
	ByAgent     map[string]int // of those sent
	Served      map[string]int // requests and calls answered, by service
	NotMirrored int            // copies left out
}

// Tally returns what was counted so far. Safe for concurrent use.
func (s *Sample) Tally() Tally {
	l := s.load.Tally()
	t := Tally{Sent: l.Sent, ByStatus: l.ByStatus, ByPath: l.ByPath, ByAgent: l.ByAgent}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Served = maps.Clone(s.count)
	if s.chain != nil {
		t.NotMirrored = int(s.chain.proxies[0].Stats().Mirror.Dropped)
	}
	return t
}

// served counts for the tally.
func (s *Sample) served(service string) func(int) {
	return func(int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.count[service]++
	}
}

// listen opens a loopback listener.
func listen(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", "127.0.0.1:0")
}
