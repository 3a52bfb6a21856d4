package agents

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	lbv1 "github.com/opnfv/clover/api/clover/loadbalancer/v1"
	"github.com/opnfv/clover/api/nginx"
)

// Balancers serves the load balancer area.
type Balancers struct {
	lbv1.UnimplementedLoadBalancerServiceServer
	Agents *Agents
}

var _ lbv1.LoadBalancerServiceServer = Balancers{}

// steered are the kinds that have a configuration.
var steered = []Kind{Balancer, Server, Proxy}

// changed is what became of a configuration at one agent.
type changed interface {
	GetMessage() string
	GetChange() *nginx.Change
}

// change is a request that an agent can try first.
type change interface {
	proto.Message
	GetDryRun() bool
}

// rehearse returns a request as a dry run.
func rehearse[Req change](req Req) Req {
	m := proto.Clone(req).ProtoReflect()
	m.Set(m.Descriptor().Fields().ByName("dry_run"), protoreflect.ValueOfBool(true))
	dry, _ := m.Interface().(Req)
	return dry
}

// modify changes a target at each of its agents, or at none: the change is
// tried everywhere first, and undone where it is done when one fails.
func modify[Req change, Res changed](ctx context.Context, a *Agents, t Target, req Req,
	f func(nginx.ControllerClient, context.Context, Req, ...grpc.CallOption) (Res, error),
) (rs replicas, answers []Res, err error) {
	ask := func(req Req) func(context.Context, grpc.ClientConnInterface) (Res, error) {
		return func(ctx context.Context, conn grpc.ClientConnInterface) (Res, error) {
			return f(nginx.NewControllerClient(conn), ctx, req)
		}
	}
	if rs, err = a.open(ctx, t); err != nil {
		return nil, nil, err
	}
	defer rs.close()
	var tried []Res
	if len(rs) > 1 && !req.GetDryRun() {
		if tried, err = askAll(ctx, rs, ask(rehearse(req))); err != nil {
			return nil, nil, err
		}
	}
	answers, err = askAll(ctx, rs, ask(req))
	if err != nil && !req.GetDryRun() {
		err = undoAll(context.WithoutCancel(ctx), rs, tried, answers, err)
	}
	return rs, answers, err
}

// undoAll takes a change back from the agents that have answered, and from one
// whose answer did not come. An agent that had it so already has no new
// version: to undo there would take back an older change.
func undoAll[Res changed](ctx context.Context, rs replicas, tried, answers []Res, cause error) error {
	for i, answer := range answers {
		if answer.GetChange().GetVersion() == tried[i].GetChange().GetVersion() {
			continue
		}
		if err := undo(ctx, rs[i], answer.GetChange().GetVersion()); err != nil {
			cause = status.Errorf(status.Code(cause), "%s; and it could not be undone: %s; undo it by hand",
				status.Convert(cause).Message(), status.Convert(err).Message())
		}
	}
	switch status.Code(cause) {
	case codes.DeadlineExceeded, codes.Unavailable:
	default:
		return cause
	}
	failed := rs[len(answers)]
	advice := fmt.Sprintf("it may have done it all the same: look with get lb %s", failed.target.Name)
	if len(answers) < len(tried) {
		// Asked again, after whatever it may be doing.
		err := undo(ctx, failed, tried[len(answers)].GetChange().GetVersion()+1)
		switch status.Code(err) {
		case codes.OK:
			advice = "it had done it all the same, which was undone"
		case codes.Aborted:
			advice = "asked again, it has not done it; no replica has the change"
		default:
			advice += " when it answers again; then set what you want once more, which brings all replicas to the same"
		}
	}
	return status.Errorf(status.Code(cause), "%s; %s", status.Convert(cause).Message(), advice)
}

