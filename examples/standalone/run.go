package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/examples/internal/access"
	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/examples/internal/delivering"
	"github.com/opnfv/clover/examples/internal/loadtesting"
	"github.com/opnfv/clover/examples/internal/node"
	"github.com/opnfv/clover/examples/internal/steering"
	"github.com/opnfv/clover/jmeter/master"
)

// settings are the flags.
type settings struct {
	node     node.Options
	noSample bool
	rate     float64
	logLevel string
	access   access.Flags
	steering steering.Flags
	delivery delivering.Flags
	targets  []string // of load tests
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	f := pflag.NewFlagSet("standalone", pflag.ContinueOnError)
	f.BoolVar(&s.noSample, "no-sample", false, "do not run the sample mesh")
	f.Float64Var(&s.rate, "rate", 20, "requests a second of the sample's load")
	f.StringVar(&s.node.DataDir, "data-dir", "", "`directory` of the store (default: "+filepath.Join(stateDir(), "clover")+")")
	f.StringVar(&s.node.RESTAddr, "rest-addr", "127.0.0.1:32044", "`address` of REST and of the dashboard")
	f.StringVar(&s.node.GRPCAddr, "grpc-addr", "127.0.0.1:50054", "`address` of gRPC")
	f.StringVar(&s.node.OTLPGRPC, "otlp-grpc-addr", "127.0.0.1:4317", "`address` that takes OTLP by gRPC, - for none")
	f.StringVar(&s.node.OTLPHTTP, "otlp-http-addr", "127.0.0.1:4318", "`address` that takes OTLP by HTTP, - for none")
	s.node.AddFlags(f)
	s.access.Add(f, server.DefaultRateLimit)
	s.steering.Add(f)
	s.delivery.Add(f)
	f.StringSliceVar(&s.targets, "allow-target", []string{"localhost", "127.0.0.0/8", "::1"}, "`pattern` of a host, an address or a network that load tests may reach (may be given again; default: this machine)")
	f.StringVar(&s.logLevel, "log-level", "warn", "debug, info, warn or error")
	err := cli.Parse(f, args, stderr, "Runs all of Clover in one process, with a sample mesh and its traffic.\n\nUsage:\n  standalone [flags]\n\nExamples:\n"+
		"  standalone\n  standalone --no-sample --jaeger http://jaeger:16686 --prometheus http://prometheus:9090\n")
	if err != nil {
		return s, err
	}
	if s.rate <= 0 || s.rate > 1000 {
		return s, cli.Usagef("--rate %g is not between 0 and 1000", s.rate)
	}
	if s.node.DataDir == "" {
		s.node.DataDir = filepath.Join(stateDir(), "clover")
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
	if err := s.delivery.Apply(&api); err != nil {
		return err
	}
	tests, err := loadtesting.NewLocal(master.Options{
		Dir: filepath.Join(s.node.DataDir, "loadtests"), Targets: master.Targets{Allow: s.targets}, Logger: logger,
	}, &api)
	if err != nil {
		return err
	}
	defer func() { _ = tests.Close() }() // nobody uses it any more
	mesh := &sampleMesh{}
	steer := mesh.steer
	if s.noSample {
		steer = s.steering.Apply
	}
	if err := steer(&api); err != nil {
		return err
	}
	ready := make(chan node.Addrs, 1)
	s.node.API, s.node.Dashboard, s.node.Logger = api, true, logger
	s.node.OnReady = func(a node.Addrs) { ready <- a }
	n, err := node.New(s.node)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	// The node ends after the sample and its exporter, so that the last
	// spans are stored.
	nodeCtx, stopNode := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return n.Run(nodeCtx) })
	group.Go(func() error { return tests.Run(nodeCtx) })
	group.Go(func() error {
		defer stopNode()
		select {
		case a := <-ready:
			announce(stdout, s, a)
			return s.sample(ctx, a, mesh, logger)
		case <-ctx.Done():
			return nil
		}
	})
	err = group.Wait()
	if err == nil {
		fmt.Fprintln(stdout, "Stopped. The data is in "+s.where()+".")
	}
	return err
}

// where says where the data is.
func (s *settings) where() string {
	if s.node.Embedded() {
		return s.node.DataDir
	}
	return "keyspace " + s.node.Cassandra.Keyspace + " of Cassandra"
}

// announce tells where everything is.
func announce(w io.Writer, s settings, a node.Addrs) {
	fmt.Fprintf(w, "Clover is running; Ctrl-C ends it.\n\n")
	line := func(what, where string) {
		if where != "" {
			fmt.Fprintf(w, "  %-14s %s\n", what, where)
		}
	}
	line("dashboard", a.Scheme+"://"+a.REST+"/")
	line("REST", a.Scheme+"://"+a.REST+"/api/v1/visibility/stats  (described by /openapi.json)")
	line("gRPC", a.GRPC)
	line("OTLP gRPC", a.OTLPGRPC)
	line("OTLP HTTP", a.OTLPHTTP)
	line("own metrics", a.Scheme+"://"+a.REST+"/metrics, /healthz, /readyz")
	line("data", s.where())
	for _, url := range s.node.JaegerURLs {
		line("Jaeger", url)
	}
	line("Prometheus", s.node.PrometheusURL)
	if !s.noSample {
		line("sample", fmt.Sprintf("proxy-access-control → http-lb v1/v2 → clover-server1…5, %g requests/s", s.rate))
		line("", "snort-ids raises alerts, for which the proxy keeps clients out")
	}
	fmt.Fprint(w, "\nTry:\n")
	commands := []string{"get visibility stats --group-by service", "observe -f"}
	if !s.noSample {
		commands = append(commands, "get lb", "get blocklist")
	}
	for _, c := range commands {
		fmt.Fprintf(w, "  go run ./examples/cloverctl --controller %s://%s %s\n", a.Scheme, a.REST, c)
	}
	fmt.Fprintln(w)
}
