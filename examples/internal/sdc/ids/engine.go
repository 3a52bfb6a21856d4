// Package ids is the sample's snort-ids: it looks at the copies of requests
// by rules, keeps the events, and tells the proxy of them. [Engine] is
// Clover's own small engine, which sees HTTP only.
package ids

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/opnfv/clover/ids"
	"github.com/opnfv/clover/ids/engine"
)

// EngineName is what the engine calls itself.
const EngineName = "clover-ids"

// Engine is an [engine.Engine] that looks at requests, by those rules that ask
// for texts in a request; others are skipped and counted. It begins started,
// without rules. New rules are used at once.
type Engine struct {
	began time.Time

	mu      sync.RWMutex
	stopped bool
	text    []byte
	rules   []*matcher
	counts  engine.Counts
	seen    uint64
	alerts  uint64
}

var _ engine.Engine = (*Engine)(nil)

// NewEngine returns an engine.
func NewEngine() *Engine { return &Engine{began: time.Now()} }

// Replace implements engine.Rules.
func (e *Engine) Replace(_ context.Context, rules []byte) (engine.Counts, error) {
	set, err := ids.Parse(string(rules), ids.ParseOptions{Name: "rules"})
	if err != nil {
		return engine.Counts{}, &engine.RuleError{Engine: EngineName, Problems: []engine.RuleProblem{{Message: err.Error()}}}
	}
	var counts engine.Counts
	var compiled []*matcher
	for r := range set.Rules() {
		if r.Disabled {
			continue
		}
		m := compile(r)
		if m == nil {
			counts.Skipped++
			continue
		}
		counts.Loaded++
		compiled = append(compiled, m)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.text, e.rules, e.counts = rules, compiled, counts
	return counts, nil
}

// Current implements engine.Rules.
func (e *Engine) Current() ([]byte, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.text, nil
}

// Counts implements engine.Rules.
func (e *Engine) Counts(context.Context) (engine.Counts, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.counts, nil
}

// Run implements engine.Lifecycle. There is no process to run.
func (e *Engine) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Start implements engine.Lifecycle.
func (e *Engine) Start(context.Context) (engine.State, error) { return e.set(false), nil }

// Stop implements engine.Lifecycle.
func (e *Engine) Stop(context.Context) (engine.State, error) { return e.set(true), nil }

func (e *Engine) set(stopped bool) engine.State {
	e.mu.Lock()
	e.stopped = stopped
	e.mu.Unlock()
	return e.State()
}

// State implements engine.Observer.
func (e *Engine) State() engine.State {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return engine.State{Name: EngineName, Running: !e.stopped, PID: os.Getpid(), Since: e.began}
}

// Health implements engine.Observer.
func (e *Engine) Health(context.Context) error { return nil }

// Stats implements engine.Observer. A packet is a request.
func (e *Engine) Stats(context.Context) (engine.Stats, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return engine.Stats{Uptime: time.Since(e.began), Packets: e.seen, Alerts: e.alerts, Rules: e.counts}, nil
}

// Match returns the rules that match a request; none while the engine is
// stopped.
func (e *Engine) Match(r *Request) (matched []*ids.Rule) {
	e.mu.Lock()
	rules, stopped := e.rules, e.stopped
	e.seen++
	e.mu.Unlock()
	if stopped {
		return nil
	}
	for _, m := range rules {
		if m.matches(r) {
			matched = append(matched, m.rule)
		}
	}
	if len(matched) > 0 {
		e.mu.Lock()
		e.alerts += uint64(len(matched))
		e.mu.Unlock()
	}
	return matched
}
