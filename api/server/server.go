package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	deliveryv1 "github.com/opnfv/clover/api/clover/delivery/v1"
	idsv1 "github.com/opnfv/clover/api/clover/ids/v1"
	lbv1 "github.com/opnfv/clover/api/clover/loadbalancer/v1"
	loadtestv1 "github.com/opnfv/clover/api/clover/loadtest/v1"
	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/server/auth"
)

// MinPingInterval is how often a client may send HTTP/2 pings while it waits for
// answers, to notice a server that is gone. Clients that ping more often are
// disconnected.
const MinPingInterval = 20 * time.Second

// DefaultRateLimit is how many requests a second one caller may make.
const DefaultRateLimit = 100

// Options of a Server. The zero value works.
type Options struct {
	// GRPCAddr is where gRPC listens. "": 127.0.0.1:50054.
	GRPCAddr string
	// RESTAddr is where REST listens. "": 127.0.0.1:32044; "-": nowhere.
	RESTAddr string
	// GRPCFlag and RESTFlag name the flags that set the addresses, for
	// errors. "": --grpc-addr and --rest-addr.
	GRPCFlag, RESTFlag string
	// TLS encrypts gRPC and REST; see package certfile. nil: plain.
	TLS *tls.Config
	// Authenticator finds out who calls. nil: everybody may do everything.
	Authenticator auth.Authenticator
	// Authorizer decides what callers that Authenticator knows may do. nil:
	// auth.Roles.
	Authorizer auth.Authorizer
	// AllowRemote allows addresses other than loopback for gRPC and REST also
	// without TLS and Authenticator.
	AllowRemote bool
	// RateLimit is how many requests a second one caller may make, twice as
	// many at once; more are told when to come again. A caller is who it is
	// authenticated as, else its address; loopback is not limited without
	// Authenticator. 0: DefaultRateLimit; below 0: not limited.
	RateLimit float64
	// HealthAddr is where /healthz and /readyz listen besides, plain and open
	// to all who reach it. "": nowhere.
	HealthAddr string
	// MetricsAddr is the same for these and /metrics. It may be the same
	// address.
	MetricsAddr string
	// Balancers, Protection, Delivery and LoadTests serve the other areas of the
	// API. nil: their calls are UNIMPLEMENTED.
	Balancers  lbv1.LoadBalancerServiceServer
	Protection idsv1.IdsServiceServer
	Delivery   deliveryv1.DeliveryServiceServer
	LoadTests  loadtestv1.LoadTestServiceServer
	// Root answers what is not the API, e.g. with a page. nil: 404. With
	// Authenticator, browsers sign in for it with a token, at /login; see
	// SessionUser.
	Root http.Handler
	// Metrics is exposed at /metrics. nil: an empty registry.
	Metrics prometheus.Gatherer
	// MaxRequestBytes bounds a request. 0: 2 MiB, so that a span of the
	// largest size that stores take can be imported.
	MaxRequestBytes int
	// MaxStreams bounds the streams that are open at once, so that they
	// leave room for other calls; more are refused. 0: 128.
	MaxStreams int
	// Recheck is how often the token and the rights of a stream's caller are
	// checked again, and so how long a stream outlives them. 0: 30 s.
	Recheck time.Duration
	// SessionLifetime is how long a browser that has signed in at /login may
	// read Root. 0: 8 h.
	SessionLifetime time.Duration
	// Timeout bounds an answer that is not a stream. 0: 30 s.
	Timeout time.Duration
	// Grace bounds how long calls under way are waited for at the end.
	// 0: 5 s.
	Grace time.Duration
	// Logger hears of faults inside the server. nil: silence.
	Logger *slog.Logger
	// Audit hears of each call that changes something and of each that is
	// refused: who, what, from where, outcome, request id. nil: Logger.
	Audit *slog.Logger
}

