package server

import (
	"context"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	deliveryv1 "github.com/opnfv/clover/api/clover/delivery/v1"
	idsv1 "github.com/opnfv/clover/api/clover/ids/v1"
	lbv1 "github.com/opnfv/clover/api/clover/loadbalancer/v1"
	loadtestv1 "github.com/opnfv/clover/api/clover/loadtest/v1"
	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/collector"
)

// Bounds of a connection.
const (
	maxHeaderBytes   = 64 << 10
	maxUnaryCalls    = 256
	handshakeTimeout = 10 * time.Second
)

func (s *Server) grpcServer(running context.Context) (*grpc.Server, *health.Server) {
	srv := grpc.NewServer(
		grpc.Creds(s.transportCredentials()),
		grpc.ConnectionTimeout(handshakeTimeout),
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
	lbv1.RegisterLoadBalancerServiceServer(srv, s.opts.Balancers)
	idsv1.RegisterIdsServiceServer(srv, s.opts.Protection)
	deliveryv1.RegisterDeliveryServiceServer(srv, s.opts.Delivery)
	loadtestv1.RegisterLoadTestServiceServer(srv, s.opts.LoadTests)
	collector.RegisterControllerServer(srv, control{service: s.service})
	checks := health.NewServer()
	checks.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	for name := range srv.GetServiceInfo() {
		checks.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	}
	healthpb.RegisterHealthServer(srv, checks)
	reflection.Register(srv)
	return srv, checks
}

// admit finds out who calls a method and whether they may. What it returns is
// for the audit log, also with an error.
func (s *Server) admit(ctx context.Context, method string) (audited, error) {
	needs, known := methodAccess[method]
	call := audited{access: needs, what: method, began: time.Now()}
	if !known {
		return call, status.Errorf(codes.PermissionDenied, "nobody may call %s: it is not in the table of permissions", method)
	}
	var err error
	if call.caller, err = s.rpcCaller(ctx, needs.open); err != nil {
		return call, err
	}
	return call, s.permit(ctx, call.caller, needs)
}

// unary admits a call, bounds its time and survives its panic.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (res any, err error) {
	defer s.recovered(info.FullMethod, &err)
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	call, err := s.admit(ctx, info.FullMethod)
	call.request = req
	if err != nil {
		s.audit(ctx, call, err)
		_ = grpc.SetHeader(ctx, metadata.New(refusalHeaders(err))) // the caller went away
		return nil, err
	}
	// What another process logs of this call has the same id.
	ctx = metadata.AppendToOutgoingContext(ctx, requestIDKey, call.RequestID)
	res, err = handler(ctx, req)
	s.logFault(info.FullMethod, err)
	s.audit(ctx, call, err)
	return res, err
}

// logFault logs what a caller can do nothing about.
func (s *Server) logFault(method string, err error) {
	switch status.Code(err) {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		s.opts.Logger.Error("server: fault", "method", method, "error", err)
	}
}

// streamOf admits streams, ends them with the server and survives their
// panics.
func (s *Server) streamOf(running context.Context) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
		defer s.recovered(info.FullMethod, &err)
		ctx, cancel := context.WithCancelCause(stream.Context())
		defer cancel(nil)
		call, err := s.admit(ctx, info.FullMethod)
		if err != nil {
			s.audit(ctx, call, err)
			_ = stream.SetHeader(metadata.New(refusalHeaders(err))) // the caller went away
			return err
		}
		select {
		case s.streams <- struct{}{}:
			defer func() { <-s.streams }()
		default:
			return status.Errorf(codes.ResourceExhausted, "%d streams are open, as many as may be; end one, or try again later", s.opts.MaxStreams)
		}
		defer context.AfterFunc(running, func() { cancel(nil) })()
		defer s.watchRights(ctx, cancel, call)()
		ctx = metadata.AppendToOutgoingContext(ctx, requestIDKey, call.RequestID)
		err = handler(srv, &boundStream{ServerStream: stream, ctx: ctx})
		if cause := context.Cause(ctx); cause != nil && status.Code(cause) != codes.Unknown {
			err = cause // what took the caller's rights away
			s.audit(ctx, call, err)
		}
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
