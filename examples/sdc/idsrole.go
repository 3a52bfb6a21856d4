package main

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"

	"github.com/opnfv/clover/api/agent"
	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/api/snort"
	sampleids "github.com/opnfv/clover/examples/internal/sdc/ids"
	"github.com/opnfv/clover/ids"
	alertredis "github.com/opnfv/clover/ids/alert/redis"
	"github.com/opnfv/clover/ids/starter"
)

// idsFlags are those of sdc ids.
type idsFlags struct {
	common common
	alerts alertFlags
	redis  string
	hops   int
}

func runIDS(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	x := idsFlags{hops: 1}
	f := pflag.NewFlagSet("sdc ids", pflag.ContinueOnError)
	x.common.add(f, "snort-ids", "127.0.0.1:8080", "127.0.0.1:50052")
	x.common.identity.Port = "80"
	x.alerts.add(f)
	f.StringVar(&x.redis, "redis", "", "`address` or URL of Redis, where events are kept (default: they are not)")
	f.IntVar(&x.hops, "trusted-hops", x.hops, "proxies before this one that append to X-Forwarded-For; the proxy of the sample is one")
	if err := parse(f, args, stderr, "Looks at mirrored requests by rules, and raises alerts.\n\nUsage:\n  sdc ids [flags]\n"); err != nil {
		return err
	}
	r, err := newRole("ids", x.common, stdout, stderr)
	if err != nil {
		return err
	}
	state := x.common.state
	if state == "" {
		if state, err = os.MkdirTemp("", "clover-ids-"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(state) }()
	}
	return x.run(ctx, r, state)
}

// run runs the role; what it keeps is in the folder state.
func (x *idsFlags) run(ctx context.Context, r *role, state string) error {
	o := sampleids.PipelineOptions{SpoolDir: filepath.Join(state, "alerts"), Logger: r.logger}
	sink := &agent.ProxySink{InTrace: r.sidecar.InTrace}
	proxy, err := x.alerts.dial(r)
	if err != nil {
		return err
	}
	if proxy != nil {
		defer func() { _ = proxy.Close() }()
		sink.Client, o.Proxy = nginx.NewControllerClient(proxy), sink
	}
	if x.redis != "" {
		client, err := redisClient(x.redis)
		if err != nil {
			return err
		}
		defer func() { _ = client.Close() }()
		kept := alertredis.NewSink(client, alertredis.SinkOptions{})
		o.Redis, sink.Keep = kept, kept.Add
	}
	engine, source := sampleids.NewEngine(), sampleids.NewSource()
	o.Source = source
	pipeline, err := sampleids.NewPipeline(o)
	if err != nil {
		return err
	}
	base, _ := starter.Rules(ids.Suricata)
	control := &agent.Snort{Engine: engine, Base: base, LocalFile: filepath.Join(state, "local.rules"), Alerts: pipeline.Ledger}
	if err := control.Load(ctx); err != nil {
		return err
	}
	r.countAlerts(pipeline.Ledger)
	monitor := &sampleids.Monitor{Engine: engine, Raise: source.Raise, TrustedHops: x.hops, Traceparent: r.sidecar.Traceparent}
	return r.run(ctx, monitor, func(s *grpc.Server) { snort.RegisterControllerServer(s, control) }, pipeline.Run)
}

// countAlerts exposes the ledger of alerts.
func (r *role) countAlerts(ledger func() map[string]uint64) {
	r.counter("clover_sdc_alerts_seen_total", "Alerts raised.", nil, func() uint64 { return ledger()["seen"] })
	for _, sink := range []string{"proxy", "redis"} {
		for _, outcome := range []string{"delivered", "rejected", "lost"} {
			r.counter("clover_sdc_alerts_total", "Alerts, by whom they were for and what became of them.",
				prometheus.Labels{"sink": sink, "outcome": outcome}, func() uint64 { return ledger()[sink+" "+outcome] })
		}
	}
}
