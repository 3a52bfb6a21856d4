package main

import (
	"context"
	"os"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/opnfv/clover/api/agent"
	nginxapi "github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/loadbalancer"
	"github.com/opnfv/clover/loadbalancer/nginx"
)

func registerNginx(a *agent.Nginx) func(*grpc.Server) {
	return func(s *grpc.Server) { nginxapi.RegisterControllerServer(s, a) }
}

// runNginx runs a role that nginx serves.
func (r *role) runNginx(ctx context.Context, config loadbalancer.Config, a *agent.Nginx) error {
	dir := r.common.statePath("nginx")
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "clover-nginx-"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
	}
	d, err := nginx.New(ctx, nginx.Options{
		Program: r.common.nginx, Dir: dir, ShutdownTimeout: r.common.grace, Logger: r.logger,
	})
	if err != nil {
		return err
	}
	config.Listeners = []loadbalancer.Listener{{Address: r.common.http}}
	for i := range config.Groups {
		config.Groups[i].Host = loadbalancer.HostOfClient // nginx cannot do otherwise
	}
	run := []func(context.Context) error{d.Run}
	var driver loadbalancer.Driver = d
	if a.Blocks != nil {
		deny := agent.NewDeny(d, a.Blocks.List)
		driver, a.Blocks.Changed = deny, deny.Refresh
		run = append(run, func(ctx context.Context) error {
			return deny.Run(ctx, func(err error) { r.logger.Error("the blocklist is not in effect", "error", err) })
		})
	}
	a.Agent, err = loadbalancer.NewAgent(driver, loadbalancer.AgentOptions{Path: r.common.statePath("versions.json")})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	for _, f := range run {
		group.Go(func() error { return f(running) })
	}
	group.Go(func() error {
		defer stop() // nginx serves until the pod has drained
		if err := a.Agent.Begin(ctx, config); err != nil {
			return err
		}
		return r.run(ctx, nil, registerNginx(a))
	})
	return group.Wait()
}
