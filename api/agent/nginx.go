package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/loadbalancer"
)

// Role says what an agent is beside, and so which of the methods that change
// it are answered.
type Role string

// The roles.
const (
	RoleBalancer Role = "load balancer"
	RoleProxy    Role = "proxy"
	RoleServer   Role = "server"
)

// Nginx answers nginx.Controller. Methods may be called concurrently.
type Nginx struct {
	nginx.UnimplementedControllerServer
	Role  Role
	Agent *loadbalancer.Agent
	// Port is the one that is listened on by something else than the agent's
	// driver: changes that name another are refused. "": the driver listens,
	// and its port may be changed.
	Port string
	// SiteRoots are the folders that sites may be in, or in folders below. A
	// configuration with any other is refused. None: there are no sites.
	SiteRoots []string
	// Blocks keeps clients out, beside a proxy. nil: nobody is.
	Blocks *Blocks
}

var _ nginx.ControllerServer = (*Nginx)(nil)

// what users know as the answers to a change.
const (
	modified      = "Modified nginx config"
	wouldModify   = "Would modify nginx config; nothing was done"
	nothingToDo   = "nginx config is so already"
	wouldDoNought = "nginx config is so already; nothing would be done"
)

// rpcError gives an error its gRPC code.
func rpcError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	code := codes.FailedPrecondition
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case errors.Is(err, loadbalancer.ErrInvalid):
		code = codes.InvalidArgument
	case errors.Is(err, loadbalancer.ErrUnsupported):
		code = codes.Unimplemented
	case errors.Is(err, loadbalancer.ErrConflict):
		code = codes.Aborted
	}
	return status.Error(code, err.Error())
}

// is refuses a method of another role.
func (n *Nginx) is(role Role, method string) error {
	if n.Role == role {
		return nil
	}
	return status.Errorf(codes.Unimplemented, "%s changes a %s; this is a %s", method, role, n.Role)
}

// checkPort refuses the port of an update that cannot be changed, and takes it
// off one that is so already.
func (n *Nginx) checkPort(port *string) error {
	if n.Port == "" || *port == "" {
		return nil
	}
	if *port != n.Port {
		return field("server_port", fmt.Errorf("this %s listens on %s, not on %s", n.Role, n.Port, *port))
	}
	*port = ""
	return nil
}

// allowed refuses what no caller may ask for: files outside of the site's
// folders, and listeners where somebody else listens.
func (n *Nginx) allowed(c loadbalancer.Config) error {
	for _, s := range c.Sites {
		if !slices.ContainsFunc(n.SiteRoots, func(root string) bool { return below(s.Root, root) }) {
			return field("site_root", fmt.Errorf("%s is no folder of this %s; it has %q", s.Root, n.Role, n.SiteRoots))
		}
	}
	if n.Port != "" && len(c.Listeners) > 0 {
		return field("listeners", fmt.Errorf("this %s listens by itself, on %s", n.Role, n.Port))
	}
	for _, l := range c.Listeners {
		if l.CertFile != "" || l.KeyFile != "" {
			return field("listeners", errors.New("certificates are given where the agent is started, not by its callers"))
		}
	}
	return nil
}

