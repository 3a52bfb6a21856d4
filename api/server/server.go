package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/collector"
)

// MinPingInterval is how often a client may send HTTP/2 pings while it waits for
// answers, to notice a server that is gone. Clients that ping more often are
// disconnected.
const MinPingInterval = 20 * time.Second

// Options of a Server. The zero value works.
type Options struct {
	// GRPCAddr is where gRPC listens. "": 127.0.0.1:50054.
	GRPCAddr string
	// RESTAddr is where REST listens. "": 127.0.0.1:32044; "-": nowhere.
	RESTAddr string
	// GRPCFlag and RESTFlag name the flags that set the addresses, for
	// errors. "": --grpc-addr and --rest-addr.
	GRPCFlag, RESTFlag string
	// AllowRemote allows addresses other than loopback. There is no
	// authentication.
	AllowRemote bool
	// Root answers what is not the API, e.g. with a page. nil: 404.
	Root http.Handler
	// Metrics is exposed at /metrics. nil: an empty registry.
	Metrics prometheus.Gatherer
	// MaxRequestBytes bounds a request. 0: 1 MiB.
	MaxRequestBytes int
	// MaxStreams bounds the streams that are open at once, so that they
	// leave room for other calls; more are refused. 0: 128.
	MaxStreams int
	// Timeout bounds an answer that is not a stream. 0: 30 s.
	Timeout time.Duration
	// Grace bounds how long calls under way are waited for at the end.
	// 0: 5 s.
	Grace time.Duration
	// Logger hears of faults inside the server. nil: silence.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	def(&o.GRPCAddr, "127.0.0.1:50054")
	def(&o.RESTAddr, "127.0.0.1:32044")
	def(&o.GRPCFlag, "--grpc-addr")
	def(&o.RESTFlag, "--rest-addr")
	def(&o.MaxRequestBytes, 1<<20)
	def(&o.MaxStreams, 128)
	def(&o.Timeout, 30*time.Second)
	def(&o.Grace, 5*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
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

// Server serves one visibility service by gRPC and REST.
type Server struct {
	service    v1.VisibilityServiceServer
	opts       Options
	grpc, rest net.Listener  // rest may be nil
	streams    chan struct{} // one entry an open stream
}

// New opens the listeners of a server. Run serves and closes them; without
// Run, Close does.
func New(ctx context.Context, service v1.VisibilityServiceServer, opts Options) (*Server, error) {
	s := &Server{service: service, opts: opts.withDefaults()}
	if s.opts.MaxStreams < 0 {
		return nil, fmt.Errorf("server: MaxStreams is %d, below 0", s.opts.MaxStreams)
	}
	s.streams = make(chan struct{}, s.opts.MaxStreams)
	var err error
	if s.grpc, err = s.listen(ctx, "gRPC", s.opts.GRPCAddr, s.opts.GRPCFlag); err != nil {
		return nil, err
	}
	if s.opts.RESTAddr == "-" {
		return s, nil
	}
	if s.rest, err = s.listen(ctx, "REST", s.opts.RESTAddr, s.opts.RESTFlag); err != nil {
		return nil, errors.Join(err, s.grpc.Close())
	}
	return s, nil
}

// listen opens one listener, or says what to do.
func (s *Server) listen(ctx context.Context, what, addr, flag string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %s %q is not host:port: %w", what, flag, addr, err)
	}
	if !s.opts.AllowRemote && !isLoopback(host) {
		return nil, fmt.Errorf("%s: %s %s is not a loopback address, and there is no authentication yet; use 127.0.0.1, or --allow-remote if everybody who reaches it may read and change everything", what, flag, addr)
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %s is in use by another program; choose another address with %s: %w", what, addr, flag, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
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

// Close closes the listeners of a server that has not run.
func (s *Server) Close() error {
	err := s.grpc.Close()
	if s.rest != nil {
		err = errors.Join(err, s.rest.Close())
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
	group.Go(func() error {
		// ErrServerStopped: ctx ended before it could begin.
		if err := srv.Serve(s.grpc); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			return fmt.Errorf("gRPC: %w", err)
		}
		return nil
	})
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
	return group.Wait()
}

// stopGRPC waits for the calls under way, but not for ever.
func (s *Server) stopGRPC(srv *grpc.Server) {
	timer := time.AfterFunc(s.opts.Grace, srv.Stop)
	defer timer.Stop()
	srv.GracefulStop()
}

func (s *Server) grpcServer(running context.Context) (*grpc.Server, *health.Server) {
	srv := grpc.NewServer(
		grpc.MaxRecvMsgSize(s.opts.MaxRequestBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		// All of REST is one connection: beside its streams there is room
		// for other calls.
		grpc.MaxConcurrentStreams(uint32(s.opts.MaxStreams)+maxUnaryCalls),
		// A reader whose machine is gone gives its stream back.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: MinPingInterval}),
		grpc.ChainUnaryInterceptor(s.unary),
		grpc.ChainStreamInterceptor(s.streamOf(running)),
	)
	v1.RegisterVisibilityServiceServer(srv, s.service)
	collector.RegisterControllerServer(srv, control{service: s.service})
	checks := health.NewServer()
	for _, name := range []string{"", v1.VisibilityService_ServiceDesc.ServiceName, collector.Controller_ServiceDesc.ServiceName} {
		checks.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	}
	healthpb.RegisterHealthServer(srv, checks)
	reflection.Register(srv)
	return srv, checks
}

// Bounds of a connection.
const (
	maxHeaderBytes = 64 << 10
	maxUnaryCalls  = 256
)

// unary bounds the time of a call and survives its panic.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (res any, err error) {
	defer s.recovered(info.FullMethod, &err)
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	res, err = handler(ctx, req)
	s.logFault(info.FullMethod, err)
	return res, err
}

// logFault logs what a caller can do nothing about.
func (s *Server) logFault(method string, err error) {
	switch status.Code(err) {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		s.opts.Logger.Error("server: fault", "method", method, "error", err)
	}
}

// streamOf ends streams with the server and survives their panics.
func (s *Server) streamOf(running context.Context) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
		defer s.recovered(info.FullMethod, &err)
		if strings.HasPrefix(info.FullMethod, "/"+v1.VisibilityService_ServiceDesc.ServiceName+"/") {
			select {
			case s.streams <- struct{}{}:
				defer func() { <-s.streams }()
			default:
				return status.Errorf(codes.ResourceExhausted, "%d streams are open, as many as may be; end one, or try again later", s.opts.MaxStreams)
			}
		}
		ctx, cancel := context.WithCancel(stream.Context())
		defer cancel()
		defer context.AfterFunc(running, cancel)()
		err = handler(srv, &boundStream{ServerStream: stream, ctx: ctx})
		s.logFault(info.FullMethod, err)
		return err
	}
}

// boundStream is a stream whose context also ends with the server.
type boundStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // grpc.ServerStream asks for it
}

func (b *boundStream) Context() context.Context { return b.ctx }

// recovered turns a panic into an error.
func (s *Server) recovered(method string, err *error) {
	if p := recover(); p != nil {
		s.opts.Logger.Error("server: panic", "method", method, "panic", p, "stack", string(debug.Stack()))
		*err = status.Error(codes.Internal, "internal fault; the server's log has more")
	}
}

// dial connects REST to the gRPC server of this process.
func (s *Server) dial() (*grpc.ClientConn, error) {
	addr := s.grpc.Addr().String()
	if tcp, ok := s.grpc.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		// Not every system connects to 0.0.0.0.
		addr = net.JoinHostPort("localhost", strconv.Itoa(tcp.Port))
	}
	return grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
}
