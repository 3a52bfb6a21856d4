// Package sdc runs the sample of Clover's guide, a service delivery
// controller, within one process: real HTTP between real listeners on
// loopback, traced like an Istio mesh.
//
//	load ─▶ proxy-access-control ─▶ http-lb (v1 ─▶ clover-server1, 2, 3
//	                │                        v2 ─▶ clover-server4, 5)
//	                └─mirror─▶ snort-ids
//
// Each service has a listener of its own. What a sidecar would do is done by
// the code around its handler: it reports a server span for each request
// received and a client span for each one sent, and carries the trace along
// in W3C traceparent headers.
package sdc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

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
	// Logger receives what goes wrong; nil: discarded.
	Logger *slog.Logger
}

// Sample is a running chain with its load.
type Sample struct {
	opts     Options
	report   func(...tracing.Span) int
	services []*service
	client   *http.Client
	urls     map[string]string // service → base URL
	mirrors  sync.WaitGroup
	mirrorIn chan *mirrored
	tally    tally
	loadDone chan struct{}
}

// New returns a Sample whose spans go to report, e.g. an exporter's Export.
func New(report func(...tracing.Span) int, opts Options) (*Sample, error) {
	if report == nil {
		return nil, errors.New("sdc sample: report is nil")
	}
	if opts.Rate < 0 || opts.Requests < 0 {
		return nil, fmt.Errorf("sdc sample: rate %g and requests %d must not be negative", opts.Rate, opts.Requests)
	}
	if opts.Rate == 0 {
		opts.Rate = 20
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sample{
		opts: opts, report: report, urls: map[string]string{},
		mirrorIn: make(chan *mirrored, 256), loadDone: make(chan struct{}),
		client: &http.Client{
			Timeout:   5 * time.Second,
			Transport: &http.Transport{MaxIdleConnsPerHost: 32},
		},
	}
	s.tally.init()
	s.addServices()
	return s, nil
}

// LoadDone is closed when Options.Requests have been sent and answered, and
// every mirrored copy too.
func (s *Sample) LoadDone() <-chan struct{} { return s.loadDone }

// Run serves the chain and sends the load until ctx ends. Requests under way
// are answered before it returns, so that no hop is left with one side.
func (s *Sample) Run(ctx context.Context) error {
	listeners, err := s.listen(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	errs := make(chan error, len(s.services))
	servers := make([]*http.Server, len(s.services))
	for i, svc := range s.services {
		servers[i] = &http.Server{Handler: svc, ReadHeaderTimeout: 5 * time.Second}
		running.Go(func() {
			if err := servers[i].Serve(listeners[i]); !errors.Is(err, http.ErrServerClosed) {
				errs <- fmt.Errorf("sdc sample: %s: %w", svc.name, err)
			}
		})
	}
	mirroring, stopMirroring := context.WithCancel(context.WithoutCancel(ctx))
	defer stopMirroring()
	for range mirrorWorkers {
		running.Go(func() { s.sendMirrored(mirroring) })
	}
	running.Go(func() {
		s.load(ctx)
		s.mirrors.Wait()
		close(s.loadDone)
	})
	select {
	case <-ctx.Done():
		err = nil
	case err = <-errs:
	}
	cancel()
	<-s.loadDone
	stopMirroring()
	stop, cancelStop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancelStop()
	// A connection that was opened and not used yet would be waited for.
	s.client.CloseIdleConnections()
	for _, srv := range servers {
		if failed := srv.Shutdown(stop); failed != nil {
			err = errors.Join(err, srv.Close())
		}
	}
	running.Wait()
	s.client.CloseIdleConnections()
	return err
}

// listen opens a loopback listener for every service.
func (s *Sample) listen(ctx context.Context) ([]net.Listener, error) {
	listeners := make([]net.Listener, 0, len(s.services))
	var config net.ListenConfig
	for _, svc := range s.services {
		l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			for _, open := range listeners {
				_ = open.Close()
			}
			return nil, fmt.Errorf("sdc sample: listen for %s: %w", svc.name, err)
		}
		listeners = append(listeners, l)
		svc.addr = l.Addr().String()
		s.urls[svc.id()] = "http://" + svc.addr
	}
	return listeners, nil
}
