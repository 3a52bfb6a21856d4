package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/opnfv/clover/examples/internal/sdc/pod"
	"github.com/opnfv/clover/examples/internal/sdc/sidecar"
	"github.com/opnfv/clover/loadbalancer/proxy"
	"github.com/opnfv/clover/tracing"
)

// role is what a subcommand runs as a pod.
type role struct {
	common   common
	name     string // of the subcommand
	stdout   io.Writer
	logger   *slog.Logger
	sidecar  *sidecar.Sidecar
	exporter *tracing.Exporter // may be nil
	metrics  *prometheus.Registry
	sends    http.RoundTripper // for requests to other services
	closes   func()            // of sends
}

// newRole makes what all roles have in common.
func newRole(name string, c common, stdout, stderr io.Writer) (*role, error) {
	if err := errors.Join(c.check(), c.openState()); err != nil {
		return nil, err
	}
	logger, err := c.logger(stderr)
	if err != nil {
		return nil, err
	}
	logger = logger.With("service", c.identity.Service, "version", c.identity.Version)
	r := &role{common: c, name: name, stdout: stdout, logger: logger, metrics: prometheus.NewRegistry()}
	if r.exporter, err = c.exporter(logger); err != nil {
		return nil, err
	}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "clover_sdc_requests_total", Help: "Requests and calls answered, by HTTP status.",
	}, []string{"code"})
	r.metrics.MustRegister(requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	o := sidecar.Options{Logger: logger, IsCopy: proxy.IsCopy, OnServed: func(status int) { requests.WithLabelValues(strconv.Itoa(status)).Inc() }}
	if r.exporter != nil {
		o.Report = r.exporter.Export
	}
	if c.identity.Port == "" {
		c.identity.Port = portOf(c.http)
	}
	r.sidecar = sidecar.New(c.identity, o)
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 128, IdleConnTimeout: 90 * time.Second, DisableCompression: true,
	}
	r.sends, r.closes = r.sidecar.Outbound(transport), transport.CloseIdleConnections
	return r, nil
}

// counter exposes a number of a ledger.
func (r *role) counter(name, help string, labels prometheus.Labels, read func() uint64) {
	r.metrics.MustRegister(prometheus.NewCounterFunc(
		prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
		func() float64 { return float64(read()) }))
}

// export sends spans, and tells at the end which were lost.
func (r *role) export(ctx context.Context) error {
	err := r.exporter.Run(ctx)
	if lost := r.exporter.Stats().Dropped; len(lost) > 0 {
		r.logger.Warn("spans were lost", "by reason", lost)
	}
	return err
}

// run serves until ctx ends; handler is nil if something else serves HTTP. Then the workers end what the last requests have
// left to do, and the last spans are sent.
func (r *role) run(ctx context.Context, handler http.Handler, register func(*grpc.Server), workers ...func(context.Context) error) error {
	defer r.closes()
	tls, err := r.common.serverTLS(r.logger)
	if err != nil {
		return err
	}
	httpAddr := "-"
	if handler != nil {
		httpAddr, handler = r.common.http, r.sidecar.Inbound(handler)
	}
	p, err := pod.Listen(ctx, pod.Options{
		HTTPAddr: httpAddr, Handler: handler,
		GRPCAddr: r.common.grpc, Register: register, Interceptor: r.sidecar.UnaryServer(),
		TLS: tls, Insecure: r.common.insecure, AdminAddr: r.common.admin, Metrics: r.metrics,
		DrainDelay: r.common.drainDelay, Grace: r.common.grace, Logger: r.logger,
	})
	if err != nil {
		return err
	}
	own, grpcAddr, adminAddr := p.Addrs()
	if httpAddr = own; own == "" {
		httpAddr = r.common.http
	}
	fmt.Fprintf(r.stdout, "sdc %s is ready: HTTP %s, gRPC %s, admin %s\n", r.name, httpAddr, grpcAddr, adminAddr)

	var group errgroup.Group
	exporting, stopExporter := context.WithCancel(context.WithoutCancel(ctx))
	working, stopWorkers := context.WithCancel(context.WithoutCancel(ctx))
	if r.exporter != nil {
		group.Go(func() error { return r.export(exporting) })
	}
	group.Go(func() error {
		defer stopExporter()
		var work errgroup.Group
		for _, w := range workers {
			work.Go(func() error { return w(working) })
		}
		<-working.Done()
		return work.Wait()
	})
	group.Go(func() error {
		defer stopWorkers()
		return p.Run(ctx)
	})
	err = group.Wait()
	r.logger.Info("stopped")
	return err
}
