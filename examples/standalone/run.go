package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/examples/internal/access"
	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/examples/internal/node"
	"github.com/opnfv/clover/examples/internal/sdc"
	"github.com/opnfv/clover/tracing"
)

// settings are the flags.
type settings struct {
	noSample   bool
	rate       float64
	jaeger     []string
	prometheus string
	interval   time.Duration
	sources    []string
	dataDir    string
	rest, grpc string
	otlpGRPC   string
	otlpHTTP   string
	logLevel   string
	access     access.Flags
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	f := pflag.NewFlagSet("standalone", pflag.ContinueOnError)
	f.BoolVar(&s.noSample, "no-sample", false, "do not run the sample mesh")
	f.Float64Var(&s.rate, "rate", 20, "requests a second of the sample's load")
	f.StringSliceVar(&s.jaeger, "jaeger", nil, "read traces from Jaeger at this `URL` (may be given again)")
	f.StringVar(&s.prometheus, "prometheus", "", "read metrics from Prometheus at this `URL`")
	f.DurationVar(&s.interval, "sample-interval", 2*time.Second, "how often Jaeger and Prometheus are read")
	f.StringSliceVar(&s.sources, "allow-source", node.DefaultAllowSources(), "`pattern` of hosts that requests may name as Jaeger or Prometheus (may be given again; in a cluster only its services by default)")
	f.StringVar(&s.dataDir, "data-dir", "", "`directory` of the store (default: "+filepath.Join(stateDir(), "clover")+")")
	f.StringVar(&s.rest, "rest-addr", "127.0.0.1:32044", "`address` of REST and of the status page")
	f.StringVar(&s.grpc, "grpc-addr", "127.0.0.1:50054", "`address` of gRPC")
	f.StringVar(&s.otlpGRPC, "otlp-grpc-addr", "127.0.0.1:4317", "`address` that takes OTLP by gRPC, - for none")
	f.StringVar(&s.otlpHTTP, "otlp-http-addr", "127.0.0.1:4318", "`address` that takes OTLP by HTTP, - for none")
	s.access.Add(f, server.DefaultRateLimit)
	f.StringVar(&s.logLevel, "log-level", "warn", "debug, info, warn or error")
	err := cli.Parse(f, args, stderr, "Runs all of Clover in one process, with a sample mesh and its traffic.\n\nUsage:\n  standalone [flags]\n\nExamples:\n"+
		"  standalone\n  standalone --no-sample --jaeger http://jaeger:16686 --prometheus http://prometheus:9090\n")
	if err != nil {
		return s, err
	}
	if s.rate <= 0 || s.rate > 1000 {
		return s, cli.Usagef("--rate %g is not between 0 and 1000", s.rate)
	}
	if s.dataDir == "" {
		s.dataDir = filepath.Join(stateDir(), "clover")
	}
	return s, nil
}

// stateDir is the folder for what programs keep between runs (XDG Base
// Directory Specification).
func stateDir() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return os.TempDir()
	}
	return filepath.Join(home, ".local", "state")
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	logger, err := cli.Logger(s.logLevel, stderr)
	if err != nil {
		return err
	}
	api := server.Options{Logger: logger}
	if err := s.access.Apply(&api); err != nil {
		return err
	}
	ready := make(chan node.Addrs, 1)
	n, err := node.New(node.Options{
		DataDir: s.dataDir, JaegerURLs: s.jaeger, PrometheusURL: s.prometheus, SampleInterval: s.interval,
		OTLPGRPC: s.otlpGRPC, OTLPHTTP: s.otlpHTTP, GRPCAddr: s.grpc, RESTAddr: s.rest,
		AllowSources: s.sources, API: api, StatusPage: true, Logger: logger,
		OnReady: func(a node.Addrs) { ready <- a },
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	// The node ends after the sample and its exporter, so that the last
	// spans are stored.
	nodeCtx, stopNode := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return n.Run(nodeCtx) })
	group.Go(func() error {
		defer stopNode()
		select {
		case a := <-ready:
			announce(stdout, s, a)
			return s.sample(ctx, a, logger)
		case <-ctx.Done():
			return nil
		}
	})
	err = group.Wait()
	if err == nil {
		fmt.Fprintln(stdout, "Stopped. The data is in "+s.dataDir+".")
	}
	return err
}

// sample runs the sample mesh until ctx ends, and then until its spans have
// been sent.
func (s settings) sample(ctx context.Context, a node.Addrs, logger *slog.Logger) error {
	if s.noSample {
		<-ctx.Done()
		return nil
	}
	if a.OTLPGRPC == "" {
		return cli.Usagef("the sample sends its spans by gRPC; give --otlp-grpc-addr or --no-sample")
	}
	exporter, err := tracing.NewExporter(a.OTLPGRPC, tracing.ExporterOptions{})
	if err != nil {
		return err
	}
	mesh, err := sdc.New(exporter.Export, sdc.Options{Rate: s.rate, Logger: logger})
	if err != nil {
		return err
	}
	exporterCtx, stopExporter := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	group.Go(func() error { return exporter.Run(exporterCtx) })
	group.Go(func() error {
		defer stopExporter()
		return mesh.Run(ctx)
	})
	return group.Wait()
}

// announce tells where everything is.
func announce(w io.Writer, s settings, a node.Addrs) {
	fmt.Fprintf(w, "Clover is running; Ctrl-C ends it.\n\n")
	line := func(what, where string) {
		if where != "" {
			fmt.Fprintf(w, "  %-14s %s\n", what, where)
		}
	}
	line("status page", a.Scheme+"://"+a.REST+"/")
	line("REST", a.Scheme+"://"+a.REST+"/api/v1/visibility/stats  (described by /openapi.json)")
	line("gRPC", a.GRPC)
	line("OTLP gRPC", a.OTLPGRPC)
	line("OTLP HTTP", a.OTLPHTTP)
	line("own metrics", a.Scheme+"://"+a.REST+"/metrics, /healthz, /readyz")
	line("data", s.dataDir)
	if s.noSample {
		for _, url := range s.jaeger {
			line("Jaeger", url)
		}
		line("Prometheus", s.prometheus)
	} else {
		line("sample", fmt.Sprintf("proxy-access-control → http-lb v1/v2 → clover-server1…5, %g requests/s", s.rate))
	}
	fmt.Fprintf(w, "\nTry:\n  go run ./examples/cloverctl --controller %s://%s get visibility stats --group-by service\n", a.Scheme, a.REST)
	fmt.Fprintf(w, "  go run ./examples/cloverctl --controller %s://%s observe -f\n\n", a.Scheme, a.REST)
}
