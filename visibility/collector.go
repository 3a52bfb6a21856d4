package visibility

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// Names of the state that a Collector keeps in its store.
const (
	stateConfig = "collector.config"
	statePaused = "collector.paused"
)

// CollectorOptions adjust a [Collector]. The zero value works.
type CollectorOptions struct {
	// ID names this collector to users. "": host name and process id.
	ID string
	// Config is the configuration of a store that has none yet; one that
	// was stored by Configure or Update wins over it.
	Config Config
	// Traces and Metrics are sources beside those of the configuration, by
	// the name under which the ledger accounts for them.
	Traces  map[string]TraceSource
	Metrics map[string]MetricSource
	// Opener makes sources of the configuration's URLs. nil: OpenSources,
	// the clients of packages tracing and monitoring without credentials.
	Opener Opener
	// Outputs returns the state of what results are written to, e.g. Redis;
	// Status shows them beside the sources. nil: there are none.
	Outputs func() []SourceStatus
	// Share divides the services of the sources among several collectors of
	// one store. nil: this collector reads all of them.
	Share Sharer
	// Hub is told of each span that was stored. nil: nobody is.
	Hub *Hub
	// Logger gets changes of state, not every error. nil: none.
	Logger *slog.Logger

	// Lookback is how far the first pull of a source reaches back. 0: 15 min.
	Lookback time.Duration
	// Again are the ages at which what was read is read once more, ascending,
	// for spans that reach the source late: because they last long, wait in
	// queues, or come from a clock that is behind. One that is late by less
	// than the last age is never missed; it is found at the next of them.
	// Each costs one more reading of everything. nil: 2 s, 6 s, 30 s, 2 min,
	// 10 min.
	Again []time.Duration
	// Window is the most time that one pull of a service reads when it has
	// to catch up; it grows to an hour while little is found and shrinks
	// when the source is too slow. 0: 5 min.
	Window time.Duration
	// Timeout is how long a source may be silent during a call. 0: 30 s.
	Timeout time.Duration
	// MaxBackoff bounds the pause after failures. 0: 30 s.
	MaxBackoff time.Duration
	// Parallel is how many services of a source are read at once. 0: 4.
	Parallel int
	// QuerySpans is how many spans are rather read once more than left out by
	// one more query; so late spans of quiet services are found sooner, too.
	// 0: 500.
	QuerySpans int
	// BatchSpans is the number of spans written at once. 0: 2048.
	BatchSpans int
	// RecentSpans is how many stored spans of a source are remembered, so
	// that what overlapping pulls read again need not go to the store.
	// 0: 262144, about 30 MB when full.
	RecentSpans int
}

func (o CollectorOptions) withDefaults() CollectorOptions {
	if o.ID == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "localhost"
		}
		o.ID = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	if o.Opener == nil {
		o.Opener = OpenSources{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range [...]struct {
		field    *time.Duration
		standard time.Duration
	}{
		{&o.Lookback, 15 * time.Minute}, {&o.Window, 5 * time.Minute},
		{&o.Timeout, 30 * time.Second}, {&o.MaxBackoff, 30 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.standard
		}
	}
	for _, d := range [...]struct {
		field    *int
		standard int
	}{{&o.Parallel, 4}, {&o.QuerySpans, 500}, {&o.BatchSpans, 2048}, {&o.RecentSpans, 1 << 18}} {
		if *d.field <= 0 {
			*d.field = d.standard
		}
	}
	o.Again = slices.DeleteFunc(slices.Sorted(slices.Values(o.Again)), func(age time.Duration) bool { return age <= 0 })
	if len(o.Again) == 0 {
		o.Again = []time.Duration{2 * time.Second, 6 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}
	}
	return o
}

// latest is how late a span may reach its source.
func (o *CollectorOptions) latest() time.Duration { return o.Again[len(o.Again)-1] }

// Sharer says which part of the work is this process's; lease.Group is one.
// For moments a part may be of two processes, or of none. Its methods may be
// called concurrently.
type Sharer interface {
	Owns(key string) bool
	// Changed returns a channel that holds a token after Owns may have begun
	// to answer otherwise. The collector is its one receiver.
	Changed() <-chan struct{}
	// Members are the IDs of those that share, as far as this process knows;
	// none while it is none of them.
	Members() []string
	// Load tells how many spans a second come with a part of this process, so
	// that shares can be even.
	Load(key string, spans float64)
}

// Collector pulls spans and metrics from its sources into a store. Each
// service of each source has a watermark, kept in the store's ledger: after
// an outage of the source, the store or the collector, pulling goes on where
// it ended, oldest first. What is read twice is counted once.
//
// All methods may be called concurrently, also while Run is not running.
type Collector struct {
	store Store
	opt   CollectorOptions

	// change serializes Configure, Update, Pause and Resume, so that what is
	// stored is what is in force.
	change sync.Mutex

	mu      sync.Mutex // guards what follows
	config  Config
	paused  bool
	running bool
	sources map[sourceKey]*sourceState
	changed chan struct{} // holds a token when Run has to look again
}

// NewCollector returns a collector that writes into store, with the
// configuration and the state (paused or not) that the store holds. It does
// not touch the sources before Run.
func NewCollector(store Store, opt CollectorOptions) (*Collector, error) {
	if store == nil {
		return nil, invalidf("collector: a store is needed")
	}
	c := &Collector{
		store: store, opt: opt.withDefaults(), config: opt.Config.Clone(),
		sources: map[sourceKey]*sourceState{}, changed: make(chan struct{}, 1),
	}
	if err := c.config.Validate(); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.opt.Timeout)
	defer cancel()
	if err := c.load(ctx); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	return c, nil
}

