package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/opnfv/clover/api/snort"
	"github.com/opnfv/clover/ids"
	"github.com/opnfv/clover/ids/engine"
)

// Snort answers snort.Controller for an engine. Methods may be called
// concurrently; changes are made one after another.
type Snort struct {
	snort.UnimplementedControllerServer
	Engine engine.Engine
	// Dialect is the language of the engine's rules.
	Dialect ids.Dialect
	// Base are the rules that come with the engine. nil: none.
	Base *ids.Ruleset
	// LocalFile keeps the rules that users add; they stand for those of Base
	// with their sid. It is needed.
	LocalFile string
	// Alerts counts alerts by what became of them. nil: nobody does.
	Alerts func() map[string]uint64

	mu sync.Mutex
}

var _ snort.ControllerServer = (*Snort)(nil)

// Load gives the engine its rules, those of users among them.
func (s *Snort) Load(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	local, err := s.local()
	if err == nil {
		_, err = s.replace(ctx, local)
	}
	return err
}

// replace gives the engine the rules of Base and of users. mu is held.
func (s *Snort) replace(ctx context.Context, local *ids.Ruleset) (engine.Counts, error) {
	all := &ids.Ruleset{Dialect: s.Dialect}
	if s.Base != nil {
		all.Items = append(all.Items, s.Base.Items...)
	}
	for r := range local.Rules() {
		if _, err := all.Put(r); err != nil {
			return engine.Counts{}, err
		}
	}
	return s.Engine.Replace(ctx, all.AppendText(nil))
}

// local reads the rules of users; there are none before the first.
func (s *Snort) local() (*ids.Ruleset, error) {
	local, err := ids.ReadFile(s.LocalFile, s.Dialect)
	if errors.Is(err, fs.ErrNotExist) {
		return &ids.Ruleset{Dialect: s.Dialect}, nil
	}
	return local, err
}

// AddRules implements snort.Controller. The rule is in force when it returns,
// or everything is as it was.
func (s *Snort) AddRules(ctx context.Context, r *snort.AddRulesRequest) (*snort.AddRulesResponse, error) {
	rule, err := ids.Contract{
		SID: r.GetSid(), Protocol: r.GetProtocol(), SrcIP: r.GetSrcIp(), SrcPort: r.GetSrcPort(),
		DestIP: r.GetDestIp(), DestPort: r.GetDestPort(), Message: r.GetMsg(), Rev: r.GetRev(), Content: r.GetContent(),
		Action: r.GetAction(), Direction: r.GetDirection(), Class: r.GetClasstype(), Priority: r.GetPriority(),
		Flow: r.GetFlow(), NoCase: r.GetNocase(), Buffer: r.GetBuffer(),
	}.Rule(s.Dialect)
	if err != nil {
		return nil, ruleError(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	local, err := s.local()
	if err != nil {
		return nil, ruleError(err)
	}
	if there := local.Find(rule.GID(), rule.SID()); there != nil && there.Rev() > rule.Rev() {
		return nil, status.Errorf(codes.InvalidArgument, "rev: rule %d is there in the later revision %d; give it a higher one", rule.SID(), there.Rev())
	}
	if _, err := local.Put(rule); err != nil {
		return nil, ruleError(err)
	}
	counts, err := s.add(ctx, local)
	if err != nil {
		return nil, ruleError(err)
	}
	return &snort.AddRulesResponse{Message: "Added to local rules", Rule: rule.String(), Rules: int32(counts.Loaded)}, nil
}

// add puts rules of users into force and then keeps them, so that the file
// never has what the engine refuses. mu is held.
func (s *Snort) add(ctx context.Context, local *ids.Ruleset) (engine.Counts, error) {
	before, err := s.Engine.Current()
	if err != nil {
		return engine.Counts{}, err
	}
	counts, err := s.replace(ctx, local)
	if err != nil {
		return counts, err
	}
	if err := ids.WriteFile(s.LocalFile, local); err != nil {
		_, back := s.Engine.Replace(context.WithoutCancel(ctx), before)
		return counts, errors.Join(err, back)
	}
	return counts, nil
}

// ruleError gives an error of rules or of the engine its gRPC code.
func ruleError(err error) error {
	code := codes.FailedPrecondition
	switch {
	case errors.Is(err, ids.ErrInvalid), errors.Is(err, ids.ErrSyntax), errors.Is(err, engine.ErrRules):
		code = codes.InvalidArgument
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	}
	return status.Error(code, err.Error())
}

// StartSnort implements snort.Controller.
func (s *Snort) StartSnort(ctx context.Context, _ *snort.StartSnortRequest) (*snort.StartSnortResponse, error) {
	state, err := s.Engine.Start(ctx)
	if err != nil {
		return nil, ruleError(err)
	}
	return &snort.StartSnortResponse{Message: state.Started(), Engine: state.Name, Pid: int32(state.PID)}, nil
}

// StopSnort implements snort.Controller.
func (s *Snort) StopSnort(ctx context.Context, _ *snort.StopSnortRequest) (*snort.StopSnortResponse, error) {
	state, err := s.Engine.Stop(ctx)
	if err != nil {
		return nil, ruleError(err)
	}
	return &snort.StopSnortResponse{Message: state.Stopped(), Engine: state.Name, Pid: int32(state.PID)}, nil
}

// GetStatus implements snort.Controller.
func (s *Snort) GetStatus(ctx context.Context, _ *snort.GetStatusRequest) (*snort.GetStatusResponse, error) {
	state := s.Engine.State()
	res := &snort.GetStatusResponse{Engine: state.Name, Version: state.Version}
	if s.Alerts != nil {
		res.Alerts = s.Alerts()
	}
	if !state.Running {
		res.Problem = "the engine is stopped"
		if state.LastExit != "" {
			res.Problem = "the engine has ended by itself: " + state.LastExit
		}
		return res, nil
	}
	res.Pid = int32(state.PID)
	if err := s.Engine.Health(ctx); err != nil {
		res.Problem = fmt.Sprintf("the engine does not answer: %v", err)
		return res, nil
	}
	counts, err := s.Engine.Counts(ctx)
	if err != nil {
		res.Problem = fmt.Sprintf("the engine does not say how many rules it has: %v", err)
		return res, nil
	}
	res.Rules, res.FailedRules = int32(counts.Loaded), int32(counts.Failed)
	return res, nil
}
