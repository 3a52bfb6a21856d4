package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/opnfv/clover/api/jmeter"
	"github.com/opnfv/clover/api/loadtest"
	"github.com/opnfv/clover/api/server/certfile"
	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/examples/internal/sdc/pod"
	"github.com/opnfv/clover/jmeter/master"
)

// masterFlags are those of clover-jmeter master.
type masterFlags struct {
	listen, health string
	files          certfile.Files
	clients        []string
	insecure       bool
	service        string
	slaves         []string
	slavePort      string
	allow, deny    []string
	domain, ns     string
	jmeter         jmeterFlags
	options        master.Options
	level          string
}

func (m *masterFlags) add(f *pflag.FlagSet) {
	f.StringVar(&m.listen, "listen", "127.0.0.1:50054", "`address` of gRPC (jmeter.Controller)")
	f.StringVar(&m.options.Dir, "data-dir", "", "`folder` that keeps plans, runs and results over restarts")
	f.StringVar(&m.health, "health-address", "127.0.0.1:9181", "`address` of /healthz, /readyz and /metrics")
	f.StringVar(&m.files.Cert, "tls-cert-file", "", "PEM `file` with the certificate of gRPC and its chain")
	f.StringVar(&m.files.Key, "tls-key-file", "", "PEM `file` with the certificate's key")
	f.StringVar(&m.files.CA, "tls-client-ca-file", "", "PEM `file` with the authorities of client certificates: each client needs one")
	f.StringSliceVar(&m.clients, "tls-client-name", nil, "common `name` that a client certificate needs; again for several (default: any)")
	f.BoolVar(&m.insecure, "insecure", false, "gRPC without TLS on other addresses than loopback, where a mesh encrypts")
	m.jmeter.add(f)
	f.StringVar(&m.service, "slaves-service", "", "`host` of JMeter's slaves: each of its addresses is one")
	f.StringVar(&m.slavePort, "slaves-port", "1099", "`port` of RMI at those")
	f.StringSliceVar(&m.slaves, "slave", nil, "`HOST:PORT` of one slave (may be given again)")
	f.StringVar(&m.options.Host, "advertise", os.Getenv("POD_IP"), "`address` at which slaves reach this master")
	f.StringSliceVar(&m.allow, "allow-target", nil, "`pattern` of a host, an address or a network that tests may reach beside services of the cluster (may be given again)")
	f.StringSliceVar(&m.deny, "deny-target", nil, "`pattern` of what tests may never reach (may be given again)")
	f.StringVar(&m.domain, "cluster-domain", "cluster.local", "`domain` of the cluster's services; empty: there are none, tests reach what --allow-target says")
	f.StringVar(&m.ns, "namespace", os.Getenv("POD_NAMESPACE"), "`namespace` of services that are named without one")
	f.IntVar(&m.options.MaxRuns, "max-runs", 50, "runs that are kept; the oldest are dropped")
	f.Int64Var(&m.options.MaxBytes, "max-bytes", 2<<30, "`bytes` of results that are kept")
	f.DurationVar(&m.options.Grace, "grace", 5*time.Second, "how long requests that have begun may take when this program ends, or a test has reached its limit")
	f.StringVar(&m.level, "log-level", "info", "debug, info, warn or error")
}

func (m *masterFlags) check() error {
	switch {
	case m.options.Dir == "":
		return cli.Usagef("--data-dir FOLDER is needed")
	case (m.files.Cert == "") != (m.files.Key == "") || m.files.CA != "" && m.files.Cert == "":
		return cli.Usagef("--tls-cert-file and --tls-key-file are needed together, also for --tls-client-ca-file")
	case len(m.clients) > 0 && m.files.CA == "":
		return cli.Usagef("--tls-client-name needs --tls-client-ca-file")
	case m.files.CA == "" && !m.insecure && !isLoopback(m.listen):
		return cli.Usagef("--listen %s is not a loopback address: give --tls-cert-file, --tls-key-file and --tls-client-ca-file, or --insecure where a mesh encrypts; else everybody may start tests", m.listen)
	case m.jmeter.home == "" && (m.service != "" || len(m.slaves) > 0):
		return cli.Usagef("--slaves-service and --slave need --jmeter-home")
	}
	return nil
}

// targets says what tests may reach. The API server is no target, also where
// the network that it is in is allowed.
func (m *masterFlags) targets() master.Targets {
	t := master.Targets{Allow: m.allow, Deny: m.deny}
	if m.domain == "" {
		return t
	}
	t.Service = master.ClusterServices(m.domain, m.ns, nil)
	t.Deny = append(slices.Clone(t.Deny), "kubernetes", "kubernetes.default", "kubernetes.default.*")
	if api := os.Getenv("KUBERNETES_SERVICE_HOST"); api != "" {
		t.Deny = append(t.Deny, api)
	}
	return t
}

// findSlaves returns where the slaves are; nil: there are none.
func (m *masterFlags) findSlaves() func(context.Context) ([]string, error) {
	if m.service == "" && len(m.slaves) == 0 {
		return nil
	}
	return func(ctx context.Context) ([]string, error) {
		list := slices.Clone(m.slaves)
		if m.service == "" {
			return list, nil
		}
		more, err := master.SlavesOf(m.service, m.slavePort)(ctx)
		return append(list, more...), err
	}
}

func runMaster(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var m masterFlags
	f := pflag.NewFlagSet("clover-jmeter master", pflag.ContinueOnError)
	m.add(f)
	if err := cli.Parse(f, args, stderr, "Takes test plans by gRPC and runs them, one at a time.\n\nUsage:\n  clover-jmeter master [flags]\n"); err != nil {
		return err
	}
	if err := m.check(); err != nil {
		return err
	}
	logger, err := cli.Logger(m.level, stderr)
	if err != nil {
		return err
	}
	if m.options.Keys, err = m.jmeter.readKeys(); err != nil {
		return err
	}
	if m.options.JMeter, err = m.jmeter.program(stderr); err != nil {
		return err
	}
	m.options.Plain, m.options.Logger = m.jmeter.plain, logger
	m.options.Targets, m.options.Slaves = m.targets(), m.findSlaves()
	return m.serve(ctx, stdout, logger)
}

// serve runs the master and its service.
func (m *masterFlags) serve(ctx context.Context, stdout io.Writer, logger *slog.Logger) error {
	tests, err := master.New(m.options)
	if err != nil {
		return err
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	o := pod.Options{
		HTTPAddr: "-", GRPCAddr: m.listen, AdminAddr: m.health, Insecure: true, Metrics: metrics, Grace: m.options.Grace, Logger: logger,
		Register: func(s *grpc.Server) { jmeter.RegisterControllerServer(s, loadtest.Service{Master: tests}) },
	}
	if m.files.Cert != "" {
		if o.TLS, err = certfile.Server(m.files, m.files.CA != "", logger); err != nil {
			return cli.Usagef("--tls-cert-file, --tls-key-file, --tls-client-ca-file: %w", err)
		}
		if len(m.clients) > 0 {
			certfile.RestrictClients(o.TLS, m.clients)
		}
	}
	p, err := pod.Listen(ctx, o)
	if err != nil {
		return err
	}
	_, grpcAddr, admin := p.Addrs()
	fmt.Fprintf(stdout, "clover-jmeter master is ready: gRPC %s, health %s, engines %s\n", grpcAddr, admin, strings.Join(tests.Engines(), ", "))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.Run(ctx) })
	group.Go(func() error { return tests.Run(ctx) })
	return group.Wait()
}

// isLoopback reports whether an address is reached from this machine only.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}