// below reports whether a clean path is a folder or lies in it.
func below(path, folder string) bool {
	path, folder = strings.TrimSuffix(path, "/"), strings.TrimSuffix(folder, "/")
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// base is what requests for a change have in common.
type base interface {
	GetDryRun() bool
	GetIfVersion() uint64
}

// change makes a change and describes it.
func (n *Nginx) change(ctx context.Context, r base, note string, edit func(loadbalancer.Config) (loadbalancer.Config, error)) (string, *nginx.Change, error) {
	return n.do(r, func(request loadbalancer.Request) (loadbalancer.Outcome, error) {
		request.Note = note
		request.Edit = func(c loadbalancer.Config) (loadbalancer.Config, error) {
			next, err := edit(c)
			return next, errors.Join(err, n.allowed(next))
		}
		return n.Agent.Change(ctx, request)
	})
}

func (n *Nginx) do(r base, f func(loadbalancer.Request) (loadbalancer.Outcome, error)) (string, *nginx.Change, error) {
	o, err := f(loadbalancer.Request{Base: r.GetIfVersion(), DryRun: r.GetDryRun()})
	if err != nil {
		return "", nil, rpcError(err)
	}
	change := &nginx.Change{Version: o.Version, Diff: lines(o.Changes), DryRun: r.GetDryRun()}
	promise := o.Result.Promise
	if r.GetDryRun() {
		promise = n.Agent.Describe().Promise
	} else {
		change.Took = durationpb.New(o.Result.Took)
	}
	change.LosesNone, change.Promise = promise.LosesNone, promise.Reason
	return message(r.GetDryRun(), len(o.Changes) > 0), change, nil
}

func message(dryRun, changes bool) string {
	switch {
	case dryRun && changes:
		return wouldModify
	case dryRun:
		return wouldDoNought
	case changes:
		return modified
	}
	return nothingToDo
}

func lines(changes []loadbalancer.Change) (list []string) {
	for _, c := range changes {
		list = append(list, c.String())
	}
	return list
}

// ModifyLB implements nginx.Controller.
func (n *Nginx) ModifyLB(ctx context.Context, r *nginx.ModifyLBRequest) (*nginx.ModifyLBResponse, error) {
	if err := n.is(RoleBalancer, "ModifyLB"); err != nil {
		return nil, err
	}
	update, err := balancerUpdate(r)
	if err = errors.Join(err, n.checkPort(&update.Port)); err != nil {
		return nil, rpcError(err)
	}
	var before, after loadbalancer.Config
	text, change, err := n.change(ctx, r, "ModifyLB", func(c loadbalancer.Config) (loadbalancer.Config, error) {
		var err error
		before = c
		after, err = update.Apply(c)
		return after, err
	})
	if err != nil {
		return nil, err
	}
	return &nginx.ModifyLBResponse{
		Message: text, Change: change,
		Previous: addresses(before, update.Group), Servers: addresses(after, update.Group),
	}, nil
}

// addresses lists the servers of a group; of the only one without a name.
func addresses(c loadbalancer.Config, group string) (list []string) {
	for _, g := range c.Groups {
		if g.Name != group && len(c.Groups) > 1 {
			continue
		}
		for _, s := range g.Servers {
			list = append(list, s.Address)
		}
	}
	return list
}

// ModifyServer implements nginx.Controller.
func (n *Nginx) ModifyServer(ctx context.Context, r *nginx.ModifyServerRequest) (*nginx.ModifyServerResponse, error) {
	if err := n.is(RoleServer, "ModifyServer"); err != nil {
		return nil, err
	}
	update, err := serverUpdate(r)
	if err = errors.Join(err, n.checkPort(&update.Port)); err != nil {
		return nil, rpcError(err)
	}
	text, change, err := n.change(ctx, r, "ModifyServer", update.Apply)
	if err != nil {
		return nil, err
	}
	res := &nginx.ModifyServerResponse{Message: text, Change: change}
	if r.GetDryRun() || len(update.Files) == 0 {
		return res, nil
	}
	sites := n.Agent.Current().Config.Sites
	files, err := loadbalancer.CopyFiles(sites[0].Root, update.Files)
	if err != nil {
		return nil, n.takeBack(ctx, change, fmt.Errorf("only %d of %d files are in place: %w", files, len(update.Files), err))
	}
	res.Message, res.Files = modified, int32(files)
	return res, nil
}

// takeBack undoes a change whose second half has failed.
func (n *Nginx) takeBack(ctx context.Context, change *nginx.Change, cause error) error {
	if len(change.GetDiff()) > 0 {
		_, err := n.Agent.Undo(context.WithoutCancel(ctx), loadbalancer.Request{Base: change.GetVersion(), Note: "taken back"})
		cause = errors.Join(fmt.Errorf("the configuration is as it was: %w", cause), err)
	}
	return status.Error(codes.FailedPrecondition, cause.Error())
}

// ModifyProxy implements nginx.Controller.
func (n *Nginx) ModifyProxy(ctx context.Context, r *nginx.ModifyProxyRequest) (*nginx.ModifyProxyResponse, error) {
	if err := n.is(RoleProxy, "ModifyProxy"); err != nil {
		return nil, err
	}
	update, err := proxyUpdate(r)
	if err = errors.Join(err, n.checkPort(&update.Port)); err != nil {
		return nil, rpcError(err)
	}
	block, unblock := update.Block, update.Unblock
	update.Block, update.Unblock = nil, nil // they are in the blocklist
	if len(block)+len(unblock) > 0 && n.Blocks == nil {
		return nil, status.Error(codes.FailedPrecondition, "block, unblock: this proxy has no blocklist")
	}
	text, change, err := n.change(ctx, r, "ModifyProxy", update.Apply)
	if err != nil {
		return nil, err
	}
	res := &nginx.ModifyProxyResponse{Message: text, Change: change}
	if n.Blocks == nil {
		return res, nil
	}
	if len(block)+len(unblock) > 0 {
		res.Message = message(r.GetDryRun(), true)
		if !r.GetDryRun() {
			if err := n.Blocks.set(ctx, block, unblock); err != nil {
				return nil, n.takeBack(ctx, change, err)
			}
		}
	}
	for _, e := range n.Blocks.List.Entries() {
		res.Blocked = append(res.Blocked, plain(e.Prefix))
	}
	return res, nil
}

// GetConfig implements nginx.Controller.
func (n *Nginx) GetConfig(context.Context, *nginx.GetConfigRequest) (*nginx.GetConfigResponse, error) {
	current, err := version(n.Agent.Current(), loadbalancer.Config{}, false)
	if err != nil {
		return nil, err
	}
	d := n.Agent.Describe()
	return &nginx.GetConfigResponse{
		Current: current, Driver: d.Name, DriverVersion: d.Version, LosesNone: d.Promise.LosesNone, Promise: d.Promise.Reason,
	}, nil
}

// version describes a version, and with compare what it has changed of the one
// before.
func version(v loadbalancer.Version, before loadbalancer.Config, compare bool) (*nginx.Version, error) {
	text, err := loadbalancer.FormatConfig(v.Config)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "version %d: %v", v.Number, err)
	}
	out := &nginx.Version{Number: v.Number, Config: string(text), Note: v.Note}
	if !v.Time.IsZero() {
		out.Time = timestamppb.New(v.Time)
	}
	if compare {
		out.Diff = lines(loadbalancer.Diff(before, v.Config))
	}
	return out, nil
}