// undo takes back a version, if it is still the newest.
func undo(ctx context.Context, r replica, version uint64) error {
	_, err := call(ctx, r, func(ctx context.Context, conn grpc.ClientConnInterface) (*nginx.UndoResponse, error) {
		return nginx.NewControllerClient(conn).Undo(ctx, &nginx.UndoRequest{IfVersion: version})
	})
	return err
}

// SetLB implements lbv1.LoadBalancerServiceServer.
func (b Balancers) SetLB(ctx context.Context, r *lbv1.SetLBRequest) (*lbv1.SetLBResponse, error) {
	t, err := b.Agents.find(r.GetName(), Balancer)
	if err != nil {
		return nil, err
	}
	rs, answers, err := modify(ctx, b.Agents, t, orEmpty(r.GetChange()), nginx.ControllerClient.ModifyLB)
	if err != nil {
		return nil, err
	}
	res := &lbv1.SetLBResponse{Message: answers[0].GetMessage()}
	for i, answer := range answers {
		res.Replicas = append(res.Replicas, &lbv1.ReplicaLB{Address: rs[i].address, Answer: answer})
	}
	return res, nil
}

// SetServer implements lbv1.LoadBalancerServiceServer.
func (b Balancers) SetServer(ctx context.Context, r *lbv1.SetServerRequest) (*lbv1.SetServerResponse, error) {
	t, err := b.Agents.find(r.GetName(), Server)
	if err != nil {
		return nil, err
	}
	rs, answers, err := modify(ctx, b.Agents, t, orEmpty(r.GetChange()), nginx.ControllerClient.ModifyServer)
	if err != nil {
		return nil, err
	}
	res := &lbv1.SetServerResponse{Message: answers[0].GetMessage()}
	for i, answer := range answers {
		res.Replicas = append(res.Replicas, &lbv1.ReplicaServer{Address: rs[i].address, Answer: answer})
	}
	return res, nil
}

// SetProxy implements lbv1.LoadBalancerServiceServer.
func (b Balancers) SetProxy(ctx context.Context, r *lbv1.SetProxyRequest) (*lbv1.SetProxyResponse, error) {
	t, err := b.Agents.find(r.GetName(), Proxy)
	if err != nil {
		return nil, err
	}
	rs, answers, err := modify(ctx, b.Agents, t, orEmpty(r.GetChange()), nginx.ControllerClient.ModifyProxy)
	if err != nil {
		return nil, err
	}
	res := &lbv1.SetProxyResponse{Message: answers[0].GetMessage()}
	for i, answer := range answers {
		res.Replicas = append(res.Replicas, &lbv1.ReplicaProxy{Address: rs[i].address, Answer: answer})
	}
	return res, nil
}

// ApplyBalancer implements lbv1.LoadBalancerServiceServer.
func (b Balancers) ApplyBalancer(ctx context.Context, r *lbv1.ApplyBalancerRequest) (*lbv1.ApplyBalancerResponse, error) {
	t, err := b.Agents.find(r.GetName(), steered...)
	if err != nil {
		return nil, err
	}
	_, answers, err := modify(ctx, b.Agents, t, orEmpty(r.GetChange()), nginx.ControllerClient.ApplyConfig)
	if err != nil {
		return nil, err
	}
	return &lbv1.ApplyBalancerResponse{Message: answers[0].GetMessage(), Changes: changes(answers)}, nil
}

// UndoBalancer implements lbv1.LoadBalancerServiceServer.
func (b Balancers) UndoBalancer(ctx context.Context, r *lbv1.UndoBalancerRequest) (*lbv1.UndoBalancerResponse, error) {
	t, err := b.Agents.find(r.GetName(), steered...)
	if err != nil {
		return nil, err
	}
	_, answers, err := modify(ctx, b.Agents, t, orEmpty(r.GetChange()), nginx.ControllerClient.Undo)
	if err != nil {
		return nil, err
	}
	return &lbv1.UndoBalancerResponse{Message: answers[0].GetMessage(), Changes: changes(answers)}, nil
}

