// Package spool keeps on disk what a store cannot take now, and brings it
// there in order when it can.
//
// [Open] puts a spool before a store. As long as the store takes what comes,
// nothing is written to the disk. When it is away, or slow beyond
// [Options.Patience], batches go to the disk and are acknowledged when they
// are durable there; from then on all batches go that way until the spool is
// empty, so that those of one source stay in order, watermarks with their
// spans. A kill of the process or the machine loses nothing of it.
//
// A batch may reach the store twice: when a write that failed had landed, and
// when the process is killed just after one that did not. Spans and metrics
// count once all the same, because stores know them again; losses that a
// source reported in that very batch may count twice.
//
// The spool is bounded. When it is full, Write returns an error that matches
// visibility.ErrUnavailable, and the sender keeps what it has.
package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/opnfv/clover/visibility"
)

// DefaultBytes is the bound of a spool that is given none.
const DefaultBytes = 1 << 30

// Options of a spool. Dir is needed.
type Options struct {
	// Dir is made if it is missing. It belongs to one process at a time.
	Dir string
	// MaxBytes bounds the files in Dir. 0: DefaultBytes.
	MaxBytes int64
	// Patience is how long the store may be silent until what comes goes to
	// the spool without asking the store first. 0: 5 s.
	Patience time.Duration
	// MaxBackoff bounds the pause between attempts to bring the oldest batch
	// to the store. 0: 5 s.
	MaxBackoff time.Duration
	// Logger is told when spooling begins and ends; nil: nobody is.
	Logger *slog.Logger
}

// Store is a visibility.Store with a spool before it. Everything but Write,
// Clear and Close goes to the store as it is. Methods may be called
// concurrently.
type Store struct {
	visibility.Store
	opt Options
	log *log

	stop     context.CancelFunc
	draining sync.WaitGroup
	wake     chan struct{} // holds a token when something was added
	closing  sync.Once
	closeErr error

	// front is held while the oldest batch is brought to the store, or what
	// waits is dropped.
	front sync.Mutex

	mu     sync.Mutex    // guards what follows
	under  int           // writes that go to the store directly
	heard  time.Time     // the first of them began, or the last answer came
	gate   chan struct{} // closed when what came last has left the spool; nil: nobody waits
	status Status
}

var (
	_ visibility.Store        = (*Store)(nil)
	_ visibility.StateSwapper = (*Store)(nil)
)

var errClosed = fmt.Errorf("spool is closed: %w", visibility.ErrUnavailable)

// Open puts a spool before a store, which is the spool's from then on: Close
// closes both. What an earlier process has left in the folder is brought to
// the store first. An error that matches visibility.ErrLocked says that another
// process has the folder.
func Open(store visibility.Store, o Options) (*Store, error) {
	if o.Dir == "" {
		return nil, fmt.Errorf("spool: a folder is needed: %w", visibility.ErrInvalid)
	}
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultBytes)
	o.Patience, o.MaxBackoff = cmp.Or(o.Patience, 5*time.Second), cmp.Or(o.MaxBackoff, 5*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	log, err := openLog(o.Dir, o.MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("open spool %s: %w", o.Dir, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Store{Store: store, opt: o, log: log, stop: stop, wake: make(chan struct{}, 1)}
	s.draining.Go(func() { s.drain(ctx) })
	return s, nil
}

// Close closes the store and the spool. What waits stays on the disk.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.stop()
		err := s.Store.Close() // answers what is under way
		s.draining.Wait()
		s.closeErr = errors.Join(err, s.log.close())
	})
	return s.closeErr
}

// Write implements visibility.Writer: the batch is durable in the store, or
// in the spool, which the receipt says.
func (s *Store) Write(ctx context.Context, b *visibility.Batch) (visibility.Receipt, error) {
	var cause error
	s.waitTurn(ctx)
	if s.enter() {
		receipt, err := s.Store.Write(ctx, b)
		s.leave(err == nil)
		if err == nil || !spoolable(ctx, err) {
			return receipt, err
		}
		cause = err
	}
	if err := s.log.append(b); err != nil {
		if errors.Is(err, errFull) {
			s.note(func(st *Status) { st.Refused++ })
		}
		return visibility.Receipt{}, errors.Join(err, cause)
	}
	s.spooled(len(b.Spans), cause)
	return visibility.Receipt{Spooled: len(b.Spans)}, nil
}

// waitTurn waits while the last of the spool is brought to a store that takes
// it: without that, a steady stream would go by the disk for ever.
func (s *Store) waitTurn(ctx context.Context) {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate == nil {
		return
	}
	timer := time.NewTimer(s.opt.Patience)
	defer timer.Stop()
	select {
	case <-gate:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// shut has writers wait, or lets them go on.
func (s *Store) shut(wait bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case wait && s.gate == nil:
		s.gate = make(chan struct{})
	case !wait && s.gate != nil:
		close(s.gate)
		s.gate = nil
	}
}

// enter reports whether the store is to be asked first.
func (s *Store) enter() bool {
	if !s.log.empty() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.under > 0 && now.Sub(s.heard) > s.opt.Patience {
		return false
	}
	if s.under == 0 {
		s.heard = now
	}
	s.under++
	return true
}

func (s *Store) leave(answered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under--
	if answered {
		s.heard = time.Now()
	}
}

// hopeless reports whether the store will never take what it refused so.
func hopeless(err error) bool {
	return errors.Is(err, visibility.ErrInvalid) || errors.Is(err, visibility.ErrLimit)
}

// spoolable reports whether a batch that the store has not taken is to wait:
// not if it never will, and not if the sender has gone or must change
// something.
func spoolable(ctx context.Context, err error) bool {
	return !hopeless(err) && !errors.Is(err, visibility.ErrUnsupported) && !errors.Is(err, visibility.ErrLocked) &&
		!errors.Is(ctx.Err(), context.Canceled)
}

// SwapState implements visibility.StateSwapper for a store that does.
func (s *Store) SwapState(ctx context.Context, name string, old, value []byte) (bool, error) {
	swapper, ok := s.Store.(visibility.StateSwapper)
	if !ok {
		return false, fmt.Errorf("the store behind the spool cannot be shared: %w", visibility.ErrUnsupported)
	}
	return swapper.SwapState(ctx, name, old, value)
}

// Clear implements visibility.Admin. Of what waits only the watermarks stay.
func (s *Store) Clear(ctx context.Context) error {
	s.front.Lock()
	defer s.front.Unlock()
	if err := s.Store.Clear(ctx); err != nil {
		return err
	}
	var marks []*visibility.Batch
	bySource := map[string]*visibility.Batch{}
	for at := s.log.oldest(); ; {
		e, err := s.log.after(at)
		if errors.Is(err, errEmpty) {
			break
		}
		if err != nil {
			return fmt.Errorf("clear the spool: %w", err)
		}
		if at = e.next; e.batch == nil || len(e.batch.Watermarks) == 0 {
			continue
		}
		e.batch.Spans, e.batch.Metrics, e.batch.Ledger = nil, nil, nil
		if known := bySource[e.batch.Source]; known != nil {
			merge(known, e.batch)
			continue
		}
		bySource[e.batch.Source] = e.batch
		marks = append(marks, e.batch)
	}
	if err := s.log.clear(); err != nil {
		return fmt.Errorf("clear the spool: %w", err)
	}
	for _, b := range marks {
		if err := s.log.append(b); err != nil {
			return fmt.Errorf("clear the spool: %w", err)
		}
	}
	return nil
}
