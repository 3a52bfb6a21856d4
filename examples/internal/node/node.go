// Package node assembles the visibility libraries into one process: sources,
// receiver, store, analytics, and the API. The programs standalone and
// clover-collector are thin around it.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/dashboard"
	"github.com/opnfv/clover/monitoring"
	"github.com/opnfv/clover/tracing"
	"github.com/opnfv/clover/visibility"
	"github.com/opnfv/clover/visibility/cassandra"
	"github.com/opnfv/clover/visibility/embedded"
	"github.com/opnfv/clover/visibility/lease"
	visibilityredis "github.com/opnfv/clover/visibility/redis"
	"github.com/opnfv/clover/visibility/spark"
	"github.com/opnfv/clover/visibility/spark/job"
	"github.com/opnfv/clover/web"
)

// Options of a Node.
type Options struct {
	DataDir string
	// JaegerURLs and PrometheusURL replace those of the stored
	// configuration if they are given; so does SampleInterval.
	JaegerURLs     []string
	PrometheusURL  string
	SampleInterval time.Duration
	// Jaeger and Prometheus are how those of the configuration are called:
	// credentials, TLS.
	Jaeger     tracing.JaegerOptions
	Prometheus monitoring.Options
	// Addresses; "-" is off, "" the default of server and tracing.
	OTLPGRPC, OTLPHTTP string
	GRPCAddr, RESTAddr string
	// API is how the API is protected and bounded; its addresses, page,
	// metrics and Logger are set here.
	API server.Options
	// AllowSources are patterns of the hosts that requests may name as
	// sources; none: any host.
	AllowSources []string
	// Store adjusts the embedded store, e.g. its retention.
	Store embedded.Options
	// Cassandra is how that store is reached, where the flags choose it. Its
	// retention is that of Store.
	Cassandra cassandra.Options
	flags     storeFlags
	parquet   parquetFlags
	// Share divides the services of the sources among the collectors that
	// have the store in common.
	Share bool
	// Redis is where results and configuration are kept too; without a URL
	// nowhere. RedisRefresh is how often; 0 is the default of visibilityredis.
	Redis        visibilityredis.Address
	RedisRefresh time.Duration
	// RedisResults says who counts for Redis: "store", which "" is too, or
	// "spark", whose jobs have their results in the folder SparkResults.
	RedisResults, SparkResults string
	// Spark is asked for what the store keeps no more; without an address
	// there is none.
	Spark SparkOptions
	// Dashboard serves the dashboard at REST's root.
	Dashboard bool
	Logger    *slog.Logger
	// OnReady is called once, when everything answers.
	OnReady func(Addrs)
}

// Addrs are where a Node listens; "" where it does not.
type Addrs struct {
	GRPC, REST, OTLPGRPC, OTLPHTTP string
	Scheme                         string // of REST, http or https
}

// Node is a process with the whole visibility path.
type Node struct {
	opts      Options
	store     visibility.Store
	share     *lease.Group // nil: nothing is shared
	collector *visibility.Collector
	receiver  *tracing.Receiver
	hub       *visibility.Hub
	results   *results      // nil: not kept in Redis
	exporter  *exporter     // nil: no files
	jobs      *job.Reporter // nil: not known
	spark     *spark.DB     // nil: there is none
	service   *server.Local
	registry  *prometheus.Registry
}

// New opens the store, or says why it cannot be. Run closes it.
func New(opts Options) (*Node, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	store, err := opts.openStore()
	if err != nil {
		return nil, err
	}
	n := &Node{opts: opts, store: store, hub: &visibility.Hub{}}
	if opts.SparkResults != "" {
		n.jobs = job.NewReporter(opts.SparkResults)
	}
	if err := n.assemble(); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return n, nil
}

