// Package pod runs one role of the sample as a program: its listeners, its
// probes, and an end that loses no request.
package pod

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
)

// Options of a Pod. Handler and the addresses are needed.
type Options struct {
	// HTTPAddr is where Handler listens. "-": nowhere, because something else
	// serves.
	HTTPAddr string
	Handler  http.Handler
	// GRPCAddr is where the services that Register adds listen. "-": nowhere.
	GRPCAddr    string
	Register    func(*grpc.Server)
	Interceptor grpc.UnaryServerInterceptor
	// TLS is that of gRPC. nil: plaintext, on loopback only unless Insecure.
	TLS      *tls.Config
	Insecure bool
	// AdminAddr is where /healthz, /readyz and /metrics listen.
	AdminAddr string
	// Metrics is exposed at /metrics.
	Metrics prometheus.Gatherer
	// DrainDelay is how long requests are still taken after the pod has said
	// that it is not ready. Grace bounds the wait for those under way then.
	DrainDelay, Grace time.Duration
	// Logger hears of the beginning and the end.
	Logger *slog.Logger
}

// Pod has its listeners open.
type Pod struct {
	opts              Options
	http, grpc, admin net.Listener // http and grpc may be nil
	ready             atomic.Bool
}

// Listen opens the listeners of a Pod. Run closes them.
func Listen(ctx context.Context, opts Options) (*Pod, error) {
	if opts.GRPCAddr != "-" && opts.TLS == nil && !opts.Insecure && !isLoopback(opts.GRPCAddr) {
		return nil, fmt.Errorf("--grpc-addr %s is not a loopback address: give --tls-cert-file, --tls-key-file and --tls-client-ca-file, or --insecure where a mesh encrypts", opts.GRPCAddr)
	}
	p := &Pod{opts: opts}
	for _, l := range []struct {
		flag, addr string
		to         *net.Listener
	}{
		{"--http-addr", opts.HTTPAddr, &p.http}, {"--grpc-addr", opts.GRPCAddr, &p.grpc}, {"--admin-addr", opts.AdminAddr, &p.admin},
	} {
		if l.addr == "-" {
			continue
		}
		var err error
		var config net.ListenConfig
		if *l.to, err = config.Listen(ctx, "tcp", l.addr); err != nil {
			p.Close()
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, fmt.Errorf("%s is in use by another program; choose another address with %s: %w", l.addr, l.flag, err)
			}
			return nil, fmt.Errorf("%s: %w", l.flag, err)
		}
	}
	return p, nil
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Close closes the listeners of a pod that has not run.
func (p *Pod) Close() {
	for _, l := range []net.Listener{p.http, p.grpc, p.admin} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// Addrs returns where the pod listens; "" where it does not.
func (p *Pod) Addrs() (httpAddr, grpcAddr, adminAddr string) {
	if p.grpc != nil {
		grpcAddr = p.grpc.Addr().String()
	}
	if p.http != nil {
		httpAddr = p.http.Addr().String()
	}
	return httpAddr, grpcAddr, p.admin.Addr().String()
}

// Run serves until ctx ends. Then the pod is not ready, takes requests for
// DrainDelay more, and waits for those under way.
func (p *Pod) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	// The probes are answered to the end.
	serving, served := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error {
		defer served()
		return p.serveTraffic(ctx)
	})
	group.Go(func() error { return serveHTTP(serving, p.admin, p.adminHandler(), time.Second) })
	return group.Wait()
}

func (p *Pod) serveTraffic(ctx context.Context) error {
	drained, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	group, failed := errgroup.WithContext(drained)
	if p.http != nil {
		group.Go(func() error { return serveHTTP(failed, p.http, p.opts.Handler, p.opts.Grace) })
	}
	if p.grpc != nil {
		group.Go(func() error { return p.serveGRPC(failed) })
	}
	group.Go(func() error {
		defer drain()
		p.ready.Store(true)
		select {
		case <-ctx.Done():
		case <-failed.Done():
			return nil
		}
		p.ready.Store(false)
		p.opts.Logger.Info("draining", "delay", p.opts.DrainDelay.String())
		t := time.NewTimer(p.opts.DrainDelay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-failed.Done():
		}
		return nil
	})
	return group.Wait()
}

// serveHTTP serves until ctx ends, and then what is under way.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, grace time.Duration) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		// net/http tells of clients that speak no HTTP, which is no news.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := srv.Shutdown(stop)
	if err != nil {
		err = srv.Close() // who has not ended by now is cut off
	}
	return errors.Join(err, closed(<-done))
}

// closed takes the error that tells of an end that was asked for.
func closed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (p *Pod) serveGRPC(ctx context.Context) error {
	creds := insecure.NewCredentials()
	if p.opts.TLS != nil {
		creds = credentials.NewTLS(p.opts.TLS)
	}
	opts := []grpc.ServerOption{
		grpc.Creds(creds), grpc.MaxRecvMsgSize(1 << 20), grpc.MaxConcurrentStreams(256), grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 20 * time.Second, PermitWithoutStream: true}),
	}
	if p.opts.Interceptor != nil {
		opts = append(opts, grpc.UnaryInterceptor(p.opts.Interceptor))
	}
	srv := grpc.NewServer(opts...)
	p.opts.Register(srv)
	checks := health.NewServer()
	healthpb.RegisterHealthServer(srv, checks)
	reflection.Register(srv)
	stopped := make(chan struct{})
	end := context.AfterFunc(ctx, func() {
		defer close(stopped)
		checks.Shutdown()
		cut := time.AfterFunc(p.opts.Grace, srv.Stop)
		defer cut.Stop()
		srv.GracefulStop()
	})
	err := srv.Serve(p.grpc)
	if !end() {
		<-stopped
	}
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// adminHandler answers probes and metrics.
func (p *Pod) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !p.ready.Load() {
			http.Error(w, "draining", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.opts.Metrics, promhttp.HandlerOpts{}))
	return mux
}
