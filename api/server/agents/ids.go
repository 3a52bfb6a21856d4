package agents

import (
	"context"

	"google.golang.org/grpc"

	idsv1 "github.com/opnfv/clover/api/clover/ids/v1"
	"github.com/opnfv/clover/api/nginx"
	"github.com/opnfv/clover/api/snort"
)

// Protection serves the protection area.
type Protection struct {
	idsv1.UnimplementedIdsServiceServer
	Agents *Agents
}

var _ idsv1.IdsServiceServer = Protection{}

// askEngine asks each agent of an IDS and returns the first one's answer.
func askEngine[Res any](ctx context.Context, p Protection, name string, f func(context.Context, snort.ControllerClient) (Res, error)) (Target, Res, error) {
	return askEach(ctx, p.Agents, name, Detection, func(ctx context.Context, conn grpc.ClientConnInterface) (Res, error) {
		return f(ctx, snort.NewControllerClient(conn))
	})
}

// askProxy is the same for a proxy.
func askProxy[Res any](ctx context.Context, p Protection, name string, f func(context.Context, nginx.ControllerClient) (Res, error)) (Target, Res, error) {
	return askEach(ctx, p.Agents, name, Proxy, func(ctx context.Context, conn grpc.ClientConnInterface) (Res, error) {
		return f(ctx, nginx.NewControllerClient(conn))
	})
}

func askEach[Res any](ctx context.Context, a *Agents, name string, kind Kind, f func(context.Context, grpc.ClientConnInterface) (Res, error)) (t Target, first Res, err error) {
	if t, err = a.find(name, kind); err != nil {
		return t, first, err
	}
	rs, err := a.open(ctx, t)
	if err != nil {
		return t, first, err
	}
	defer rs.close()
	answers, err := askAll(ctx, rs, f)
	if err != nil {
		return t, first, err
	}
	return t, answers[0], nil
}

// AddRule implements idsv1.IdsServiceServer.
func (p Protection) AddRule(ctx context.Context, r *idsv1.AddRuleRequest) (*idsv1.AddRuleResponse, error) {
	_, res, err := askEngine(ctx, p, r.GetName(), func(ctx context.Context, c snort.ControllerClient) (*snort.AddRulesResponse, error) {
		return c.AddRules(ctx, orEmpty(r.GetRule()))
	})
	if err != nil {
		return nil, err
	}
	return &idsv1.AddRuleResponse{Message: res.GetMessage(), Rule: res.GetRule(), Rules: res.GetRules()}, nil
}

// StartEngine implements idsv1.IdsServiceServer.
func (p Protection) StartEngine(ctx context.Context, r *idsv1.StartEngineRequest) (*idsv1.StartEngineResponse, error) {
	_, res, err := askEngine(ctx, p, r.GetName(), func(ctx context.Context, c snort.ControllerClient) (*snort.StartSnortResponse, error) {
		return c.StartSnort(ctx, &snort.StartSnortRequest{})
	})
	if err != nil {
		return nil, err
	}
	return &idsv1.StartEngineResponse{Message: res.GetMessage(), Engine: res.GetEngine(), Pid: res.GetPid()}, nil
}

// StopEngine implements idsv1.IdsServiceServer.
func (p Protection) StopEngine(ctx context.Context, r *idsv1.StopEngineRequest) (*idsv1.StopEngineResponse, error) {
	_, res, err := askEngine(ctx, p, r.GetName(), func(ctx context.Context, c snort.ControllerClient) (*snort.StopSnortResponse, error) {
		return c.StopSnort(ctx, &snort.StopSnortRequest{})
	})
	if err != nil {
		return nil, err
	}
	return &idsv1.StopEngineResponse{Message: res.GetMessage(), Engine: res.GetEngine(), Pid: res.GetPid()}, nil
}

// GetEngine implements idsv1.IdsServiceServer.
func (p Protection) GetEngine(ctx context.Context, r *idsv1.GetEngineRequest) (*idsv1.GetEngineResponse, error) {
	t, res, err := askEngine(ctx, p, r.GetName(), func(ctx context.Context, c snort.ControllerClient) (*snort.GetStatusResponse, error) {
		return c.GetStatus(ctx, &snort.GetStatusRequest{})
	})
	if err != nil {
		return nil, err
	}
	return &idsv1.GetEngineResponse{Name: t.Name, Status: res}, nil
}

// ListBlocked implements idsv1.IdsServiceServer.
func (p Protection) ListBlocked(ctx context.Context, r *idsv1.ListBlockedRequest) (*idsv1.ListBlockedResponse, error) {
	t, res, err := askProxy(ctx, p, r.GetName(), func(ctx context.Context, c nginx.ControllerClient) (*nginx.ListBlockedResponse, error) {
		return c.ListBlocked(ctx, &nginx.ListBlockedRequest{})
	})
	if err != nil {
		return nil, err
	}
	return &idsv1.ListBlockedResponse{Name: t.Name, Blocked: res}, nil
}

// CreateBlock implements idsv1.IdsServiceServer.
func (p Protection) CreateBlock(ctx context.Context, r *idsv1.CreateBlockRequest) (*idsv1.CreateBlockResponse, error) {
	_, res, err := askProxy(ctx, p, r.GetName(), func(ctx context.Context, c nginx.ControllerClient) (*nginx.BlockResponse, error) {
		return c.Block(ctx, orEmpty(r.GetBlock()))
	})
	if err != nil {
		return nil, err
	}
	return &idsv1.CreateBlockResponse{Message: res.GetMessage(), Entry: res.GetEntry()}, nil
}

// DeleteBlock implements idsv1.IdsServiceServer.
func (p Protection) DeleteBlock(ctx context.Context, r *idsv1.DeleteBlockRequest) (*idsv1.DeleteBlockResponse, error) {
	_, res, err := askProxy(ctx, p, r.GetName(), func(ctx context.Context, c nginx.ControllerClient) (*nginx.UnblockResponse, error) {
		return c.Unblock(ctx, &nginx.UnblockRequest{Prefix: r.GetPrefix()})
	})
	if err != nil {
		return nil, err
	}
	return &idsv1.DeleteBlockResponse{Message: res.GetMessage()}, nil
}
