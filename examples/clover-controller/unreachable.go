package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
)

// dialing is what gRPC puts around the reason why there is no connection.
var dialing = regexp.MustCompile(`^connection error: desc = "(?:transport: )?(?:Error while dialing: )?(.*)"$`)

// unreachable says, in place of an error of the transport, that the collector
// is not there and where it was looked for. What the collector itself says
// stays as it is.
func unreachable(cc *grpc.ClientConn, err error) error {
	st, ok := status.FromError(err)
	if !ok || st.Code() != codes.Unavailable || cc.GetState() == connectivity.Ready {
		return err
	}
	return status.Error(codes.Unavailable, fmt.Sprintf("clover-collector does not answer at %s: %s; is it running? clover-controller --collector says where it is",
		strings.TrimPrefix(cc.Target(), direct), dialing.ReplaceAllString(st.Message(), "$1")))
}

// explainUnary is a grpc.UnaryClientInterceptor.
func explainUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return unreachable(cc, invoke(ctx, method, req, reply, cc, opts...))
}

// explainStream is a grpc.StreamClientInterceptor.
func explainStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, unreachable(cc, err)
	}
	return &explainedStream{s, cc}, nil
}

type explainedStream struct {
	grpc.ClientStream
	cc *grpc.ClientConn
}

// RecvMsg implements grpc.ClientStream.
func (s *explainedStream) RecvMsg(m any) error { return unreachable(s.cc, s.ClientStream.RecvMsg(m)) }
