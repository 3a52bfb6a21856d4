package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/opnfv/clover/visibility"
)

// stateMembers is the name of the state that holds the leases.
const stateMembers = "collector.members"

// maxMembers bounds a group.
const maxMembers = 1000

// Options of a [Group]. ID is needed.
type Options struct {
	// ID names this member; no other may have it.
	ID string
	// Renew is how often the lease is renewed. 0: 2 s.
	Renew time.Duration
	// Expire is how long a lease holds that is not renewed. The work of a
	// member that died is shared anew at most Expire + 2 Renew later.
	// 0: three times Renew.
	Expire time.Duration
	// Logger gets changes of the members. nil: none.
	Logger *slog.Logger
}

// Group is this process's membership. Its methods may be called concurrently.
type Group struct {
	store visibility.StateSwapper
	o     Options
	watch watch // belongs to Run
	// changed holds a token when the members are others than before.
	changed chan struct{}

	mu      sync.Mutex // guards what follows
	shares  *shares    // holds until
	until   time.Time
	since   time.Time       // there are these members
	loads   map[string]load // of keys, as told by Load
	err     error
	renewed int64 // renewals that succeeded,
	lost    int64 // and attempts that another member's renewal came before
}

// New returns a Group. It is no member before Run.
func New(store visibility.StateSwapper, o Options) (*Group, error) {
	if store == nil || o.ID == "" {
		return nil, errors.New("lease: a store and an ID are needed")
	}
	if o.Renew <= 0 {
		o.Renew = 2 * time.Second
	}
	if o.Expire < o.Renew {
		o.Expire = 3 * o.Renew
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Group{store: store, o: o, watch: watch{self: o.ID}, changed: make(chan struct{}, 1), shares: divide(table{}), loads: map[string]load{}}, nil
}

// Run is a member until ctx ends, and then leaves, so that the others need
// not wait for the lease to lapse. It returns nil. While the store is away it
// tries again.
func (g *Group) Run(ctx context.Context) error {
	defer g.leave(context.WithoutCancel(ctx))
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		err := g.renew(ctx)
		if ctx.Err() != nil {
			return nil
		}
		g.report(err)
		// Members that started together do not stay in step.
		timer.Reset(g.o.Renew - rand.N(g.o.Renew/5+1)) //nolint:gosec // spreading load needs no secrecy
	}
}

// Owns reports whether a piece of work is this member's. Nothing is, while
// the lease does not hold.
func (g *Group) Owns(key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Now().Before(g.until) && g.shares.owner(key) == g.o.ID
}

// load is a load and when it was told.
type load struct {
	spans float64
	at    time.Time
}

// loadHolds is how long a load counts that is not told again.
const loadHolds = 5 * time.Minute

// Load tells how many spans a second come with a key that this member owns.
// By that the shares are made even.
func (g *Group) Load(key string, spans float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.loads[key] = load{spans, time.Now()}
}

// measured returns the loads of the keys that this member owns, and whether
// the members of a table are not new: so that a service is not moved twice
// when one dies, and what that one had is measured by others.
func (g *Group) measured(t table) (loads map[string]float64, settled bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	settled = g.shares.hasMembers(t) && time.Since(g.since) > 5*g.o.Expire
	loads = map[string]float64{}
	for key, l := range g.loads {
		if time.Since(l.at) > loadHolds || g.shares.owner(key) != g.o.ID {
			delete(g.loads, key)
			continue
		}
		loads[key] = l.spans
	}
	return loads, settled
}

// Changed returns a channel that holds a token when what Owns answers may be
// another than before. It is for one receiver.
func (g *Group) Changed() <-chan struct{} { return g.changed }

// Members returns the members whose leases hold, sorted; none while the own
// does not.
func (g *Group) Members() []string { return g.Status().Members }

// Status is how a Group is.
type Status struct {
	Members []string // whose leases hold, sorted; none while the own does not
	Error   string   // why the lease was not renewed last; "" if it was
	Renewed int64    // renewals that succeeded
	Lost    int64    // attempts that another member's renewal came before
}

// Status returns how the group looks to this member.
func (g *Group) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	st := Status{Renewed: g.renewed, Lost: g.lost}
	if time.Now().Before(g.until) {
		st.Members = slices.Clone(g.shares.members)
	}
	if g.err != nil {
		st.Error = g.err.Error()
	}
	return st
}

// renew renews the lease. Where others were faster it tries again, for as
// long as until the next renewal.
func (g *Group) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, g.o.Expire)
	defer cancel()
	began := time.Now()
	for {
		done, err := g.try(ctx)
		if done || err != nil {
			return err
		}
		if time.Since(began) > g.o.Renew {
			return errors.New("lease: others were faster each time")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(g.o.Renew/20 + 1)): //nolint:gosec // spreading load needs no secrecy
		}
	}
}

// try attempts to renew the lease once.
func (g *Group) try(ctx context.Context) (done bool, err error) {
	began := time.Now()
	held, err := g.store.State(ctx, stateMembers)
	if errors.Is(err, visibility.ErrNotFound) {
		held, err = nil, nil
	}
	if err != nil {
		return false, fmt.Errorf("lease: %w", err)
	}
	t, err := parse(held)
	if err != nil {
		return false, err
	}
	g.watch.look(t, time.Now(), 2*g.o.Renew)
	next, lapsed := g.watch.renew(t, g.o.Expire)
	measured, settled := g.measured(next)
	next.tell(t, g.o.ID, measured, settled)
	if len(next.Members) > maxMembers {
		return false, fmt.Errorf("lease: there are %d members already", maxMembers)
	}
	text, err := next.encode()
	if err != nil {
		return false, err
	}
	swapped, err := g.store.SwapState(ctx, stateMembers, held, text)
	if err != nil {
		return false, fmt.Errorf("lease: %w", err)
	}
	g.took(next, lapsed, began, swapped)
	return swapped, nil
}

// took notes the outcome of an attempt that began at a time.
func (g *Group) took(t table, lapsed []string, began time.Time, swapped bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !swapped {
		g.lost++
		return
	}
	g.renewed++
	same := g.shares.same(t)
	if !same || !time.Now().Before(g.until) {
		if !g.shares.hasMembers(t) {
			g.since = time.Now()
			g.o.Logger.Info("lease: members", slog.Any("members", slices.Sorted(maps.Keys(t.Members))), slog.Any("lapsed", lapsed))
		}
		if !same {
			g.shares = divide(t)
		}
		select {
		case g.changed <- struct{}{}:
		default:
		}
	}
	g.until = began.Add(g.o.Expire)
}

// report notes an error, and logs when that changes.
func (g *Group) report(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if (err == nil) != (g.err == nil) {
		if err != nil {
			g.o.Logger.Warn("lease: not renewed; trying again", slog.Any("error", err))
		} else {
			g.o.Logger.Info("lease: renewed again")
		}
	}
	g.err = err
}

// leave gives the lease up.
func (g *Group) leave(ctx context.Context) {
	g.mu.Lock()
	g.until = time.Time{}
	g.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, g.o.Renew)
	defer cancel()
	for ctx.Err() == nil {
		held, err := g.store.State(ctx, stateMembers)
		if err != nil {
			return // it lapses
		}
		t, err := parse(held)
		if err != nil {
			return
		}
		if _, member := t.Members[g.o.ID]; !member {
			return
		}
		delete(t.Members, g.o.ID)
		delete(t.Loads, g.o.ID)
		text, err := t.encode()
		if err != nil {
			return
		}
		if swapped, err := g.store.SwapState(ctx, stateMembers, held, text); swapped || err != nil {
			return
		}
	}
}
