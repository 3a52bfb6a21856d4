package sidecar

import (
	"context"
	"net"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/opnfv/clover/tracing"
)

// healthService answers probes, which are no traffic.
const healthService = "/grpc.health.v1.Health/"

// UnaryServer stands in front of a gRPC server's methods.
func (s *Sidecar) UnaryServer() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if strings.HasPrefix(info.FullMethod, healthService) {
			return next(ctx, req)
		}
		md, _ := metadata.FromIncomingContext(ctx)
		h := headers(md)
		c, parent := receive(h)
		ctx = context.WithValue(ctx, carriedKey{}, c)
		defer s.served(http.StatusOK)
		if s.opts.Report == nil {
			return next(ctx, req)
		}
		span := s.newSpan(tracing.KindServer)
		span.TraceID, span.ParentID = c.trace, parent
		authority := strings.Join(md.Get(":authority"), "")
		if _, port, err := net.SplitHostPort(authority); err == nil {
			span.UpstreamCluster = "inbound|" + port + "||"
		}
		if p, ok := peer.FromContext(ctx); ok {
			span.Peer = p.Addr.String()
		}
		describeCall(span, h, authority, info.FullMethod)
		c.span = span.SpanID
		res, err := next(ctx, req)
		s.finishCall(span, err, c.sampled)
		return res, err
	}
}

// UnaryClient stands behind a gRPC client. authority names the service that
// it calls, HOST:PORT.
func (s *Sidecar) UnaryClient(authority string) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		c := carriedFrom(ctx)
		if c == nil {
			return next(ctx, method, req, reply, cc, opts...)
		}
		h := http.Header{}
		if s.opts.Report == nil {
			c.copyTo(h)
			return next(outgoing(ctx, h), method, req, reply, cc, opts...)
		}
		span := s.newSpan(tracing.KindClient)
		span.TraceID, span.ParentID = c.trace, c.span
		span.UpstreamCluster = s.cluster(authority)
		c.within(h, span.SpanID)
		describeCall(span, h, authority, method)
		err := next(outgoing(ctx, h), method, req, reply, cc, opts...)
		s.finishCall(span, err, c.sampled)
		return err
	}
}

func describeCall(span *tracing.Span, h http.Header, authority, method string) {
	span.Method, span.Protocol = http.MethodPost, "HTTP/2"
	span.URL = "http://" + authority + method
	span.UserAgent = h.Get("User-Agent")
	span.RequestID = h.Get(requestID)
	span.Operation = authority + "/*"
}

func (s *Sidecar) finishCall(span *tracing.Span, err error, sampled bool) {
	span.GRPCStatus = int(status.Code(err))
	if err != nil {
		span.Error = true
		span.StatusMessage = err.Error()
	}
	s.finish(span, http.StatusOK, sampled)
}

// headers of a call, in HTTP's form.
func headers(md metadata.MD) http.Header {
	h := http.Header{}
	for name, values := range md {
		h[http.CanonicalHeaderKey(name)] = values
	}
	return h
}

func outgoing(ctx context.Context, h http.Header) context.Context {
	var pairs []string
	for name, values := range h {
		for _, v := range values {
			pairs = append(pairs, strings.ToLower(name), v)
		}
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

// shadow is the host of a copy.
func shadow(target string) string {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return target + "-shadow"
	}
	return net.JoinHostPort(host+"-shadow", port)
}
