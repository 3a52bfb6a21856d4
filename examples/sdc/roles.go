package main

import (
	"context"
	"io"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"

	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/api/snort"
	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/examples/internal/sdc/balancer"
	"github.com/opnfv/clover/examples/internal/sdc/control"
	"github.com/opnfv/clover/examples/internal/sdc/ids"
	"github.com/opnfv/clover/examples/internal/sdc/proxy"
	"github.com/opnfv/clover/examples/internal/sdc/site"
)

func runProxy(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c common
	var o proxy.Options
	var never []string
	var redis string
	f := pflag.NewFlagSet("sdc proxy", pflag.ContinueOnError)
	c.add(f, "proxy-access-control", "127.0.0.1:9180", "127.0.0.1:50054")
	f.StringVar(&o.Upstream, "upstream", "http-lb:9180", "`address` that requests are forwarded to")
	f.StringVar(&o.Mirror, "mirror", "snort-ids:80", "`address` that gets a copy of each request; empty for none")
	f.DurationVar(&o.MirrorTimeout, "mirror-timeout", 2*time.Second, "longest time for a copy; requests do not wait for it")
	f.IntVar(&o.TrustedHops, "trusted-hops", 0, "proxies before this one that append to X-Forwarded-For: 1 behind an ingress gateway")
	f.DurationVar(&o.BlockFor, "block-for", 10*time.Minute, "how long an alert keeps its client out; 0: alerts are noted only")
	f.StringSliceVar(&never, "never-block", []string{"127.0.0.0/8", "::1/128"}, "`networks` that alerts cannot keep out")
	f.StringVar(&redis, "redis", "", "`address` or URL of Redis, where events are that an alert names by their key only")
	if err := parse(f, args, stderr, "Forwards requests, mirrors them to the IDS, blocks clients it has alerts of.\n\nUsage:\n  sdc proxy [flags]\n"); err != nil {
		return err
	}
	for _, text := range never {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return cli.Usagef("--never-block: %w", err)
		}
		o.NeverBlock = append(o.NeverBlock, p.Masked())
	}
	r, err := newRole("proxy", c, stdout, stderr)
	if err != nil {
		return err
	}
	if redis != "" {
		events, err := ids.NewRedis(redis)
		if err != nil {
			return cli.Usagef("--redis: %w", err)
		}
		defer func() { _ = events.Close() }()
		o.Events = events
	}
	o.Port, o.Transport, o.Logger = portOf(c.http), r.sends, r.logger
	p, err := proxy.New(o)
	if err != nil {
		return cli.Usagef("--upstream, --mirror: %w", err)
	}
	for outcome, read := range map[string]func(proxy.MirrorStats) uint64{
		"sent":    func(s proxy.MirrorStats) uint64 { return s.Sent },
		"failed":  func(s proxy.MirrorStats) uint64 { return s.Failed },
		"dropped": func(s proxy.MirrorStats) uint64 { return s.Dropped },
	} {
		r.counter("clover_sdc_mirrored_total", "Copies of requests, by what became of them.",
			prometheus.Labels{"outcome": outcome}, func() uint64 { return read(p.MirrorStats()) })
	}
	return r.run(ctx, p, func(s *grpc.Server) { nginx.RegisterControllerServer(s, &control.Nginx{Proxy: p}) }, p.Run)
}

func runBalancer(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c common
	var o balancer.Options
	f := pflag.NewFlagSet("sdc lb", pflag.ContinueOnError)
	c.add(f, "http-lb", "127.0.0.1:9180", "127.0.0.1:50054")
	f.StringSliceVar(&o.Servers, "servers", []string{"clover-server1:9180", "clover-server2:9180", "clover-server3:9180"}, "`addresses` of the servers")
	if err := parse(f, args, stderr, "Spreads requests over servers, round robin.\n\nUsage:\n  sdc lb [flags]\n"); err != nil {
		return err
	}
	r, err := newRole("lb", c, stdout, stderr)
	if err != nil {
		return err
	}
	o.Port, o.Transport, o.Logger = portOf(c.http), r.sends, r.logger
	b, err := balancer.New(o)
	if err != nil {
		return cli.Usagef("--servers: %w", err)
	}
	return r.run(ctx, b, func(s *grpc.Server) { nginx.RegisterControllerServer(s, &control.Nginx{Balancer: b}) })
}

func runServer(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c common
	var o site.Options
	f := pflag.NewFlagSet("sdc server", pflag.ContinueOnError)
	c.add(f, "clover-server", "127.0.0.1:9180", "127.0.0.1:50054")
	f.StringVar(&o.Root, "site-root", "", "`folder` of the site's files and uploads (default: there are none)")
	if err := parse(f, args, stderr, "Serves a site.\n\nUsage:\n  sdc server [flags]\n"); err != nil {
		return err
	}
	r, err := newRole("server", c, stdout, stderr)
	if err != nil {
		return err
	}
	o.Port, o.Logger = portOf(c.http), r.logger
	s, err := site.New(o)
	if err != nil {
		return cli.Usagef("--site-root: %w", err)
	}
	defer func() { _ = s.Close() }()
	return r.run(ctx, s, func(g *grpc.Server) { nginx.RegisterControllerServer(g, &control.Nginx{Server: s}) })
}

func runIDS(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c common
	var alert alertFlags
	var redis string
	hops := 1
	f := pflag.NewFlagSet("sdc ids", pflag.ContinueOnError)
	c.add(f, "snort-ids", "127.0.0.1:8080", "127.0.0.1:50052")
	c.identity.Port = "80"
	alert.add(f)
	f.StringVar(&redis, "redis", "", "`address` or URL of Redis, where events are kept (default: they are not)")
	f.IntVar(&hops, "trusted-hops", hops, "proxies before this one that append to X-Forwarded-For; the proxy of the sample is one")
	if err := parse(f, args, stderr, "Looks at mirrored requests by rules, and raises alerts.\n\nUsage:\n  sdc ids [flags]\n"); err != nil {
		return err
	}
	r, err := newRole("ids", c, stdout, stderr)
	if err != nil {
		return err
	}
	var events ids.Events
	if redis != "" {
		store, err := ids.NewRedis(redis)
		if err != nil {
			return cli.Usagef("--redis: %w", err)
		}
		defer func() { _ = store.Close() }()
		events = store
	}
	notifier, closeConn, err := alert.dial(r)
	if err != nil {
		return err
	}
	defer closeConn()
	alerts, engine := ids.NewAlerts(events, notifier, r.logger), ids.NewEngine()
	for outcome, read := range map[string]func(ids.AlertStats) uint64{
		"sent":    func(s ids.AlertStats) uint64 { return s.Sent },
		"failed":  func(s ids.AlertStats) uint64 { return s.Failed },
		"dropped": func(s ids.AlertStats) uint64 { return s.Dropped },
	} {
		r.counter("clover_sdc_alerts_total", "Alerts, by what became of them.",
			prometheus.Labels{"outcome": outcome}, func() uint64 { return read(alerts.Stats()) })
	}
	r.counter("clover_sdc_alerts_seen_total", "Alerts raised.", nil, func() uint64 { return alerts.Stats().Seen })
	r.counter("clover_sdc_events_not_stored_total", "Events that could not be kept in Redis.", nil,
		func() uint64 { return alerts.Stats().NotStored })
	monitor := &ids.Monitor{Engine: engine, Raise: alerts.Raise, TrustedHops: hops}
	return r.run(ctx, monitor, func(s *grpc.Server) { snort.RegisterControllerServer(s, &control.Snort{Engine: engine}) }, alerts.Run)
}
