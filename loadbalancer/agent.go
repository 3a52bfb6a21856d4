package loadbalancer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"
)

// AgentOptions of an Agent. The zero value works.
type AgentOptions struct {
	// Path of the file that keeps the history over restarts. Empty: it is
	// kept in memory only.
	Path string
	// History is how many versions are kept. 0: 50.
	History int
	// Now is the time of versions. nil: time.Now.
	Now func() time.Time
}

// Agent stands before a Driver and numbers the changes. Its methods may be
// called concurrently; changes are made one after another.
type Agent struct {
	driver Driver
	opts   AgentOptions
	turn   chan struct{} // holds a token; whoever has it may change
	// versions are the history, oldest first, never empty. The slice is
	// replaced as a whole.
	versions atomic.Pointer[[]Version]
}

// Version is a configuration that was in effect.
type Version struct {
	// Number counts from 1. Version 0 is what was there before the first.
	Number uint64 `json:"number"`
	// Parent is the version that Undo goes back to.
	Parent uint64    `json:"parent"`
	Time   time.Time `json:"time,omitzero"`
	// Note says for people what the version is for.
	Note   string `json:"note,omitempty"`
	Config Config `json:"config"`
}

// Request asks an Agent for a change.
type Request struct {
	// Base is the version that the change is based on; if another is the
	// current one, the change is refused with ErrConflict. 0: whatever is
	// current.
	Base uint64
	// DryRun: only say what would change.
	DryRun bool
	// Note says for people what the change is for.
	Note string
	// Edit returns the configuration that is wanted. It must not change what
	// it is given. The Apply methods of the updates are such functions.
	Edit func(Config) (Config, error)
}

// Outcome says what became of a Request.
type Outcome struct {
	// Version is in effect now: a new one, or the current one if nothing
	// changes or it was a dry run.
	Version uint64
	// Changes is what changed, or with DryRun what would.
	Changes []Change
	// Result is the driver's; zero for a dry run.
	Result Result
}

// NewAgent returns an agent with the history that it finds. Resume then puts
// the last version into effect.
func NewAgent(d Driver, opts AgentOptions) (*Agent, error) {
	opts.History = cmp.Or(opts.History, 50)
	if opts.History < 2 {
		return nil, fmt.Errorf("history of %d versions: %w; want at least 2", opts.History, ErrInvalid)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	a := &Agent{driver: d, opts: opts, turn: make(chan struct{}, 1)}
	a.turn <- struct{}{}
	versions := []Version{{}}
	if opts.Path != "" {
		loaded, err := loadHistory(opts.Path)
		if err != nil {
			return nil, err
		}
		if len(loaded) > 0 {
			versions = loaded
		}
	}
	a.versions.Store(&versions)
	return a, nil
}

// Current returns the version that is in effect.
func (a *Agent) Current() Version {
	list := *a.versions.Load()
	v := list[len(list)-1]
	v.Config = v.Config.Clone()
	return v
}

// History returns the versions that are kept, newest first.
func (a *Agent) History() []Version {
	list := slices.Clone(*a.versions.Load())
	slices.Reverse(list)
	for i := range list {
		list[i].Config = list[i].Config.Clone()
	}
	return list
}

// Describe returns the driver's description.
func (a *Agent) Describe() Description { return a.driver.Describe() }

// Resume puts the current version into effect, after a restart of the agent
// or of what it drives. It is no new version.
func (a *Agent) Resume(ctx context.Context) (Result, error) {
	if err := a.lock(ctx); err != nil {
		return Result{}, err
	}
	defer a.unlock()
	v := a.Current()
	if v.Number == 0 {
		return Result{}, nil // there is nothing to resume
	}
	return a.driver.Apply(ctx, v.Config)
}

// Begin puts the current version into effect, as Resume does; where there is
// none yet, it makes first the first one.
func (a *Agent) Begin(ctx context.Context, first Config) error {
	if a.Current().Number > 0 {
		_, err := a.Resume(ctx)
		return err
	}
	_, err := a.Change(ctx, Request{Note: "the beginning", Edit: func(Config) (Config, error) { return first, nil }})
	return err
}

// Change makes a change. With an error, the version and what is in effect are
// as before.
func (a *Agent) Change(ctx context.Context, r Request) (Outcome, error) {
	if err := a.lock(ctx); err != nil {
		return Outcome{}, err
	}
	defer a.unlock()
	current := a.Current()
	return a.change(ctx, r, current.Number)
}

// Undo goes back to the version before the current one; again, to the one
// before that. What it makes is a new version. Edit of the request is not
// used. With nothing to go back to, the error matches ErrInvalid.
func (a *Agent) Undo(ctx context.Context, r Request) (Outcome, error) {
	if err := a.lock(ctx); err != nil {
		return Outcome{}, err
	}
	defer a.unlock()
	current := a.Current()
	if err := r.check(current.Number); err != nil {
		return Outcome{}, err
	}
	list := *a.versions.Load()
	i := slices.IndexFunc(list, func(v Version) bool { return v.Number == current.Parent })
	if current.Number == 0 || i < 0 {
		return Outcome{}, fmt.Errorf("undo of version %d: %w: the version before it is not kept", current.Number, ErrInvalid)
	}
	before := list[i]
	r.Edit = func(Config) (Config, error) { return before.Config.Clone(), nil }
	r.Note = cmp.Or(r.Note, fmt.Sprintf("undo of version %d", current.Number))
	return a.change(ctx, r, before.Parent)
}

// check refuses a request that is based on an old version.
func (r Request) check(current uint64) error {
	if r.Base != 0 && r.Base != current {
		return &ConflictError{Base: r.Base, Current: current}
	}
	return nil
}

// change is called with the turn.
func (a *Agent) change(ctx context.Context, r Request, parent uint64) (Outcome, error) {
	current := a.Current()
	if err := r.check(current.Number); err != nil {
		return Outcome{}, err
	}
	next, err := r.Edit(current.Config.Clone())
	if err != nil {
		return Outcome{}, err
	}
	if err := a.driver.Describe().Check(next); err != nil {
		return Outcome{}, err
	}
	next = next.Clone()
	o := Outcome{Version: current.Number, Changes: Diff(current.Config, next)}
	if r.DryRun {
		return o, nil
	}
	if o.Result, err = a.driver.Apply(ctx, next); err != nil {
		return Outcome{}, err
	}
	if current.Number > 0 && reflect.DeepEqual(current.Config, next) {
		return o, nil
	}
	v := Version{Number: current.Number + 1, Parent: parent, Time: a.opts.Now().UTC(), Note: r.Note, Config: next}
	if err := a.keep(v); err != nil {
		_, back := a.driver.Apply(context.WithoutCancel(ctx), current.Config)
		return Outcome{}, errors.Join(fmt.Errorf("the change was taken back, because it could not be kept: %w", err), back)
	}
	o.Version = v.Number
	return o, nil
}

// keep adds a version to the history.
func (a *Agent) keep(v Version) error {
	list := slices.Concat(*a.versions.Load(), []Version{v})
	list = list[max(0, len(list)-a.opts.History):]
	if a.opts.Path != "" {
		if err := saveHistory(a.opts.Path, list); err != nil {
			return err
		}
	}
	a.versions.Store(&list)
	return nil
}

func (a *Agent) lock(ctx context.Context) error {
	select {
	case <-a.turn:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the change before: %w", ctx.Err())
	}
}

func (a *Agent) unlock() { a.turn <- struct{}{} }
