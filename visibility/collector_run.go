package visibility

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"sync"
	"time"
)

// SourceKind says what a source delivers, or that it takes results.
type SourceKind string

// The kinds of sources.
const (
	SourceTraces  SourceKind = "traces"
	SourceMetrics SourceKind = "metrics"
	// KindResults is no source: results are written there. What it delivered
	// are values written.
	KindResults SourceKind = "results"
	// KindSpool is no source either: what the store could not take waits there.
	// What it delivered are spans that the store has got from it since.
	KindSpool SourceKind = "spool"
	// KindFiles is no source: spans are written into files there. What it
	// delivered are the spans that they have.
	KindFiles SourceKind = "files"
	// KindJobs is no source: Spark's jobs sum up files. What it delivered are
	// the spans that count in their results.
	KindJobs SourceKind = "jobs"
)

// sourceKey identifies a source among those of a collector.
type sourceKey struct {
	kind SourceKind
	name string
}

// puller reads one source. Its methods are called by one goroutine.
type puller interface {
	// pull returns true if there is more to read at once.
	pull(ctx context.Context) (more bool, err error)
	// source returns what is read from.
	source() any
}

// wantedSource is a source that should run, and how to reach it.
type wantedSource struct {
	target string // URL; "" for a source given in the options, whose owner closes it
	open   func(ctx context.Context, state *sourceState) (puller, error)
}

// task is a running source.
type task struct {
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{}
}

// Run collects until ctx ends and then returns nil. It owns every goroutine
// of the collector. Only one Run may be under way; a second returns an error.
func (c *Collector) Run(ctx context.Context) error {
	if !c.setRunning(true) {
		return errors.New("collector: already running")
	}
	defer c.setRunning(false)
	var wg sync.WaitGroup
	defer wg.Wait()
	if c.opt.Share != nil {
		wg.Go(func() { c.follow(ctx) })
	}
	tasks := map[sourceKey]*task{}
	for {
		c.reconcile(ctx, &wg, tasks)
		select {
		case <-ctx.Done():
			return nil
		case <-c.changed:
		}
	}
}

func (c *Collector) setRunning(on bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if on && c.running {
		return false
	}
	c.running = on
	return true
}

// reconcile starts the sources that are wanted and ends those that are not.
// It wakes the rest, which read the configuration anew.
func (c *Collector) reconcile(ctx context.Context, wg *sync.WaitGroup, tasks map[sourceKey]*task) {
	wanted := c.wanted()
	for key, t := range tasks {
		if _, ok := wanted[key]; ok {
			select {
			case t.wake <- struct{}{}:
			default:
			}
			continue
		}
		t.cancel()
		<-t.done
		delete(tasks, key)
	}
	states := make(map[sourceKey]*sourceState, len(wanted))
	for key, w := range wanted {
		if state := c.state(key); state != nil && tasks[key] != nil {
			states[key] = state
			continue
		}
		taskCtx, cancel := context.WithCancel(ctx)
		t := &task{cancel: cancel, done: make(chan struct{}), wake: make(chan struct{}, 1)}
		state := newSourceState(key, w.target)
		tasks[key], states[key] = t, state
		wg.Go(func() {
			defer close(t.done)
			defer cancel()
			l := loop{c: c, state: state, source: w, wake: t.wake}
			l.run(taskCtx)
		})
	}
	c.mu.Lock()
	c.sources = states
	c.mu.Unlock()
}

func (c *Collector) state(key sourceKey) *sourceState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sources[key]
}

// wanted returns the sources that should run now.
func (c *Collector) wanted() map[sourceKey]wantedSource {
	if c.Paused() {
		return nil
	}
	config := c.Config()
	wanted := map[sourceKey]wantedSource{}
	for _, target := range config.Tracing {
		key := sourceKey{SourceTraces, sourceName("jaeger", target)}
		wanted[key] = wantedSource{target: target, open: func(ctx context.Context, state *sourceState) (puller, error) {
			src, err := c.opt.Opener.OpenTraces(ctx, target)
			if err != nil {
				return nil, err
			}
			return newTracePuller(c, state, src), nil
		}}
	}
	if target := config.Monitoring; target != "" {
		key := sourceKey{SourceMetrics, sourceName("prometheus", target)}
		wanted[key] = wantedSource{target: target, open: func(ctx context.Context, state *sourceState) (puller, error) {
			src, err := c.opt.Opener.OpenMetrics(ctx, target)
			if err != nil {
				return nil, err
			}
			return &metricPuller{c: c, state: state, src: src}, nil
		}}
	}
	for name, src := range c.opt.Traces {
		wanted[sourceKey{SourceTraces, name}] = wantedSource{open: func(_ context.Context, state *sourceState) (puller, error) {
			return newTracePuller(c, state, src), nil
		}}
	}
	for name, src := range c.opt.Metrics {
		wanted[sourceKey{SourceMetrics, name}] = wantedSource{open: func(_ context.Context, state *sourceState) (puller, error) {
			return &metricPuller{c: c, state: state, src: src}, nil
		}}
	}
	return wanted
}

// sourceName is the ledger's name of a source of the configuration. It holds
// the address: another Jaeger has other spans and other watermarks.
func sourceName(kind, target string) string {
	if u, err := url.Parse(target); err == nil && u.Host != "" {
		return kind + "@" + u.Host
	}
	return kind + "@" + target
}

// loop is the pull loop of one source: at once, then every interval, sooner
// while there is more to read, later after failures.
type loop struct {
	c      *Collector
	state  *sourceState
	source wantedSource
	wake   <-chan struct{}
	puller puller
}

func (l *loop) run(ctx context.Context) {
	var failures backoff
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer l.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.wake:
		}
		begin := time.Now()
		l.state.begin()
		more, err := l.once(ctx)
		if ctx.Err() != nil {
			return
		}
		var pause time.Duration
		switch {
		case err != nil:
			pause = failures.next(l.c.opt.MaxBackoff)
		case !more:
			failures.reset()
			pause = max(time.Until(begin.Add(l.c.Config().SampleInterval.Duration())), 0)
		default:
			failures.reset()
		}
		l.report(l.state.finish(begin, pause, more, err))
		timer.Reset(pause)
	}
}

// once opens the source if that has not succeeded yet, and pulls.
func (l *loop) once(ctx context.Context) (more bool, err error) {
	if l.puller == nil {
		openCtx, cancel := context.WithTimeout(ctx, l.c.opt.Timeout)
		defer cancel()
		if l.puller, err = l.source.open(openCtx, l.state); err != nil {
			return false, err
		}
	}
	return l.puller.pull(ctx)
}

// close gives back what open took.
func (l *loop) close() {
	if l.puller == nil || l.source.target == "" {
		return
	}
	if src, ok := l.puller.source().(io.Closer); ok {
		if err := src.Close(); err != nil {
			l.c.opt.Logger.Warn("source does not close", slog.String("source", l.state.key.name), slog.Any("error", err))
		}
	}
}

// report logs a change of a source's health.
func (l *loop) report(before, after SourceStatus) {
	if (before.Error == "") == (after.Error == "") {
		return
	}
	log := l.c.opt.Logger.With(slog.String("source", after.Name), slog.String("kind", string(after.Kind)))
	if after.Error != "" {
		log.Warn("source fails; trying again", slog.String("error", after.Error), slog.Time("next_try", after.NextTry))
		return
	}
	log.Info("source works")
}