func (n *Node) assemble() (err error) {
	policy, err := n.opts.sourcePolicy()
	if err != nil {
		return err
	}
	collecting := visibility.CollectorOptions{
		Opener: opener{visibility.OpenSources{Jaeger: n.opts.Jaeger, Prometheus: n.opts.Prometheus}, policy},
		Hub:    n.hub, Logger: n.opts.Logger, Outputs: n.outputs,
	}
	if !n.opts.Embedded() {
		collecting.ID = n.opts.Cassandra.Writer
	}
	if n.share, err = n.opts.newShare(n.store); err != nil {
		return err
	}
	if n.share != nil {
		collecting.Share = n.share
	}
	n.collector, err = visibility.NewCollector(n.store, collecting)
	if err != nil {
		return err
	}
	if n.results, err = newResults(n.opts, n.store, n.collector, n.share); err != nil {
		return err
	}
	if n.exporter, err = newExporter(n.opts, n.store, n.share); err != nil {
		return err
	}
	ingest, err := visibility.NewIngest(n.store, visibility.IngestOptions{Hub: n.hub, Paused: n.collector.Paused})
	if err != nil {
		return err
	}
	n.receiver, err = tracing.NewReceiver(ingest, tracing.ReceiverOptions{
		GRPCAddr: n.opts.OTLPGRPC, HTTPAddr: n.opts.OTLPHTTP, Logger: n.opts.Logger,
	})
	if err != nil {
		return err
	}
	if n.service, err = n.newService(ingest, policy); err != nil {
		return err
	}
	metrics, err := visibility.NewMetrics(visibility.MetricsOptions{
		Store: n.store, Collector: n.collector, Ingest: ingest, Hub: n.hub,
	})
	if err != nil {
		return err
	}
	n.registry = prometheus.NewRegistry()
	if spooled, ok := n.store.(prometheus.Collector); ok { // a spool
		if err := n.registry.Register(spooled); err != nil {
			return err
		}
	}
	return errors.Join(
		registerShare(n.registry, n.share),
		n.registry.Register(metrics),
		n.registry.Register(collectors.NewGoCollector()),
		n.registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
	)
}

// newService is what answers the API.
func (n *Node) newService(ingest *visibility.Ingest, policy *server.SourcePolicy) (*server.Local, error) {
	answering := visibility.AnalyticsOptions{Status: n.collector.Status}
	analytics, err := visibility.NewAnalytics(n.store, answering)
	if err != nil {
		return nil, err
	}
	engines, err := n.engines(answering)
	if err != nil {
		return nil, err
	}
	return server.NewLocal(server.LocalDeps{
		Store: n.store, Analytics: analytics, Engines: engines, Collector: n.collector, Ingest: ingest, Hub: n.hub,
		Sources: policy, Version: Version(),
	})
}

// Version returns the version that the program was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}

// Run does everything until ctx ends: then it takes nothing new, finishes
// what it has taken, and closes the store.
func (n *Node) Run(ctx context.Context) error {
	err := n.run(ctx)
	if n.spark != nil {
		err = errors.Join(err, n.spark.Close())
	}
	return errors.Join(err, n.store.Close())
}

func (n *Node) run(ctx context.Context) error {
	if err := n.configure(ctx); err != nil {
		return err
	}
	api := n.opts.API
	api.GRPCAddr, api.RESTAddr, api.Metrics, api.Logger = n.opts.GRPCAddr, n.opts.RESTAddr, n.registry, n.opts.Logger
	if n.opts.Dashboard {
		var err error
		if api.Root, err = dashboard.New(web.Assets); err != nil {
			return err
		}
	}
	srv, err := server.New(ctx, n.service, api)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return srv.Run(ctx) })
	group.Go(func() error { return n.collector.Run(ctx) })
	if n.share != nil {
		group.Go(func() error { return n.share.Run(ctx) })
	}
	if n.results != nil {
		group.Go(func() error { return n.results.run(ctx) })
	}
	if n.exporter != nil {
		group.Go(func() error { return n.exporter.run(ctx) })
	}
	group.Go(func() error {
		if err := n.receiver.Run(ctx); err != nil {
			return fmt.Errorf("%w\nChoose other addresses with --otlp-grpc-addr and --otlp-http-addr, or - for none", err)
		}
		return nil
	})
	group.Go(func() error {
		select {
		case <-n.receiver.Ready():
			n.ready(srv)
		case <-ctx.Done():
		}
		return nil
	})
	return group.Wait()
}

// configure lets what was given on the command line win over what is stored.
func (n *Node) configure(ctx context.Context) error {
	if _, err := n.collector.Init(ctx); err != nil {
		return err
	}
	var change visibility.ConfigUpdate
	if len(n.opts.JaegerURLs) > 0 {
		change.Tracing = n.opts.JaegerURLs
	}
	if n.opts.PrometheusURL != "" {
		change.Monitoring = &n.opts.PrometheusURL
	}
	if n.opts.SampleInterval != 0 {
		change.SampleInterval = visibility.Interval(n.opts.SampleInterval)
	}
	_, err := n.collector.Update(ctx, change)
	if errors.Is(err, visibility.ErrInvalid) {
		return fmt.Errorf("--jaeger, --prometheus, --sample-interval: %w", err)
	}
	return err
}

func (n *Node) ready(srv *server.Server) {
	if n.opts.OnReady == nil {
		return
	}
	var a Addrs
	a.GRPC, a.REST = srv.Addrs()
	a.Scheme = srv.Scheme()
	grpcAddr, httpAddr := n.receiver.Addrs()
	if grpcAddr != nil {
		a.OTLPGRPC = grpcAddr.String()
	}
	if httpAddr != nil {
		a.OTLPHTTP = httpAddr.String()
	}
	n.opts.OnReady(a)
}
