package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// restoreLimit bounds how long an engine may take to load the old rules
// again.
const restoreLimit = time.Minute

// ruleSet changes the rules of an engine, one change after the other.
type ruleSet struct {
	file    ruleFile
	test    func(ctx context.Context, path string) (Counts, error) // by the engine's program
	running func() bool
	reload  func(ctx context.Context, want Counts) (Counts, error) // in the engine that runs

	loading *sync.Mutex // of the process

	mu sync.Mutex
}

// Current implements Rules.
func (r *ruleSet) Current() ([]byte, error) { return r.file.read() }

// Replace implements Rules.
func (r *ruleSet) Replace(ctx context.Context, rules []byte) (Counts, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	staged, err := r.file.stage(rules)
	if err != nil {
		return Counts{}, fmt.Errorf("write the new rules: %w", err)
	}
	defer func() { _ = os.Remove(staged) }() // swap has moved it
	want, err := r.test(ctx, staged)
	if err != nil {
		return Counts{}, err
	}
	r.loading.Lock() // an engine that starts has read the old rules, or will read the new ones
	defer r.loading.Unlock()
	undo, err := r.file.swap(staged)
	if err != nil {
		if undo != nil {
			err = errors.Join(err, undo())
		}
		return Counts{}, fmt.Errorf("put the new rules in place: %w", err)
	}
	if !r.running() {
		return want, nil
	}
	got, err := r.reload(ctx, want)
	if err == nil && (got.Failed > 0 || got.Loaded != want.Loaded) {
		err = fmt.Errorf("the engine counts %d rules loaded and %d failed, its test %d", got.Loaded, got.Failed, want.Loaded)
	}
	if err != nil {
		return Counts{}, errors.Join(fmt.Errorf("load the new rules: %w", err), r.restore(ctx, undo))
	}
	return got, nil
}

// restore brings the old rules back, on disk and in the engine.
func (r *ruleSet) restore(ctx context.Context, undo func() error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreLimit)
	defer cancel()
	if err := undo(); err != nil {
		return fmt.Errorf("bring the old rules back: %w", err)
	}
	if !r.running() {
		return nil // it loads them when it starts
	}
	if _, err := r.reload(ctx, Counts{}); err != nil {
		return fmt.Errorf("the old rules are in place, but the engine does not confirm them; restart it: %w", err)
	}
	return nil
}