// ListVersions implements nginx.Controller.
func (n *Nginx) ListVersions(context.Context, *nginx.ListVersionsRequest) (*nginx.ListVersionsResponse, error) {
	history := n.Agent.History()
	res := &nginx.ListVersionsResponse{}
	for i, v := range history {
		if v.Number == 0 {
			break // nothing was there yet
		}
		var before loadbalancer.Config
		oldest := i == len(history)-1
		if !oldest {
			before = history[i+1].Config
		}
		out, err := version(v, before, !oldest)
		if err != nil {
			return nil, err
		}
		res.Versions = append(res.Versions, out)
	}
	return res, nil
}

// ApplyConfig implements nginx.Controller.
func (n *Nginx) ApplyConfig(ctx context.Context, r *nginx.ApplyConfigRequest) (*nginx.ApplyConfigResponse, error) {
	wanted, err := loadbalancer.ReadConfig([]byte(r.GetConfig()))
	if err != nil {
		return nil, rpcError(fmt.Errorf("config: %w", err))
	}
	text, change, err := n.change(ctx, r, "ApplyConfig", func(loadbalancer.Config) (loadbalancer.Config, error) { return wanted, nil })
	if err != nil {
		return nil, err
	}
	return &nginx.ApplyConfigResponse{Message: text, Change: change}, nil
}

// Undo implements nginx.Controller.
func (n *Nginx) Undo(ctx context.Context, r *nginx.UndoRequest) (*nginx.UndoResponse, error) {
	text, change, err := n.do(r, func(request loadbalancer.Request) (loadbalancer.Outcome, error) {
		return n.Agent.Undo(ctx, request)
	})
	if err != nil {
		return nil, err
	}
	return &nginx.UndoResponse{Message: text, Change: change}, nil
}
