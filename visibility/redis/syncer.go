package visibilityredis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/visibility"
)

// Options of a [Syncer]. The zero value works.
type Options struct {
	// Name is what the status calls this Redis. "": "redis".
	Name string
	// Target is the address that the status shows; it has no password in it.
	Target string
	// Refresh is the time between two refreshes. One that takes long is
	// followed by a pause of four times that. 0: 1 s.
	Refresh time.Duration
	// Expire is when results go that are not written again. 0: 1 h.
	Expire time.Duration
	// Window is how far back the results reach. 0: over all that the store
	// holds.
	Window time.Duration
	// Limits bound the results.
	Limits Limits
	// Figures, if not nil, counts in place of the store, over as much time as
	// the store reaches back. Configuration and metrics stay the store's.
	Figures Figures
	// Owns reports whether this process writes now, where several collectors
	// share a store: lease.Group's Owns. nil: always.
	Owns func(key string) bool
	// Timeout bounds what one refresh waits for Redis, and for the store
	// again. 0: 10 s.
	Timeout time.Duration
	// Logger gets changes of state, not every error. nil: none.
	Logger *slog.Logger
}

// rewriteAfter is when results are written although they are as before, for
// the case that somebody has removed some.
const rewriteAfter = 15 * time.Second

// ahead is how far beyond now results reach, for spans of clocks that are.
const ahead = time.Hour

// maxPause bounds the pause after failures.
const maxPause = 10 * time.Second

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "redis"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range [...]struct {
		field    *time.Duration
		standard time.Duration
	}{{&o.Refresh, time.Second}, {&o.Expire, time.Hour}, {&o.Timeout, 10 * time.Second}} {
		if *d.field <= 0 {
			*d.field = d.standard
		}
	}
	return o
}

// Configurer has the configuration that is in force. [visibility.Collector]
// is one. An error of Update that matches visibility.ErrInvalid says that the
// change was refused.
type Configurer interface {
	Config() visibility.Config
	Update(ctx context.Context, u visibility.ConfigUpdate) (visibility.Config, error)
}

// Figures are another engine's, such as those of Spark's jobs; job.Figures are
// that. Their methods may be called concurrently.
type Figures interface {
	// ContractFigures returns the figures of r for tracked services; Metrics is
	// not looked at.
	ContractFigures(ctx context.Context, services []string, r visibility.Range) (*visibility.ContractFigures, error)
	// Behind returns since when the figures lack what they should have, and
	// why; the zero time if they do not.
	Behind() (since time.Time, err error)
}

// Syncer keeps Redis in step with a store and a configuration. Only one
// should write to a database of Redis at a time. Its methods may be called
// concurrently.
type Syncer struct {
	client  redis.UniversalClient
	store   visibility.Store
	config  Configurer
	o       Options
	cluster bool
	rewrite time.Duration // rewriteAfter, but in tests

	// What follows belongs to Run.
	written   []Key  // the results that were written last,
	stamp     string // under which stamp, "" if that failed,
	writtenAt time.Time
	saidLate  time.Time                   // and what it said of s.late
	foreign   []error                     // and what was in the way
	counted   *visibility.ContractFigures // those of o.Figures that were read last
	late      lateness                    // of them

	mu      sync.Mutex // guards what follows
	status  visibility.SourceStatus
	running bool
	behind  time.Time // since when refreshes fail
}

// New returns a Syncer. Client and store stay the caller's. It does not ask
// Redis anything before Run.
func New(client redis.UniversalClient, store visibility.Store, config Configurer, o Options) (*Syncer, error) {
	if client == nil || store == nil || config == nil {
		return nil, errors.New("redis: a client, a store and a configuration are needed")
	}
	s := &Syncer{client: client, store: store, config: config, o: o.withDefaults(), rewrite: rewriteAfter}
	_, s.cluster = client.(*redis.ClusterClient)
	s.status = visibility.SourceStatus{
		Name: s.o.Name, Kind: visibility.KindResults, Target: s.o.Target, State: visibility.StateStarting,
	}
	return s, nil
}

// Run refreshes until ctx ends and then returns nil. While Redis is away it
// tries again, at least every ten seconds; then everything is written anew. A
// second Run at the same time returns an error.
func (s *Syncer) Run(ctx context.Context) error {
	if !s.setRunning(true) {
		return errors.New("redis: already running")
	}
	defer s.setRunning(false)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if s.o.Owns != nil && !s.o.Owns("results@"+s.o.Target) {
			s.stamp = "" // it is another's that Redis holds
			s.standBy()
			timer.Reset(s.o.Refresh)
			continue
		}
		began := time.Now()
		values, faults, err := s.refresh(ctx)
		if ctx.Err() != nil {
			return nil
		}
		timer.Reset(s.finish(began, values, faults, err))
	}
}

func (s *Syncer) setRunning(on bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on && s.running {
		return false
	}
	s.running = on
	return true
}

// refresh brings Redis up to date once and returns the number of values
// written. Faults are what is wrong with single keys.
func (s *Syncer) refresh(ctx context.Context) (values int, faults []error, err error) {
	followCtx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	held, faults, err := s.follow(followCtx)
	if err != nil {
		return 0, nil, err
	}
	contents, err := s.results(ctx)
	if err != nil {
		return 0, nil, fmt.Errorf("store: %w", err)
	}
	if s.stamp == "" || held != s.stamp || time.Since(s.writtenAt) >= s.rewrite || s.saidLate != s.late.since || !reflect.DeepEqual(contents.Keys, s.written) {
		writeCtx, cancel := context.WithTimeout(ctx, s.o.Timeout)
		defer cancel()
		now := time.Now()
		stamp := now.UTC().Format(time.RFC3339Nano)
		if s.foreign, err = s.write(writeCtx, contents, stamp); err != nil {
			s.stamp = "" // what Redis holds is not known
			return 0, nil, err
		}
		s.written, s.stamp, s.writtenAt, s.saidLate = contents.Keys, stamp, now, s.late.since
		values = contents.values()
	}
	return values, slices.Concat(faults, contents.Faults, s.foreign), nil
}

// results computes what Redis has to hold.
func (s *Syncer) results(ctx context.Context) (c Contents, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	config := s.config.Config()
	figures, err := s.figures(ctx, config.Services)
	if err != nil {
		return c, err
	}
	var metrics []visibility.MetricSeries
	if len(config.MetricPrefixes)+len(config.CustomMetrics) > 0 {
		if metrics, err = s.store.Metrics(ctx, visibility.MetricQuery{Limit: metricValues}); err != nil {
			return c, err
		}
	}
	return Results(figures, metrics, config, s.o.Limits), nil
}
