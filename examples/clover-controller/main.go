// Command clover-controller serves REST, gRPC and the dashboard for
// cloverctl and browsers, and passes questions on to a clover-collector.
package main

import (
	"context"
	"fmt"
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/pflag"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/certfile"
	"github.com/opnfv/clover/api/server/dashboard"
	"github.com/opnfv/clover/examples/internal/access"
	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/examples/internal/delivering"
	"github.com/opnfv/clover/examples/internal/loadtesting"
	"github.com/opnfv/clover/examples/internal/steering"
	"github.com/opnfv/clover/web"
)

func main() { cli.Main("clover-controller", run) }

// settings are the flags.
type settings struct {
	api       server.Options
	access    access.Flags
	steering  steering.Flags
	delivery  delivering.Flags
	loadtests loadtesting.Flags
	sources   sourceFlags
	collector string
	files     certfile.Files // of the connection to the collector
	logLevel  string
}

func parse(args []string, stderr io.Writer) (s settings, err error) {
	f := pflag.NewFlagSet("clover-controller", pflag.ContinueOnError)
	f.StringVar(&s.collector, "collector", "127.0.0.1:50055", "gRPC `address` of the clover-collector")
	f.StringVar(&s.files.CA, "collector-ca-file", "", "PEM `file` with the authorities of the collector's certificate; turns TLS to it on")
	f.StringVar(&s.files.Cert, "collector-cert-file", "", "PEM `file` with the certificate that the controller shows to the collector")
	f.StringVar(&s.files.Key, "collector-key-file", "", "PEM `file` with the certificate's key")
	f.StringVar(&s.api.GRPCAddr, "grpc-addr", "127.0.0.1:50054", "`address` of gRPC")
	f.StringVar(&s.api.RESTAddr, "rest-addr", "127.0.0.1:32044", "`address` of REST and of the dashboard")
	s.access.Add(f, server.DefaultRateLimit)
	s.steering.Add(f)
	s.delivery.Add(f)
	s.loadtests.Add(f)
	s.sources.add(f)
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error; the audit log stays")
	err = cli.Parse(f, args, stderr, "Serves REST, gRPC and the dashboard, and passes questions on to a clover-collector.\n\nUsage:\n  clover-controller [flags]\n")
	if err != nil {
		return s, err
	}
	if s.api.Logger, err = cli.Logger(s.logLevel, stderr); err != nil {
		return s, err
	}
	s.api.Audit = cli.AuditLogger(stderr)
	if err := s.steering.Apply(&s.api); err != nil {
		return s, err
	}
	if err := s.delivery.Apply(&s.api); err != nil {
		return s, err
	}
	return s, s.access.Apply(&s.api)
}

// collectorCredentials are those of the connection to the collector.
func (s *settings) collectorCredentials() (credentials.TransportCredentials, error) {
	if s.files == (certfile.Files{}) {
		return insecure.NewCredentials(), nil
	}
	if s.files.CA == "" {
		return nil, cli.Usagef("--collector-ca-file is needed with --collector-cert-file")
	}
	creds, err := certfile.Client(s.files, s.api.Logger)
	if err != nil {
		return nil, cli.Usagef("--collector-ca-file, --collector-cert-file, --collector-key-file: %w", err)
	}
	return creds, nil
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	creds, err := s.collectorCredentials()
	if err != nil {
		return err
	}
	sources, err := s.sources.sources(&s.access)
	if err != nil {
		return err
	}
	closeMaster, err := s.loadtests.Apply(&s.api)
	if err != nil {
		return err
	}
	defer func() { _ = closeMaster() }() // nobody uses it any more
	conn, err := dial(s.collector, creds)
	if err != nil {
		return cli.Usagef("--collector %q: %w", s.collector, err)
	}
	defer conn.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	service := server.NewForwarder(conn, server.ForwarderOptions{Sources: sources})
	s.api.Metrics = registry
	if s.api.Root, err = dashboard.New(web.Assets); err != nil {
		return err
	}
	srv, err := server.New(ctx, service, s.api)
	if err != nil {
		return err
	}
	grpcAddr, restAddr := srv.Addrs()
	fmt.Fprintf(stdout, "clover-controller is ready: REST %s://%s, gRPC %s, collector %s\n", srv.Scheme(), restAddr, grpcAddr, s.collector)
	return srv.Run(ctx)
}
