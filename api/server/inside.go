package server

import (
	"context"
	"encoding/json"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// REST reaches gRPC through connections inside the process. gRPC tells them
// by their type, which nobody outside can have, and believes what they say
// about the caller: REST has authenticated it.

// pipeListener accepts connections from inside the process.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	close func()
}

func newPipeListener() *pipeListener {
	done := make(chan struct{})
	return &pipeListener{conns: make(chan net.Conn), done: done, close: sync.OnceFunc(func() { close(done) })}
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return insideConn{conn}, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipeListener) Close() error {
	l.close()
	return nil
}

// Addr implements net.Listener.
func (*pipeListener) Addr() net.Addr { return insideAddr{} }

// dial connects to the listener.
func (l *pipeListener) dial(ctx context.Context, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type (
	insideConn struct{ net.Conn }
	insideAddr struct{}
	// insideInfo marks calls from inside the process.
	insideInfo struct{ credentials.CommonAuthInfo }
)

func (insideAddr) Network() string { return "pipe" }
func (insideAddr) String() string  { return "inside" }

// AuthType implements credentials.AuthInfo.
func (insideInfo) AuthType() string { return "inside" }

// doors are the server's transport credentials: those of the network, but
// for connections from inside.
type doors struct {
	credentials.TransportCredentials
}

// ServerHandshake implements credentials.TransportCredentials.
func (d doors) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if _, ok := conn.(insideConn); ok {
		return conn, insideInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}, nil
	}
	return d.TransportCredentials.ServerHandshake(conn)
}

// Clone implements credentials.TransportCredentials.
func (d doors) Clone() credentials.TransportCredentials { return doors{d.TransportCredentials.Clone()} }

// transportCredentials are those of the gRPC server.
func (s *Server) transportCredentials() credentials.TransportCredentials {
	if s.opts.TLS == nil {
		return doors{insecure.NewCredentials()}
	}
	return doors{credentials.NewTLS(s.opts.TLS)}
}

// callerKey is the metadata that tells who calls, on connections from inside
// only.
const callerKey = "clover-caller-bin"

// dialInside connects REST to gRPC. Of a request's metadata only the caller
// passes, none of its headers.
func (s *Server) dialInside() (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///inside",
		grpc.WithContextDialer(s.inside.dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, res any, conn *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			ctx, err := sayCaller(ctx)
			if err != nil {
				return err
			}
			return call(ctx, method, req, res, conn, opts...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, call grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			ctx, err := sayCaller(ctx)
			if err != nil {
				return nil, err
			}
			return call(ctx, desc, conn, method, opts...)
		}))
}

func sayCaller(ctx context.Context) (context.Context, error) {
	c, ok := ctx.Value(callerContext{}).(caller)
	if !ok {
		return nil, status.Error(codes.Internal, "REST did not authenticate the caller")
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return metadata.NewOutgoingContext(ctx, metadata.Pairs(callerKey, string(b))), nil
}

// callerInside returns the caller that REST authenticated; ok is false for
// calls from the network.
func callerInside(ctx context.Context) (c caller, ok bool, err error) {
	p, _ := peer.FromContext(ctx)
	if p == nil {
		return c, false, nil
	}
	if _, ok := p.AuthInfo.(insideInfo); !ok {
		return c, false, nil
	}
	said := metadata.ValueFromIncomingContext(ctx, callerKey)
	if len(said) != 1 || json.Unmarshal([]byte(said[0]), &c) != nil {
		return c, true, status.Error(codes.Internal, "REST did not say who calls")
	}
	return c, true, nil
}
