// Command clover-controller serves REST, gRPC and the status page for
// cloverctl and browsers, and passes questions on to a clover-collector.
package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/examples/internal/statuspage"
)

func main() { cli.Main("clover-controller", run) }

const (
	// maxAnswerBytes bounds what the collector may answer.
	maxAnswerBytes = 64 << 20
	// maxReconnectDelay is how soon a collector that comes back is noticed;
	// until then questions are answered by "unavailable" at once.
	maxReconnectDelay = 2 * time.Second
)

// dial makes the connection to the collector, which need not be there yet. It
// notices when the collector's machine vanishes without a word.
func dial(target string) (*grpc.ClientConn, error) {
	reconnect := backoff.DefaultConfig
	reconnect.BaseDelay, reconnect.MaxDelay = 100*time.Millisecond, maxReconnectDelay
	return grpc.NewClient(target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes)),
		grpc.WithUnaryInterceptor(explainUnary), grpc.WithStreamInterceptor(explainStream),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: 5 * time.Second}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: server.MinPingInterval, Timeout: 10 * time.Second}),
	)
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o server.Options
	var target, level string
	f := pflag.NewFlagSet("clover-controller", pflag.ContinueOnError)
	f.StringVar(&target, "collector", "127.0.0.1:50055", "gRPC `address` of the clover-collector")
	f.StringVar(&o.GRPCAddr, "grpc-addr", "127.0.0.1:50054", "`address` of gRPC")
	f.StringVar(&o.RESTAddr, "rest-addr", "127.0.0.1:32044", "`address` of REST and of the status page")
	f.BoolVar(&o.AllowRemote, "allow-remote", false, "allow addresses other than loopback; there is no authentication yet")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	err := cli.Parse(f, args, stderr, "Serves REST, gRPC and the status page, and passes questions on to a clover-collector.\n\nUsage:\n  clover-controller [flags]\n")
	if err != nil {
		return err
	}
	if o.Logger, err = cli.Logger(level, stderr); err != nil {
		return err
	}
	conn, err := dial(target)
	if err != nil {
		return cli.Usagef("--collector %q: %w", target, err)
	}
	defer conn.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	service := server.NewForwarder(conn)
	o.Metrics, o.Root = registry, statuspage.New(service, o.Logger)
	srv, err := server.New(ctx, service, o)
	if err != nil {
		return err
	}
	grpcAddr, restAddr := srv.Addrs()
	fmt.Fprintf(stdout, "clover-controller is ready: REST http://%s, gRPC %s, collector %s\n", restAddr, grpcAddr, target)
	return srv.Run(ctx)
}