// orEmpty returns a message to send where a request has none.
func orEmpty[M interface {
	*T
	proto.Message
}, T any](m M) M {
	if m == nil {
		return new(T)
	}
	return m
}

func changes[Res changed](answers []Res) (list []*nginx.Change) {
	for _, answer := range answers {
		list = append(list, answer.GetChange())
	}
	return list
}

// ListVersions implements lbv1.LoadBalancerServiceServer.
func (b Balancers) ListVersions(ctx context.Context, r *lbv1.ListVersionsRequest) (*lbv1.ListVersionsResponse, error) {
	t, err := b.Agents.find(r.GetName(), steered...)
	if err != nil {
		return nil, err
	}
	res, err := askFirst(ctx, b.Agents, t, func(ctx context.Context, conn grpc.ClientConnInterface) (*nginx.ListVersionsResponse, error) {
		return nginx.NewControllerClient(conn).ListVersions(ctx, &nginx.ListVersionsRequest{})
	})
	if err != nil {
		return nil, err
	}
	return &lbv1.ListVersionsResponse{Versions: res.GetVersions()}, nil
}

// ListBalancers implements lbv1.LoadBalancerServiceServer. One that does not
// answer is there with its problem.
func (b Balancers) ListBalancers(ctx context.Context, _ *lbv1.ListBalancersRequest) (*lbv1.ListBalancersResponse, error) {
	res := &lbv1.ListBalancersResponse{}
	targets := b.Agents.list(steered...)
	res.Balancers = make([]*lbv1.Balancer, len(targets))
	inParallel(len(targets), func(i int) {
		res.Balancers[i], _, _ = b.state(ctx, targets[i])
	})
	return res, nil
}

// GetBalancer implements lbv1.LoadBalancerServiceServer.
func (b Balancers) GetBalancer(ctx context.Context, r *lbv1.GetBalancerRequest) (*lbv1.GetBalancerResponse, error) {
	t, err := b.Agents.find(r.GetName(), steered...)
	if err != nil {
		return nil, err
	}
	state, config, err := b.state(ctx, t)
	if config == nil {
		return nil, err
	}
	return &lbv1.GetBalancerResponse{Balancer: state, Config: config}, nil
}

// state asks each agent of a target. The configuration is that of the one
// with the lowest version; the error is why there is none.
func (b Balancers) state(ctx context.Context, t Target) (*lbv1.Balancer, *nginx.GetConfigResponse, error) {
	s := &lbv1.Balancer{Name: t.Name, Address: t.Address}
	rs, err := b.Agents.open(ctx, t)
	if err != nil {
		s.Problem = status.Convert(err).Message()
		return s, nil, err
	}
	defer rs.close()
	configs, errs := make([]*nginx.GetConfigResponse, len(rs)), make([]error, len(rs))
	inParallel(len(rs), func(i int) {
		configs[i], errs[i] = call(ctx, rs[i], func(ctx context.Context, conn grpc.ClientConnInterface) (*nginx.GetConfigResponse, error) {
			return nginx.NewControllerClient(conn).GetConfig(ctx, &nginx.GetConfigRequest{})
		})
	})
	s.Replicas = int32(len(rs))
	var lowest *nginx.GetConfigResponse
	for i, c := range configs {
		if errs[i] != nil {
			s.Problem, err = status.Convert(errs[i]).Message(), errs[i]
			continue
		}
		s.Ready++
		if lowest != nil && c.GetCurrent().GetConfig() != lowest.GetCurrent().GetConfig() {
			s.Problem = fmt.Sprintf("the configurations of its %d replicas differ; apply one to all", len(rs))
		}
		if lowest == nil || c.GetCurrent().GetNumber() < lowest.GetCurrent().GetNumber() {
			lowest = c
		}
	}
	if lowest == nil {
		return s, nil, err
	}
	s.Version, s.Driver, s.DriverVersion = lowest.GetCurrent().GetNumber(), lowest.GetDriver(), lowest.GetDriverVersion()
	return s, lowest, nil
}
