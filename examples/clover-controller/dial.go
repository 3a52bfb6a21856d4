package main

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/opnfv/clover/api/server"
)

const (
	// maxAnswerBytes bounds what the collector may answer.
	maxAnswerBytes = 64 << 20
	// maxReconnectDelay is how soon a collector that comes back is noticed
	// without a question.
	maxReconnectDelay = 500 * time.Millisecond
	// connectTimeout is how long one attempt may take. It is short because an
	// attempt may be lost for good: where the cluster's network did not know a
	// service yet, its packets go nowhere, those that are sent again too.
	connectTimeout = time.Second
	// maxReconnectWait is how long a question waits for a connection that is
	// tried again because of it, but not longer than half of its time. A
	// collector that is ready is reached by the cluster's network a moment
	// later only.
	maxReconnectWait = 3 * time.Second
)

// direct has the address looked up for each connection. gRPC's own resolver
// looks up more than the address and waits ever longer after a name that is
// not there yet, as that of a service which is made later than the controller.
const direct = "passthrough:///"

// dial makes the connection to the collector, which need not be there yet. It
// notices when the collector's machine vanishes without a word.
func dial(target string, creds credentials.TransportCredentials) (*grpc.ClientConn, error) {
	if !strings.Contains(target, ":///") {
		target = direct + target
	}
	reconnect := backoff.DefaultConfig
	reconnect.BaseDelay, reconnect.MaxDelay = 100*time.Millisecond, maxReconnectDelay
	return grpc.NewClient(target,
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes)),
		grpc.WithChainUnaryInterceptor(explainUnary, reconnectUnary), grpc.WithChainStreamInterceptor(explainStream, reconnectStream),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: server.MinPingInterval, Timeout: 10 * time.Second}),
	)
}

// reconnect tries a broken connection again at once, since somebody asks.
func reconnect(ctx context.Context, cc *grpc.ClientConn) {
	if cc.GetState() == connectivity.Ready {
		return
	}
	cc.Connect()
	cc.ResetConnectBackoff()
	wait := maxReconnectWait
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for s := cc.GetState(); s != connectivity.Ready; s = cc.GetState() {
		if !cc.WaitForStateChange(ctx, s) {
			return
		}
	}
}

// reconnectUnary is a grpc.UnaryClientInterceptor.
func reconnectUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	reconnect(ctx, cc)
	return invoke(ctx, method, req, reply, cc, opts...)
}

// reconnectStream is a grpc.StreamClientInterceptor.
func reconnectStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	reconnect(ctx, cc)
	return open(ctx, desc, cc, method, opts...)
}