func (o Options) withDefaults() Options {
	def(&o.GRPCAddr, "127.0.0.1:50054")
	def(&o.RESTAddr, "127.0.0.1:32044")
	def(&o.GRPCFlag, "--grpc-addr")
	def(&o.RESTFlag, "--rest-addr")
	def(&o.MaxRequestBytes, 2<<20)
	def(&o.MaxStreams, 128)
	def(&o.Timeout, 30*time.Second)
	def(&o.Grace, 5*time.Second)
	def(&o.Recheck, 30*time.Second)
	def(&o.SessionLifetime, defaultSessionLifetime)
	def(&o.RateLimit, DefaultRateLimit)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Audit == nil {
		o.Audit = o.Logger
	}
	if o.Authorizer == nil {
		o.Authorizer = auth.Roles{}
	}
	if o.Balancers == nil {
		o.Balancers = lbv1.UnimplementedLoadBalancerServiceServer{}
	}
	if o.Protection == nil {
		o.Protection = idsv1.UnimplementedIdsServiceServer{}
	}
	if o.Delivery == nil {
		o.Delivery = deliveryv1.UnimplementedDeliveryServiceServer{}
	}
	if o.LoadTests == nil {
		o.LoadTests = loadtestv1.UnimplementedLoadTestServiceServer{}
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	return o
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Server serves the API by gRPC and REST.
type Server struct {
	service    v1.VisibilityServiceServer
	opts       Options
	grpc, rest net.Listener  // rest may be nil
	plain      []plainDoor   // of HealthAddr and MetricsAddr
	inside     *pipeListener // from REST to gRPC
	streams    chan struct{} // one entry an open stream
	rates      *limiter      // of callers
	failures   *limiter      // of addresses that show wrong credentials
	strangers  *limiter      // of audit lines about callers that nobody knows
	sessions   sessions      // of browsers
	status     recentStatus  // for readiness
}

// New opens the listeners of a server for a visibility service and those of
// the options. Run serves and closes them; without
// Run, Close does.
func New(ctx context.Context, service v1.VisibilityServiceServer, opts Options) (*Server, error) {
	s := &Server{service: service, opts: opts.withDefaults(), inside: newPipeListener()}
	if s.opts.MaxStreams < 0 {
		return nil, fmt.Errorf("server: MaxStreams is %d, below 0", s.opts.MaxStreams)
	}
	s.streams = make(chan struct{}, s.opts.MaxStreams)
	s.rates = newLimiter(s.opts.RateLimit, 2*s.opts.RateLimit)
	s.failures = newLimiter(s.opts.RateLimit/10, s.opts.RateLimit)
	s.strangers = newLimiter(1, 20)
	s.sessions.lifetime = s.opts.SessionLifetime
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open opens the listeners.
func (s *Server) open(ctx context.Context) (err error) {
	if s.grpc, err = s.listen(ctx, "gRPC", s.opts.GRPCAddr, s.opts.GRPCFlag); err != nil {
		return err
	}
	if s.opts.RESTAddr != "-" {
		if s.rest, err = s.listen(ctx, "REST", s.opts.RESTAddr, s.opts.RESTFlag); err != nil {
			return err
		}
	}
	return s.openPlain(ctx)
}

// listen opens the listener of a door that may need to be guarded, or says
// what to do.
func (s *Server) listen(ctx context.Context, what, addr, flag string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %s %q is not host:port: %w", what, flag, addr, err)
	}
	if missing := s.missingForRemote(); missing != "" && !isLoopback(host) {
		if !s.opts.AllowRemote {
			return nil, fmt.Errorf("%s: %s %s is not a loopback address: it needs %s; use 127.0.0.1 without, or --allow-remote if whoever is on the network may read and change everything", what, flag, addr, missing)
		}
		s.opts.Logger.Warn("server: open to the network", "address", addr, "missing", missing)
	}
	return bind(ctx, what, addr, flag)
}

// missingForRemote says what is missing for addresses other than loopback.
func (s *Server) missingForRemote() string {
	var missing []string
	if s.opts.TLS == nil {
		missing = append(missing, "TLS (--tls-cert-file, --tls-key-file)")
	}
	if s.opts.Authenticator == nil {
		missing = append(missing, "authentication (--auth token-file or kubernetes, or --tls-client-ca-file)")
	}
	return strings.Join(missing, " and ")
}

// bind opens a listener, or says what to do.
func bind(ctx context.Context, what, addr, flag string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %s is in use by another program; choose another address with %s: %w", what, addr, flag, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", what, flag, err)
	}
	return l, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Addrs returns where the server listens; REST is "" if it does not.
func (s *Server) Addrs() (grpcAddr, restAddr string) {
	if s.rest != nil {
		restAddr = s.rest.Addr().String()
	}
	return s.grpc.Addr().String(), restAddr
}

// Scheme returns the scheme of REST's URLs, http or https.
func (s *Server) Scheme() string {
	if s.opts.TLS != nil {
		return "https"
	}
	return "http"
}

// Close closes the listeners of a server that has not run.
func (s *Server) Close() (err error) {
	for _, l := range []net.Listener{s.grpc, s.rest} {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	for _, d := range s.plain {
		err = errors.Join(err, d.listener.Close())
	}
	return err
}

// Run serves until ctx ends, then ends streams and waits for other calls
// under way.
func (s *Server) Run(ctx context.Context) error {
	// Streams watch running, so that they end when ctx does.
	running, stop := context.WithCancel(ctx)
	defer stop()
	srv, checks := s.grpcServer(running)
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range []net.Listener{s.grpc, s.inside} {
		group.Go(func() error {
			// ErrServerStopped: ctx ended before it could begin.
			if err := srv.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				return fmt.Errorf("gRPC: %w", err)
			}
			return nil
		})
	}
	group.Go(func() error {
		<-ctx.Done()
		checks.Shutdown()
		stop()
		s.stopGRPC(srv)
		return nil
	})
	if s.rest != nil {
		group.Go(func() error { return s.runREST(ctx, running) })
	}
	for _, d := range s.plain {
		group.Go(func() error { return s.runPlain(ctx, d) })
	}
	return group.Wait()
}

// stopGRPC waits for the calls under way, but not for ever.
func (s *Server) stopGRPC(srv *grpc.Server) {
	timer := time.AfterFunc(s.opts.Grace, srv.Stop)
	defer timer.Stop()
	srv.GracefulStop()
}