// load takes over what the store holds.
func (c *Collector) load(ctx context.Context) error {
	switch stored, err := c.store.State(ctx, stateConfig); {
	case err == nil:
		if c.config, err = decodeConfig(stored); err != nil {
			return err
		}
	case !errors.Is(err, ErrNotFound):
		return fmt.Errorf("read configuration: %w", err)
	}
	switch _, err := c.store.State(ctx, statePaused); {
	case err == nil:
		c.paused = true
	case !errors.Is(err, ErrNotFound):
		return fmt.Errorf("read state: %w", err)
	}
	return nil
}

// ID returns the name of this collector.
func (c *Collector) ID() string { return c.opt.ID }

// Init makes the store ready and returns its name, e.g. "embedded". It may be
// called again: an existing configuration stays.
func (c *Collector) Init(ctx context.Context) (string, error) {
	c.change.Lock()
	defer c.change.Unlock()
	_, err := c.store.State(ctx, stateConfig)
	if errors.Is(err, ErrNotFound) {
		err = c.storeConfig(ctx, c.Config())
	}
	if err != nil {
		return "", fmt.Errorf("init visibility: %w", err)
	}
	stats, err := c.store.Stats(ctx)
	if err != nil {
		return "", fmt.Errorf("init visibility: %w", err)
	}
	return stats.Name, nil
}

// Config returns the configuration in force.
func (c *Collector) Config() Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.config.Clone()
}

// Configure replaces the configuration: durably, and at once, without a
// restart. Sources that stay go on from where they are. An error that
// matches ErrInvalid names the wrong field.
func (c *Collector) Configure(ctx context.Context, config Config) error {
	c.change.Lock()
	defer c.change.Unlock()
	return c.configure(ctx, config)
}

// Update applies a change to the configuration and returns the result; see
// Configure.
func (c *Collector) Update(ctx context.Context, u ConfigUpdate) (Config, error) {
	c.change.Lock()
	defer c.change.Unlock()
	if c.opt.Share != nil { // another may have changed it
		if _, err := c.reload(ctx); err != nil {
			return Config{}, err
		}
	}
	config := c.Config().Merge(u)
	if err := c.configure(ctx, config); err != nil {
		return Config{}, err
	}
	return config, nil
}

func (c *Collector) configure(ctx context.Context, config Config) error {
	if err := config.Validate(); err != nil {
		return err
	}
	config = config.Clone()
	if err := c.storeConfig(ctx, config); err != nil {
		return fmt.Errorf("configure visibility: %w", err)
	}
	c.mu.Lock()
	c.config = config
	c.mu.Unlock()
	c.wake()
	return nil
}

func (c *Collector) storeConfig(ctx context.Context, config Config) error {
	b, err := encodeConfig(config)
	if err != nil {
		return err
	}
	return c.store.SetState(ctx, stateConfig, b)
}

// Pause ends pulling until Resume, across restarts. It returns when the wish
// is durable; a pull under way is cancelled. What the sources keep meanwhile
// is read after Resume.
func (c *Collector) Pause(ctx context.Context) error { return c.setPaused(ctx, true) }

// Resume ends a pause. It is no error if there was none.
func (c *Collector) Resume(ctx context.Context) error { return c.setPaused(ctx, false) }

func (c *Collector) setPaused(ctx context.Context, paused bool) error {
	c.change.Lock()
	defer c.change.Unlock()
	var value []byte
	if paused {
		value = []byte("true")
	}
	if err := c.store.SetState(ctx, statePaused, value); err != nil {
		return fmt.Errorf("pause or resume visibility: %w", err)
	}
	c.mu.Lock()
	c.paused = paused
	c.mu.Unlock()
	c.wake()
	return nil
}

// Paused reports whether pulling is paused.
func (c *Collector) Paused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paused
}

// Clear removes what was collected. Watermarks and configuration stay.
func (c *Collector) Clear(ctx context.Context) error {
	if err := c.store.Clear(ctx); err != nil {
		return fmt.Errorf("clear visibility: %w", err)
	}
	return nil
}

// wake tells Run that there is something new.
func (c *Collector) wake() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// snapshot returns the sources at this moment.
func (c *Collector) snapshot() map[sourceKey]*sourceState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.sources)
}
