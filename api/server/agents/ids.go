package agents

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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
	t, answers, err := askEach(ctx, p.Agents, name, Detection, func(ctx context.Context, conn grpc.ClientConnInterface) (Res, error) {
		return f(ctx, snort.NewControllerClient(conn))
	})
	return first(t, answers, err)
}

// askProxy is the same for a proxy.
func askProxy[Res any](ctx context.Context, p Protection, name string, f func(context.Context, nginx.ControllerClient) (Res, error)) (Target, []Res, error) {
	return askEach(ctx, p.Agents, name, Proxy, func(ctx context.Context, conn grpc.ClientConnInterface) (Res, error) {
		return f(ctx, nginx.NewControllerClient(conn))
	})
}

func first[Res any](t Target, answers []Res, err error) (Target, Res, error) {
	var none Res
	if err != nil {
		return t, none, err
	}
	return t, answers[0], nil
}

// askEach asks every agent of a target, also when some fail: then the error
// has the words of each, and says how many have done it.
func askEach[Res any](ctx context.Context, a *Agents, name string, kind Kind, f func(context.Context, grpc.ClientConnInterface) (Res, error)) (Target, []Res, error) {
	t, err := a.find(name, kind)
	if err != nil {
		return t, nil, err
	}
	rs, err := a.open(ctx, t)
	if err != nil {
		return t, nil, err
	}
	defer rs.close()
	var answers []Res
	var failed []error
	for _, r := range rs {
		if res, err := call(ctx, r, f); err != nil {
			failed = append(failed, err)
		} else {
			answers = append(answers, res)
		}
	}
	return t, answers, together(failed, len(answers))
}

// together makes one error of those of several agents.
func together(failed []error, done int) error {
	if len(failed) == 0 {
		return nil
	}
	st := status.Convert(failed[0])
	text := st.Message()
	for _, err := range failed[1:] {
		text += "; " + status.Convert(err).Message()
	}
	if done > 0 {
		text += fmt.Sprintf("; %d other agents have done it: try again when all answer", done)
	}
	return status.Error(st.Code(), text)
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

// ListBlocked implements idsv1.IdsServiceServer. A client is there once, as
// the agent has it that keeps it out for longest.
func (p Protection) ListBlocked(ctx context.Context, r *idsv1.ListBlockedRequest) (*idsv1.ListBlockedResponse, error) {
	t, answers, err := askProxy(ctx, p, r.GetName(), func(ctx context.Context, c nginx.ControllerClient) (*nginx.ListBlockedResponse, error) {
		return c.ListBlocked(ctx, &nginx.ListBlockedRequest{})
	})
	if err != nil {
		return nil, err
	}
	return &idsv1.ListBlockedResponse{Name: t.Name, Blocked: merged(answers)}, nil
}

// merged joins the lists of several agents and adds up their ledgers.
func merged(answers []*nginx.ListBlockedResponse) *nginx.ListBlockedResponse {
	if len(answers) == 1 {
		return answers[0]
	}
	all := &nginx.ListBlockedResponse{NotBlocked: map[string]uint64{}}
	entries := map[string]*nginx.BlockEntry{}
	for _, a := range answers {
		all.Alerts += a.GetAlerts()
		for reason, n := range a.GetNotBlocked() {
			all.NotBlocked[reason] += n
		}
		for _, e := range a.GetEntries() {
			if before := entries[e.GetPrefix()]; before == nil || longer(e, before) {
				entries[e.GetPrefix()] = e
			}
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(entries)) {
		all.Entries = append(all.Entries, entries[prefix])
	}
	return all
}

// longer reports whether a block lasts longer than another.
func longer(a, b *nginx.BlockEntry) bool {
	if a.GetUntil() == nil || b.GetUntil() == nil {
		return a.GetUntil() == nil
	}
	return a.GetUntil().AsTime().After(b.GetUntil().AsTime())
}

// CreateBlock implements idsv1.IdsServiceServer.
func (p Protection) CreateBlock(ctx context.Context, r *idsv1.CreateBlockRequest) (*idsv1.CreateBlockResponse, error) {
	t, answers, err := askProxy(ctx, p, r.GetName(), func(ctx context.Context, c nginx.ControllerClient) (*nginx.BlockResponse, error) {
		return c.Block(ctx, orEmpty(r.GetBlock()))
	})
	_, res, err := first(t, answers, err)
	if err != nil {
		return nil, err
	}
	return &idsv1.CreateBlockResponse{Message: res.GetMessage(), Entry: res.GetEntry()}, nil
}

// DeleteBlock implements idsv1.IdsServiceServer. An agent that has no such
// block is no fault, unless none has.
func (p Protection) DeleteBlock(ctx context.Context, r *idsv1.DeleteBlockRequest) (*idsv1.DeleteBlockResponse, error) {
	var missing error
	_, answers, err := askProxy(ctx, p, r.GetName(), func(ctx context.Context, c nginx.ControllerClient) (*nginx.UnblockResponse, error) {
		res, err := c.Unblock(ctx, &nginx.UnblockRequest{Prefix: r.GetPrefix()})
		if status.Code(err) == codes.NotFound {
			missing = err
			return nil, nil
		}
		return res, err
	})
	if err != nil {
		return nil, err
	}
	for _, res := range answers {
		if res != nil {
			return &idsv1.DeleteBlockResponse{Message: res.GetMessage()}, nil
		}
	}
	return nil, missing
}
