package master

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/opnfv/clover/jmeter"
	"github.com/opnfv/clover/jmeter/builtin"
	"github.com/opnfv/clover/jmeter/process"
)

// ErrNoSlaves says that slaves were asked for and there is none.
var ErrNoSlaves = errors.New("there are no slaves")

// prepared is a plan with what runs it.
type prepared struct {
	plan   *jmeter.Plan
	runner jmeter.Runner
	slaves []string
	notes  []string
}

// Engines returns those that this master has.
func (m *Master) Engines() []string {
	if m.opts.JMeter == nil {
		return []string{Builtin}
	}
	return []string{Builtin, JMeter}
}

// Problem says why an engine cannot run a plan, or returns nil.
func (m *Master) Problem(engine string, plan *jmeter.Plan) error {
	if engine == JMeter && m.opts.JMeter != nil {
		return m.opts.JMeter.Check(plan)
	}
	return builtin.New(builtin.Options{}).Check(plan)
}

// engine chooses the engine of a run.
func (m *Master) engine(name string, slaves int) (string, error) {
	switch {
	case slaves < 0:
		return "", fmt.Errorf("%w: %d slaves; want 0 or more", jmeter.ErrInvalid, slaves)
	case name == "" && (m.opts.JMeter != nil || slaves > 0):
		name = JMeter
	case name == "":
		name = Builtin
	case name != JMeter && name != Builtin:
		return "", fmt.Errorf("%w: engine %.40q; want %s or %s", jmeter.ErrInvalid, name, JMeter, Builtin)
	}
	switch {
	case name == JMeter && m.opts.JMeter == nil:
		return "", fmt.Errorf("%w: this master has no JMeter; use the engine %s, without slaves", jmeter.ErrUnsupported, Builtin)
	case name == Builtin && slaves > 0:
		return "", fmt.Errorf("%w: slaves are JMeter's; the engine %s runs on the master alone", jmeter.ErrUnsupported, Builtin)
	}
	return name, nil
}

// prepare finds out whether a run can begin now: its targets and its slaves.
func (m *Master) prepare(ctx context.Context, plan *jmeter.Plan, engine string, slaves int) (*prepared, error) {
	policy, err := m.opts.Targets.policy(ctx, plan)
	if err != nil {
		return nil, err
	}
	p := &prepared{plan: plan}
	if engine == Builtin {
		p.runner = builtin.New(builtin.Options{Allow: policy.AllowAddress})
		return p, p.runner.Check(plan)
	}
	if err := m.opts.Targets.resolve(ctx, policy, plan); err != nil {
		return nil, err
	}
	if follows(plan) {
		p.plan = plan.WithoutRedirects()
		p.notes = append(p.notes, "JMeter follows no redirects here, since it would follow them to any target; the engine builtin follows those to targets that are allowed")
	}
	if slaves == 0 {
		p.runner = m.opts.JMeter
		return p, p.runner.Check(p.plan)
	}
	if p.slaves, err = m.slaves(ctx); err != nil {
		return nil, err
	}
	if n := len(p.slaves); n < slaves {
		p.notes = append(p.notes, fmt.Sprintf("%d slaves were asked for, %d answer and are used", slaves, n))
	}
	p.slaves = p.slaves[:min(len(p.slaves), slaves)]
	p.runner = &process.Remote{
		JMeter: *m.opts.JMeter, Slaves: p.slaves, Host: m.opts.Host, Keys: m.opts.Keys, Plain: m.opts.Plain,
	}
	return p, p.runner.Check(p.plan)
}

// follows reports whether a request of the plan follows redirects.
func follows(plan *jmeter.Plan) (yes bool) {
	plan.Walk(func(_ *jmeter.Group, s jmeter.Step) {
		if q, ok := s.(*jmeter.Request); ok && !q.NoRedirects {
			yes = true
		}
	})
	return yes
}

// slaveTimeout bounds how long a slave may take to answer.
const slaveTimeout = 2 * time.Second

// slaves returns the slaves that answer, by address.
func (m *Master) slaves(ctx context.Context) ([]string, error) {
	if m.opts.Slaves == nil {
		return nil, fmt.Errorf("%w: this master knows none; start clover-jmeter master with --slaves-service or --slave", ErrNoSlaves)
	}
	all, err := m.opts.Slaves(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSlaves, err)
	}
	var mu sync.Mutex
	var there []string
	var tries sync.WaitGroup
	for _, address := range all {
		tries.Go(func() {
			conn, err := (&net.Dialer{Timeout: slaveTimeout}).DialContext(ctx, "tcp", address)
			if err != nil {
				return
			}
			_ = conn.Close() // it was only to see that somebody listens
			mu.Lock()
			defer mu.Unlock()
			there = append(there, address)
		})
	}
	tries.Wait()
	if len(there) == 0 {
		return nil, fmt.Errorf("%w that answer; %d are known; are the pods of clover-jmeter-slave ready?", ErrNoSlaves, len(all))
	}
	slices.Sort(there)
	return there, nil
}

// SlavesOf returns the slaves behind a name: each of its addresses is one.
func SlavesOf(host, port string) func(ctx context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		addresses, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil {
			return nil, err
		}
		slices.Sort(addresses)
		for i := range addresses {
			addresses[i] = net.JoinHostPort(addresses[i], port)
		}
		return slices.Compact(addresses), nil
	}
}
