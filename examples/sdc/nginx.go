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
	"github.com/opnfv/clover/loadbalancer/proxy"
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
	driver, helpers, err := r.assist(ctx, d, a)
	if err != nil {
		return err
	}
	a.Agent, err = loadbalancer.NewAgent(driver, loadbalancer.AgentOptions{Path: r.common.statePath("versions.json")})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	for _, run := range append(helpers, d.Run) {
		group.Go(func() error { return run(running) })
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

// assist does for a role what nginx cannot: keep clients out by a blocklist,
// take uploads.
func (r *role) assist(ctx context.Context, d loadbalancer.Driver, a *agent.Nginx) (loadbalancer.Driver, []func(context.Context) error, error) {
	switch {
	case a.Blocks != nil:
		deny := agent.NewDeny(d, a.Blocks.List)
		a.Blocks.Changed = deny.Refresh
		failed := func(err error) { r.logger.Error("the blocklist is not in effect", "error", err) }
		return deny, []func(context.Context) error{func(ctx context.Context) error { return deny.Run(ctx, failed) }}, nil
	case a.Role == agent.RoleServer:
		u, err := newUploads(ctx, d, proxy.Options{Logger: r.logger})
		if err != nil {
			return nil, nil, err
		}
		return u, []func(context.Context) error{u.Run}, nil
	}
	return d, nil, nil
}
