// Command clover-collector reads traces and metrics of a mesh, takes OTLP,
// stores both, and answers questions by gRPC.
package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/access"
	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/examples/internal/node"
)

func main() { cli.Main("clover-collector", run) }

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o node.Options
	var protect access.Flags
	var level string
	var await time.Duration
	f := pflag.NewFlagSet("clover-collector", pflag.ContinueOnError)
	f.StringVar(&o.DataDir, "data-dir", "", "`directory` of the store (needed by the embedded one)")
	o.AddFlags(f)
	f.DurationVar(&await, "await-store", 0, "how long to wait at the start for a Cassandra that does not answer")
	f.StringVar(&o.GRPCAddr, "grpc-addr", "127.0.0.1:50055", "`address` of gRPC, where a clover-controller of this machine looks for it")
	f.StringVar(&o.RESTAddr, "rest-addr", "-", "`address` of REST and of /metrics, - for none")
	f.StringVar(&o.OTLPGRPC, "otlp-grpc-addr", "127.0.0.1:4317", "`address` that takes OTLP by gRPC, - for none")
	f.StringVar(&o.OTLPHTTP, "otlp-http-addr", "127.0.0.1:4318", "`address` that takes OTLP by HTTP, - for none")
	protect.Add(f, -1)
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error; the audit log stays")
	err := cli.Parse(f, args, stderr, "Reads traces and metrics of a mesh, takes OTLP, stores both, and answers by gRPC.\n\nUsage:\n  clover-collector --data-dir DIR [flags]\n  clover-collector --store cassandra --cassandra-hosts HOST [flags]\n")
	if err != nil {
		return err
	}
	if o.DataDir == "" && o.Embedded() {
		return cli.Usagef("--data-dir is needed")
	}
	if o.Logger, err = cli.Logger(level, stderr); err != nil {
		return err
	}
	o.API.Logger, o.API.Audit = o.Logger, cli.AuditLogger(stderr)
	if err := protect.Apply(&o.API); err != nil {
		return err
	}
	o.OnReady = func(a node.Addrs) {
		fmt.Fprintf(stdout, "clover-collector is ready: gRPC %s, REST %s, OTLP gRPC %s, OTLP HTTP %s\n",
			a.GRPC, orNone(a.REST), orNone(a.OTLPGRPC), orNone(a.OTLPHTTP))
	}
	n, err := node.Await(ctx, o, await)
	if err != nil {
		return err
	}
	return n.Run(ctx)
}

func orNone(addr string) string {
	if addr == "" {
		return "none"
	}
	return addr
}
