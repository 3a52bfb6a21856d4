package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/opnfv/clover/api/server"
	"github.com/opnfv/clover/api/server/agents"
	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/examples/internal/node"
	"github.com/opnfv/clover/examples/internal/sdc"
	"github.com/opnfv/clover/tracing"
)

// sampleMesh is the sample, once it runs.
type sampleMesh struct{ running atomic.Pointer[sdc.Sample] }

// steer lets the API steer the sample.
func (m *sampleMesh) steer(api *server.Options) error {
	known, err := agents.New(agents.Options{
		Targets: sdc.Targets(), Dial: m.dial,
		Lookup: func(_ context.Context, host string) ([]string, error) { return []string{host}, nil },
	})
	if err != nil {
		return err
	}
	api.Balancers, api.Protection = agents.Balancers{Agents: known}, agents.Protection{Agents: known}
	return nil
}

func (m *sampleMesh) dial(ctx context.Context, name string) (net.Conn, error) {
	s := m.running.Load()
	if s == nil {
		return nil, errors.New("the sample does not run yet")
	}
	return s.DialAgent(ctx, name)
}

// sample runs the sample mesh until ctx ends, and then until its spans have
// been sent.
func (s settings) sample(ctx context.Context, a node.Addrs, m *sampleMesh, logger *slog.Logger) error {
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
	mesh, err := sdc.New(exporter.Export, sdc.Options{
		Rate: s.rate, Clients: true, BlockFor: 30 * time.Second, StateDir: filepath.Join(s.node.DataDir, "sample"), Logger: logger,
	})
	if err != nil {
		return err
	}
	m.running.Store(mesh)
	exporterCtx, stopExporter := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	group.Go(func() error { return exporter.Run(exporterCtx) })
	group.Go(func() error {
		defer stopExporter()
		return mesh.Run(ctx)
	})
	return group.Wait()
}
