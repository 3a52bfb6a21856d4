package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/opnfv/clover/clovisor"
	"github.com/opnfv/clover/clovisor/config"
	"github.com/opnfv/clover/clovisor/export"
	"github.com/opnfv/clover/clovisor/plugin"
	"github.com/opnfv/clover/clovisor/target"
	"github.com/opnfv/clover/clovisor/target/kubernetes"
	"github.com/opnfv/clover/tracing"
)

// trace traces until ctx ends, and prints what it has seen.
func trace(ctx context.Context, s *settings, stdout, stderr io.Writer) error {
	source, err := s.source()
	if err != nil {
		return err
	}
	o := clovisor.Options{Source: source, Kernel: s.kernel, Node: s.node, Logger: s.logger, Sinks: s.sinks(stdout)}
	if s.redisClient != nil {
		defer func() { _ = s.redisClient.Close() }()
	}
	if o.Config, err = config.NewSource(config.SourceOptions{File: s.file, Flags: s.values, Redis: s.redisClient, Logger: s.logger}); err != nil {
		return err
	}
	if s.kubernetes || s.otlp != "" || s.file != "" || s.redisClient != nil {
		o.OTLP = clovisor.NewOTLP(tracing.ExporterOptions{Logger: s.logger, NoCompression: !s.gzip})
	}
	o.Plugins = plugin.NewHost(plugin.Options{Dir: s.pluginDir, Logger: s.logger}) // limits come with the configuration
	defer o.Plugins.Close()
	t, err := clovisor.New(o)
	if err != nil {
		return explain(err)
	}
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return t.Run(ctx) })
	group.Go(func() error { return s.http.serve(ctx, t, s.logger) })
	if !s.kubernetes {
		fmt.Fprintf(stderr, "clovisor: tracing %s; Ctrl-C ends it\n", s)
	}
	err = group.Wait()
	ledger := t.Ledger()
	summarize(stderr, &ledger, time.Since(start))
	return err
}

// source says what to trace.
func (s *settings) source() (clovisor.Source, error) {
	if s.kubernetes {
		return s.cluster()
	}
	netns := ""
	if s.netns != "" {
		var err error
		if netns, err = target.NetnsPath(s.netns); err != nil {
			return nil, err
		}
	}
	ports, egress := s.targetPorts()
	targets, err := target.Links(netns, s.interfaces, ports, egress)
	if err != nil {
		return nil, err
	}
	return clovisor.Static(targets), nil
}

// cluster follows the pods of this node.
func (s *settings) cluster() (clovisor.Source, error) {
	var access *rest.Config
	var err error
	if s.kubeconfig == "" {
		access, err = rest.InClusterConfig()
	} else {
		access, err = clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("access to the cluster: %w\nRun it in a pod, as 'cloverctl create system clovisor' does, or name a file with --kubeconfig", err)
	}
	return kubernetes.New(access, kubernetes.Options{Node: s.node, Logger: s.logger})
}

func (s *settings) sinks(stdout io.Writer) []clovisor.Sink {
	format, ok := s.format()
	if !ok {
		return nil
	}
	return []clovisor.Sink{clovisor.LinesSink{Lines: export.NewLines(stdout, export.LineOptions{Format: format})}}
}

// explain says what to do about an error of the kernel.
func explain(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w\nPrograms in the kernel need CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN: try sudo. 'clovisor check' says what this machine lacks; --pcap FILE reads a capture without privileges", err)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("%w\n'clovisor check' says what this machine lacks; --pcap FILE reads a capture on any", err)
	}
	return err
}

// replay reads a capture file.
func replay(ctx context.Context, s *settings, stdout, stderr io.Writer) error {
	in := io.Reader(os.Stdin)
	if s.pcap != "-" {
		file, err := os.Open(s.pcap)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	// Unnamed ports are those that the first bytes tell of.
	o := clovisor.ReplayOptions{Sinks: s.sinks(stdout), Ports: map[uint16]string{}, OnlyPorts: len(s.ports) > 0}
	l := s.config.Limits
	o.Session.MaxConnections, o.Session.MaxMemoryBytes, o.Session.MaxHeldBytes = l.Connections, l.MemoryBytes, int(l.ConnectionBytes)
	ports, _ := s.targetPorts()
	for _, p := range ports {
		o.Ports[p.Number] = p.Protocol
	}
	if s.otlp != "" {
		o.OTLP = clovisor.NewOTLP(tracing.ExporterOptions{Logger: s.logger, NoCompression: !s.gzip, QueueSpans: replayQueue})
		if err := o.OTLP.SetEndpoint(s.otlp); err != nil {
			return err
		}
	}
	start := time.Now()
	ledger, err := clovisor.Replay(ctx, in, o)
	summarize(stderr, &ledger, time.Since(start))
	return err
}

// replayQueue is how many spans may wait: a file is read faster than spans
// are sent.
const replayQueue = 1 << 20
