package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
)

// recorder is a driver that only remembers, and fails when it is told to.
type recorder struct {
	mu      sync.Mutex
	applied []Config
	fail    error
	busy    atomic.Int32
}

func (r *recorder) Describe() Description { return Description{Name: "recorder"} }

func (r *recorder) Apply(_ context.Context, c Config) (Result, error) {
	if r.busy.Add(1) != 1 {
		return Result{}, errors.New("two changes at once")
	}
	defer r.busy.Add(-1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return Result{}, r.fail
	}
	r.applied = append(r.applied, c)
	return Result{Changed: true}, nil
}

func servers(addresses ...string) func(Config) (Config, error) {
	u := BalancerUpdate{Group: "web"}
	for _, a := range addresses {
		u.Servers = append(u.Servers, Server{Address: a})
	}
	return u.Apply
}

func newAgent(t *testing.T, d Driver, path string) *Agent {
	t.Helper()
	a, err := NewAgent(d, AgentOptions{Path: path, History: 5})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func change(t *testing.T, a *Agent, r Request) Outcome {
	t.Helper()
	o, err := a.Change(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAgentVersions(t *testing.T) {
	d := &recorder{}
	a := newAgent(t, d, "")
	if o := change(t, a, Request{Edit: servers("a:80"), DryRun: true}); o.Version != 0 || len(o.Changes) == 0 || len(d.applied) != 0 {
		t.Errorf("a dry run: %+v", o)
	}
	if o := change(t, a, Request{Edit: servers("a:80"), Note: "first"}); o.Version != 1 || !o.Result.Changed {
		t.Errorf("%+v", o)
	}
	if o := change(t, a, Request{Edit: servers("a:80")}); o.Version != 1 || len(o.Changes) != 0 {
		t.Errorf("the same again: %+v", o)
	}
	if o := change(t, a, Request{Edit: servers("b:80"), Base: 1}); o.Version != 2 || len(o.Changes) != 2 {
		t.Errorf("%+v", o)
	}
	var conflict *ConflictError
	if _, err := a.Change(t.Context(), Request{Edit: servers("c:80"), Base: 1}); !errors.As(err, &conflict) || conflict.Current != 2 || !errors.Is(err, ErrConflict) {
		t.Errorf("a change of an old version: %v", err)
	}
	d.fail = &ApplyError{Driver: "recorder", Step: "test", Output: "no"}
	if _, err := a.Change(t.Context(), Request{Edit: servers("c:80")}); !errors.Is(err, ErrRejected) || a.Current().Number != 2 {
		t.Errorf("a driver that fails: %v, version %d", err, a.Current().Number)
	}
	d.fail = nil
	if _, err := a.Change(t.Context(), Request{Edit: servers("c:80; }")}); !errors.Is(err, ErrInvalid) {
		t.Errorf("%v", err)
	}
	if h := a.History(); len(h) != 3 || h[0].Number != 2 || h[1].Note != "first" || h[2].Number != 0 {
		t.Errorf("%+v", h)
	}
}

func TestAgentUndo(t *testing.T) {
	a := newAgent(t, &recorder{}, "")
	for _, address := range []string{"a:80", "b:80", "c:80"} {
		change(t, a, Request{Edit: servers(address)})
	}
	for i, want := range []string{"b:80", "a:80"} {
		o, err := a.Undo(t.Context(), Request{})
		if err != nil || o.Version != uint64(4+i) || a.Current().Config.Groups[0].Servers[0].Address != want {
			t.Errorf("undo %d: %+v, %v; want %s", i, o, err, want)
		}
	}
	if _, err := a.Undo(t.Context(), Request{Base: 4}); !errors.Is(err, ErrConflict) {
		t.Errorf("%v", err)
	}
	change(t, a, Request{Edit: servers("d:80")})
	if _, err := a.Undo(t.Context(), Request{}); err != nil || a.Current().Config.Groups[0].Servers[0].Address != "a:80" {
		t.Errorf("%v", err)
	}
	// What is too old is not kept.
	for range 2 {
		if _, err := a.Undo(t.Context(), Request{}); err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%v", err)
			}
			return
		}
	}
	t.Error("undo goes back further than the history")
}

func TestAgentResumes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.json")
	a := newAgent(t, &recorder{}, path)
	for i := range 8 {
		change(t, a, Request{Edit: servers(fmt.Sprintf("s%d:80", i))})
	}
	d := &recorder{}
	b := newAgent(t, d, path)
	if _, err := b.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(b.Current(), a.Current()) || !reflect.DeepEqual(b.History(), a.History()) || len(b.History()) != 5 {
		t.Errorf("%+v\nwant %+v", b.Current(), a.Current())
	}
	if len(d.applied) != 1 || d.applied[0].Groups[0].Servers[0].Address != "s7:80" {
		t.Errorf("%+v", d.applied)
	}
	if o := change(t, b, Request{Edit: servers("next:80"), Base: 8}); o.Version != 9 {
		t.Errorf("%+v", o)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewAgent(d, AgentOptions{Path: path}); err == nil {
		t.Error("a broken history is accepted")
	}
}

// TestAgentTakesBack: what cannot be kept is not left in effect.
func TestAgentTakesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d := &recorder{}
	a := newAgent(t, d, filepath.Join(dir, "history.json"))
	change(t, a, Request{Edit: servers("a:80")})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Change(t.Context(), Request{Edit: servers("b:80")}); err == nil {
		t.Fatal("a change is accepted that could not be kept")
	}
	if last := d.applied[len(d.applied)-1]; a.Current().Number != 1 || last.Groups[0].Servers[0].Address != "a:80" {
		t.Errorf("version %d, in effect %+v", a.Current().Number, last)
	}
}

func TestAgentSerialises(t *testing.T) {
	d := &recorder{}
	a := newAgent(t, d, filepath.Join(t.TempDir(), "history.json"))
	var callers sync.WaitGroup
	var conflicts, made atomic.Int32
	for i := range 20 {
		callers.Go(func() {
			_, err := a.Change(t.Context(), Request{Base: a.Current().Number, Edit: servers(fmt.Sprintf("s%d:80", i))})
			switch {
			case err == nil:
				made.Add(1)
			case errors.Is(err, ErrConflict):
				conflicts.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if n := a.Current().Number; int(n) != len(d.applied) || made.Load() != int32(n) || made.Load()+conflicts.Load() != 20 {
		t.Errorf("version %d after %d changes, %d made, %d conflicts", n, len(d.applied), made.Load(), conflicts.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	<-a.turn
	if _, err := a.Change(ctx, Request{Edit: servers("x:80")}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	a.turn <- struct{}{}
}
